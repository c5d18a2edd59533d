"""Do columns of children go with those of parents, grandparents and great-grandparents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.resources import Score
from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.quality.columns import Kind, column_kinds
from syntheflow_server.quality.dependence import WEAK, Pair, View, compare
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.keys import parent_rows
from syntheflow_server.quality.metric import Beat, Goal, Measurement, Metric

HOPS = 3
MAX_PATHS = 40
MAX_PAIRS = 100
ROWS = 50_000
"""Children a path and side that are looked at."""

Path = tuple[ForeignKey, ...]


@dataclass(frozen=True, slots=True)
class _Trend:
    path: Path
    pairs: tuple[Pair, ...]

    @property
    def lost(self) -> float:
        """What is off beyond noise; noise of one way makes up for nothing of another."""
        return max(0.0, sum(pair.error for pair in self.pairs))

    @property
    def dependence(self) -> float:
        """What could be lost."""
        return max(WEAK * len(self.pairs), sum(pair.dependence for pair in self.pairs))

    @property
    def kept(self) -> float:
        """The share of the dependence that is kept, 0..1."""
        return max(0.0, 1 - self.lost / self.dependence)

    @property
    def raw(self) -> float:
        return float(np.mean([pair.similarity for pair in self.pairs]))


class HopTrends(Metric):
    """As pair trends, between a child's columns and those of a row 1 to 3 references away.

    Follows the k-hop trends of ClavaDDPM (2024) and of the relational literature after it.
    value = share of the dependence kept, pooled over the paths of a child table; raw
    figure: the usual similarity (1 - half the difference of rank correlations, else 1 -
    total variation), its mean over paths of one length, then over lengths. At most 40 paths
    and 100 pairs a path, chosen by seed.
    """

    name: ClassVar[str] = "hop_trends"
    title: ClassVar[str] = "Trends across tables"
    question: ClassVar[str] = (
        "Do the columns of rows go with those of their parents, grandparents and "
        "great-grandparents?"
    )
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.06
    cost: ClassVar[float] = 1.5

    def measure(self, evidence: Evidence, beat: Beat) -> Measurement:
        """Compare all pairs of columns along all paths."""
        every = [
            path for path in paths(evidence.schema) if path[0].child_table not in evidence.kept
        ]
        if len(every) > MAX_PATHS:
            chosen = evidence.rng("hops").choice(len(every), MAX_PATHS, replace=False)
            every = [every[place] for place in np.sort(chosen)]
        joins = _Joins(evidence)
        found: list[_Trend] = []
        for number, path in enumerate(every):
            beat(number / len(every), path_title(path))
            pairs = tuple(_pairs(evidence, joins, path))
            if pairs:
                found.append(_Trend(path, pairs))
        if not found:
            reason = "Not measured: trends across tables: no columns to compare along references."
            return Measurement(not_measured=(reason,) if every else ())
        tables = {
            table: self._table(
                table, [trend for trend in found if trend.path[0].child_table == table]
            )
            for table in dict.fromkeys(trend.path[0].child_table for trend in found)
        }
        return Measurement(score=self._total(found, tables), tables=tables, details=_details(found))

    def _table(self, table: str, trends: list[_Trend]) -> Score:
        lost = sum(min(trend.lost, trend.dependence) for trend in trends)
        kept = 1 - lost / sum(trend.dependence for trend in trends)
        worst = min(trends, key=lambda trend: trend.kept)
        pair = max(worst.pairs, key=lambda pair: pair.error)
        detail = (
            f"Rows of {table} keep {kept:.0%} of their dependence on rows that they refer to; "
            f"worst: {pair.left} with {pair.right} of {worst.path[-1].parent_table}."
        )
        return self.score(kept, float(np.mean([trend.raw for trend in trends])), detail)

    def _total(self, found: list[_Trend], tables: Mapping[str, Score]) -> Score:
        value = float(np.mean([score.value for score in tables.values()]))
        raw = {
            hops: float(np.mean([trend.raw for trend in found if len(trend.path) == hops]))
            for hops in sorted({len(trend.path) for trend in found})
        }
        told = ", ".join(f"{figure:.3f} over {_hops(hops)}" for hops, figure in raw.items())
        worst = min(tables.values(), key=lambda score: score.value)
        return self.score(
            value, float(np.mean(list(raw.values()))), f"Similarity {told}. Worst: {worst.detail}"
        )


def paths(schema: Schema) -> Iterator[Path]:
    """Yield all ways from a child up to an ancestor at most HOPS away, no table visited twice.

    A table's reference to itself counts as one hop and leads no further.
    """
    waiting: list[Path] = [(key,) for key in schema.foreign_keys]
    while waiting:
        path = waiting.pop(0)
        yield path
        if len(path) == HOPS or path[-1].child_table == path[-1].parent_table:
            continue
        seen = {path[0].child_table, *(key.parent_table for key in path)}
        ways = schema.references_from(path[-1].parent_table)
        waiting.extend((*path, key) for key in ways if key.parent_table not in seen)


def path_title(path: Path) -> str:
    """Return a path for reading: orders > customer_id > country."""
    return " > ".join([path[0].child_table, *("+".join(key.child_columns) for key in path)])


class _Joins:
    """Which parent row each row refers to, by reference, worked out once."""

    def __init__(self, evidence: Evidence) -> None:
        self.sides = tuple(
            {table: rows(table) for table in evidence.schema.table_names}
            for rows in (evidence.real, evidence.synthetic)
        )
        self._links: tuple[dict[ForeignKey, np.ndarray], ...] = ({}, {})

    def ancestors(self, side: int, path: Path) -> np.ndarray:
        """Return the ancestor's row for each row of the path's child; negative if none."""
        target = self._link(side, path[0])
        for key in path[1:]:
            target = np.where(target < 0, target, self._link(side, key)[np.maximum(target, 0)])
        return target

    def _link(self, side: int, key: ForeignKey) -> np.ndarray:
        known, rows = self._links[side], self.sides[side]
        if key not in known:
            known[key] = parent_rows(
                rows[key.child_table], key.child_columns, rows[key.parent_table], key.parent_columns
            )
        return known[key]


def _pairs(evidence: Evidence, joins: _Joins, path: Path) -> Iterator[Pair]:
    low, high = path[0].child_table, path[-1].parent_table
    title = path_title(path)
    children: list[pa.Array] = []
    parents: list[pa.Array] = []
    owners: list[np.ndarray] = []
    for side, which in enumerate(("real", "synthetic")):
        target = joins.ancestors(side, path)
        rows = np.flatnonzero(target >= 0)
        if not len(rows):
            return
        rows = rows[evidence.places(len(rows), ROWS, title, which)]
        children.append(pa.array(rows))
        parents.append(pa.array(target[rows]))
        owners.append(target[rows])
    half = _half(evidence, owners[0], joins.sides[0][high].num_rows, title)
    below = _views(evidence, joins, low, children)
    above = _views(evidence, joins, high, parents)
    pairs = list(product(below, above))
    if len(pairs) > MAX_PAIRS:
        chosen = evidence.rng(title, "pairs").choice(len(pairs), MAX_PAIRS, replace=False)
        pairs = [pairs[place] for place in np.sort(chosen)]
    for left, right in pairs:
        yield compare(left, right, below[left], above[right], half)


def _views(evidence: Evidence, joins: _Joins, table: str, rows: list[pa.Array]) -> dict[str, View]:
    kinds = column_kinds(evidence.schema, table, evidence.train(table))
    real, synthetic = (
        side[table].select([name for name, kind in kinds.items() if kind is not Kind.KEY]).take(at)
        for side, at in zip(joins.sides, rows, strict=True)
    )
    return {
        name: View.of(kinds[name], real.column(name), synthetic.column(name))
        for name in real.column_names
    }


def _half(evidence: Evidence, owners: np.ndarray, count: int, title: str) -> np.ndarray | None:
    """Return which rows belong to half of the ancestors: rows of one are no free witnesses."""
    if len(np.unique(owners)) < 2:
        return None
    first = evidence.rng(title, "halves").permutation(count) < count // 2
    half = np.asarray(first[owners])
    return None if half.all() or not half.any() else half


def _hops(hops: int) -> str:
    return "1 hop" if hops == 1 else f"{hops} hops"


def _details(found: list[_Trend]) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for trend in found:
        worst = sorted(trend.pairs, key=lambda pair: -pair.error)[:5]
        details.setdefault(trend.path[0].child_table, {"paths": []})["paths"].append(
            {
                "path": path_title(trend.path),
                "hops": len(trend.path),
                "parent_table": trend.path[-1].parent_table,
                "pairs": len(trend.pairs),
                "similarity": trend.raw,
                "kept": trend.kept,
                "worst": [
                    {
                        "left": pair.left,
                        "right": pair.right,
                        "error": pair.error,
                        "dependence": pair.dependence,
                        "real": pair.real,
                        "synthetic": pair.synthetic,
                    }
                    for pair in worst
                ],
            }
        )
    return details
