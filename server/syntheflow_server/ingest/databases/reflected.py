"""Reads any database that SQLAlchemy knows, SQL Server and Oracle above all: by a plain cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn

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
    rows_to_batch,
)

# SQL Server keeps versions of rows only where its owner allowed it; else the strictest level
# holds what was read until the end.
_BEGIN = {
    Dialect.MSSQL: "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    Dialect.ORACLE: "SET TRANSACTION READ ONLY",
}
_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.types.Enum, "enum"),
    (sa.types.Boolean, "bool"),
    (sa.types.Integer, "integer"),
    (sa.types.Float, "float"),
    (sa.types.Numeric, "decimal"),
    (sa.types.DateTime, "moment"),
    (sa.types.Date, "date"),
    (sa.types.Time, "time"),
    (sa.types.Interval, "interval"),
    (sa.types.LargeBinary, "binary"),
    (sa.types.JSON, "json"),
    (sa.types.Uuid, "uuid"),
    (sa.types.String, "text"),
)
_OWN = frozenset(["information_schema", "sys", "guest", "system"])


class ReflectedSource:
    """A connection of SQLAlchemy; the catalogue is what its inspector says."""

    def __init__(self, connection: sa.Connection, dialect: Dialect) -> None:
        self.dialect = dialect
        self._connection = connection
        if dialect in _BEGIN:
            connection.exec_driver_sql(_BEGIN[dialect])
        self._inspector = sa.inspect(connection)
        self.default_namespace: str = self._inspector.default_schema_name or ""

    def namespaces(self) -> list[str]:
        """Return the names of the schemas; roles of SQL Server (db_owner ...) are none."""
        names = self._inspector.get_schema_names()
        return [n for n in names if n.lower() not in _OWN and not n.startswith("db_")]

    def tables(self, wanted: Sequence[str]) -> list[SourceTable]:
        """Return the tables; views are none."""
        return [
            self._table(namespace, name)
            for namespace in wanted
            for name in self._inspector.get_table_names(schema=namespace or None)
        ]

    def plan(self, table: SourceTable) -> list[ColumnPlan | LeftOut]:
        """Say for each column how it is read; numbers without digits are looked at."""
        return [self._plan(table, column) for column in table.columns]

    def batches(self, query: str, plans: Sequence[ColumnPlan]) -> Batches:
        """Stream a query's rows."""
        options = {"stream_results": True, "max_row_buffer": BATCH_ROWS}
        result = self._connection.exec_driver_sql(query, execution_options=options)
        with result:
            while rows := result.fetchmany(BATCH_ROWS):
                yield rows_to_batch([tuple(row) for row in rows], plans)

    def first(self, query: str) -> tuple[Any, ...]:
        """Return a query's first row."""
        return tuple(self._connection.exec_driver_sql(query).one())

    def from_table(self, table: SourceTable) -> str:
        """Return the table with its schema."""
        place = [table.namespace, table.name] if table.namespace else [table.name]
        return ".".join(map(self.quote, place))

    def quote(self, name: str) -> str:
        """Return a name as it stands in SQL, in the case in which the inspector tells it."""
        preparer = self._connection.dialect.identifier_preparer
        # Oracle's own case is upper, which SQLAlchemy tells as lower.
        return (
            preparer.quote(name)
            if self.dialect is Dialect.ORACLE
            else preparer.quote_identifier(name)
        )

    def literal(self, value: Any) -> str:
        """Return a value."""
        return str(int(value)) if isinstance(value, bool) else plain_literal(value)

    def hash(self, columns: Sequence[str]) -> str:
        """Return a hash of values."""
        names = list(map(self.quote, columns))
        if self.dialect is Dialect.ORACLE:
            joined = " || '|' || ".join(names)
            return f"ORA_HASH({joined}, {HASH_SPACE - 1})"
        joined = ", '|', ".join(names)
        digits = f"SUBSTRING(HASHBYTES('MD5', CONCAT({joined}, '')), 1, 4)"
        return f"(CONVERT(bigint, {digits}) % {HASH_SPACE})"

    def _table(self, namespace: str, name: str) -> SourceTable:
        schema, inspect = namespace or None, self._inspector
        key = inspect.get_pk_constraint(name, schema=schema)
        # Oracle tells its unique keys as indexes as well; SQL Server as indexes only.
        unique = [tuple(u["column_names"]) for u in inspect.get_unique_constraints(name, schema)]
        unique += [
            tuple(c for c in index["column_names"] if c)
            for index in inspect.get_indexes(name, schema=schema)
            if index["unique"]
            and None not in index["column_names"]
            and not any(option.endswith("_where") for option in index.get("dialect_options", {}))
        ]
        primary = tuple(key["constrained_columns"])
        checks = self._checks(name, schema)
        untold = "CHECK constraints cannot be read from this kind of database"
        return SourceTable(
            namespace=namespace,
            name=name,
            columns=tuple(self._column(c) for c in inspect.get_columns(name, schema=schema)),
            primary_key=primary,
            unique_keys=tuple(k for k in dict.fromkeys(unique) if k != primary),
            checks=tuple((text, ()) for text in checks or ()),
            findings=() if checks is not None else (untold,),
            references=tuple(
                SourceReference(
                    tuple(f["constrained_columns"]),
                    (f["referred_schema"] or namespace, f["referred_table"]),
                    tuple(f["referred_columns"]),
                )
                for f in inspect.get_foreign_keys(name, schema=schema)
            ),
        )

    def _checks(self, name: str, schema: str | None) -> list[str] | None:
        """Return the conditions of CHECK constraints; None if the driver cannot tell them."""
        try:
            found = self._inspector.get_check_constraints(name, schema=schema)
        except NotImplementedError:
            return None
        texts = [str(check["sqltext"]) for check in found]
        # Oracle tells NOT NULL as a CHECK.
        return [text for text in texts if not text.upper().endswith(" IS NOT NULL")]

    def _column(self, column: ReflectedColumn) -> SourceColumn:
        kind = column["type"]
        word = next((word for sort, word in _KINDS if isinstance(kind, sort)), "unknown")
        digits = None
        precision, scale = getattr(kind, "precision", None), getattr(kind, "scale", None)
        if word == "decimal" and precision is not None:
            digits = (precision, scale or 0)
        if isinstance(kind, sa.types.DateTime) and kind.timezone:
            word = "zoned"
        if isinstance(kind, sa.types.NullType):
            word = "unknown"
        return SourceColumn(
            name=column["name"],
            native_type=self._native(kind),
            kind=word,
            nullable=column["nullable"],
            identity="identity" in column or column.get("autoincrement") is True,
            computed="computed" in column,
            digits=digits,
        )

    def _native(self, kind: sa.types.TypeEngine[Any]) -> str:
        return "" if isinstance(kind, sa.types.NullType) else kind.compile(self._connection.dialect)

    def _plan(self, table: SourceTable, column: SourceColumn) -> ColumnPlan | LeftOut:
        name, text, kind = column.name, self.quote(column.name), column.kind
        if kind in {"unknown", "binary"}:
            return LeftOut(name, plans_of.left_out(column.native_type or "unknown"))
        if kind == "decimal":
            return self._decimal(table, column)
        if kind in _SIMPLE:
            raw, stored = _SIMPLE[kind]
            return plans_of.plan_as(name, text, raw, stored)
        if kind == "bool":
            return ColumnPlan(name, text, pa.bool_(), pa.bool_(), plans_of.cast_to(pa.bool_()))
        return ColumnPlan(name, text, pa.string(), pa.string(), _stripped(column.native_type))

    def _decimal(self, table: SourceTable, column: SourceColumn) -> ColumnPlan:
        name, text = column.name, self.quote(column.name)
        if column.digits and 0 <= column.digits[1] <= column.digits[0] <= 38:
            precision, scale = column.digits
            stored = plans_of.decimal_type(precision - scale, scale)
            assert stored is not None
            raw = stored if pa.types.is_decimal(stored) else pa.int64()
            return plans_of.plan_as(name, text, raw, stored)
        whole = self.first(
            f"SELECT COUNT(CASE WHEN {text} <> FLOOR({text}) OR ABS({text}) >= 1e18 THEN 1 END) "
            f"FROM {self.from_table(table)}"
        )
        stored = pa.float64() if whole[0] else pa.int64()
        return plans_of.plan_as(name, text, stored, stored)


_SIMPLE: dict[str, tuple[pa.DataType, pa.DataType]] = {
    "integer": (pa.int64(), pa.int64()),
    "float": (pa.float64(), pa.float64()),
    "date": (pa.date32(), pa.date32()),
    "time": (pa.time64("us"), pa.time64("us")),
    "moment": (pa.timestamp("us"), pa.timestamp("us")),
    "zoned": (pa.timestamp("us", tz="UTC"), pa.timestamp("us", tz="UTC")),
    "interval": (pa.duration("us"), pa.duration("us")),
}


def _stripped(native: str) -> Callable[[pa.Array], pa.Array]:
    """Texts of fixed length come with blanks that are none of the value."""
    import pyarrow.compute as pc

    fixed = native.upper().lstrip("N").startswith("CHAR(")
    return (lambda values: pc.utf8_rtrim(values, " ")) if fixed else (lambda values: values)
