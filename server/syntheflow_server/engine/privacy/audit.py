"""What an attacker proves about a fit: a lower bound on epsilon from one run.

Many canaries are each put into the data or left out by a coin; the attacker guesses the
coins from the model. Too many right guesses refute an epsilon (Steinke, Nasr and
Jagielski, Privacy auditing with one training run, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_CONFIDENCE = 0.95
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_SOLVED = 1e-3
_MOST = 30.0


def epsilon_bound(
    scores: npt.NDArray[np.float64], included: npt.NDArray[np.bool_], delta: float
) -> float:
    """Return an epsilon that the fit exceeds with 95 % confidence, 0 if none is proven.

    `scores` [m] are high where the attacker thinks the canary was in the data; `included`
    [m] are the coins. The attacker guesses on the shares of the canaries that are
    clearest to him; the confidence is split among the shares tried.
    """
    order = np.argsort(scores, kind="stable")
    bounds = []
    for share in _SHARES:
        count = max(1, round(share * len(scores) / 2))
        low, high = order[:count], order[-count:]
        right = int(included[high].sum() + (~included[low]).sum())
        chance = (1 - _CONFIDENCE) / len(_SHARES)
        bounds.append(_bound(len(scores), 2 * count, right, delta, chance))
    return max(bounds)


def _bound(canaries: int, guesses: int, right: int, delta: float, chance: float) -> float:
    low, high = 0.0, _MOST
    if _at_least(canaries, guesses, right, 0.0, delta) > chance:
        return 0.0
    while high - low > _SOLVED:
        middle = (low + high) / 2
        refuted = _at_least(canaries, guesses, right, middle, delta) <= chance
        low, high = (middle, high) if refuted else (low, middle)
    return low


def _at_least(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return how likely so many right guesses are at most if the fit is private."""
    chance = 1 / (1 + math.exp(-epsilon))
    mass = _binomial(guesses, chance)
    tail = float(mass[right:].sum())
    below = np.cumsum(mass[:right][::-1])
    slack = float((below / np.arange(1, right + 1)).max(initial=0.0))
    return min(1.0, tail + 2 * canaries * delta * slack)


def _binomial(count: int, chance: float) -> npt.NDArray[np.float64]:
    """Return the probabilities of 0..count successes."""
    ways = np.array(_log_factorials(count))
    wins = np.arange(count + 1)
    log = ways[-1] - ways - ways[::-1] + wins * math.log(chance)
    log += (count - wins) * math.log1p(-chance) if chance < 1 else 0.0
    result: npt.NDArray[np.float64] = np.exp(log)
    return result


def _log_factorials(count: int) -> Sequence[float]:
    return [math.lgamma(i + 1) for i in range(count + 1)]
