"""Stored tables: one Parquet file a table, read column by column."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.domain.errors import DataLossError, InvalidArgumentError, Violation
from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.domain.tables import one_array


def file_of(table: str) -> str:
    """Return the name of the Parquet file of `table`; any name makes a safe file name."""
    # A name of dots alone would survive quoting and mean a folder; the ending prevents that.
    return quote(table, safe="") + ".parquet"


def table_of(file: Path) -> str:
    """Return the name of the table in the Parquet file `file`."""
    return unquote(file.name.removesuffix(".parquet"))


class StoredTable:
    """A TableSource over one Parquet file; values are cast to the types of `table` if given.

    Raises DataLossError if the file is missing or damaged, InvalidArgumentError
    naming the column if its values cannot be read as its type.
    """

    def __init__(self, path: Path, table: Table | None = None) -> None:
        self._path, self._table = path, table
        self._metadata: pq.FileMetaData | None = None
        with self._opened() as file:
            self._metadata = file.metadata
            self._rows = int(file.metadata.num_rows)
            self._schema: pa.Schema = file.schema_arrow
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        ends = list(accumulate(groups))
        self._parts = tuple(map(range, [0, *ends], ends))

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        return self._rows

    @property
    def stored_schema(self) -> pa.Schema:
        """Arrow schema as written by ingest, before any cast."""
        return self._schema

    def column(self, name: str) -> pa.ChunkedArray:
        """Return all values of a column, in row order; KeyError if there is none."""
        with self._opened() as file:
            values = file.reader.read_column(self._leaf(name))
        return values if self._table is None else _cast(values, self._table, name)

    def nulls(self, name: str) -> int:
        """Return how many values of a column are missing, as the file's statistics say."""
        leaf = self._leaf(name)
        with self._opened() as file:
            groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
            found = [group.column(leaf).statistics for group in groups]
        if all(one is not None and one.has_null_count for one in found):
            return int(sum(one.null_count for one in found))
        return sum(self.part(name, number).null_count for number in range(len(self._parts)))

    def is_stored_as(self, name: str, kind: pa.DataType) -> bool:
        """Tell whether the values of a column need no cast to be of `kind`."""
        return bool(self._schema.field(self._leaf(name)).type == kind)

    @property
    def parts(self) -> tuple[range, ...]:
        """The rows of each row group."""
        return self._parts

    def part(self, name: str, number: int) -> pa.Array:
        """Return the values of a column in row group `number`; KeyError if there is none."""
        leaf = self._leaf(name)
        # Not mapped: pages of a large file would count as this process's memory.
        with self._opened(mapped=False) as file:
            read = file.reader.read_row_group(number, column_indices=[leaf], use_threads=False)
        values = read.column(0)
        return one_array(values if self._table is None else _cast(values, self._table, name))

    def _leaf(self, name: str) -> int:
        """Return the place of a column in the file; KeyError if there is none."""
        # By index, for `columns=["a"]` would also match a flat column called "a.b".
        # Stored schemas are flat, so the field's index is the leaf's.
        index = int(self._schema.get_field_index(name))
        if index < 0:
            raise KeyError(name)
        return index

    def _opened(self, *, mapped: bool = True) -> pq.ParquetFile:
        try:
            # Reading the metadata of many row groups anew takes longer than one of them.
            return pq.ParquetFile(
                self._path, metadata=self._metadata, memory_map=mapped, pre_buffer=False
            )
        except (OSError, pa.ArrowInvalid) as error:
            table = table_of(self._path)
            raise DataLossError(
                f"the stored file of table {table!r} is missing or damaged; upload it again",
                reason="STORED_TABLE_DAMAGED",
                metadata={"table": table},
            ) from error


def open_tables(directory: Path, schema: Schema | None = None) -> dict[str, StoredTable]:
    """Open the tables in `directory`: those of `schema`, cast to its types, else all as stored."""
    if schema is None:
        return {table_of(file): StoredTable(file) for file in sorted(directory.glob("*.parquet"))}
    return {t.name: StoredTable(directory / file_of(t.name), t) for t in schema.tables}


def _cast(values: pa.ChunkedArray, table: Table, name: str) -> pa.ChunkedArray:
    wanted = table.column(name).arrow
    if values.type == wanted:
        return values
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        rule = f"not every value can be read as {table.column(name).type}"
    # Outside the except block: Arrow's own message quotes the value, which must not travel along.
    raise InvalidArgumentError(
        f"table {table.name!r}, column {name!r}: {rule}; choose another type",
        reason="TYPE_MISMATCH",
        violations=(Violation(field="type", table=table.name, column=name, rule=rule),),
        metadata={"table": table.name, "column": name},
    )
