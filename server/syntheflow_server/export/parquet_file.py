"""Parquet files, written while their rows come.

A table is one file, or several of `file_rows` rows, or a folder of hive-style folders
(`partition_by`). What waits for its row group is bounded, and so are the files that are
open at once: of a partitioned table that has more, the longest unused one is ended, and
its folder gets another later.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.export.base import Book, FilePart, Target, file_stem
from syntheflow_server.export.parquet_folders import Folders, check_columns

_GROUP_BYTES = 1 << 26
# Rows are cut into folders in large heaps: small ones would make many tiny pieces.
_HEAP_ROWS = 1 << 17
_WAITING_BYTES = 1 << 27
# Small pieces of a folder cost more than their bytes: they are put together on the way.
_SMALL_ROWS, _MOST_SMALL = 4096, 16
# What Arrow keeps of each column of a piece beside its bytes.
_COLUMN_BYTES = 512
_MOST_OPEN = 128


class ParquetBook(Book):
    """Collects rows into groups of so many rows or 64 MiB."""

    def __init__(self, target: Target, work: Path) -> None:
        super().__init__(target, work)
        check_columns(target)
        self._tables = {
            table: _Partitioned(target, table)
            if set(target.options.partition_by) & set(target.table(table).column_names)
            else _Single(target, table)
            for table in target.tables
        }

    def add(self, table: str, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Yield the bytes of row groups once they are full, until then nothing."""
        if batch.num_rows:
            yield from self._tables[table].add(batch)

    def end(self) -> Iterator[FilePart]:
        """Yield the last row groups and the footers."""
        for files in self._tables.values():
            yield from files.end()


