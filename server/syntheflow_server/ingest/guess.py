"""Decides what each column of texts means, over all of its rows, and how to convert it."""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import duckdb
import pyarrow as pa

from syntheflow_server.ingest.duck import one_row, quoted
from syntheflow_server.ingest.kinds import Kind, matched
from syntheflow_server.ingest.missing import MARKERS, missing_in_text
from syntheflow_server.ingest.number_kinds import INTEGER_PATTERN, group_signs
from syntheflow_server.ingest.text_kinds import BOOLEAN, CLOCKS, DATES, NUMBERS
from syntheflow_server.ingest.units import common_affix, unit_kinds

_SAMPLE = 2_000
_PART_COLUMNS = 128


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be guessed: JSON knows numbers from text, delimited text does not.

    `units` allows numbers to carry a unit. Markers that are `said` mean 'missing' in text
    too. If `must` is set, one of `kinds` is chosen whatever the values are.
    """

    kinds: tuple[Kind, ...]
    markers: tuple[str, ...]
    trim: bool = False
    units: bool = False
    said: bool = False
    must: bool = False


TEXT_RULES = Rules((BOOLEAN, *NUMBERS, *DATES, *CLOCKS), MARKERS, units=True)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How a column of texts becomes values: an SQL expression and the stored type.

    `misfit` is SQL that is true for texts that are no value of the type; it is empty
    unless the type was said. `reads` are settings of ReadOptions that were used, `missing`
    the markers read as missing, `kept` those that stayed values. `kind` is the reading, None
    for text. What a sample of the rows cannot settle: with `unsure` another kind may prove
    right over all of them, with `no_gaps` it does if a value is missing.
    """

    expression: str
    arrow: pa.DataType
    findings: tuple[str, ...] = ()
    misfit: str = ""
    reads: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    kind: Kind | None = None
    unsure: bool = False
    no_gaps: bool = False


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
    misfits: dict[Kind, int] = field(default_factory=dict)
    wide: bool = False
    counted: bool = True


def plan_columns(
    con: duckdb.DuckDBPyConnection,
    source: str,
    names: Sequence[str],
    rules: Sequence[Rules],
    *,
    whole: bool = True,
) -> list[ColumnPlan]:
    """Return a plan for each column c0, c1, ... of `source` (SQL), guessed by its rules.

    `names` are for the findings, which count values only if `source` is the `whole`.
    """
    measured: list[_Measured] = []
    for part, columns in _parts(con, source, range(len(names))):
        measured += [_measure(con, part, f"c{i}", names[i], rules[i]) for i in columns]
    families = {kind.family for column in measured for kind in column.evident if kind.family}
    for column in measured:
        column.counted = whole
    plans: list[ColumnPlan] = []
    for part, columns in _parts(con, source, range(len(names))):
        plans += [_plan(con, part, measured[i], families, rules[i]) for i in columns]
    return plans


def _parts(
    con: duckdb.DuckDBPyConnection, source: str, columns: range
) -> Iterator[tuple[str, range]]:
    """Yield sources of up to 128 columns each.

    A query over one of thousands of columns takes the longer the more there are, so a wide
    source is copied in parts.
    """
    if len(columns) <= _PART_COLUMNS:
        yield source, columns
        return
    for start in columns[::_PART_COLUMNS]:
        part = columns[start : start + _PART_COLUMNS]
        listed = ", ".join(f"c{i}" for i in part)
        con.execute(f"CREATE OR REPLACE TEMP TABLE part AS SELECT {listed} FROM {source}")
        yield "part", part
    con.execute("DROP TABLE part")


def _measure(
    con: duckdb.DuckDBPyConnection, source: str, column: str, name: str, rules: Rules
) -> _Measured:
    found = _Measured(column, name)
    texts = _sampled(con, source, f"trim({column})", column)
    whole = len(texts) < _SAMPLE
    counts = Counter(texts) if whole else _markers(con, source, column, rules)
    found.seen = {marker: counts[marker] for marker in rules.markers if counts[marker]}
    bare = _bare(column, tuple(found.seen))
    if found.seen and not whole:
        # Markers must not crowd out the values.
        texts = _sampled(con, source, bare, column)
    texts = [text for text in texts if text not in found.seen]
    kinds = _possible(texts, rules)
    if whole and not rules.must:
        signs = set("".join(texts))
        kinds = [k for k in kinds if all(key != "thousands" or signs & set(group_signs(sign))
                                         for key, sign in k.reads)]  # fmt: skip
    _count(con, f"(SELECT {bare} AS v FROM {source})", found, kinds)
    return found


def _sampled(
    con: duckdb.DuckDBPyConnection, source: str, expression: str, column: str
) -> list[str]:
    """Return up to 2,000 texts of a column; fewer are all that it has."""
    query = f"SELECT {expression} AS v FROM {source} WHERE {column} IS NOT NULL"
    rows = con.execute(f"SELECT v FROM ({query}) WHERE v IS NOT NULL LIMIT {_SAMPLE}").fetchall()
    return [row[0] for row in rows]


def _markers(
    con: duckdb.DuckDBPyConnection, source: str, column: str, rules: Rules
) -> Counter[str]:
    """Return how often each marker of 'missing' occurs."""
    if not rules.markers:
        return Counter()
    listed = ", ".join(quoted(marker) for marker in rules.markers)
    query = f"SELECT trim({column}) AS v, count(*) FROM {source} "
    rows = con.execute(f"{query} WHERE trim({column}) IN ({listed}) GROUP BY v").fetchall()
    return Counter(dict(rows))


