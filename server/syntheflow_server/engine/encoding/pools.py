"""How often new strings come back: places in a pool, each of which always gives one string.

Real names that too few hold occur once, twice or three times. Composed ones do so too if
rows draw them from so many places as there are such names, seen and unseen. Where a request
grows, places come back more often and more of the unseen ones appear, as in real growth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Arrays, Floats, Ints
from syntheflow_server.engine.encoding.chances import Stream

_MOST = 24
_RATES = np.geomspace(0.02, 36.0, 32)
_ROUNDS = 300
_EDGES = np.array([0.04, 0.2, 0.6, 1.4])
_BANDS = len(_EDGES)
_LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """For each of m kinds of strings, bands of places that are drawn equally often.

    Band 0 has no places: its strings are new in every row. `shares` [m, 1 + bands] are
    cumulative over the bands, `places` [m, 1 + bands] their numbers of places.
    """

    shares: Floats
    places: Ints

    @classmethod
    def fit(
        cls, counts: Ints, kinds: Ints, own: npt.NDArray[np.bool_], size: int, needed: int
    ) -> Self | None:
        """Return the pools of `size` kinds; None if fewer than `needed` rare strings repeat.

        `counts` [n] are the rows of each different string. Those `own` have no code of
        their own, and a kind in `kinds`; the others tell only how common strings are.
        """
        rare = np.minimum(counts[own], _MOST)
        if (rare > 1).sum() < needed:
            return None
        weights = _mixture(np.minimum(counts, _MOST))
        chance = _chances(np.arange(1, _MOST + 1))
        posterior = weights * chance / (weights * chance).sum(axis=1, keepdims=True)
        found = np.zeros((size, len(_RATES)))
        np.add.at(found, kinds, posterior[rare - 1])
        # The unseen ones are of the kinds of those seen once.
        unseen = len(counts) * weights / np.expm1(_RATES)
        once = np.bincount(kinds[rare == 1], minlength=size)
        found += np.outer(once / max(once.sum(), 1), unseen)
        return cls(*_banded(found))

    def moved(self, kinds: Ints, uniforms: Floats) -> Floats:
        """Return the uniforms [n, d] of each row's place, or its own ones in band 0."""
        shares = self.shares[kinds]
        first = uniforms[:, 0]
        band = (shares[:, :-1] <= first[:, None]).sum(axis=1)
        rows = np.flatnonzero(band)
        if not len(rows):
            return uniforms
        kind, band = kinds[rows], band[rows]
        low, high = shares[rows, band - 1], shares[rows, band]
        places = self.places[kind, band]
        place = ((first[rows] - low) / (high - low) * places).astype(np.int64)
        place = np.minimum(place, places - 1)
        key = ((kind * (_BANDS + 1) + band) << 40) + place
        stream = Stream(key.astype(np.uint64)).branch(0)
        result = uniforms.copy()
        for draw in range(uniforms.shape[1]):
            result[rows, draw] = stream.take()
        return result

    def to_arrays(self, prefix: str) -> Arrays:
        """Return the parts for an artefact."""
        return {f"{prefix}.shares": self.shares, f"{prefix}.places": self.places}

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Self | None:
        """Build what `to_arrays` gave, None if it gave nothing."""
        if f"{prefix}.shares" not in arrays:
            return None
        return cls(arrays[f"{prefix}.shares"], arrays[f"{prefix}.places"])


def _chances(counts: Ints) -> Floats:
    """Return the chance of each count [n] at each rate, given that it is not 0 [n, rates]."""
    factorials = np.cumsum(np.log(np.arange(1, _MOST + 1)))[counts - 1]
    logs = counts[:, None] * np.log(_RATES) - np.log(np.expm1(_RATES)) - factorials[:, None]
    return np.asarray(np.exp(logs))


def _mixture(counts: Ints) -> Floats:
    """Return the shares of `_RATES` among strings seen so often (maximum likelihood, by EM)."""
    seen, times = np.unique(counts, return_counts=True)
    chance = _chances(seen)
    weights = np.full(len(_RATES), 1 / len(_RATES))
    for _ in range(_ROUNDS):
        joint = chance * weights
        weights = times @ (joint / joint.sum(axis=1, keepdims=True))
        weights /= weights.sum()
    return weights


def _banded(found: Floats) -> tuple[Floats, Ints]:
    """Return cumulative shares and numbers of places of bands for strings [kinds, rates].

    A band without a whole place, or with hardly any rows, goes to the one below.
    """
    band = np.searchsorted(_EDGES, _RATES, side="right")
    strings = np.stack([found[:, band == i].sum(axis=1) for i in range(_BANDS + 1)], axis=1)
    mass = found * _RATES
    rows = np.stack([mass[:, band == i].sum(axis=1) for i in range(_BANDS + 1)], axis=1)
    total = np.maximum(rows.sum(axis=1), 1e-300)
    for i in range(_BANDS, 0, -1):
        small = (strings[:, i] < 1) | (rows[:, i] < _LEAST_SHARE * total)
        for part in (strings, rows):
            part[:, i - 1] += np.where(small, part[:, i], 0)
            part[:, i] = np.where(small, 0, part[:, i])
    rows[total < 1e-200, 0] = 1.0
    shares = np.cumsum(rows, axis=1)
    shares /= shares[:, -1:]
    return shares, np.maximum(np.rint(strings), 1).astype(np.int64)
