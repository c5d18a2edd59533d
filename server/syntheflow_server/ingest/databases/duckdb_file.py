"""Reads DuckDB files: columnar from end to end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases import columns as plans_of
from syntheflow_server.ingest.databases.catalogue import (
    SourceColumn,
    SourceReference,
    SourceTable,
)
from syntheflow_server.ingest.databases.columns import ColumnPlan, LeftOut
from syntheflow_server.ingest.databases.source import (
    BATCH_ROWS,
    HASH_SPACE,
    Batches,
    plain_literal,
    quoted,
)

_OWN = "database_name = current_database() AND NOT internal"
_COLUMNS = f"""
SELECT schema_name, table_name, column_name, data_type, is_nullable,
       coalesce(column_default, '')
  FROM duckdb_columns() WHERE {_OWN} ORDER BY table_oid, column_index"""
_RULES = """
SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table,
       referenced_column_names, expression
  FROM duckdb_constraints() WHERE database_name = current_database()
 ORDER BY table_oid, constraint_index"""
_SIMPLE: dict[str, tuple[str, pa.DataType]] = {
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
        ("BIGINT", pa.int64()),
    ),
    **dict.fromkeys(("FLOAT", "DOUBLE"), ("DOUBLE", pa.float64())),
    "BOOLEAN": ("BOOLEAN", pa.bool_()),
}
_WIDE = frozenset(["UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM", "VARINT"])
_NO_PLAIN_VALUE = re.compile(r"BLOB|BYTEA|GEOMETRY|POINT_2D|VARIANT", re.IGNORECASE)
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_NESTED = re.compile(r"^(STRUCT|MAP|UNION)\b|\[\d*\]$")
_MOMENTS = {
    "TIMESTAMP": None,
    "TIMESTAMP_S": None,
    "TIMESTAMP_MS": None,
    "TIMESTAMP_NS": None,
    "TIMESTAMP WITH TIME ZONE": "UTC",
}


class DuckdbSource:
    """A connection in a transaction; the file was opened for reading only."""

    dialect = Dialect.DUCKDB
    default_namespace = "main"

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET threads = 1")
        connection.execute("SET memory_limit = '1GB'")
        connection.execute("BEGIN TRANSACTION")

    def namespaces(self) -> list[str]:
        """Return the names of all schemas."""
        found = self._rows(f"SELECT DISTINCT schema_name FROM duckdb_tables() WHERE {_OWN}")
        return sorted({name for (name,) in found} | {"main"})

    def tables(self, wanted: Sequence[str]) -> list[SourceTable]:
        """Return the tables in the order in which they were made."""
        columns: dict[tuple[str, str], list[SourceColumn]] = {}
        for namespace, table, *rest in self._rows(_COLUMNS):
            columns.setdefault((namespace, table), []).append(_column(*rest))
        rules: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for namespace, table, *rest in self._rows(_RULES):
            rules.setdefault((namespace, table), []).append(tuple(rest))
        sizes = self._rows(
            f"SELECT schema_name, table_name, estimated_size FROM duckdb_tables() WHERE {_OWN}"
            " ORDER BY table_oid"
        )
        return [
            _table(
                namespace, name, columns[namespace, name], rules.get((namespace, name), []), rows
            )
            for namespace, name, rows in sizes
            if namespace in wanted
        ]

    def plan(self, table: SourceTable) -> list[ColumnPlan | LeftOut]:
        """Say for each column how it is read; integers beyond 64 bits are looked at."""
        return [self._plan(table, column) for column in table.columns]

    def batches(self, query: str, plans: Sequence[ColumnPlan]) -> Batches:
        """Stream a query's rows."""
        del plans
        reader = self._connection.sql(query).to_arrow_reader(BATCH_ROWS)
        try:
            yield from reader
        finally:
            reader.close()

    def first(self, query: str) -> tuple[Any, ...]:
        """Return a query's first row."""
        return self._rows(query)[0]

    def from_table(self, table: SourceTable) -> str:
        """Return the table with its schema."""
        return f"{quoted(table.namespace)}.{quoted(table.name)}"

    def quote(self, name: str) -> str:
        """Return a name as it stands in SQL."""
        return quoted(name)

    def literal(self, value: Any) -> str:
        """Return a value."""
        return plain_literal(value)

    def hash(self, columns: Sequence[str]) -> str:
        """Return a hash of values."""
        texts = ", ".join(map(quoted, columns))
        return f"(hash({texts}) % {HASH_SPACE})"

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.execute(query).fetchall()]

    def _plan(self, table: SourceTable, column: SourceColumn) -> ColumnPlan | LeftOut:
        name, text, kind = column.name, quoted(column.name), column.kind
        if _NO_PLAIN_VALUE.search(kind):
            return LeftOut(name, plans_of.left_out(kind))
        if kind in _SIMPLE:
            word, stored = _SIMPLE[kind]
            return plans_of.plan_as(name, f"{text}::{word}", stored, stored)
        if kind in _WIDE:
            return self._wide(table, column)
        if column.digits:
            precision, scale = column.digits
            number = f"{text}::VARCHAR"
            return plans_of.number_plan(name, number, precision - scale, scale, f"{text}::DOUBLE")
        return _spoken(name, text, kind)

    def _wide(self, table: SourceTable, column: SourceColumn) -> ColumnPlan:
        name, text = column.name, quoted(column.name)
        (digits,) = self.first(
            f"SELECT max(length(ltrim({text}::VARCHAR, '-'))) FROM {self.from_table(table)}"
        )
        return plans_of.number_plan(name, f"{text}::VARCHAR", digits or 1, 0, f"{text}::DOUBLE")


