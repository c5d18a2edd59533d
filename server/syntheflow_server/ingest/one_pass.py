"""Large delimited files in one pass: types are guessed on a sample and proved on every row.

Staging all rows as texts and examining them column by column reads a large file many times.
Here the plan comes from a sample of it, and one query converts all rows, each value under a
guard that is as strict as the examination of all rows would be: if a single value contradicts
the plan the whole attempt is dropped, and the file is read the long way. So the result is the
same either way, only the way is shorter.
"""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.ingest.duck import quoted
from syntheflow_server.ingest.guess import ColumnPlan
from syntheflow_server.ingest.kinds import matched
from syntheflow_server.ingest.missing import MARKERS
from syntheflow_server.ingest.tables import GROUP_ROWS
from syntheflow_server.ingest.text_kinds import FLOAT, INTEGER, ISO

LARGE = 64 << 20
"""Bytes of a file from which on it is worth the attempt."""
LINE_BYTES = 2 << 20
"""Longest line that is read in one pass; DuckDB's buffers are sixteen times as large."""
_HEAD, _SLICE, _SLICES = 4 << 20, 1 << 20, 12
_STORED = {
    pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN", pa.string(): "VARCHAR",
    pa.date32(): "DATE", pa.time64("us"): "TIME", pa.timestamp("us"): "TIMESTAMP",
}  # fmt: skip
"""Stored types that DuckDB writes as they are."""
_REFUSED = "the plan does not hold"
_USUAL = {
    INTEGER: "try_cast(try_cast({v} AS BIGINT) AS VARCHAR) = {v}",
    FLOAT: "{v} >= '-' AND {v} < ':' AND NOT ({v} >= '00' AND {v} < '0:') "
    "AND NOT ({v} >= '-0' AND {v} < '-0:' AND strlen({v}) > 2 AND {v}[3] <> '.') "
    "AND NOT ({v} >= '-:' AND {v} < '.') AND NOT contains({v}, '_') AND {v}[-1] >= '0' "
    "AND try_cast({v} AS DOUBLE) IS NOT NULL",
    ISO[0]: "strlen({v}) = 10 AND {v} LIKE '____-__-__' AND {v} >= '0' AND {v} < ':' "
    "AND try_cast({v} AS DATE) IS NOT NULL",
    ISO[1]: "strlen({v}) = 19 AND {v} LIKE '____-__-__ __:__:__' AND {v} >= '0' AND {v} < ':' "
    "AND try_cast({v} AS TIMESTAMP) IS NOT NULL",
}
"""Tests of a few instructions that only texts pass which fit the kind's pattern, and most do."""


def is_worth_it(path: Path, options: ReadOptions) -> bool:
    """Tell whether a file is large, and nothing is said of it that only the long way knows."""
    said = options.null_values is not None or options.types or options.encoding is not None
    return path.stat().st_size >= LARGE and options.on_bad_row is OnBadRow.FAIL and not said


def write_sample(path: Path, target: Path) -> bool:
    """Write the head of a file and slices from all over it, whole lines each, to `target`.

    False if they are not plain UTF-8 without a byte order mark.
    """
    size = path.stat().st_size
    with path.open("rb") as source, target.open("wb") as file:
        head = source.read(_HEAD)
        parts = [head[: head.rfind(b"\n") + 1]]
        step = (size - _HEAD) // (_SLICES + 1)
        for number in range(1, _SLICES + 1):
            source.seek(_HEAD + number * step)
            part = source.read(_SLICE)
            parts.append(part[part.find(b"\n") + 1 : part.rfind(b"\n") + 1])
        sample = b"".join(parts)
        file.write(sample)
    try:
        text = sample.decode()
    except UnicodeDecodeError:
        return False
    return bool(text) and "\0" not in text and not text.startswith("\ufeff")


def write_in_one_pass(
    con: duckdb.DuckDBPyConnection,
    source: str,
    columns: Sequence[tuple[str, str, ColumnPlan]],
    target: Path,
) -> int | None:
    """Convert `source` (SQL, texts) by plans made on a sample into Parquet; return the rows.

    `columns` are (column of the source, its name, its plan). None if a row cannot be read,
    contradicts the plan, or a plan cannot be proved row by row: then `target` is not there.
    """
    guarded = [_guarded(column, plan) for column, _, plan in columns]
    if any(not expression for expression in guarded):
        return None
    listed = ", ".join(
        f"{expression} AS {_identifier(name)}"
        for expression, (_, name, _) in zip(guarded, columns, strict=True)
    )
    form = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS})"
    try:
        con.execute(f"COPY (SELECT {listed} FROM {source}) TO {quoted(str(target))} {form}")
    except duckdb.Error:
        # Which row, and why, is for the long way to say: DuckDB's messages quote values.
        target.unlink(missing_ok=True)
        return None
    file = pq.ParquetFile(target)
    if file.schema_arrow.types != [plan.arrow for _, _, plan in columns]:
        raise AssertionError("DuckDB wrote another type than was asked for")
    return int(file.metadata.num_rows)


def _guarded(column: str, plan: ColumnPlan) -> str:
    """Return SQL for the column's value that fails where the plan does; "" if there is none."""
    stored = _STORED.get(plan.arrow)
    if stored is None or plan.unsure:
        return ""
    failed = f"error({quoted(_REFUSED)})::{stored}"
    return (
        _guarded_value(column, plan, stored, failed)
        if plan.kind
        else _guarded_text(column, plan, failed)
    )


def _guarded_value(column: str, plan: ColumnPlan, stored: str, failed: str) -> str:
    """Blanks around a value fail too: rather the long way than to trim all rows."""
    assert plan.kind is not None
    bare = column
    if plan.missing:
        bare = f"(CASE WHEN {column} IN ({_listed(plan.missing)}) THEN NULL ELSE {column} END)"
    fits = matched(plan.kind.pattern)
    # A text that fits the pattern may still be no value: 30 February.
    branches = [(fits, f"coalesce(CAST({plan.kind.value} AS {stored}), {failed})")]
    if plan.kind in _USUAL:
        branches.insert(0, (_USUAL[plan.kind], f"CAST({{v}} AS {stored})"))
    branches.append(("{v} IS NULL", failed if plan.no_gaps else "NULL"))
    cases = " ".join(f"WHEN {test} THEN {value}" for test, value in branches)
    return f"CASE {cases} ELSE {failed} END".replace("{v}", bare)


def _guarded_text(column: str, plan: ColumnPlan, failed: str) -> str:
    unseen = [marker for marker in MARKERS if marker and marker not in plan.missing]
    # A marker may stand between blanks; texts that begin with one are left to the long way.
    hidden = f"{column} IN ({_listed(w for m in unseen for w in (m, f'{m} '))})"
    if "" not in plan.missing:
        hidden += f" OR {column} < '!'"
    hidden += f" OR contains({column}, chr(0))"
    return f"CASE WHEN {hidden} THEN {failed} ELSE {plan.expression} END"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(quoted(word) for word in words)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
