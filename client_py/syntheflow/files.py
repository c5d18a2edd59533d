"""Writes generated tables as files, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from syntheflow.values import Fragment, WrittenFile

ENDINGS = {
    "parquet": ".parquet",
    "csv": ".csv",
    "json": ".json",
    "jsonl": ".jsonl",
    "arrow": ".arrow",
}
_UNSAFE = frozenset('/\\:*?"<>|%')
_OPEN_FILES = 200


def file_stem(table: str) -> str:
    """Return a file name for a table: unsafe characters become %XX, overlong names a digest."""
    text = "".join(
        "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        if char in _UNSAFE or not char.isprintable() or (at == 0 and char == ".")
        else char
        for at, char in enumerate(table)
    )
    if len(text.encode()) > 200:
        digest = hashlib.sha256(table.encode()).hexdigest()[:16]
        text = text.encode()[:180].decode("utf-8", "ignore") + "-" + digest
    return text or "%"


def write_files(
    fragments: Iterable[Fragment],
    out: Path,
    ending: str,
    on_rows: Callable[[str, int], None] | None = None,
) -> tuple[WrittenFile, ...]:
    """Write each table's bytes to `out`/TABLE`ending` and say what was written.

    The files appear under their names only when all are whole; an error or an
    interrupt leaves nothing of them. `on_rows` hears the table and the rows of each
    fragment.
    """
    out.mkdir(parents=True, exist_ok=True)
    writers = _Writers(out, ending)
    try:
        for fragment in fragments:
            writers.write(fragment)
            if on_rows is not None:
                on_rows(fragment.table, fragment.row_count)
        return writers.commit()
    finally:
        writers.discard()


class _Writers:
    """The unfinished files of all tables; only so many are open at a time."""

    def __init__(self, out: Path, ending: str) -> None:
        self._out, self._ending = out, ending
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()
        self._rows: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    def _path(self, table: str) -> Path:
        return self._out / f"{file_stem(table)}{self._ending}"

    def _part(self, table: str) -> Path:
        # The pid keeps two programs that write to one folder apart.
        return self._out / f".{file_stem(table)}{self._ending}.{os.getpid()}.part"

    def write(self, fragment: Fragment) -> None:
        table = fragment.table
        file = self._open.pop(table, None)
        if file is None:
            if len(self._open) >= _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            file = self._part(table).open("ab" if table in self._rows else "wb")
        self._open[table] = file
        self._rows.setdefault(table, 0)
        self._bytes.setdefault(table, 0)
        file.write(fragment.data)
        self._rows[table] += fragment.row_count
        self._bytes[table] += len(fragment.data)

    def commit(self) -> tuple[WrittenFile, ...]:
        self._close()
        for table in self._rows:
            self._part(table).replace(self._path(table))
        return tuple(
            WrittenFile(
                table=table, path=str(self._path(table)), rows=rows, bytes=self._bytes[table]
            )
            for table, rows in self._rows.items()
        )

    def discard(self) -> None:
        """Remove what was not committed."""
        self._close()
        for table in self._rows:
            self._part(table).unlink(missing_ok=True)

    def _close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()