def _possible(texts: Sequence[str], rules: Rules) -> list[Kind]:
    """Return the kinds that all texts of a sample fit."""
    if rules.must:
        return list(rules.kinds)
    if not texts:
        return []
    kinds = list(rules.kinds)
    affix = common_affix(texts) if rules.units else None
    if affix is not None:
        kinds = unit_kinds(affix, [k for k in kinds if k.arrow in {pa.int64(), pa.float64()}])
    fitting = [(kind, re.compile(kind.pattern)) for kind in kinds]
    return [kind for kind, pattern in fitting if all(pattern.fullmatch(text) for text in texts)]


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
        found.misfits[kind] = misfits
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
    if rules.must:
        return _said(found, families)
    passed: list[Kind] = []
    for kind in found.fits:
        if kind.arrow == pa.float64() and found.wide:
            break  # integers beyond 64 bits lose digits as floats
        if _is_sure(kind, found, families):
            gaps = [other for other in passed if other.needs_missing]
            leans = bool(kind.family) and kind not in found.evident
            plan = _typed(kind, found)
            return replace(plan, unsure=leans or passed != gaps, no_gaps=bool(gaps))
        passed.append(kind)
    plan = _text(con, source, found, rules)
    unsure = bool(passed) or found.wide or not found.filled or bool(plan.kept)
    return replace(plan, unsure=unsure)


def _is_sure(kind: Kind, found: _Measured, families: set[str]) -> bool:
    if kind.needs_missing and not found.gaps:
        return False
    if not kind.evidence or kind in found.evident:
        return not _is_thousand(kind, found, families)
    if not kind.required:
        return not _is_thousand(kind, found, families)
    rivals = {other.family for other in found.fits} & families
    return rivals == {kind.family}


def _is_thousand(kind: Kind, found: _Measured, families: set[str]) -> bool:
    """Tell 1.234 from a float where the file's other numbers have a decimal comma."""
    return (
        kind.family == "decimal point"
        and not kind.required
        and kind not in found.evident
        and "decimal comma" in families
        and "decimal point" not in families
        and any(k.family == "decimal comma" and k.reads[0][0] == "thousands" for k in found.fits)
    )


def _typed(kind: Kind, found: _Measured) -> ColumnPlan:
    bare = _bare(found.column, tuple(found.seen))
    notes = [kind.note] if kind.note else []
    notes += _missing_notes(found, tuple(found.seen))
    value = kind.value.replace("{v}", f"({bare})")
    findings = tuple(f"column {found.name!r}: {note}" for note in notes)
    missing = tuple(found.seen)
    return ColumnPlan(value, kind.arrow, findings, reads=kind.reads, missing=missing, kind=kind)


def _said(found: _Measured, families: set[str]) -> ColumnPlan:
    """Return the plan of a column whose type was said: the kind that fits the most values."""

    def fitness(kind: Kind) -> tuple[int, bool]:
        sure = not kind.evidence or not kind.required or kind in found.evident
        return found.misfits[kind], not (sure or kind.family in families)

    kind = min(found.misfits, key=fitness)
    plan = _typed(kind, found)
    bare = _bare(found.column, tuple(found.seen))
    fit = f"coalesce({matched(kind.pattern)} AND ({kind.value}) IS NOT NULL, false)"
    misfit = f"({bare}) IS NOT NULL AND NOT {fit.replace('{v}', f'({bare})')}"
    return replace(plan, misfit=misfit if found.misfits[kind] else "")


def _text(
    con: duckdb.DuckDBPyConnection, source: str, found: _Measured, rules: Rules
) -> ColumnPlan:
    missing: tuple[str, ...] = ()
    if rules.said:
        missing = tuple(marker for marker in found.seen if marker)
    elif found.seen:
        missing = missing_in_text(con, source, found.column, found.seen)
    notes = _missing_notes(found, missing)
    if not rules.kinds:
        pass  # text was said
    elif found.wide and found.filled:
        notes.append("integers beyond 64 bits kept as text")
    elif found.almost and found.almost[1] * 20 <= found.filled:
        kind, misfits = found.almost
        amount = misfits if found.counted else "some"
        notes.append(f"kept as text: {amount} values do not fit {kind.arrow}")
    elif found.fits and any(kind.evidence for kind in found.fits):
        notes.append("kept as text: the order of day and month, or the comma, is not evident")
    value = _bare(found.column, missing) if rules.trim else _cased(found.column, missing)
    findings = tuple(f"column {found.name!r}: {note}" for note in notes)
    kept = tuple(marker for marker in found.seen if marker and marker not in missing)
    return ColumnPlan(value, pa.string(), findings, missing=missing, kept=kept)


def _bare(column: str, missing: tuple[str, ...]) -> str:
    """Return SQL for the trimmed text, NULL where it is one of `missing`."""
    return _cased(column, missing, kept=f"trim({column})")


def _cased(column: str, missing: tuple[str, ...], kept: str = "") -> str:
    kept = kept or column
    if not missing:
        return kept
    listed = ", ".join(quoted(marker) for marker in missing)
    return f"CASE WHEN trim({column}) IN ({listed}) THEN NULL ELSE {kept} END"


def _missing_notes(found: _Measured, missing: tuple[str, ...]) -> list[str]:
    count = found.seen if found.counted else {}
    named = [f"{m!r} ({count[m]})" if m in count else repr(m) for m in missing if m]
    return [f"{', '.join(named)} read as missing"] if named else []
