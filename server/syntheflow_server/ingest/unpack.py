"""Unpacks gzip, Zstandard, bzip2 and xz files, up to a limit."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa

from syntheflow_server.ingest.tables import bad_file

PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
"""Packing by the first bytes of a file."""
FREE_BYTES = 1 << 30
"""Unpacked size that is always allowed."""
RATIO = 200
"""Unpacked bytes allowed for each packed one beyond that; text rarely packs to a fiftieth."""
_CHUNK = 1 << 22
# What xz -9 needs; a file that asks for more is made to exhaust its reader.
_XZ_MEMORY = 128 << 20


class _Xz:
    """Reads a file of xz streams with bounded memory."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115 - closed by __exit__
        self._decoder = self._new()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        while True:
            if self._decoder.eof:
                rest = self._decoder.unused_data.lstrip(b"\0") or self._file.read(_CHUNK)
                rest = rest.lstrip(b"\0")
                if not rest:
                    return b""
                self._decoder = self._new()
            else:
                rest = self._file.read(_CHUNK) if self._decoder.needs_input else b""
                if not rest and self._decoder.needs_input:
                    raise EOFError
            if part := self._decoder.decompress(rest, size):
                return part

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


_OPENERS: dict[str, Callable[[str], Any]] = {
    "gzip": partial(pa.input_stream, compression="gzip"),
    "zstd": partial(pa.input_stream, compression="zstd"),
    "bzip2": bz2.BZ2File,
    "xz": _Xz,
}


def packing(path: Path) -> str:
    """Return how a file is packed, by its first bytes; "" if it is not."""
    with path.open("rb") as file:
        head = file.read(6)
    return next((kind for magic, kind in PACKED.items() if head.startswith(magic)), "")


def unpack(path: Path, kind: str, table: str, target: Path) -> Path:
    """Write the unpacked file to `target`.

    Raises InvalidArgumentError for a damaged file and for one that grows beyond all use.
    """
    allowed = max(FREE_BYTES, RATIO * path.stat().st_size)
    try:
        with _OPENERS[kind](str(path)) as source, target.open("wb") as file:
            _copy(source, file, allowed, kind, table)
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowInvalid) as error:
        raise bad_file(table, f"the {kind} file is damaged or cut off; send it again") from error
    return target


def _copy(source: IO[bytes], file: IO[bytes], allowed: int, kind: str, table: str) -> None:
    written = 0
    while part := source.read(_CHUNK):
        written += len(part)
        if written > allowed:
            rule = (
                f"the {kind} file unpacks to more than {RATIO} times its size, beyond "
                f"{FREE_BYTES >> 30} GiB; send it unpacked"
            )
            raise bad_file(table, rule, reason="FILE_TOO_LARGE")
        file.write(part)
