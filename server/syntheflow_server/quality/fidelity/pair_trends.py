"""Do columns depend on each other as in the real table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.columns import Kind, column_kinds
from syntheflow_server.quality.dependence import Pair, View, compare, dependence_kept
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.groups import halves
from syntheflow_server.quality.metric import Finding, Goal, TableMetric

MAX_PAIRS = 300


class PairTrends(TableMetric):
    """Share of the real dependence between two columns that the synthetic rows keep.

    Each column is cut into ten bins (or its ten most frequent values and the rest) plus
    one for missing. For each pair, error = total variation between the real and the
    synthetic two-way table, dependence = the same between the real table and what
    independent columns would give, both less what noise gives on average.
    value = 1 - sum of errors / sum of dependences, so that independent columns score
    about 0; the usual mean flatters them. Raw figure: that usual mean, 1 - half the
    difference of rank correlations for two numbers and 1 - total variation for others.
    At most 300 pairs, chosen by seed.
    """

    name: ClassVar[str] = "pair_trends"
    title: ClassVar[str] = "Pair trends"
    question: ClassVar[str] = "Do columns depend on each other as in the real table?"
    goal: ClassVar[Goal] = Goal.MAXIMISE
    weight: ClassVar[float] = 0.13
    cost: ClassVar[float] = 1.5

    def measure_table(
        self, evidence: Evidence, table: str, beat: Callable[[float], None]
    ) -> Finding:
        """Compare the two-way tables of all pairs of columns."""
        real, synthetic = evidence.marginals(table)
        kinds = column_kinds(evidence.schema, table, evidence.train(table))
        names = [name for name, kind in kinds.items() if kind is not Kind.KEY]
        if not real.num_rows or not synthetic.num_rows:
            return Finding(reason="no rows to compare")
        pairs = list(combinations(names, 2))
        if not pairs:
            return Finding()
        if len(pairs) > MAX_PAIRS:
            chosen = evidence.rng(table, "pairs").choice(len(pairs), MAX_PAIRS, replace=False)
            pairs = [pairs[place] for place in np.sort(chosen)]
        half = halves(evidence, table)
        views: dict[str, View] = {}
        for name in names:
            beat(0.3 * len(views) / len(names))
            views[name] = View.of(kinds[name], real.column(name), synthetic.column(name))
        found: list[Pair] = []
        for left, right in pairs:
            beat(0.3 + 0.7 * len(found) / len(pairs))
            found.append(compare(left, right, views[left], views[right], half))
        return self._finding(table, found)

    def _finding(self, table: str, found: list[Pair]) -> Finding:
        value = dependence_kept(found)
        plain = float(np.mean([pair.similarity for pair in found]))
        worst = max(found, key=lambda pair: pair.error)
        kept = min(1.0, max(0.0, value))
        detail = (
            f"Pairs of columns of {table} keep {kept:.0%} of their dependence; "
            f"worst: {worst.left} with {worst.right}."
        )
        return Finding(score=self.score(value, plain, detail), details=_details(found))

    def summary(self, scores: Mapping[str, Score], worst: str) -> str:
        """Return the worst table's sentence."""
        return scores[worst].detail


def _details(found: list[Pair]) -> dict[str, Any]:
    return {
        "pairs": [
            {
                "left": pair.left,
                "right": pair.right,
                "error": pair.error,
                "dependence": pair.dependence,
                "real": pair.real,
                "synthetic": pair.synthetic,
            }
            for pair in found
        ]
    }
