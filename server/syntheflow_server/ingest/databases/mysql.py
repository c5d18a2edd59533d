"""Reads MySQL and MariaDB: rows as the server's own text, streamed, made Arrow column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pymysql.cursors import Cursor, SSCursor

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases import columns as plans_of
from syntheflow_server.ingest.databases.catalogue import SourceColumn, SourceTable
from syntheflow_server.ingest.databases.columns import ColumnPlan, LeftOut, Settle
from syntheflow_server.ingest.databases.mysql_catalogue import namespaces, read_tables
from syntheflow_server.ingest.databases.source import (
    BATCH_ROWS,
    HASH_SPACE,
    Batches,
    plain_literal,
    quoted,
    rows_to_batch,
)

_TEXT = pa.string()
_INTEGERS = frozenset(["tinyint", "smallint", "mediumint", "int", "bigint", "year"])
_NO_PLAIN_VALUE = frozenset(
    [
        *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"),
        *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"),
        *("multipolygon", "geometrycollection", "geomcollection"),
    ]
)
_DAY_SECONDS = 86_400


class MysqlSource:
    """A connection in a transaction with a consistent snapshot."""

    dialect = Dialect.MYSQL

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        # Values stay the text that the server sends: Arrow reads it faster than Python.
        connection.decoders = {}
        for statement in (
            "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+00:00'",
            # A slow reader is no reason to hang up.
            "SET SESSION net_write_timeout = 3600",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ):
            self._rows(statement)
        database, version = self.first("SELECT DATABASE(), VERSION()")
        self.default_namespace: str = database or "*"
        self._mariadb = "mariadb" in version.lower()

    def namespaces(self) -> list[str]:
        """Return the names of all databases of users."""
        return namespaces(self._rows)

    def tables(self, wanted: Sequence[str]) -> list[SourceTable]:
        """Return the tables; views and sequences are none."""
        return read_tables(self._rows, wanted, mariadb=self._mariadb)

    def plan(self, table: SourceTable) -> list[ColumnPlan | LeftOut]:
        """Say for each column how it is read; flags, clocks and wide numbers are looked at."""
        return [self._plan(table, column) for column in table.columns]

    def batches(self, query: str, plans: Sequence[ColumnPlan]) -> Batches:
        """Stream a query's rows."""
        cursor = self._connection.cursor(SSCursor)
        whole = False
        try:
            cursor.execute(query)
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield rows_to_batch(rows, plans)
            whole = True
        finally:
            if not whole and cursor._result is not None:  # noqa: SLF001 - there is no public way
                # Closing a cursor reads all that is left: of a large table rather nothing.
                cursor._result.unbuffered_active = False  # noqa: SLF001
                self._connection._force_close()  # noqa: SLF001
            cursor.close()

    def first(self, query: str) -> tuple[Any, ...]:
        """Return a query's first row."""
        return self._rows(query)[0]

    def from_table(self, table: SourceTable) -> str:
        """Return the table with its database."""
        return f"{quoted(table.namespace, '`')}.{quoted(table.name, '`')}"

    def quote(self, name: str) -> str:
        """Return a name as it stands in SQL."""
        return quoted(name, "`")

    def literal(self, value: Any) -> str:
        """Return a value; backslashes mean themselves in this session."""
        return plain_literal(value)

    def hash(self, columns: Sequence[str]) -> str:
        """Return a hash of values."""
        texts = ", ".join(quoted(name, "`") for name in columns)
        digits = f"SUBSTRING(MD5(CONCAT_WS('|', {texts})), 1, 8)"
        return f"(CONV({digits}, 16, 10) % {HASH_SPACE})"

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def _over(self, table: SourceTable, *expressions: str) -> tuple[Any, ...]:
        return self.first(f"SELECT {', '.join(expressions)} FROM {self.from_table(table)}")

    def _plan(self, table: SourceTable, column: SourceColumn) -> ColumnPlan | LeftOut:
        name, text, kind = column.name, quoted(column.name, "`"), column.kind
        if kind in _NO_PLAIN_VALUE:
            return LeftOut(name, plans_of.left_out(column.native_type))
        if kind in _INTEGERS or kind == "bit":
            return self._integer(table, column)
        if kind in {"float", "double"}:
            return plans_of.plan_as(name, f"{text} + 0e0", _TEXT, pa.float64())
        if kind == "decimal":
            return self._decimal(table, column)
        if kind == "time":
            return self._time(table, column)
        return _moment(name, text, kind) or plans_of.text_plan(name, text)

    def _integer(self, table: SourceTable, column: SourceColumn) -> ColumnPlan:
        name, text = column.name, quoted(column.name, "`")
        native = column.native_type.lower()
        if native == "bit(1)":
            return ColumnPlan(name, f"{text} + 0", _TEXT, pa.bool_(), _is_one)
        if native.startswith("tinyint(1)"):
            low, high = self._over(table, f"MIN({text})", f"MAX({text})")
            if low in {"0", "1"} and high in {"0", "1"}:
                return ColumnPlan(name, text, _TEXT, pa.bool_(), _is_one)
        read = f"{text} + 0" if column.kind == "bit" else text
        if native == "bit(64)" or (native.startswith("bigint") and "unsigned" in native):
            (high,) = self._over(table, f"MAX({read})")
            if high is not None and int(high) > (1 << 63) - 1:
                told = f"column {name!r}: integers beyond 64 bits with sign, stored as decimals"
                wide = pa.decimal128(20, 0)
                return ColumnPlan(name, read, _TEXT, wide, plans_of.cast_to(wide), "", (told,))
        return plans_of.plan_as(name, read, _TEXT, pa.int64())

    def _decimal(self, table: SourceTable, column: SourceColumn) -> ColumnPlan:
        text = quoted(column.name, "`")
        precision, scale = column.digits or (65, 30)
        whole = precision - scale
        if precision > 38:
            (found,) = self._over(table, f"MAX(LENGTH(TRUNCATE(ABS({text}), 0)))")
            whole = int(found or 1)
        return plans_of.number_plan(column.name, text, whole, scale, f"{text} + 0e0")

    def _time(self, table: SourceTable, column: SourceColumn) -> ColumnPlan:
        name, text = column.name, quoted(column.name, "`")
        low, high = self._over(table, f"MIN(TIME_TO_SEC({text}))", f"MAX(TIME_TO_SEC({text}))")
        negative = low is not None and low.startswith("-")
        if not negative and float(high or 0) < _DAY_SECONDS:
            return ColumnPlan(name, text, _TEXT, pa.time64("us"), plans_of.clock_of)
        told = f"column {name!r}: times beyond a day, stored as durations"
        return ColumnPlan(
            name, text, _TEXT, pa.duration("us"), plans_of.duration_of, findings=(told,)
        )


def _moment(name: str, text: str, kind: str) -> ColumnPlan | None:
    """Plan dates and moments; MySQL's zero dates are read as missing."""
    if kind == "date":
        return ColumnPlan(name, text, _TEXT, pa.date32(), _dated(pa.date32()), "zero dates")
    naive = pa.timestamp("us")
    if kind == "datetime":
        return ColumnPlan(name, text, _TEXT, naive, _dated(naive), "zero dates")
    if kind == "timestamp":
        settle = _dated(naive)
        stored = pa.timestamp("us", tz="UTC")

        def zoned(values: pa.Array) -> pa.Array:
            return pc.assume_timezone(settle(values), "UTC")

        return ColumnPlan(name, text, _TEXT, stored, zoned, "zero dates")
    return None


def _dated(stored: pa.DataType) -> Settle:
    def settle(values: pa.Array) -> pa.Array:
        zero = pc.match_substring_regex(values, "^0000|-00")
        if pc.any(zero).as_py():
            values = pc.if_else(zero, pa.scalar(None, _TEXT), values)
        return pc.cast(values, stored)

    return settle


def _is_one(values: pa.Array) -> pa.Array:
    return pc.equal(values, "1")
