"""A ZIP archive whose members are packed while they grow, side by side, on disk.

The standard library writes one member at a time; the sheets of a workbook grow together.
Members beyond 4 GiB are written as ZIP64.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_PART = 1 << 20
# Higher levels take much longer and save little on the repetitive text of a sheet.
_LEVEL = 4
_LIMIT = 0xFFFF_FFFF
_ELSEWHERE = 0xFFFF_FFFF
"""Says that a number stands in the ZIP64 field instead."""
_MANY = 0xFFFF
# 1980-01-01 00:00, the first moment that ZIP knows: archives depend on their rows alone.
_DOS_TIME, _DOS_DATE = 0, 0x21
_UTF8, _DEFLATED = 0x800, 8


class Member:
    """One file of the archive, packed into `path` as it grows."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self._path = name, path
        self.size = self.packed = self.crc = 0
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        path.write_bytes(b"")

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)
        self._append(self._packer.compress(data))

    def close(self) -> None:
        """Pack what is left."""
        self._append(self._packer.flush())

    def parts(self) -> Iterator[bytes]:
        """Yield the packed bytes, then remove them from disk."""
        with self._path.open("rb") as file:
            while part := file.read(_PART):
                yield part
        self._path.unlink()

    def _append(self, packed: bytes) -> None:
        # Opened anew each time: a dataset may have more tables than a process open files.
        if packed:
            self.packed += len(packed)
            with self._path.open("ab") as file:
                file.write(packed)


def archive(members: list[Member]) -> Iterator[bytes]:
    """Yield the archive of closed members."""
    directory, at = [], 0
    for member in members:
        head = _local_header(member)
        directory.append(_entry(member, at))
        yield head
        yield from member.parts()
        at += len(head) + member.packed
    entries = b"".join(directory)
    yield entries + _end(len(members), len(entries), at)


def _common(member: Member, version: int, size: int, packed: int) -> bytes:
    return struct.pack(
        "<HHHHHIII",
        version,
        _UTF8,
        _DEFLATED,
        _DOS_TIME,
        _DOS_DATE,
        member.crc,
        packed,
        size,
    )


def _local_header(member: Member) -> bytes:
    name = member.name.encode()
    large = max(member.size, member.packed) >= _LIMIT
    extra = struct.pack("<HHQQ", 1, 16, member.size, member.packed) if large else b""
    sizes = (_ELSEWHERE, _ELSEWHERE) if large else (member.size, member.packed)
    lengths = struct.pack("<HH", len(name), len(extra))
    return b"PK\3\4" + _common(member, 45 if large else 20, *sizes) + lengths + name + extra


def _entry(member: Member, at: int) -> bytes:
    name = member.name.encode()
    large = max(member.size, member.packed, at) >= _LIMIT
    extra = struct.pack("<HHQQQ", 1, 24, member.size, member.packed, at) if large else b""
    sizes = (_ELSEWHERE, _ELSEWHERE) if large else (member.size, member.packed)
    version = 45 if large else 20
    rest = struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, 0, _ELSEWHERE if large else at)
    made = struct.pack("<H", version)
    return b"PK\1\2" + made + _common(member, version, *sizes) + rest + name + extra


def _end(count: int, length: int, at: int) -> bytes:
    wide = b""
    if count >= _MANY or at >= _LIMIT or length >= _LIMIT:
        record = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, length, at)
        locator = struct.pack("<IQI", 0, at + length, 1)
        wide = b"PK\6\6" + record + b"PK\6\7" + locator
    number = min(count, _MANY)
    size, start = (_ELSEWHERE, _ELSEWHERE) if wide else (length, at)
    return wide + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, number, number, size, start, 0)
