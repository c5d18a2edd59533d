"""Lays the wire bytes of a GenerateResponse by hand.

Equal to what the generated code writes, but the data are copied once instead of
twice: at 1 MiB a message that is half as fast again.
"""

from __future__ import annotations

from syntheflow_server.jobs.requests import Chunk

# Field number << 3 | wire type, see synthesis_service.proto.
_TABLE, _FIRST_ROW, _ROW_COUNT, _DATA, _FILE = b"\x0a", b"\x10", b"\x18", b"\x22", b"\x2a"


def fragment_bytes(chunk: Chunk) -> bytes:
    """Return the serialised GenerateResponse of `chunk`; default values are left out."""
    pieces: list[bytes] = []
    if chunk.table:
        table = chunk.table.encode()
        pieces += (_TABLE, _varint(len(table)), table)
    if chunk.first_row:
        pieces += (_FIRST_ROW, _varint(chunk.first_row))
    if chunk.row_count:
        pieces += (_ROW_COUNT, _varint(chunk.row_count))
    if chunk.data:
        pieces += (_DATA, _varint(len(chunk.data)), chunk.data)
    if chunk.file:
        file = chunk.file.encode()
        pieces += (_FILE, _varint(len(file)), file)
    return b"".join(pieces)


def _varint(number: int) -> bytes:
    """Return a non-negative number as a protobuf varint."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
