"""Writes generated tables as files, whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from syntheflow.errors import SyntheflowError
from syntheflow.values import Fragment, WrittenFile

ENDINGS = {
    "parquet": ".parquet",
    "csv": ".csv",
    "json": ".json",
    "jsonl": ".jsonl",
    "arrow": ".arrow",
    "excel": ".xlsx",
    "xml": ".xml",
    "sql": ".sql",
    "sqlite": ".sqlite",
    "duckdb": ".duckdb",
}
_UNSAFE = frozenset('/\\:*?"<>|%')
_ELSEWHERE = frozenset("\\:\0")
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
    """Write each file of the stream into the folder `out` and say what was written.

    The files appear under their names only when all are whole; an error or an
    interrupt leaves nothing of them. A file that the server did not name is called
    TABLE`ending`. Folders of partitions must be new or empty, or rows of before would
    mix with the new ones. `on_rows` hears the table and the rows of each fragment.
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


class _File:
    """What is known of one file that is being written."""

    def __init__(self, part: Path) -> None:
        self.part = part
        self.bytes = 0
        self.tables: dict[str, int] = {}

    def written(self, path: Path) -> WrittenFile:
        """Return what to tell; the table is empty if the file holds several."""
        one = next(iter(self.tables)) if len(self.tables) == 1 else ""
        return WrittenFile(
            table=one,
            path=str(path),
            rows=sum(self.tables.values()),
            bytes=self.bytes,
            tables=dict(self.tables),
        )


class _Writers:
    """The unfinished files, in a folder of their own; only so many are open at a time."""

    def __init__(self, out: Path, ending: str) -> None:
        self._out, self._ending = out, ending
        self._work: Path | None = None
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()
        self._files: dict[str, _File] = {}

    def write(self, fragment: Fragment) -> None:
        name = fragment.file or f"{file_stem(fragment.table)}{self._ending}"
        known = self._files.get(name) or self._new(name)
        file = self._open.pop(name, None)
        if file is None:
            if len(self._open) >= _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            file = known.part.open("ab")
        self._open[name] = file
        file.write(fragment.data)
        known.bytes += len(fragment.data)
        if fragment.table:
            known.tables[fragment.table] = known.tables.get(fragment.table, 0) + fragment.row_count

    def commit(self) -> tuple[WrittenFile, ...]:
        self._close()
        written = []
        for name, file in self._files.items():
            path = self._out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            file.part.replace(path)
            written.append(file.written(path))
        return tuple(written)

    def discard(self) -> None:
        """Remove what was not committed."""
        self._close()
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)

    def _new(self, name: str) -> _File:
        folders = _checked(name)[:-1]
        if folders and _filled(self._out / folders[0]):
            raise SyntheflowError(
                f"The folder {self._out / folders[0]} is not empty, and rows of before would mix "
                "with the new ones; remove it or write into another folder",
                code="ALREADY_EXISTS",
                reason="FOLDER_NOT_EMPTY",
            )
        if self._work is None:
            # Within `out`, so that a rename puts the files in place.
            self._work = Path(tempfile.mkdtemp(prefix=".syntheflow-", dir=self._out))
        made = self._files[name] = _File(self._work / f"{len(self._files)}.part")
        return made

    def _close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


def _filled(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _checked(name: str) -> list[str]:
    """Return the parts of a file's name; SyntheflowError if it could lead elsewhere."""
    parts = name.split("/")
    for part in parts:
        if part in {"", ".", ".."} or set(part) & _ELSEWHERE or not part.isprintable():
            raise SyntheflowError(
                "The server named a file that would lead out of the folder; nothing was written",
                code="DATA_LOSS",
                reason="FILE_NAME_UNSAFE",
            )
    return parts
