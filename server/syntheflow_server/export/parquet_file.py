"""A Parquet file (zstd), written while its rows come."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.export.base import Encoder, Piece, split

_GROUP_ROWS = 131_072
_GROUP_BYTES = 1 << 26


class ParquetEncoder(Encoder):
    """Collects rows into groups of up to 131,072 rows or 64 MiB; one object per file."""

    stateless: ClassVar[bool] = False

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__(schema)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []

    def begin(self) -> bytes:
        """Return the magic number."""
        return self._sink.drain()

    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the bytes of a row group once it is full, until then nothing."""
        del first
        self._expect(batch)
        if batch.num_rows:
            self._waiting.append(batch)
        rows = sum(part.num_rows for part in self._waiting)
        if rows >= _GROUP_ROWS or sum(part.nbytes for part in self._waiting) >= _GROUP_BYTES:
            self._flush()
            parts = list(split(self._sink.drain()))
            for part in parts[:-1]:
                yield Piece(part, 0)
            yield Piece(parts[-1], rows)

    def end(self) -> bytes:
        """Return the last row group and the footer."""
        self._flush()
        self._writer.close()
        return self._sink.drain()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self.schema)
            self._waiting = []
            self._writer.write_table(table, row_group_size=max(_GROUP_ROWS, table.num_rows))


class _Sink(io.RawIOBase):
    """Keeps what was written until it is drained; counts on, as Parquet needs offsets."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._length += len(part)
        return len(part)

    def tell(self) -> int:
        return self._length

    def drain(self) -> bytes:
        data = b"".join(self._parts)
        self._parts = []
        return data