class _Single:
    """One table without partitions."""

    def __init__(self, target: Target, table: str) -> None:
        self._files = _Files(target, table, target.table(table).arrow, file_stem(table))

    def add(self, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows."""
        yield from self._files.add(batch)

    def end(self) -> Iterator[FilePart]:
        """End the last file."""
        yield from self._files.end()


class _Partitioned:
    """One table in folders."""

    def __init__(self, target: Target, table: str) -> None:
        self._target, self._table = target, table
        self._folders = Folders(table, target.table(table).arrow, target.options.partition_by)
        self._files: dict[str, _Files] = {}
        # Folders with an open file, the longest unused first.
        self._open: dict[str, None] = {}
        self._waiting = self._heap_rows = self._heap_bytes = 0
        self._heap: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows; yield row groups that are full."""
        self._heap.append(batch)
        self._heap_rows += batch.num_rows
        self._heap_bytes += batch.nbytes
        if self._heap_rows >= _HEAP_ROWS or self._heap_bytes >= _GROUP_BYTES:
            yield from self._cut()

    def _cut(self) -> Iterator[FilePart]:
        """Put the heap into folders; write out the largest of these while too much waits."""
        if not self._heap:
            return
        heap = pa.concat_batches(self._heap)
        self._heap, self._heap_rows, self._heap_bytes = [], 0, 0
        for folder, rows in self._folders.cut(heap):
            files = self._of(folder)
            yield from self._counted(folder, files.waiting_bytes, files.add(rows))
        while self._waiting > _WAITING_BYTES:
            folder = max(self._files, key=lambda name: self._files[name].waiting_bytes)
            files = self._files[folder]
            yield from self._counted(folder, files.waiting_bytes, files.flush())

    def end(self) -> Iterator[FilePart]:
        """End all files; a table without rows is one file that has all columns itself."""
        yield from self._cut()
        if not self._files:
            stem = f"{file_stem(self._table)}/part"
            schema = self._target.table(self._table).arrow
            whole = _Files(self._target, self._table, schema, stem, numbered=True)
            yield from whole.end()
        for files in self._files.values():
            yield from files.end()

    def _of(self, folder: str) -> _Files:
        if folder not in self._files:
            stem = f"{file_stem(self._table)}/{folder}/part"
            schema = self._folders.schema
            self._files[folder] = _Files(self._target, self._table, schema, stem, numbered=True)
        return self._files[folder]

    def _counted(self, folder: str, before: int, parts: Iterator[FilePart]) -> Iterator[FilePart]:
        """Pass parts on; keep count of what waits and what is open."""
        files = self._files[folder]
        yield from parts
        self._waiting += files.waiting_bytes - before
        self._open.pop(folder, None)
        if files.is_open:
            self._open[folder] = None
            if len(self._open) > _MOST_OPEN:
                oldest = next(iter(self._open))
                del self._open[oldest]
                held = self._files[oldest]
                self._waiting -= held.waiting_bytes
                yield from held.close()


class _Files:
    """Rows that go to one file after another, each begun with its first row group."""

    def __init__(
        self, target: Target, table: str, schema: pa.Schema, stem: str, *, numbered: bool = False
    ) -> None:
        options = target.options
        self._table, self._stem = table, stem
        self._schema = described(schema, target.schema, target.table(table))
        self._compression, self._group_rows = options.compression, options.row_group_rows
        self._file_rows = options.file_rows
        self._numbered = numbered or bool(options.file_rows)
        self._number = self._rows = self._waiting_rows = 0
        self._waiting: list[pa.RecordBatch] = []
        self.waiting_bytes = 0
        self._sink = _Sink()
        self._writer: pq.ParquetWriter | None = None

    @property
    def is_open(self) -> bool:
        """Whether a file is begun and not ended."""
        return self._writer is not None

    def add(self, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows; yield row groups that are full and ends of files."""
        while batch.num_rows:
            room = self._room()
            piece = batch.slice(0, room)
            batch = batch.slice(piece.num_rows)
            self._wait(piece)
            if self._file_rows and self._rows + self._waiting_rows == self._file_rows:
                yield from self.close()
            elif self._waiting_rows == self._group_rows or self.waiting_bytes >= _GROUP_BYTES:
                yield from self.flush()

    def _wait(self, piece: pa.RecordBatch) -> None:
        self._waiting.append(piece)
        self._waiting_rows += piece.num_rows
        self.waiting_bytes += _size(piece)
        small = self._waiting[-_MOST_SMALL:]
        if len(small) == _MOST_SMALL and max(b.num_rows for b in small) < _SMALL_ROWS:
            whole = pa.concat_batches(small)
            self._waiting[-_MOST_SMALL:] = [whole]
            self.waiting_bytes += _size(whole) - sum(map(_size, small))

    def _room(self) -> int:
        """Return the rows that still fit the row group and the file."""
        room = self._group_rows - self._waiting_rows
        if self._file_rows:
            room = min(room, self._file_rows - self._rows - self._waiting_rows)
        return room

    def flush(self) -> Iterator[FilePart]:
        """Yield what waits as a row group."""
        if not self._waiting:
            return
        writer, rows = self._begun(), self._waiting_rows
        table = pa.Table.from_batches(self._waiting)
        self._waiting, self._waiting_rows, self.waiting_bytes = [], 0, 0
        writer.write_table(table.cast(self._schema), row_group_size=self._group_rows)
        self._rows += rows
        yield FilePart(self._name(), self._table, self._sink.drain(), rows)

    def close(self) -> Iterator[FilePart]:
        """End the file that is open, if one is."""
        yield from self.flush()
        if self._writer is not None:
            self._writer.close()
            yield FilePart(self._name(), self._table, self._sink.drain())
            self._writer, self._rows = None, 0

    def end(self) -> Iterator[FilePart]:
        """End the last file; without any row there is one all the same."""
        if not self._number:
            self._begun()
        yield from self.close()

    def _begun(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._number += 1
            self._sink = _Sink()
            self._writer = pq.ParquetWriter(self._sink, self._schema, compression=self._compression)
        return self._writer

    def _name(self) -> str:
        number = f"-{self._number:05d}" if self._numbered else ""
        return f"{self._stem}{number}.parquet"


def described(schema: pa.Schema, dataset: Schema, table: Table) -> pa.Schema:
    """Return `schema` with what is known of the table: keys, references, types it came with.

    Under the key `syntheflow` stands JSON with table, primary_key, unique_keys,
    foreign_keys and dialect; a column that came from a database has its `native_type`.
    """
    facts = {
        "table": table.name,
        "primary_key": table.primary_key,
        "unique_keys": table.unique_keys,
        "foreign_keys": [
            {
                "child_columns": key.child_columns,
                "parent_table": key.parent_table,
                "parent_columns": key.parent_columns,
            }
            for key in dataset.references_from(table.name)
        ],
        "dialect": dataset.dialect,
    }
    fields = []
    for field in schema:
        native = table.column(field.name).native_type
        fields.append(field.with_metadata({"native_type": native}) if native else field)
    return pa.schema(fields, metadata={"syntheflow": json.dumps(facts, ensure_ascii=False)})


def _size(batch: pa.RecordBatch) -> int:
    return int(batch.nbytes + _COLUMN_BYTES * batch.num_columns)


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
