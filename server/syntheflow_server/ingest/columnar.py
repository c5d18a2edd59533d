"""Parquet and Arrow files: types are known, only made canonical."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.canonical import finding, stored_type, to_stored, unsigned_type
from syntheflow_server.ingest.tables import IngestedTable, TableWriter, bad_file, check_column_names

_BATCH_ROWS = 32_768
_ARROW_FILE_MAGIC = b"ARROW1"


@dataclass(frozen=True, slots=True)
class _Source:
    """A columnar file that can be read again from its start."""

    path: Path
    table: str
    kind: str

    def schema(self) -> pa.Schema:
        with _reading(self.table, self.kind):
            if self.kind == "Parquet":
                return pq.read_schema(self.path)
            with pa.memory_map(str(self.path)) as file:
                return self._open(file).schema

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with _reading(self.table, self.kind):
            if self.kind == "Parquet":
                with pq.ParquetFile(self.path, pre_buffer=False) as file:
                    yield from file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False)
                return
            with pa.memory_map(str(self.path)) as file:
                reader = self._open(file)
                if isinstance(reader, pa.RecordBatchFileReader):
                    found = (reader.get_batch(i) for i in range(reader.num_record_batches))
                else:
                    found = iter(reader)
                for batch in found:
                    yield batch.select(columns) if columns else batch

    def _open(self, file: pa.NativeFile) -> pa.RecordBatchReader:
        if self.kind == "Arrow file":
            return pa.ipc.open_file(file)
        return pa.ipc.open_stream(file)


@contextmanager
def _reading(table: str, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError) as error:
        problem = f"the file is damaged or is no {kind}; write it again"
        raise bad_file(table, problem) from error


def read_parquet(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read a Parquet file as one table."""
    return (_store(_Source(path, table, "Parquet"), file_name, out),)


def read_arrow(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read an Arrow IPC stream or file as one table."""
    with path.open("rb") as file:
        is_file = file.read(len(_ARROW_FILE_MAGIC)) == _ARROW_FILE_MAGIC
    kind = "Arrow file" if is_file else "Arrow stream"
    return (_store(_Source(path, table, kind), file_name, out),)


def _store(source: _Source, file_name: str, out: Path) -> IngestedTable:
    found = source.schema()
    check_column_names(source.table, found.names)
    stored = _stored_schema(source, found)
    findings = [source.kind]
    for before, after in zip(found, stored, strict=True):
        if change := finding(before.type, after.type, before.name):
            findings.append(change)
    with TableWriter(out, source.table, stored) as writer:
        for batch in source.batches():
            columns = [
                to_stored(values, field.type, table=source.table, column=field.name)
                for values, field in zip(batch.columns, stored, strict=True)
            ]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=stored))
    return writer.done(file_name, findings)


def _stored_schema(source: _Source, found: pa.Schema) -> pa.Schema:
    fields = [
        pa.field(f.name, stored_type(f.type, table=source.table, column=f.name)) for f in found
    ]
    unsigned = [f.name for f in found if f.type == pa.uint64()]
    if unsigned:
        largest: dict[str, int | None] = dict.fromkeys(unsigned)
        for batch in source.batches(unsigned):
            for name, values in zip(unsigned, batch.columns, strict=True):
                top = pc.max(values).as_py()
                if top is not None:
                    largest[name] = max(top, largest[name] or 0)
        fields = [
            pa.field(f.name, unsigned_type(largest[f.name])) if f.name in largest else f
            for f in fields
        ]
    return pa.schema(fields)
