"""Tables whose columns and keys a database declares, and how their texts become values.

A declared type is believed where all values fit it; where they do not, the next wider
one is taken and said (databases such as SQLite store anything anywhere).
"""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from syntheflow_server.domain.hints import ColumnHint, TableHint
from syntheflow_server.domain.schema import ForeignKey, SemanticType
from syntheflow_server.ingest.convert import write_planned
from syntheflow_server.ingest.duck import connection, file_literal, one_row
from syntheflow_server.ingest.guess import ColumnPlan, plan_columns
from syntheflow_server.ingest.json_flat import rules_for
from syntheflow_server.ingest.stage import Stage
from syntheflow_server.ingest.tables import IngestedTable, bad_file

BINARY = "binary"
"""Family of values that are no text."""


@dataclass(slots=True)
class DeclaredColumn:
    """A column as a database declares it; `kind` is the type below domains, if it is one."""

    name: str
    native: str = ""
    nullable: bool = True
    identity: bool = False
    kind: str = ""
    is_category: bool = False

    @property
    def type(self) -> str:
        """The type that says how values are written."""
        return self.kind or self.native


@dataclass(slots=True)
class DeclaredTable:
    """A table as a database declares it; empty `parent_columns` mean the parent's key."""

    name: str
    columns: list[DeclaredColumn] = field(default_factory=list)
    primary_key: tuple[str, ...] = ()
    unique_keys: list[tuple[str, ...]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    references: list[ForeignKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read texts: which fit, and their value in SQL over `{v}`.

    Values in `odd` fit too, but have no value here and are read as missing.
    """

    arrow: pa.DataType
    fits: str
    value: str
    odd: str = ""


def _plain(arrow: pa.DataType, kind: str, pattern: str) -> _Reading:
    value = f"try_cast({{v}} AS {kind})"
    fits = f"regexp_full_match({{v}}, '{pattern}') AND {value} IS NOT NULL"
    return _Reading(arrow, fits, value)


def _day_like(arrow: pa.DataType, kind: str, pattern: str) -> _Reading:
    """Read dates or moments; infinite ones, and MySQL's zeros, are none."""
    plain = _plain(arrow, kind, pattern)
    odd = "({v} IN ('infinity', '-infinity') OR starts_with({v}, '0000-00-00'))"
    value = f"CASE WHEN {odd} THEN NULL ELSE {plain.value} END"
    return _Reading(arrow, f"({odd} OR {plain.fits})", value, odd)


_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"


def _decimal(digits: int, scale: int) -> _Reading:
    places = rf"(?:\.\d{{0,{scale}}}0*)?"
    return _plain(pa.decimal128(digits, scale), f"DECIMAL({digits}, {scale})", rf"[+-]?\d*{places}")


_INTEGER = _plain(pa.int64(), "BIGINT", r"[+-]?\d+")
_WIDE = _plain(pa.decimal128(38, 0), "DECIMAL(38, 0)", r"[+-]?\d+")
_FLOAT = _Reading(
    pa.float64(), "try_cast({v} AS DOUBLE) IS NOT NULL", "try_cast({v} AS DOUBLE)"
)  # fmt: skip
_BOOLEAN = _Reading(
    pa.bool_(),
    "lower({v}) IN ('t', 'f', 'true', 'false', '1', '0', 'yes', 'no')",
    "lower({v}) IN ('t', 'true', '1', 'yes')",
)
_DATE = _day_like(pa.date32(), "DATE", _DAY)
_MOMENT = _day_like(pa.timestamp("us"), "TIMESTAMP", rf"{_DAY}(?:[T ]{_CLOCK})?")
_ZONED = _day_like(
    pa.timestamp("us", tz="UTC"), "TIMESTAMPTZ", rf"{_DAY}[T ]{_CLOCK} ?(?:Z|[+-]\d\d(?::?\d\d)?)?"
)
_TIME = _plain(pa.time64("us"), "TIME", _CLOCK)
_ONE = _Reading(pa.bool_(), "{v} IN ('0', '1')", "{v} = '1'")
_PADDED = _Reading(pa.string(), "true", "rtrim({v}, ' ')")


def _interval() -> _Reading:
    """Read PostgreSQL's `1 year 2 mons -3 days +04:05:06.7` as a length.

    A month is 30 days and a year 365.25, as `extract(epoch ...)` counts them.
    """

    def part(pattern: str, ticks: int) -> str:
        found = f"regexp_extract({{v}}, '{pattern}', 1)"
        return f"coalesce(try_cast({found} AS BIGINT), 0) * {ticks}"

    day, clock = 86_400_000_000, r"\d+:\d\d:\d\d(?:\.\d{1,6})?"
    dated = [
        part(rf"([+-]?\d+) {word}", int(days * day))
        for word, days in (("year", 365.25), ("mon", 30), ("day", 1))
    ]
    timed = [part(r"(\d+):\d\d:", 3_600_000_000), part(r":(\d\d):", 60_000_000)]
    timed.append(part(r":\d\d:(\d\d)", 1_000_000))
    fraction = r"rpad(regexp_extract({v}, '\.(\d+)$', 1), 6, '0')"
    sign = r"CASE WHEN regexp_matches({v}, '-\d+:\d\d:') THEN -1 ELSE 1 END"
    value = f"{' + '.join(dated)} + {sign} * ({' + '.join(timed)} + {fraction}::BIGINT)"
    units = r"(?:[+-]?\d+ (?:years?|mons?|days?)(?: |$))*"
    return _Reading(
        pa.duration("us"),
        rf"{{v}} <> '' AND regexp_full_match({{v}}, '{units}(?:[+-]?{clock})?')",
        value,
    )


_INTERVAL = _interval()
_FAMILIES: list[tuple[str, tuple[_Reading, ...]]] = [
    (r"bool", (_BOOLEAN, _INTEGER)),
    (r"tinyint ?\(1\)", (_ONE, _INTEGER, _FLOAT)),
    (r"interval(?: ?\(\d\))?$", (_INTERVAL,)),
    (r"char(?:acter)? ?\(\d+\)$", (_PADDED,)),
    (r"bit", (_BOOLEAN, _INTEGER)),
    (r"tinyint", (_INTEGER, _BOOLEAN, _FLOAT)),
    (r"bigint.* unsigned", (_INTEGER, _decimal(20, 0), _FLOAT)),
    (r"(?:\w*int\b|int\d|integer|\w*serial|year)", (_INTEGER, _WIDE, _FLOAT)),
    (r"(?:float|real|double)", (_FLOAT,)),
    (r"(?:timestamptz|timestamp.*with time zone|datetimeoffset)", (_ZONED, _MOMENT)),
    (r"(?:timestamp|datetime|smalldatetime)", (_MOMENT, _ZONED, _INTEGER)),
    (r"date", (_DATE, _MOMENT, _INTEGER)),
    (r"time", (_TIME, _INTEGER)),
]
_DECIMALS = re.compile(
    r"(?:decimal|numeric|number|dec|money|smallmoney)\b(?:\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?"
)
_BYTES = re.compile(r"(?:bytea|\w*blob|(?:var)?binary|image|rowversion)")
_WORD = re.compile(r"\w+")
_NO_PLAIN = re.compile(r"(?:tsvector|tsquery|geometry|geography|raster)\b")


def is_binary(native: str) -> bool:
    """Tell whether a declared type holds bytes, which are not read."""
    return bool(_BYTES.match(native.lower().strip()))


def _why_left_out(column: DeclaredColumn, families: set[str]) -> str:
    """Say why a column cannot be kept; empty if it can."""
    if is_binary(column.type) or BINARY in families:
        return "bytes, left out"
    found = _NO_PLAIN.search(column.type.lower())
    return f"values of type {found[0]} are no plain values, left out" if found else ""


def _readings(native: str) -> tuple[_Reading, ...]:
    """Return the ways to read a declared type, best first; none means text."""
    name = " ".join(native.lower().split())
    if match := _DECIMALS.match(name):
        if match[1] is None:
            if "money" in name:
                return (_decimal(19, 4), _FLOAT)
            return (_INTEGER, _FLOAT)
        digits, scale = int(match[1]), int(match[2] or 0)
        if 0 < digits <= 38 and scale <= digits:
            return (_decimal(digits, scale), _FLOAT)
        return (_FLOAT,)
    if name.startswith(("point", "daterange")) or name.endswith("[]"):
        return ()
    return next((ways for pattern, ways in _FAMILIES if re.match(pattern, name)), ())


def settle(
    stage: Stage,
    table: DeclaredTable,
    *,
    work: Path,
    file_name: str,
    out: Path,
    findings: list[str],
    dialect: str,
    rejected: int = 0,
) -> IngestedTable:
    """Write a staged table with the types and keys that are declared for it."""
    staged = stage.whole()
    notes = list(findings)
    kept: list[int] = []
    for i, column in enumerate(table.columns):
        if why := _why_left_out(column, stage.columns[i].families):
            notes.append(f"column {column.name!r}: {why}")
        else:
            kept.append(i)
    if not kept:
        raise bad_file(table.name, "all columns hold bytes", reason="TABLE_EMPTY")
    with connection(work) as con:
        plans = _plans(con, staged, stage, table, kept)
        notes += [note for plan in plans for note in plan.findings]
        columns = [(table.columns[i].name, plan) for i, plan in zip(kept, plans, strict=True)]
        made = write_planned(con, staged, columns, table.name, file_name, out, notes)
    staged.unlink()
    known = {table.columns[i].name for i in kept}
    return replace(
        made,
        hint=hint_of(table, known),
        references=tuple(r for r in table.references if set(r.child_columns) <= known),
        dialect=dialect,
        rejected=rejected,
    )


def hint_of(table: DeclaredTable, known: set[str]) -> TableHint:
    """Return what is declared of the columns that are `known`."""
    gone = {column.name for column in table.columns} - known
    return TableHint(
        name=table.name,
        columns=tuple(
            ColumnHint(
                name=c.name,
                nullable=c.nullable,
                native_type=c.native,
                identity=c.identity,
                semantic_type=SemanticType.CATEGORY if c.is_category else None,
            )
            for c in table.columns
            if c.name in known
        ),
        primary_key=table.primary_key if set(table.primary_key) <= known else (),
        unique_keys=tuple(key for key in table.unique_keys if set(key) <= known),
        checks=tuple(check for check in table.checks if not gone & set(_WORD.findall(check))),
    )


def _plans(
    con: duckdb.DuckDBPyConnection,
    staged: Path,
    stage: Stage,
    table: DeclaredTable,
    kept: list[int],
) -> list[ColumnPlan]:
    source = f"read_parquet({file_literal(staged)})"
    ways = {i: _readings(table.columns[i].type) for i in kept}
    counts = ["count(*)"]
    for i in kept:
        for way in ways[i]:
            wrong = f"c{i} IS NOT NULL AND NOT coalesce({way.fits}, false)"
            counts.append(f"count(*) FILTER ({wrong})".replace("{v}", f"c{i}"))
            counts.append(f"count(*) FILTER ({way.odd or 'false'})".replace("{v}", f"c{i}"))
    found = iter(one_row(con, f"SELECT {', '.join(counts)} FROM {source}")[1:])
    chosen: list[ColumnPlan] = []
    for i in kept:
        counted = [(next(found), next(found)) for _ in ways[i]]
        if not table.columns[i].native:
            rules = rules_for(stage.columns[i].families)
            (plan,) = _guessed(con, source, i, table.columns[i].name, rules)
            chosen.append(plan)
        else:
            chosen.append(_declared_plan(i, table.columns[i], ways[i], counted))
    return chosen


def _declared_plan(
    place: int, column: DeclaredColumn, ways: tuple[_Reading, ...], counted: list[tuple[int, int]]
) -> ColumnPlan:
    """Choose the first way that all values fit; `counted` are misfits and odd ones of each."""
    at = next((n for n, (misfits, _) in enumerate(counted) if misfits == 0), None)
    misfits = counted[0][0] if counted else 0
    note = f"column {column.name!r}: declared {column.native}, {misfits} values do not fit"
    if at is None:
        return ColumnPlan(f"c{place}", pa.string(), (f"{note}, kept as text",) if counted else ())
    way = ways[at]
    said: tuple[str, ...] = (f"{note}, read as {way.arrow}",) if at and misfits else ()
    if odd := counted[at][1]:
        said += (f"column {column.name!r}: {odd} infinite or zero dates read as missing",)
    if way is _INTERVAL:
        said += (
            f"column {column.name!r}: intervals are stored as their length, a month as 30 days",
        )
    return ColumnPlan(way.value.replace("{v}", f"c{place}"), way.arrow, said)


def _guessed(
    con: duckdb.DuckDBPyConnection, source: str, position: int, name: str, rules: object
) -> list[ColumnPlan]:
    """Plan one column that has no declared type; the plan names it c0 in a source of its own."""
    alone = f"(SELECT c{position} AS c0 FROM {source})"
    (plan,) = plan_columns(con, alone, [name], [rules])  # type: ignore[list-item]
    expression = re.sub(r"\bc0\b", f"c{position}", plan.expression)
    return [replace(plan, expression=expression)]


def resolve(tables: list[DeclaredTable]) -> list[DeclaredTable]:
    """Make references name tables and columns as they are spelt; drop those that lead nowhere."""
    known = {table.name.lower(): table for table in tables}
    for table in tables:
        kept: list[ForeignKey] = []
        for link in table.references:
            parent = known.get(link.parent_table.lower())
            if parent is None:
                continue
            wanted = link.parent_columns or parent.primary_key
            child = _spelt(table, link.child_columns)
            target = _spelt(parent, wanted)
            if child and target and len(child) == len(target):
                kept.append(
                    ForeignKey(
                        child_table=table.name,
                        child_columns=child,
                        parent_table=parent.name,
                        parent_columns=target,
                    )
                )
        table.references = list(dict.fromkeys(kept))
    return tables


def _spelt(table: DeclaredTable, names: tuple[str, ...]) -> tuple[str, ...]:
    known = {column.name.lower(): column.name for column in table.columns}
    return (
        tuple(known.get(name.lower(), "") for name in names)
        if all(name.lower() in known for name in names)
        else ()
    )
