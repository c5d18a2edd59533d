"""Reads SQLite: a column's type is what all its values are, not what its declaration says."""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases import columns as plans_of
from syntheflow_server.ingest.databases.catalogue import SourceColumn, SourceTable
from syntheflow_server.ingest.databases.columns import EXACT, ColumnPlan, LeftOut
from syntheflow_server.ingest.databases.source import (
    BATCH_ROWS,
    HASH_SPACE,
    Batches,
    plain_literal,
    quoted,
    rows_to_batch,
)
from syntheflow_server.ingest.databases.sqlite_catalogue import read_tables

# What each value is, over all rows; the last three ask what texts say. The modifier makes
# SQLite count days, so that a 30th of February becomes another text.
_LOOK = """
SELECT count({c}), coalesce(sum(typeof({c}) = 'integer'), 0),
       coalesce(sum(typeof({c}) = 'real'), 0),
       coalesce(sum(typeof({c}) = 'blob'), 0),
       min({c}) FILTER (WHERE typeof({c}) = 'integer'),
       max({c}) FILTER (WHERE typeof({c}) = 'integer'),
       coalesce(sum(typeof({c}) = 'text' AND length({c}) = 10 AND date({c}, '+0 days') IS {c}), 0),
       coalesce(sum(typeof({c}) = 'text' AND length({c}) BETWEEN 16 AND 26
         AND {c} GLOB '????-??-??[ T]??:??*' AND {c} NOT GLOB '*[^0-9T :.-]*'
         AND strftime('%Y-%m-%d %H:%M', {c}, '+0 days')
             IS replace(substr({c}, 1, 16), 'T', ' ')), 0),
       coalesce(sum(typeof({c}) = 'text' AND {c} GLOB '??:??:??*' AND length({c}) <= 15
         AND {c} NOT GLOB '*[^0-9:.]*' AND time({c}) IS substr({c}, 1, 8)), 0)
  FROM {t}"""
_DECIMAL = re.compile(
    r"(?:numeric|decimal|money|number)[a-z_ ]*\((\d+)\s*(?:,\s*(\d+))?\)", re.IGNORECASE
)
_FLOAT_DIGITS = 15
_LONGEST_VALUE = 64 << 20


