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
from syntheflow_server.domain.schema import ForeignKey
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
    """A column as a database declares it."""

    name: str
    native: str = ""
    nullable: bool = True
    identity: bool = False


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
    """One way to read texts: which fit, and their value in SQL over `{v}`."""

    arrow: pa.DataType
    fits: str
    value: str


def _plain(arrow: pa.DataType, kind: str, pattern: str) -> _Reading:
    value = f"try_cast({{v}} AS {kind})"
    fits = f"regexp_full_match({{v}}, '{pattern}') AND {value} IS NOT NULL"
    return _Reading(arrow, fits, value)


_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
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
_DATE = _plain(pa.date32(), "DATE", _DAY)
_MOMENT = _plain(pa.timestamp("us"), "TIMESTAMP", rf"{_DAY}(?:[T ]{_CLOCK})?")
_ZONED = _plain(
    pa.timestamp("us", tz="UTC"), "TIMESTAMPTZ", rf"{_DAY}[T ]{_CLOCK} ?(?:Z|[+-]\d\d(?::?\d\d)?)?"
)
_TIME = _plain(pa.time64("us"), "TIME", _CLOCK)
_FAMILIES: list[tuple[str, tuple[_Reading, ...]]] = [
    (r"bool", (_BOOLEAN, _INTEGER)),
    (r"bit", (_BOOLEAN, _INTEGER)),
    (r"tinyint", (_INTEGER, _BOOLEAN, _FLOAT)),
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


def is_binary(native: str) -> bool:
    """Tell whether a declared type holds bytes, which are not read."""
    return bool(_BYTES.match(native.lower().strip()))


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
    if name.startswith(("interval", "point", "date_range")) or name.endswith("[]"):
        return ()
    return next((ways for pattern, ways in _FAMILIES if re.match(pattern, name)), ())


def _decimal(digits: int, scale: int) -> _Reading:
    places = rf"(?:\.\d{{0,{scale}}}0*)?"
    return _plain(pa.decimal128(digits, scale), f"DECIMAL({digits}, {scale})", rf"[+-]?\d*{places}")


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
        if is_binary(column.native) or BINARY in stage.columns[i].families:
            notes.append(f"column {column.name!r}: bytes, left out")
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
    return TableHint(
        name=table.name,
        columns=tuple(
            ColumnHint(name=c.name, nullable=c.nullable, native_type=c.native, identity=c.identity)
            for c in table.columns
            if c.name in known
        ),
        primary_key=table.primary_key if set(table.primary_key) <= known else (),
        unique_keys=tuple(key for key in table.unique_keys if set(key) <= known),
        checks=tuple(table.checks),
    )


def _plans(
    con: duckdb.DuckDBPyConnection,
    staged: Path,
    stage: Stage,
    table: DeclaredTable,
    kept: list[int],
) -> list[ColumnPlan]:
    source = f"read_parquet({file_literal(staged)})"
    ways = {i: _readings(table.columns[i].native) for i in kept}
    counts = ["count(*)"] + [
        f"count(*) FILTER (c{i} IS NOT NULL AND NOT coalesce({way.fits}, false))".replace(
            "{v}", f"c{i}"
        )
        for i in kept
        for way in ways[i]
    ]
    misfits = iter(one_row(con, f"SELECT {', '.join(counts)} FROM {source}")[1:])
    chosen: list[ColumnPlan] = []
    for i in kept:
        found = [next(misfits) for _ in ways[i]]
        name = table.columns[i].name
        if not table.columns[i].native:
            rules = rules_for(stage.columns[i].families)
            (plan,) = _guessed(con, source, i, name, rules)
            chosen.append(plan)
            continue
        way = next((w for w, count in zip(ways[i], found, strict=True) if count == 0), None)
        declared = table.columns[i].native
        note = f"column {name!r}: declared {declared}, {found[0] if found else 0} values do not fit"
        if way is None:
            said = (f"{note}, kept as text",) if found else ()
            chosen.append(ColumnPlan(f"c{i}", pa.string(), said))
        else:
            said = () if way is ways[i][0] or not found[0] else (f"{note}, read as {way.arrow}",)
            chosen.append(ColumnPlan(way.value.replace("{v}", f"c{i}"), way.arrow, said))
    return chosen


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
