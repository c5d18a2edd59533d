"""How far apart two samples of one distribution lie on average.

Scores count what lies beyond it: real rows against real rows then score 1, however
small the table. Where counts are large the normal approximation of binomial counts is taken,
E|p - q| = sqrt(2/pi * p(1-p) * (1/n + 1/m)); for counts of at most 30 the exact figure.
"""

from __future__ import annotations

from math import comb

import numpy as np

FEW = 30
"""Counts up to which the exact figure is taken."""


def share_noise(shares: np.ndarray, n: int, m: float) -> np.ndarray:
    """Return the expected difference of shares of samples of n and m rows."""
    spread = shares * (1 - shares) * (1 / max(n, 1) + 1 / max(m, 1))
    return np.asarray(np.sqrt(2 / np.pi * spread))


def variation(real: np.ndarray, synthetic: np.ndarray) -> tuple[float, float]:
    """Return total variation 0..1 of two arrays of counts and what noise alone gives."""
    n, m = int(real.sum()), int(synthetic.sum())
    p, q = real / max(n, 1), synthetic / max(m, 1)
    both = (real + synthetic).astype(np.int64)
    noise = share_noise(both / max(n + m, 1), n, m)
    if n and m:
        few = both <= FEW
        noise[few] = _dealt(n, m)[both[few]]
    return float(np.abs(p - q).sum() / 2), float(noise.sum() / 2)


def _dealt(n: int, m: int) -> np.ndarray:
    """Return E|X/n - (k - X)/m| for k = 0..FEW rows that fall to either side by chance."""
    share = n / (n + m)
    found = np.zeros(FEW + 1)
    for k in range(1, FEW + 1):
        x = np.arange(k + 1)
        ways = np.array([comb(k, int(one)) for one in x], dtype=np.float64)
        chance = ways * share**x * (1 - share) ** (k - x)
        found[k] = (chance * np.abs(x / n - (k - x) / m)).sum()
    return found


def count_noise(expected: np.ndarray) -> np.ndarray:
    """Return E|X - c| of Poisson counts X around the expected counts c."""
    at = np.floor(np.minimum(expected, FEW))
    factorials = np.cumprod(np.concatenate([[1.0], np.arange(1.0, FEW + 1)]))
    exact = 2 * np.exp(-expected) * expected ** (at + 1) / factorials[at.astype(np.int64)]
    return np.where(expected <= FEW, exact, np.sqrt(2 / np.pi * expected))


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
