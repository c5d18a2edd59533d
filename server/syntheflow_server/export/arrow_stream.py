"""Arrow IPC stream: schema message, one message per record batch, end marker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from syntheflow_server.export.base import MAX_PIECE, TARGET_PIECE, Encoder, Piece, too_large_row

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class ArrowEncoder(Encoder):
    """Fragments of one Arrow IPC stream; uncompressed, since not every reader has codecs."""

    ending: ClassVar[str] = ".arrow"

    def begin(self) -> bytes:
        """Return the schema message."""
        return bytes(self.schema.serialize().to_pybytes())

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield one record batch message per piece."""
        del first
        self._expect(batch)
        # Never serialise a slice of no rows: it would carry its parent's whole buffers.
        if batch.num_rows:
            count = -(-pa.ipc.get_record_batch_size(batch) // TARGET_PIECE)
            rows = -(-batch.num_rows // count)
            for start in range(0, batch.num_rows, rows):
                yield from _messages(batch.slice(start, rows))

    def end(self) -> bytes:
        """Return the end-of-stream marker."""
        return _END


def _messages(batch: pa.RecordBatch) -> Iterator[Piece]:
    """Yield the batch as one message, or halves of it where rows of uneven size demand it."""
    if pa.ipc.get_record_batch_size(batch) <= MAX_PIECE:
        yield Piece(batch.serialize().to_pybytes(), batch.num_rows)
        return
    if batch.num_rows == 1:
        raise too_large_row(1)
    half = batch.num_rows // 2
    yield from _messages(batch.slice(0, half))
    yield from _messages(batch.slice(half))
