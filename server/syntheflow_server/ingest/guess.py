"""Decides what each column of texts means, over all of its rows, and how to convert it."""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from syntheflow_server.ingest.duck import one_row, quoted
from syntheflow_server.ingest.missing import MARKERS, missing_in_text
from syntheflow_server.ingest.text_kinds import (
    BOOLEAN,
    CLOCKS,
    DATES,
    INTEGER_PATTERN,
    NUMBERS,
    Kind,
    matched,
)

_SAMPLE = 2_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be guessed: JSON knows numbers from text, delimited text does not."""

    kinds: tuple[Kind, ...]
    markers: tuple[str, ...]
    trim: bool = False


TEXT_RULES = Rules((BOOLEAN, *NUMBERS, *DATES, *CLOCKS), MARKERS)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How a column of texts becomes values: an SQL expression and the stored type."""

    expression: str
    arrow: pa.DataType
    findings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Measured:
    """Counts of one column: `fits` has the kinds that all values fit, in order of choice."""

    column: str
    name: str
    filled: int = 0
    gaps: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    fits: list[Kind] = field(default_factory=list)
    evident: set[Kind] = field(default_factory=set)
    almost: tuple[Kind, int] | None = None
    wide: bool = False


def plan_columns(
    con: duckdb.DuckDBPyConnection, source: str, names: Sequence[str], rules: Sequence[Rules]
) -> list[ColumnPlan]:
    """Return a plan for each column c0, c1, ... of `source` (SQL), guessed by its rules.

    `names` are for the findings.
    """
    measured = [
        _measure(con, source, f"c{i}", name, allowed)
        for i, (name, allowed) in enumerate(zip(names, rules, strict=True))
    ]
    families = {kind.family for column in measured for kind in column.evident if kind.family}
    return [
        _plan(con, source, column, families, allowed)
        for column, allowed in zip(measured, rules, strict=True)
    ]


def _measure(
    con: duckdb.DuckDBPyConnection, source: str, column: str, name: str, rules: Rules
) -> _Measured:
    found = _Measured(column, name)
    if rules.markers:
        listed = ", ".join(quoted(marker) for marker in rules.markers)
        query = f"SELECT trim({column}) AS v, count(*) FROM {source} "
        rows = con.execute(f"{query} WHERE trim({column}) IN ({listed}) GROUP BY v").fetchall()
        order = {marker: place for place, marker in enumerate(rules.markers)}
        found.seen = dict(sorted(rows, key=lambda row: order[row[0]]))
    values = f"(SELECT {_bare(column, tuple(found.seen))} AS v FROM {source})"
    sample = con.execute(f"SELECT v FROM {values} WHERE v IS NOT NULL LIMIT {_SAMPLE}").fetchall()
    texts = [row[0] for row in sample]
    kinds = [k for k in rules.kinds if all(re.fullmatch(k.pattern, text) for text in texts)]
    if not texts:
        kinds = []
    _count(con, values, found, kinds)
    return found


def _count(
    con: duckdb.DuckDBPyConnection, values: str, found: _Measured, kinds: list[Kind]
) -> None:
    """Count over all rows which kinds fit, and which of them are evident."""
    parts = ["count(*)", "count(v)", f"count(*) FILTER ({matched(INTEGER_PATTERN)})"]
    for kind in kinds:
        fit = f"coalesce({matched(kind.pattern)} AND ({kind.value}) IS NOT NULL, false)"
        parts.append(f"count(*) FILTER (v IS NOT NULL AND NOT {fit})")
        parts.append(kind.evidence or "true")
    query = ", ".join(parts).replace("{v}", "v")
    row = one_row(con, f"SELECT {query} FROM {values}")
    rows, found.filled, integers = row[:3]
    found.gaps = rows - found.filled
    found.wide = integers == found.filled > 0
    for kind, misfits, evident in zip(kinds, row[3::2], row[4::2], strict=True):
        if misfits == 0:
            found.fits.append(kind)
            if kind.evidence and evident:
                found.evident.add(kind)
        elif found.almost is None or misfits < found.almost[1]:
            found.almost = (kind, misfits)


def _plan(
    con: duckdb.DuckDBPyConnection,
    source: str,
    found: _Measured,
    families: set[str],
    rules: Rules,
) -> ColumnPlan:
    for kind in found.fits:
        if kind.arrow == pa.float64() and found.wide:
            break  # integers beyond 64 bits lose digits as floats
        if _is_sure(kind, found, families):
            return _typed(kind, found)
    return _text(con, source, found, rules)


def _is_sure(kind: Kind, found: _Measured, families: set[str]) -> bool:
    if kind.needs_missing and not found.gaps:
        return False
    if not kind.evidence or kind in found.evident:
        return True
    rivals = {other.family for other in found.fits} & families
    return rivals == {kind.family}


def _typed(kind: Kind, found: _Measured) -> ColumnPlan:
    bare = _bare(found.column, tuple(found.seen))
    notes = [kind.note] if kind.note else []
    notes += _missing_notes(found.seen, tuple(found.seen))
    value = kind.value.replace("{v}", f"({bare})")
    findings = tuple(f"column {found.name!r}: {note}" for note in notes)
    return ColumnPlan(value, kind.arrow, findings)


def _text(
    con: duckdb.DuckDBPyConnection, source: str, found: _Measured, rules: Rules
) -> ColumnPlan:
    missing = missing_in_text(con, source, found.column, found.seen) if found.seen else ()
    notes = _missing_notes(found.seen, missing)
    if found.wide and found.filled:
        notes.append("integers beyond 64 bits kept as text")
    elif found.almost and found.almost[1] * 20 <= found.filled:
        kind, misfits = found.almost
        notes.append(f"kept as text: {misfits} values do not fit {kind.arrow}")
    elif found.fits and any(kind.evidence for kind in found.fits):
        notes.append("kept as text: the order of day and month, or the comma, is not evident")
    value = _bare(found.column, missing) if rules.trim else _cased(found.column, missing)
    findings = tuple(f"column {found.name!r}: {note}" for note in notes)
    return ColumnPlan(value, pa.string(), findings)


def _bare(column: str, missing: tuple[str, ...]) -> str:
    """Return SQL for the trimmed text, NULL where it is one of `missing`."""
    return _cased(column, missing, kept=f"trim({column})")


def _cased(column: str, missing: tuple[str, ...], kept: str = "") -> str:
    kept = kept or column
    if not missing:
        return kept
    listed = ", ".join(quoted(marker) for marker in missing)
    return f"CASE WHEN trim({column}) IN ({listed}) THEN NULL ELSE {kept} END"


def _missing_notes(seen: dict[str, int], missing: tuple[str, ...]) -> list[str]:
    named = [f"{marker!r} ({seen[marker]})" for marker in missing if marker]
    return [f"{', '.join(named)} read as missing"] if named else []
