"""Two columns at a time: how much of their dependence synthetic rows keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from syntheflow_server.quality.columns import Codes, Kind, numbers, text_parts
from syntheflow_server.quality.noise import between_halves, count_noise, ranks, variation

BINS = 10
WEAK = 0.02
"""Dependence (total variation from independence) taken as the least that a pair can lose."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of columns: what is off, what could be lost, similarity, both strengths."""

    left: str
    right: str
    error: float
    dependence: float
    similarity: float
    real: float
    synthetic: float


def dependence_kept(pairs: Sequence[Pair]) -> float:
    """Return 1 - sum of errors / sum of dependences, at most 1; independent columns give 0."""
    dependence = max(sum(pair.dependence for pair in pairs), WEAK * len(pairs))
    return float(1 - sum(pair.error for pair in pairs) / dependence)


@dataclass(frozen=True, slots=True)
class View:
    """A column as bins (0 is missing) and, if it is a number, as ranks; both sides."""

    real: np.ndarray
    synthetic: np.ndarray
    size: int
    order: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, kind: Kind, real: pa.ChunkedArray, synthetic: pa.ChunkedArray) -> View:
        """Return the view of a column of this kind; bins are those of the real values."""
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


def compare(left: str, right: str, one: View, two: View, half: np.ndarray | None) -> Pair:
    """Return how two columns go together; `half` marks half the real rows, entity by entity.

    Error and dependence are less what noise gives on average, which two halves of the
    real rows show where rows resemble each other.
    """
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
    bound_noise = count_noise(expected * rows).sum() / rows / 2
    similarity = 1 - distance
    strengths = (_cramer(real), _cramer(synthetic))
    if one.order and two.order:
        strengths = (
            _correlation(one.order[0], two.order[0]),
            _correlation(one.order[1], two.order[1]),
        )
        similarity = 1 - abs(strengths[0] - strengths[1]) / 2
    return Pair(
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
