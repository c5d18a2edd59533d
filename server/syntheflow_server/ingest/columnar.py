"""Parquet and Arrow files: types are known, only made canonical."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.spread import store_tables
from syntheflow_server.ingest.tables import IngestedTable, bad_file

_BATCH_ROWS = 32_768
_CELLS_FREE, _CELLS_RATIO = 1 << 26, 500
_BYTES_FREE, _BYTES_RATIO = 1 << 32, 2_000
_BYTES_LIMIT = 1 << 40
"""What a file may hold: so many values and bytes in any case, or so many a byte of it."""
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

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows from the start."""
        with _reading(self.table, self.kind):
            if self.kind == "Parquet":
                with pq.ParquetFile(self.path, pre_buffer=False) as file:
                    # Repeated rows take next to no room: the promise is looked at first.
                    self._check_cells(file.metadata.num_rows * len(file.schema_arrow))
                    yield from self._counted(file.iter_batches(_BATCH_ROWS, use_threads=False))
                return
            with pa.memory_map(str(self.path)) as file:
                reader = self._open(file)
                if isinstance(reader, pa.RecordBatchFileReader):
                    found = (reader.get_batch(i) for i in range(reader.num_record_batches))
                else:
                    found = iter(reader)
                for batch in self._counted(found):
                    self._check(batch)
                    yield batch

    def _counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches as long as they stay in proportion to the file."""
        size = self.path.stat().st_size
        allowed = min(_BYTES_LIMIT, max(_BYTES_FREE, _BYTES_RATIO * size))
        cells = taken = 0
        for batch in batches:
            cells += batch.num_rows * max(1, batch.num_columns)
            taken += batch.nbytes
            self._check_cells(cells)
            if taken > allowed:
                rule = f"the values take more than {_BYTES_RATIO:,} times the file's size"
                raise bad_file(self.table, f"{rule}; send it as CSV", reason="FILE_TOO_LARGE")
            yield batch

    def _check_cells(self, cells: int) -> None:
        """Refuse rows without end that are packed into a few bytes."""
        if cells > max(_CELLS_FREE, _CELLS_RATIO * self.path.stat().st_size):
            rule = f"the file holds more than {_CELLS_RATIO} values a byte of its size"
            raise bad_file(self.table, f"{rule}; send it as CSV", reason="FILE_TOO_LARGE")

    def _check(self, batch: pa.RecordBatch) -> None:
        """Refuse offsets and indices that lead out of their buffers: Arrow trusts them."""
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            try:
                values.validate(full=True)
            except pa.ArrowInvalid as error:
                problem = "its values are damaged; write the file again"
                raise bad_file(self.table, problem, column=name) from error

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
    path: Path,
    *,
    file_name: str,
    table: str,
    out: Path,
    options: ReadOptions,  # noqa: ARG001 - types are known
) -> tuple[IngestedTable, ...]:
    """Read a Parquet file as one table; nested values make related ones."""
    return _store(_Source(path, table, "Parquet"), file_name, out)


def read_arrow(
    path: Path,
    *,
    file_name: str,
    table: str,
    out: Path,
    options: ReadOptions,  # noqa: ARG001 - types are known
) -> tuple[IngestedTable, ...]:
    """Read an Arrow IPC stream or file as one table; nested values make related ones."""
    with path.open("rb") as file:
        is_file = file.read(len(_ARROW_FILE_MAGIC)) == _ARROW_FILE_MAGIC
    kind = "Arrow file" if is_file else "Arrow stream"
    return _store(_Source(path, table, kind), file_name, out)


def _store(source: _Source, file_name: str, out: Path) -> tuple[IngestedTable, ...]:
    return store_tables(
        source.schema(),
        source.batches,
        table=source.table,
        file_name=file_name,
        out=out,
        findings=[source.kind],
    )
