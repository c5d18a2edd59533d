"""Shapes of single columns and trends of pairs, as SDMetrics defines them, against held-out rows.

1 is best. Independent columns reach .92 in trends on typical tables, so read them beside the C2ST.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from scoring.frames import Column, Floats, Frame

CAP = 20_000
_BINS = 10
_VALUES = 20


def shapes(real: Frame, synthetic: Frame) -> float:
    """Mean over columns of 1 - Kolmogorov-Smirnov distance, or 1 - total variation."""
    return float(np.mean([_shape(real.columns[n], synthetic.columns[n]) for n in real.columns]))


def _shape(real: Column, synthetic: Column) -> float:
    if real.kind in {"number", "time"}:
        gap = abs(real.present.mean() - synthetic.present.mean())
        ours, theirs = (np.sort(c.values[c.present]) for c in (real, synthetic))
        if not len(ours) or not len(theirs):
            return 1 - float(gap)
        at = np.concatenate([ours, theirs])
        below = np.searchsorted(ours, at, side="right") / len(ours)
        other = np.searchsorted(theirs, at, side="right") / len(theirs)
        return 1 - float(max(gap, np.abs(below - other).max()))
    if real.kind == "text":
        return 1 - float(abs(real.present.mean() - synthetic.present.mean()))
    both = np.concatenate([real.values, synthetic.values]).astype(str)
    _, codes = np.unique(both, return_inverse=True)
    return 1 - _variation(codes[: len(real.values)], codes[len(real.values) :])


def trends(real: Frame, synthetic: Frame) -> float:
    """Mean over pairs: 1 - half the difference of correlations, or of contingency tables.

    Two numbers are compared by Pearson's correlation; other pairs by the total variation of
    their table, numbers in ten bins of equal mass, categories as the 19 most frequent and
    the rest. Texts are left out. 1 if there is no pair.
    """
    rng = np.random.default_rng(0)
    names = [name for name, column in real.columns.items() if column.kind != "text"]
    real, synthetic = real.only(names).sample(CAP, rng), synthetic.only(names).sample(CAP, rng)
    binned = {n: _binned(real.columns[n], synthetic.columns[n]) for n in names}
    scores = []
    for left, right in combinations(names, 2):
        kinds = {real.columns[left].kind, real.columns[right].kind}
        score = None
        if kinds <= {"number", "time"}:
            score = _correlations(real, synthetic, left, right)
        if score is None:
            pairs = [a * 32 + b for a, b in zip(binned[left], binned[right], strict=True)]
            score = 1 - _variation(*pairs)
        scores.append(score)
    return float(np.mean(scores)) if scores else 1.0


def pair_score(real: tuple[Column, Column], synthetic: tuple[Column, Column]) -> float:
    """Return the trend score of one pair of columns, given of the real and the synthetic rows."""
    if {column.kind for column in real} <= {"number", "time"}:
        ours, theirs = (_correlation(a.values, b.values) for a, b in (real, synthetic))
        if ours is not None:
            return 1 - abs(ours - (theirs or 0.0)) / 2
    left, right = (_binned(a, b) for a, b in zip(real, synthetic, strict=True))
    return 1 - _variation(*(a * 32 + b for a, b in zip(left, right, strict=True)))


def _correlations(real: Frame, synthetic: Frame, left: str, right: str) -> float | None:
    ours = _correlation(real.columns[left].values, real.columns[right].values)
    theirs = _correlation(synthetic.columns[left].values, synthetic.columns[right].values)
    if ours is None:
        return None
    return 1 - abs(ours - (theirs or 0.0)) / 2


def _correlation(left: Floats, right: Floats) -> float | None:
    """Pearson's correlation of the rows where both are there; None if one does not vary."""
    there = ~(np.isnan(left) | np.isnan(right))
    left, right = left[there], right[there]
    if len(left) < 3 or not np.ptp(left) or not np.ptp(right):
        return None
    return float(np.corrcoef(left, right)[0, 1])


def _binned(real: Column, synthetic: Column) -> tuple[npt.NDArray[np.int64], ...]:
    """Return codes 0..20 of both columns, by the bins or values of the real one."""
    if real.kind in {"number", "time"}:
        edges = np.unique(np.nanquantile(real.values, np.linspace(0, 1, _BINS + 1)[1:-1]))
        if not real.present.any():
            edges = np.empty(0)
        return tuple(
            np.where(c.present, np.searchsorted(edges, c.values, side="left"), _VALUES)
            for c in (real, synthetic)
        )
    values, counts = np.unique(real.values.astype(str), return_counts=True)
    frequent = values[np.argsort(-counts, kind="stable")[: _VALUES - 1]]
    code = {value: at for at, value in enumerate(frequent)}
    return tuple(
        np.array([code.get(str(value), _VALUES) for value in c.values], dtype=np.int64)
        for c in (real, synthetic)
    )


def _variation(ours: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]) -> float:
    """Total variation distance between the shares of codes."""
    size = int(max(ours.max(initial=0), theirs.max(initial=0))) + 1
    left = np.bincount(ours, minlength=size) / max(len(ours), 1)
    right = np.bincount(theirs, minlength=size) / max(len(theirs), 1)
    return float(np.abs(left - right).sum() / 2)