def _column(name: str, native: str, nullable: Any, default: str) -> SourceColumn:
    match = _DECIMAL.fullmatch(native)
    return SourceColumn(
        name=name,
        native_type=native,
        kind="enum" if native.startswith("ENUM") else native,
        nullable=bool(nullable),
        identity=default.lower().startswith("nextval("),
        digits=(int(match[1]), int(match[2])) if match else None,
    )


def _table(
    namespace: str,
    name: str,
    columns: list[SourceColumn],
    rules: list[tuple[Any, ...]],
    rows: int,
) -> SourceTable:
    primary: tuple[str, ...] = ()
    unique, checks, references = [], [], []
    for kind, names, parent, parent_columns, expression in rules:
        key = tuple(names or ())
        if kind == "PRIMARY KEY":
            primary = key
        elif kind == "UNIQUE":
            unique.append(key)
        elif kind == "CHECK":
            checks.append((expression, key))
        elif kind == "FOREIGN KEY":
            references.append(SourceReference(key, (namespace, parent), tuple(parent_columns)))
    return SourceTable(
        namespace=namespace,
        name=name,
        columns=tuple(columns),
        primary_key=primary,
        unique_keys=tuple(unique),
        checks=tuple(checks),
        references=tuple(references),
        rows=rows,
    )


def _spoken(name: str, text: str, kind: str) -> ColumnPlan:
    if kind in _MOMENTS:
        zone = _MOMENTS[kind]
        micro = "TIMESTAMPTZ" if zone else "TIMESTAMP"
        return plans_of.moment_plan(name, f"{text}::{micro}", zone)
    if kind == "DATE":
        return plans_of.day_plan(name, text)
    if kind == "TIME":
        return plans_of.clock_plan(name, text)
    if kind == "INTERVAL":
        told = f"column {name!r}: intervals are stored as their length, a month as 30 days"
        length = f"(epoch({text}) * 1000000)::BIGINT"
        return plans_of.duration_plan(name, length, (told,))
    if _NESTED.search(kind):
        told = f"column {name!r}: nested values are stored as JSON text"
        return plans_of.text_plan(name, f"to_json({text})::VARCHAR", (told,))
    return plans_of.text_plan(name, f"{text}::VARCHAR")
