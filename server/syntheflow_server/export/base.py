"""What all encoders share: their face, the size of pieces, and how text is cut into them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.errors import OutOfRangeError

TARGET_PIECE = 1 << 20
"""Bytes that a piece aims at."""
MAX_PIECE = 3_600_000
"""Bytes that no piece exceeds: 3.5 MiB less room for the message around it."""


class Piece(NamedTuple):
    """Bytes for one message and the number of rows that are complete with it."""

    data: bytes
    rows: int


class Encoder(ABC):
    """Turns the batches of one table into the bytes of one stream.

    `stateless` encoders keep nothing between calls: `batch` may run in any process, and
    the bytes depend on the batch alone. The others need one object for a whole stream.
    """

    stateless: ClassVar[bool] = True

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    @abstractmethod
    def begin(self) -> bytes:
        """Return what stands before the first row."""

    @abstractmethod
    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the batch's rows as pieces of about TARGET_PIECE, never above MAX_PIECE bytes.

        `first` says that no row of the table came before. A batch without rows yields
        nothing. Raises OutOfRangeError if a single row exceeds MAX_PIECE.
        """

    def batch(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[bytes]:
        """Yield the bytes of `pieces`."""
        for piece in self.pieces(batch, first=first):
            yield piece.data

    @abstractmethod
    def end(self) -> bytes:
        """Return what stands after the last row; give it to `split` before sending it."""

    def _expect(self, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(self.schema):
            raise ValueError("the batch's schema is not the encoder's")


def split(data: bytes) -> Iterator[bytes]:
    """Yield `data` in parts of at most TARGET_PIECE bytes; nothing if it is empty."""
    for start in range(0, len(data), TARGET_PIECE):
        yield data[start : start + TARGET_PIECE]


def too_large_row(rows: int) -> OutOfRangeError:
    """Return the error for a row that fits no message."""
    return OutOfRangeError(
        f"a row of the batch of {rows} takes more than {MAX_PIECE} bytes in this format; "
        "shorten its longest text column or ask for fewer columns",
        reason="ROW_TOO_LARGE",
    )


def blocks(batch: pa.RecordBatch, limit: int) -> Iterator[pa.RecordBatch]:
    """Yield `batch` in slices of at most `limit` bytes where rows allow it, in order."""
    if batch.num_rows > 1 and batch.nbytes > limit:
        half = batch.num_rows // 2
        yield from blocks(batch.slice(0, half), limit)
        yield from blocks(batch.slice(half), limit)
    elif batch.num_rows:
        yield batch


def cut_lines(lines: pa.Array) -> Iterator[Piece]:
    """Yield a string array (one text a row, no nulls) as pieces that end with whole rows."""
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    offsets = offsets[lines.offset : lines.offset + len(lines) + 1]
    text = memoryview(lines.buffers()[2])
    row = 0
    while row < len(lines):
        start = int(offsets[row])
        stop_row = int(np.searchsorted(offsets, start + TARGET_PIECE, side="right")) - 1
        stop_row = max(stop_row, row + 1)
        stop = int(offsets[stop_row])
        if stop - start > MAX_PIECE:
            raise too_large_row(len(lines))
        yield Piece(bytes(text[start:stop]), stop_row - row)
        row = stop_row