class SqliteSource:
    """A connection in a transaction that reads only."""

    dialect = Dialect.SQLITE
    default_namespace = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.create_function("syntheflow_hash", -1, _hash, deterministic=True)
        connection.execute("PRAGMA query_only = 1")
        # A view or a trigger of the file may not call what is dangerous.
        connection.execute("PRAGMA trusted_schema = 0")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.execute("BEGIN")
        # Only the first look fixes the state that the transaction sees.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def namespaces(self) -> list[str]:
        """Return the only namespace."""
        return [""]

    def tables(self, wanted: Sequence[str]) -> list[SourceTable]:
        """Return the tables; views, virtual tables and SQLite's own are none."""
        del wanted
        return read_tables(self._connection)

    def plan(self, table: SourceTable) -> list[ColumnPlan | LeftOut]:
        """Look at all values of each column."""
        return [self._plan(table, column) for column in table.columns]

    def batches(self, query: str, plans: Sequence[ColumnPlan]) -> Batches:
        """Stream a query's rows."""
        cursor = self._connection.execute(query)
        try:
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield rows_to_batch(rows, plans)
        finally:
            cursor.close()

    def first(self, query: str) -> tuple[Any, ...]:
        """Return a query's first row."""
        return tuple(self._connection.execute(query).fetchone())

    def from_table(self, table: SourceTable) -> str:
        """Return the table's name."""
        return f"main.{quoted(table.name)}"

    def quote(self, name: str) -> str:
        """Return a name as it stands in SQL."""
        return quoted(name)

    def literal(self, value: Any) -> str:
        """Return a value; truth is a number here."""
        return str(int(value)) if isinstance(value, bool) else plain_literal(value)

    def hash(self, columns: Sequence[str]) -> str:
        """Return a hash of values; SQLite has none of its own."""
        return f"syntheflow_hash({', '.join(map(quoted, columns))})"

    def _plan(self, table: SourceTable, column: SourceColumn) -> ColumnPlan | LeftOut:
        name, text = column.name, quoted(column.name)
        query = _LOOK.format(c=text, t=self.from_table(table))
        filled, whole, real, blobs, low, high, days, moments, clocks = self.first(query)
        if blobs or (not filled and "blob" in column.native_type.lower()):
            return LeftOut(name, plans_of.left_out("blob"))
        if not filled:
            return _empty(column)
        if whole + real == filled:
            return self._number(table, column, real=bool(real), low=low, high=high)
        for count, plan in ((days, _day), (moments, _moment), (clocks, _clock)):
            if count == filled:
                return plan(name, text)
        # Numbers among texts: SQLite says them as it would show them.
        told = f"column {name!r}: {whole + real:,} numbers among texts, read as text"
        return plans_of.text_plan(name, f"CAST({text} AS TEXT)", (told,) if whole + real else ())

    def _number(
        self, table: SourceTable, column: SourceColumn, *, real: bool, low: Any, high: Any
    ) -> ColumnPlan:
        name, text = column.name, quoted(column.name)
        if not real:
            if "bool" in column.native_type.lower() and low >= 0 and high <= 1:
                return ColumnPlan(name, text, pa.int64(), pa.bool_(), plans_of.cast_to(pa.bool_()))
            return plans_of.plan_as(name, text, pa.int64(), pa.int64())
        if (digits := _DECIMAL.search(column.native_type)) and int(digits[2] or 0):
            scale = int(digits[2])
            # A declared decimal is stored as a float: it is one if no value has more digits.
            odd, largest = self.first(
                f"SELECT coalesce(sum(abs(round({text}, {scale}) - {text}) > "
                f"1e-9 * abs({text})), 0), max(abs({text})) FROM {self.from_table(table)}"
            )
            integers = len(str(int(largest)))
            if not odd and integers + scale <= _FLOAT_DIGITS:
                shown = f"CASE WHEN {text} IS NOT NULL THEN printf('%.{scale}f', {text}) END"
                kind = pa.decimal128(max(int(digits[1]), integers + scale), scale)
                return plans_of.decimal_plan(name, shown, kind)
        told: tuple[str, ...] = ()
        if low is not None and max(abs(low), abs(high)) > EXACT:
            told = (f"column {name!r}: integers beyond 53 bits among floats, read as floats",)
        kind = pa.float64()
        cast = f"CAST({text} AS REAL)"
        return ColumnPlan(name, cast, kind, kind, plans_of.cast_to(kind), findings=told)


def _empty(column: SourceColumn) -> ColumnPlan:
    """Plan a column without values by its declared affinity."""
    name, text, said = column.name, quoted(column.name), column.native_type.lower()
    kind: pa.DataType = pa.string()
    if "bool" in said:
        kind = pa.bool_()
    elif "int" in said:
        kind = pa.int64()
    elif any(word in said for word in ("real", "floa", "doub", "num", "dec")):
        kind = pa.float64()
    elif "datetime" in said or "timestamp" in said:
        kind = pa.timestamp("us")
    elif said == "date":
        kind = pa.date32()
    return plans_of.plan_as(name, text, kind, kind)


def _day(name: str, text: str) -> ColumnPlan:
    return plans_of.plan_as(name, text, pa.string(), pa.date32())


def _moment(name: str, text: str) -> ColumnPlan:
    return plans_of.plan_as(name, text, pa.string(), pa.timestamp("us"))


def _clock(name: str, text: str) -> ColumnPlan:
    return ColumnPlan(name, text, pa.string(), pa.time64("us"), plans_of.clock_of)


def _hash(*values: Any) -> int:
    # CRC alone keeps neighbours apart too evenly; the product mixes it.
    mixed = zlib.crc32(repr(values).encode()) * 0x9E3779B1
    return (mixed >> 2) % HASH_SPACE
