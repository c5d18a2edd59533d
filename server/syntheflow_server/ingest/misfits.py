"""Types that are said of columns, and the rows whose values are none of that type."""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.ingest.careful import Rejects, lines_of
from syntheflow_server.ingest.dialect import Dialect
from syntheflow_server.ingest.duck import file_literal, one_row
from syntheflow_server.ingest.guess import TEXT_RULES, ColumnPlan, Rules
from syntheflow_server.ingest.kinds import Kind
from syntheflow_server.ingest.number_kinds import FLOAT, number_kinds
from syntheflow_server.ingest.tables import bad_file
from syntheflow_server.ingest.text_kinds import BOOLEAN, CLOCKS, ISO, date_kinds

_LISTED = 100
_WORDS = Kind(
    pa.bool_(),
    "(?i:true|false|t|f|yes|no|y|n|1|0|on|off)",
    "lower({v}) IN ('true', 't', 'yes', 'y', '1', 'on')",
)


def type_rules(options: ReadOptions, names: Sequence[str], *, trim: bool) -> list[Rules]:
    """Return what may be guessed of each column, and what must be as it was said."""
    numbers = number_kinds(options.decimal, options.thousands)
    kinds = (BOOLEAN, *numbers, *date_kinds(options.date_order), *CLOCKS)
    base = replace(TEXT_RULES, kinds=kinds, trim=trim)
    if options.null_values is not None:
        markers = dict.fromkeys(["", *(text.strip() for text in options.null_values)])
        base = replace(base, markers=tuple(markers), said=True)
    types = options.types or {}
    return [
        replace(base, kinds=chosen, must=bool(chosen), units=False)
        if name in types and (chosen := _kinds_of(arrow_type(types[name]), base.kinds)) is not None
        else base
        for name in names
    ]


def _kinds_of(kind: pa.DataType, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """Return the ways to read a stored type from text; none for text itself."""
    if pa.types.is_string(kind):
        return ()
    if pa.types.is_decimal(kind):
        value = f"try_cast({{v}} AS DECIMAL({kind.precision}, {kind.scale}))"
        return (replace(FLOAT, arrow=kind, value=value, evidence="", reads=()),)
    if pa.types.is_boolean(kind):
        return (BOOLEAN, _WORDS)
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            return (replace(ISO[2], arrow=kind),)
        days = [
            replace(k, arrow=kind, value=f"CAST({k.value} AS TIMESTAMP)")
            for k in kinds
            if k.arrow == pa.date32()
        ]
        return (*(k for k in kinds if k.arrow == kind), *days)
    return tuple(replace(k, needs_missing=False) for k in kinds if k.arrow == kind)


class Misfits:
    """Rows that hold a value which is not of the type said of its column."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        staged: Path,
        names: Sequence[str],
        plans: Sequence[ColumnPlan],
    ) -> None:
        self._con = con
        self._staged = staged
        self._at_fault = [
            (name, plan) for name, plan in zip(names, plans, strict=True) if plan.misfit
        ]

    @property
    def fitting(self) -> str:
        """SQL that is true for the rows to keep; empty if that are all."""
        return " AND ".join(f"NOT ({plan.misfit})" for _, plan in self._at_fault)

    def reject(self, path: Path, dialect: Dialect, table: str, rejects: Rejects) -> None:
        """Count the rows to leave out; raises InvalidArgumentError if that is not allowed."""
        listed: list[tuple[int, str, str]] = []
        before = "false"
        for name, plan in self._at_fault:
            # A row with two faults counts for the first of them.
            new = f"({plan.misfit}) AND NOT ({before})"
            before = f"{before} OR ({plan.misfit})"
            rule = f"a value of column {name!r} is no {plan.arrow}"
            count = one_row(self._con, f"SELECT count(*) FROM {self._source()} WHERE {new}")[0]
            rejects.counts[rule] += count
            rows = f"SELECT file_row_number FROM {self._source()} WHERE {new} ORDER BY 1"
            found = self._con.execute(f"{rows} LIMIT {_LISTED}").fetchall()
            listed += [(number, name, rule) for (number,) in found]
        if not listed:
            return
        first = sorted(listed)[:_LISTED]
        lines = lines_of(path, dialect, table, [number for number, _, _ in first])
        if rejects.on_bad_row is OnBadRow.FAIL:
            number, name, _ = first[0]
            kind = dict(self._at_fault)[name].arrow
            rule = (
                f"the value is no {kind}, which was said of the column; mend it, say another "
                "type, or leave bad rows out with on_bad_row skip or report"
            )
            row = lines[number]
            raise bad_file(table, rule, column=name, row=row, reason="VALUE_MISFIT")
        room = max(0, _LISTED - len(rejects.places))
        rejects.places += [(lines[n], name, rule) for n, name, rule in first[:room]]

    def _source(self) -> str:
        return f"read_parquet({file_literal(self._staged)}, file_row_number = true)"
