"""A DuckDB file for the whole dataset: tables with their keys, references and conditions.

DuckDB looks at a reference when a row is put in and cannot add one later. So rows wait on
disk, as Arrow, until all are there; then the tables are filled, parents first, by scanning
them. References that DuckDB cannot have (circles, a table's own) are checked by a query.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.base import Book, FilePart, Target, file_stem
from syntheflow_server.export.database_file import (
    broken_reference,
    file_parts,
    kept_references,
    write_error,
)
from syntheflow_server.export.ddl import create_tables, dependency_order, quoted_name
from syntheflow_server.export.value_text import plain_text

if TYPE_CHECKING:
    import duckdb

_POURED_ROWS = 1 << 20
_SETTINGS = (
    "SET memory_limit = '512MB'",
    "SET threads = 1",
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET enable_external_access = false",
)


class DuckdbBook(Book):
    """One database file; its bytes go out at the end."""

    ending: ClassVar[str] = ".duckdb"

    def __init__(self, target: Target, work: Path) -> None:
        super().__init__(target, work)
        self._file, self._path = file_stem(target.name) + self.ending, work / "database"
        self._heaps = {
            table: _Heap(work / f"rows{at}", target.table(table).arrow)
            for at, table in enumerate(target.tables)
        }
        # Faults of the schema show before the first row.
        create_tables(target.schema, target.tables, Dialect.DUCKDB)

    def add(self, table: str, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows; yield their number alone."""
        self._heaps[table].write(batch)
        yield FilePart(self._file, table, b"", batch.num_rows)

    def end(self) -> Iterator[FilePart]:
        """Yield the file, if all its references hold."""
        import duckdb

        try:
            with duckdb.connect(str(self._path)) as base:
                self._fill(base)
        except duckdb.Error as error:
            raise write_error(error, self._file, Dialect.DUCKDB) from None
        yield from file_parts(self._path, self._file)

    def _fill(self, base: duckdb.DuckDBPyConnection) -> None:
        import duckdb

        tables, spill = self.target.tables, str(self.work / "spill").replace("'", "''")
        statements = create_tables(self.target.schema, tables, Dialect.DUCKDB)
        # A condition of the schema may not make the server read other files.
        for statement in (f"SET temp_directory = '{spill}'", *_SETTINGS, *statements):
            base.execute(statement)
        order = dependency_order(self.target.schema, tables)
        for table in order:
            try:
                self._heaps[table].pour(base, quoted_name(Dialect.DUCKDB, table))
            except duckdb.Error as error:
                raise write_error(error, self._file, Dialect.DUCKDB, table) from None
        for table in order:
            for key in kept_references(self.target, table):
                if order.index(key.parent_table) >= order.index(table):
                    _check(base, key)


class _Heap:
    """Rows of one table that wait on disk."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        # Numbers for names: any name may stand in a schema, not all in a scan.
        fields = [pa.field(f"c{at}", _kept(field.type)) for at, field in enumerate(schema)]
        self._path, self._schema = path, pa.schema(fields)
        self._begun = False
        self._path.write_bytes(b"")

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        columns = [
            _as(column, field.type) for column, field in zip(batch, self._schema, strict=True)
        ]
        made = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        # Opened anew each time: a dataset may have more tables than a process open files.
        with self._path.open("ab") as file:
            if not self._begun:
                file.write(self._schema.serialize())
                self._begun = True
            file.write(made.serialize())

    def pour(self, base: duckdb.DuckDBPyConnection, table: str) -> None:
        """Put all rows into the table, then remove them from disk."""
        if self._begun:
            with pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as rows:
                while (first := next(rows, None)) is not None:
                    part = pa.RecordBatchReader.from_batches(self._schema, _some(first, rows))
                    base.register("poured", part)
                    base.execute(f"INSERT INTO {table} SELECT * FROM poured")  # noqa: S608 - quoted
                    base.unregister("poured")
        self._path.unlink()


def _some(first: pa.RecordBatch, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield `first` and what follows, up to about _POURED_ROWS rows."""
    yield first
    count = first.num_rows
    while count < _POURED_ROWS and (batch := next(rows, None)) is not None:
        count += batch.num_rows
        yield batch


def _kept(kind: pa.DataType) -> pa.DataType:
    """Return the type that is scanned: DuckDB has no decimals that end before the point."""
    return pa.string() if pa.types.is_decimal(kind) and kind.scale < 0 else kind


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    whole = pc.cast(values, pa.decimal256(76, 0))
    return plain_text(whole)


def _check(base: duckdb.DuckDBPyConnection, key: ForeignKey) -> None:
    """Raise REFERENCE_BROKEN if a row's parent is missing; a reference may be empty."""
    columns = [
        (quoted_name(Dialect.DUCKDB, child), quoted_name(Dialect.DUCKDB, parent))
        for child, parent in zip(key.child_columns, key.parent_columns, strict=True)
    ]
    there = " AND ".join(f"child.{child} IS NOT NULL" for child, _ in columns)
    same = " AND ".join(f"child.{child} = parent.{parent}" for child, parent in columns)
    found = base.execute(
        f"SELECT 1 FROM {quoted_name(Dialect.DUCKDB, key.child_table)} AS child "  # noqa: S608 - quoted
        f"WHERE {there} AND NOT EXISTS (SELECT 1 FROM "
        f"{quoted_name(Dialect.DUCKDB, key.parent_table)} AS parent WHERE {same}) LIMIT 1"
    ).fetchone()
    if found is not None:
        raise broken_reference(key)
