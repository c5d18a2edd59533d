"""Reads PostgreSQL: rows by ADBC (binary COPY into Arrow), all in one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases import columns as plans_of
from syntheflow_server.ingest.databases.catalogue import SourceColumn, SourceTable
from syntheflow_server.ingest.databases.columns import ColumnPlan, LeftOut
from syntheflow_server.ingest.databases.postgresql_catalogue import namespaces, read_tables
from syntheflow_server.ingest.databases.source import HASH_SPACE, Batches, quoted

_BATCH_BYTES = 4 << 20
_BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    # Rows that a policy hides would be missing without a word: rather an error.
    "SET LOCAL row_security = off",
    # Values as text are the same whatever the server's or the user's taste is.
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'iso_8601'",
    "SET LOCAL extra_float_digits = 1",
    # A large table takes its time, and its reader too.
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    # Drawn owners are looked up in a hash, which must fit.
    "SET LOCAL work_mem = '128MB'",
)
_NO_PLAIN_VALUE = frozenset(
    [
        *("bytea", "tsvector", "tsquery", "geometry", "geography", "raster"),
        *("point", "line", "lseg", "box", "path", "polygon", "circle"),
    ]
)
_SIMPLE: dict[str, tuple[str, pa.DataType]] = {
    "int2": ("{}", pa.int64()),
    "int4": ("{}", pa.int64()),
    "int8": ("{}", pa.int64()),
    "oid": ("{}::int8", pa.int64()),
    "float4": ("{}", pa.float64()),
    "float8": ("{}", pa.float64()),
    "bool": ("{}", pa.bool_()),
}
_TIMES: dict[str, Callable[[str, str], ColumnPlan]] = {
    "date": plans_of.day_plan,
    "timestamp": plans_of.moment_plan,
    "timestamptz": lambda name, text: plans_of.moment_plan(name, text, "UTC"),
    "time": plans_of.clock_plan,
}


class PostgresqlSource:
    """An ADBC connection in a REPEATABLE READ, READ ONLY transaction."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        with connection.cursor() as cursor:
            for statement in _BEGIN:
                cursor.execute(statement)
        default = self.first("SELECT coalesce(current_schema()::text, 'public')")[0]
        self.default_namespace: str = default

    def namespaces(self) -> list[str]:
        """Return the names of all schemas of users."""
        return namespaces(self._rows)

    def tables(self, wanted: Sequence[str]) -> list[SourceTable]:
        """Return tables and partitioned tables; rows of partitions are their parent's."""
        return read_tables(self._rows, wanted)

    def plan(self, table: SourceTable) -> list[ColumnPlan | LeftOut]:
        """Say for each column how it is read; decimals without digits are looked at."""
        return [self._plan(table, column) for column in table.columns]

    def batches(self, query: str, plans: Sequence[ColumnPlan]) -> Batches:
        """Stream a query's rows; their types are the driver's, which are the plans'."""
        del plans
        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(
                **{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)}
            )
            cursor.execute(query)
            with cursor.fetch_record_batch() as reader:
                yield from reader

    def first(self, query: str) -> tuple[Any, ...]:
        """Return a query's first row."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return tuple(cursor.fetchone())

    def from_table(self, table: SourceTable) -> str:
        """Return the table; ONLY where it may have inheriting tables, which are read themselves."""
        place = f"{quoted(table.namespace)}.{quoted(table.name)}"
        return f"ONLY {place}" if table.only else place

    def quote(self, name: str) -> str:
        """Return a name as it stands in SQL."""
        return quoted(name)

    def literal(self, value: Any) -> str:
        """Return a value without a type, so that it takes the column's."""
        text = str(value).replace("'", "''")
        return f"'{text}'"

    def hash(self, columns: Sequence[str]) -> str:
        """Return a hash of values; it does not depend on the order of rows."""
        texts = ", ".join(f"{quoted(name)}::text" for name in columns)
        return f"(hashtextextended(concat_ws('|', {texts}), 0) & {HASH_SPACE - 1})"

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            found: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
            return found

    def _plan(self, table: SourceTable, column: SourceColumn) -> ColumnPlan | LeftOut:
        kind, text = column.kind, quoted(column.name)
        if kind == "numeric":
            return self._decimal(table, column)
        if kind in _TIMES:
            return _TIMES[kind](column.name, text)
        if kind in _NO_PLAIN_VALUE:
            return LeftOut(column.name, plans_of.left_out(column.native_type))
        if kind in _SIMPLE:
            shape, stored = _SIMPLE[kind]
            return plans_of.plan_as(column.name, shape.format(text), stored, stored)
        return _spoken(column, text)

    def _decimal(self, table: SourceTable, column: SourceColumn) -> ColumnPlan:
        text = quoted(column.name)
        if column.digits is not None and 0 <= column.digits[1] <= column.digits[0] <= 38:
            precision, scale = column.digits
        else:
            # NaN and infinity have no scale.
            scale, whole = self.first(
                f"SELECT max(scale({text}))::int4, length(max(trunc(abs({text}))) "
                f"FILTER (WHERE scale({text}) IS NOT NULL)::text)::int4 "
                f"FROM {self.from_table(table)}"
            )
            precision = (whole or 28) + (10 if scale is None else scale)
            scale = 10 if scale is None else scale
        as_float = f"{text}::float8"
        return plans_of.number_plan(column.name, text, precision - scale, scale, as_float)


def _spoken(column: SourceColumn, text: str) -> ColumnPlan:
    """Plan a column whose values PostgreSQL first says in another type."""
    name = column.name
    if column.kind == "money":
        return plans_of.decimal_plan(name, f"{text}::numeric", pa.decimal128(21, 2))
    if column.kind == "timetz":
        told = f"column {name!r}: times of day turned to UTC"
        return plans_of.clock_plan(name, f"({text} AT TIME ZONE 'UTC')::time", (told,))
    if column.kind == "interval":
        told = f"column {name!r}: intervals are stored as their length, a month as 30 days"
        length = f"(extract(epoch FROM {text}) * 1000000)::int8"
        return plans_of.duration_plan(name, length, (told,))
    if column.kind == "array":
        told = f"column {name!r}: arrays are stored as JSON text"
        return plans_of.text_plan(name, f"to_json({text})::text", (told,))
    if column.kind == "inet":
        # A cast would write /32 behind every address.
        return plans_of.text_plan(name, f"CASE WHEN {text} IS NOT NULL THEN concat({text}) END")
    return plans_of.text_plan(name, f"{text}::text")
