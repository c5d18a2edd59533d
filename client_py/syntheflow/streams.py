"""Reads the Generate stream: fragments off the wire, Arrow batches out of fragments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syntheflow.errors import SyntheflowError
from syntheflow.v1 import synthesis_service_pb2
from syntheflow.values import Fragment

if TYPE_CHECKING:
    import pyarrow as pa

_TABLE, _FIRST_ROW, _ROW_COUNT, _DATA, _FILE = 0x0A, 0x10, 0x18, 0x22, 0x2A


def parse_fragment(wire: bytes) -> Fragment:
    """Return the fragment in a serialised GenerateResponse, without copying its data.

    Reads protobuf's wire format by hand, which halves the client's work on wide
    streams; anything unusual is left to the generated code.
    """
    table, first_row, row_count, data, file = "", 0, 0, memoryview(b""), ""
    at, end = 0, len(wire)
    while at < end:
        tag = wire[at]
        if tag not in {_TABLE, _FIRST_ROW, _ROW_COUNT, _DATA, _FILE}:
            return _parse_any(wire)
        number, at = _varint(wire, at + 1)
        if tag == _TABLE:
            table = wire[at : at + number].decode()
            at += number
        elif tag == _FILE:
            file = wire[at : at + number].decode()
            at += number
        elif tag == _FIRST_ROW:
            first_row = number
        elif tag == _ROW_COUNT:
            row_count = number
        else:
            data = memoryview(wire)[at : at + number]
            at += number
    return Fragment(table=table, first_row=first_row, row_count=row_count, data=data, file=file)


def _varint(wire: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = wire[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _parse_any(wire: bytes) -> Fragment:
    message = synthesis_service_pb2.GenerateResponse.FromString(wire)
    return Fragment(
        table=message.table,
        first_row=message.first_row,
        row_count=message.row_count,
        data=message.data,
        file=message.file,
    )


class ArrowDecoder:
    """Turns the bytes of one table's Arrow IPC stream into batches, piece by piece.

    Batches share memory with the pieces; a message cut in two is waited for.
    """

    def __init__(self) -> None:
        self._rest: bytes | memoryview = b""
        self._ended = False
        self.schema: pa.Schema | None = None

    def feed(self, data: bytes | memoryview) -> list[pa.RecordBatch]:
        """Return the batches that are complete with `data`, in order."""
        import pyarrow as pa

        whole = b"".join((self._rest, data)) if len(self._rest) else data
        source = pa.BufferReader(pa.py_buffer(whole))
        batches: list[pa.RecordBatch] = []
        done = 0
        while done < len(whole) and not self._ended:
            if _is_end(whole, done):
                self._ended = True
                break
            try:
                message = pa.ipc.read_message(source)
            except (
                OSError,
                EOFError,
                pa.ArrowInvalid,
            ):
                # Cut in two: the rest comes with the next piece.
                break
            done = source.tell()
            if self.schema is None:
                self.schema = pa.ipc.read_schema(message)
            else:
                batches.append(pa.ipc.read_record_batch(message, self.schema))
        self._rest = b"" if self._ended else memoryview(whole)[done:]
        return batches

    def finish(self) -> pa.Schema:
        """Return the table's schema; DATA_LOSS if the stream has stopped in the middle."""
        if self.schema is None or len(self._rest):
            raise SyntheflowError(
                "The stream of rows ended in the middle of a message; generate again",
                code="DATA_LOSS",
                reason="STREAM_CUT",
            )
        return self.schema


def _is_end(whole: bytes | memoryview, at: int) -> bool:
    """Return True at the mark that ends an Arrow stream: continuation, length 0."""
    return bytes(whole[at : at + 8]) == b"\xff\xff\xff\xff\x00\x00\x00\x00"
