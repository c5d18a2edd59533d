"""How far apart two samples of one distribution lie on average.

Scores count what lies beyond it: real rows against real rows then score 1, however
small the table. All formulas take the normal approximation of binomial counts,
E|p - q| = sqrt(2/pi * p(1-p) * (1/n + 1/m)).
"""

from __future__ import annotations

import numpy as np


def share_noise(shares: np.ndarray, n: int, m: float) -> np.ndarray:
    """Return the expected difference of shares of samples of n and m rows."""
    spread = shares * (1 - shares) * (1 / max(n, 1) + 1 / max(m, 1))
    return np.asarray(np.sqrt(2 / np.pi * spread))


def variation(real: np.ndarray, synthetic: np.ndarray) -> tuple[float, float]:
    """Return total variation 0..1 of two arrays of counts and what noise alone gives."""
    n, m = int(real.sum()), int(synthetic.sum())
    p, q = real / max(n, 1), synthetic / max(m, 1)
    pooled = (real + synthetic) / max(n + m, 1)
    return float(np.abs(p - q).sum() / 2), float(share_noise(pooled, n, m).sum() / 2)


def kolmogorov(real: np.ndarray, synthetic: np.ndarray) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov distance 0..1 and what noise alone gives, at the least.

    NaN counts as missing: the distributions then end at the share present, so that a
    difference of missing shares is part of the distance.
    """
    n, m = len(real), len(synthetic)
    left, right = np.sort(real[~np.isnan(real)]), np.sort(synthetic[~np.isnan(synthetic)])
    grid = np.concatenate([left, right])
    if not len(grid):
        return 0.0, 0.0
    below_left = np.searchsorted(left, grid, side="right")
    below_right = np.searchsorted(right, grid, side="right")
    distance = np.abs(below_left / max(n, 1) - below_right / max(m, 1)).max()
    pooled = (below_left + below_right) / max(n + m, 1)
    return float(distance), float(share_noise(pooled, n, m).max())


def beyond(distance: float, noise: float) -> float:
    """Return the part of a distance 0..1 that noise does not explain, again 0..1."""
    return max(0.0, distance - noise) / max(1e-9, 1 - noise) if noise < 1 else 0.0


def between_halves(distance: float, n: int, m: int) -> float:
    """Return the noise of samples of n and m rows, given the distance of two halves of the n."""
    return distance * float(np.sqrt((1 / max(n, 1) + 1 / max(m, 1)) / (4 / max(n, 1))))


def ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1, ties sharing their mean."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places]
