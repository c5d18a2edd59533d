"""Texts of a table on their way into Parquet, where columns may turn up late."""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.ingest.duck import connection, file_literal, quoted, run_bounded
from syntheflow_server.ingest.tables import bad_file

COLUMN_LIMIT = 4_096
"""Columns that a table may have."""
_FLUSH_ROWS = 16_384
_FLUSH_CHARACTERS = 1 << 25
_RELIEF = 1 << 16


class StagedColumn:
    """Values of one column since the last flush; `families` are the kinds ever seen."""

    __slots__ = ("families", "name", "place", "values")

    def __init__(self, name: str, place: int) -> None:
        self.name = name
        self.place = place
        self.values: list[str | None] = []
        self.families: set[str] = set()


class Stage:
    """Rows of texts c0, c1, ..., with `key` (the row's number) and `ref` (its parent's).

    Memory is bounded by the rows and characters that wait for the next flush.
    """

    def __init__(self, folder: Path, table: str, number: int) -> None:
        self.table = table
        self.columns: list[StagedColumn] = []
        self.rows = 0
        self._stem = folder / f"stage-{number}"
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._refs: list[int] = []
        self._waiting = 0
        self._characters = 0

    def column(self, name: str, place: int) -> StagedColumn:
        """Add a column; `place` orders it among the others."""
        if len(self.columns) == COLUMN_LIMIT:
            rule = f"the records have more than {COLUMN_LIMIT:,} different fields; make them rows"
            raise bad_file(self.table, rule, row=self.rows, reason="TOO_MANY_COLUMNS")
        made = StagedColumn(name, place)
        self.columns.append(made)
        return made

    def begin_row(self, ref: int = 0) -> int:
        """Begin a row whose parent is row `ref` of its table; return its number from 1."""
        if self._waiting >= _FLUSH_ROWS or self._characters >= _FLUSH_CHARACTERS:
            self._flush()
        self.rows += 1
        self._waiting += 1
        self._refs.append(ref)
        return self.rows

    def extend(self, columns: Sequence[Sequence[str | None]]) -> None:
        """Append rows, given as the values of each column in order."""
        if self._waiting >= _FLUSH_ROWS or self._characters >= _FLUSH_CHARACTERS:
            self._flush()
        count = len(columns[0])
        for column, values in zip(self.columns, columns, strict=True):
            column.values.extend(values)
            self._characters += sum(map(len, filter(None, values)))
        self.rows += count
        self._waiting += count
        self._refs.extend([0] * count)

    def put(self, column: StagedColumn, text: str, family: str) -> None:
        """Set a value of the row begun last; a second one replaces the first."""
        values = column.values
        missing = self._waiting - 1 - len(values)
        if missing > 0:
            values.extend([None] * missing)
        elif missing < 0:
            values.pop()
        values.append(text)
        column.families.add(family)
        self._characters += len(text)

    def whole(self) -> Path:
        """Return one Parquet file of all rows."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if len(self._parts) == 1:
            return self._parts[0]
        target = self._stem.with_suffix(".parquet")
        listed = ", ".join(file_literal(part) for part in self._parts)
        with connection(self._stem.parent) as con:
            run_bounded(
                con,
                f"COPY (SELECT * FROM read_parquet([{listed}], union_by_name = true)) "
                f"TO {quoted(str(target))} (FORMAT parquet, COMPRESSION snappy)",
            )
        for part in self._parts:
            part.unlink()
        return target

    def relieve(self) -> None:
        """Write what waits if it is much, as rows of another table come now."""
        if self._characters >= _RELIEF:
            self._flush()

    def close(self) -> None:
        """Let go of the file; rows that wait are lost."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        if not self._waiting and self._parts:
            return
        arrays: dict[str, pa.Array] = {}
        for i, column in enumerate(self.columns):
            column.values.extend([None] * (self._waiting - len(column.values)))
            try:
                arrays[f"c{i}"] = pa.array(column.values, pa.string())
            except UnicodeEncodeError as error:
                rule = "a text holds half of a surrogate pair, which is no character"
                raise bad_file(self.table, rule, column=column.name) from error
            column.values = []
        first = self.rows - self._waiting + 1
        arrays["key"] = pa.array(np.arange(first, self.rows + 1))
        arrays["ref"] = pa.array(self._refs, pa.int64())
        batch = pa.RecordBatch.from_pydict(arrays)
        if self._writer is None or self._writer.schema != batch.schema:
            self.close()
            self._parts.append(self._stem.with_suffix(f".{len(self._parts)}.parquet"))
            self._writer = pq.ParquetWriter(self._parts[-1], batch.schema, compression="snappy")
        self._writer.write_batch(batch)
        self._refs, self._waiting, self._characters = [], 0, 0
