"""Does what rises along an entity's rows in the real tables rise in the synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.resources import Score
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.quality.columns import Kind, column_kinds, numbers
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.keys import parent_rows
from syntheflow_server.quality.metric import Beat, Goal, Measurement, Metric, percent

ALWAYS = 0.98
"""Share of real entities along whose rows a column must not fall to be one of order."""
MOVING = 0.5
"""Share of them that must have more than one value: a constant is no sequence."""
MIN_ENTITIES = 10


@dataclass(frozen=True, slots=True)
class Sequence:
    """A column that rises along the rows of each parent; shares of parents where it does."""

    key: ForeignKey
    column: str
    real: float
    synthetic: float


class EventOrder(Metric):
    """Share of entities along whose rows, as they stand, a column of order never falls.

    Columns of order are numbers and times that fall for at most 2 % of the real parents
    with two rows or more and move for half of them (years of a player, stop times of a
    trip). value = synthetic share over real share, at most 1, averaged over columns; raw
    figure: the mean synthetic share.
    """

    name: ClassVar[str] = "event_order"
    title: ClassVar[str] = "Order of events"
    question: ClassVar[str] = (
        "Do times and numbers rise along an entity's rows as the real ones do?"
    )
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.04
    cost: ClassVar[float] = 0.5

    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Look for columns of order in the real rows and at the same in the synthetic ones."""
        found: list[Sequence] = []
        keys = [k for k in evidence.schema.foreign_keys if k.child_table not in evidence.kept]
        for number, key in enumerate(keys):
            beat(number / len(keys), str(key))
            if key.child_table != key.parent_table:
                found += _sequences(evidence, key)
        if not found:
            reason = "Not measured: order of events: no column rises along the rows of parents."
            return Measurement(not_measured=(reason,) if keys else ())
        tables: dict[str, Score] = {}
        details: dict[str, Any] = {}
        for table in dict.fromkeys(one.key.child_table for one in found):
            mine = [one for one in found if one.key.child_table == table]
            tables[table] = self._score(mine)
            details[table] = {
                "sequences": [
                    {
                        "reference": str(one.key),
                        "column": one.column,
                        "real": one.real,
                        "synthetic": one.synthetic,
                    }
                    for one in mine
                ]
            }
        return Measurement(score=self._score(found), tables=tables, details=details)

    def _score(self, found: list[Sequence]) -> Score:
        worst = min(found, key=lambda one: one.synthetic / one.real)
        shares = [min(1.0, one.synthetic / one.real) for one in found]
        detail = (
            f"{len(found)} columns rise along the rows of a parent; "
            if len(found) > 1
            else "One column rises along the rows of a parent; "
        ) + (
            f"worst: {worst.column} of {worst.key.child_table} does for {percent(worst.synthetic)} "
            f"of the parents in {worst.key.parent_table}, {percent(worst.real)} in the real tables."
        )
        raw = float(np.mean([one.synthetic for one in found]))
        return self.score(float(np.mean(shares)), raw, detail)


def _sequences(evidence: Evidence, key: ForeignKey) -> list[Sequence]:
    kinds = column_kinds(evidence.schema, key.child_table, evidence.train(key.child_table))
    names = [
        name
        for name, kind in kinds.items()
        if kind in {Kind.NUMBER, Kind.TIME}
        or (kind is Kind.CATEGORY and pa.types.is_integer(_type(evidence, key, name)))
    ]
    real, synthetic = (
        (rows(key.child_table), _owners(key, rows(key.child_table), rows(key.parent_table)))
        for rows in (evidence.real, evidence.synthetic)
    )
    found: list[Sequence] = []
    for name in names:
        ordered, moving = in_order(real[1], numbers(real[0].column(name)))
        if len(ordered) < MIN_ENTITIES or ordered.mean() < ALWAYS or moving.mean() < MOVING:
            continue
        made, _ = in_order(synthetic[1], numbers(synthetic[0].column(name)))
        if len(made):
            found.append(Sequence(key, name, float(ordered.mean()), float(made.mean())))
    return found


def _type(evidence: Evidence, key: ForeignKey, name: str) -> pa.DataType:
    return evidence.schema.table(key.child_table).column(name).arrow


def _owners(key: ForeignKey, child: pa.Table, parent: pa.Table) -> np.ndarray:
    return parent_rows(child, key.child_columns, parent, key.parent_columns)


def in_order(owners: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each parent of two rows or more: never falls, has more than one value.

    `owners` are the parents' rows (negative: none) and `values` (NaN: missing) row by row.
    """
    rows = np.flatnonzero((owners >= 0) & ~np.isnan(values))
    rows = rows[np.argsort(owners[rows], kind="stable")]
    owner, value = owners[rows], values[rows]
    same = owner[1:] == owner[:-1]
    several = np.unique(owner[1:][same])
    falls = np.unique(owner[1:][same & (value[1:] < value[:-1])])
    moves = np.unique(owner[1:][same & (value[1:] != value[:-1])])
    return ~np.isin(several, falls), np.isin(several, moves)
