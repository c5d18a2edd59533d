"""A Parquet file (zstd), written while its rows come."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.export.base import Book, FilePart, Target, file_stem

_GROUP_BYTES = 1 << 26


class ParquetBook(Book):
    """Collects rows into groups of so many rows or 64 MiB; one file a table."""

    def __init__(self, target: Target, work: Path) -> None:
        super().__init__(target, work)
        self._files = {table: _File(target, table) for table in target.tables}

    def add(self, table: str, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Yield the bytes of a row group once it is full, until then nothing."""
        yield from self._files[table].add(batch)

    def end(self) -> Iterator[FilePart]:
        """Yield the last row groups and the footers."""
        for file in self._files.values():
            yield file.end()


class _File:
    """One file of one table."""

    def __init__(self, target: Target, table: str) -> None:
        self._table, options = table, target.options
        self._name = file_stem(table) + ".parquet"
        self._schema = target.table(table).arrow
        self._group_rows = options.row_group_rows
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression=options.compression)
        self._waiting: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows; yield a row group once it is full."""
        if batch.num_rows:
            self._waiting.append(batch)
        rows = sum(part.num_rows for part in self._waiting)
        size = sum(part.nbytes for part in self._waiting)
        if rows >= self._group_rows or size >= _GROUP_BYTES:
            yield self._flush()

    def end(self) -> FilePart:
        """Return the last row group and the footer."""
        last = self._flush()
        self._writer.close()
        return last._replace(data=last.data + self._sink.drain())

    def _flush(self) -> FilePart:
        rows = sum(part.num_rows for part in self._waiting)
        if rows:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._waiting = []
            self._writer.write_table(table, row_group_size=self._group_rows)
        return FilePart(self._name, self._table, self._sink.drain(), rows)


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
