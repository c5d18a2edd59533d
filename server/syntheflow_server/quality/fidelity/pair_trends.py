"""Do columns depend on each other as in the real table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.resources import Score
from syntheflow_server.quality.columns import Codes, Kind, column_kinds, numbers, text_parts
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.groups import halves
from syntheflow_server.quality.metric import Finding, Goal, TableMetric
from syntheflow_server.quality.noise import between_halves, ranks, share_noise, variation

MAX_PAIRS = 300
BINS = 10
WEAK = 0.02
"""Dependence (total variation from independence) taken as the least that a pair can lose."""


@dataclass(frozen=True, slots=True)
class _Pair:
    left: str
    right: str
    error: float
    dependence: float
    similarity: float
    real: float
    synthetic: float


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
    weight: ClassVar[float] = 0.15
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
        views: dict[str, _View] = {}
        for name in names:
            beat(0.3 * len(views) / len(names))
            views[name] = _View.of(kinds[name], real.column(name), synthetic.column(name))
        found: list[_Pair] = []
        for left, right in pairs:
            beat(0.3 + 0.7 * len(found) / len(pairs))
            found.append(_compare(left, right, views[left], views[right], half))
        return self._finding(table, found)

    def _finding(self, table: str, found: list[_Pair]) -> Finding:
        dependence = sum(pair.dependence for pair in found)
        error = sum(pair.error for pair in found)
        value = 1 - error / max(dependence, WEAK * len(found))
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


def _details(found: list[_Pair]) -> dict[str, Any]:
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


@dataclass(frozen=True, slots=True)
class _View:
    """A column as bins (0 is missing) and, if it is a number, as ranks; both sides."""

    real: np.ndarray
    synthetic: np.ndarray
    size: int
    order: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, kind: Kind, real: pa.ChunkedArray, synthetic: pa.ChunkedArray) -> _View:
        if kind is Kind.CATEGORY:
            codes = Codes.fit(real, BINS)
            return cls(
                codes.encode(real) + 1, codes.encode(synthetic) + 1, len(codes.values) + 2, None
            )
        if kind is Kind.TEXT:
            left, right = text_parts(real)["length"], text_parts(synthetic)["length"]
        else:
            left, right = numbers(real), numbers(synthetic)
        present = left[~np.isnan(left)]
        quantiles = np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1]) if len(present) else []
        edges = np.unique(quantiles)
        order = (_ranked(left), _ranked(right)) if kind is Kind.NUMBER else None
        return cls(_binned(left, edges), _binned(right, edges), len(edges) + 2, order)


def _binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="left") + 1)


def _ranked(values: np.ndarray) -> np.ndarray:
    found = np.full(len(values), np.nan)
    present = ~np.isnan(values)
    found[present] = ranks(values[present])
    return found


def _compare(left: str, right: str, one: _View, two: _View, half: np.ndarray | None) -> _Pair:
    shape = (one.size, two.size)
    real = _crossed(one.real, two.real, shape)
    synthetic = _crossed(one.synthetic, two.synthetic, shape)
    distance, noise = variation(real.ravel(), synthetic.ravel())
    if half is not None:
        first = _crossed(one.real[half], two.real[half], shape)
        apart, _ = variation(first.ravel(), (real - first).ravel())
        noise = max(noise, between_halves(apart, int(real.sum()), int(synthetic.sum())))
    rows = real.sum()
    expected = np.outer(real.sum(axis=1), real.sum(axis=0)) / rows**2
    bound = np.abs(real / rows - expected).sum() / 2
    bound_noise = share_noise(expected, int(rows), np.inf).sum() / 2
    similarity = 1 - distance
    strengths = (_cramer(real), _cramer(synthetic))
    if one.order and two.order:
        strengths = (
            _correlation(one.order[0], two.order[0]),
            _correlation(one.order[1], two.order[1]),
        )
        similarity = 1 - abs(strengths[0] - strengths[1]) / 2
    return _Pair(
        left=left,
        right=right,
        error=distance - noise,
        dependence=float(bound - bound_noise),
        similarity=similarity,
        real=strengths[0],
        synthetic=strengths[1],
    )


def _crossed(one: np.ndarray, two: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(one * shape[1] + two, minlength=shape[0] * shape[1]).reshape(shape)


def _cramer(counts: np.ndarray) -> float:
    """Return Cramer's V 0..1 of a two-way table."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    counts = counts[rows > 0][:, columns > 0].astype(np.float64)
    least = min(counts.shape) - 1
    if least < 1:
        return 0.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    chi = ((counts - expected) ** 2 / expected).sum()
    return float(np.sqrt(min(1.0, chi / (counts.sum() * least))))


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    """Return the rank correlation over rows where both are present, 0 if one is constant."""
    both = ~(np.isnan(one) | np.isnan(two))
    if both.sum() < 3:
        return 0.0
    x, y = one[both] - one[both].mean(), two[both] - two[both].mean()
    size = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / size) if size > 0 else 0.0
