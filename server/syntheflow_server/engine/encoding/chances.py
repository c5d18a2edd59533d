"""Many discrete distributions as one sorted array, drawn from without a loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Floats, Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_BITS = 2.0**53


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """Distributions over outcomes: those of row r stand in `outcomes[start[r]:start[r + 1]]`.

    `keys` are r + cumulative share, ascending over all rows.
    """

    outcomes: Ints
    keys: Floats
    start: Ints

    @classmethod
    def of(cls, rows: npt.NDArray[Any], outcomes: npt.NDArray[Any], weights: Floats) -> Self:
        """Return the distributions of `outcomes` by `rows` (ascending, each row has one)."""
        total = int(rows[-1]) + 1 if len(rows) else 0
        mass = np.bincount(rows, weights, total)
        below = (np.cumsum(mass) - mass)[rows] if total else weights
        keys = rows + (np.cumsum(weights) - below) / mass[rows] if total else weights
        start = np.searchsorted(rows, np.arange(total + 1)).astype(np.int64)
        return cls(np.asarray(outcomes, np.int64), keys, start)

    def draw(self, rows: npt.NDArray[Any], uniforms: Floats, *, even: bool = False) -> Ints:
        """Return an outcome for each of `rows`, by its share or `even`ly."""
        if even:
            sizes = self.start[rows + 1] - self.start[rows]
            drawn: Ints = self.outcomes[self.start[rows] + (uniforms * sizes).astype(np.int64)]
            return drawn
        index = np.searchsorted(self.keys, rows + uniforms, side="right")
        return self.outcomes[np.clip(index, self.start[rows], self.start[rows + 1] - 1)]

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the parts for an artefact."""
        return {
            f"{prefix}.outcomes": self.outcomes,
            f"{prefix}.keys": self.keys,
            f"{prefix}.start": self.start,
        }

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Any) -> Self:
        """Build what `to_arrays` gave."""
        return cls(*(arrays[f"{prefix}.{name}"] for name in ("outcomes", "keys", "start")))


class Stream:
    """As many uniforms a row as wanted, out of two: a counter-based generator (SplitMix64).

    `even` tells those who draw letters to take each one that may stand somewhere as often.
    """

    def __init__(self, key: npt.NDArray[np.uint64], *, even: bool = False) -> None:
        self.even = even
        self._key = key
        self._count = 0

    @classmethod
    def of(cls, uniforms: Floats) -> Self:
        """Return the streams seeded by two uniforms a row [n, 2]."""
        low, high = ((uniforms[:, i] * _BITS).astype(np.uint64) for i in (0, 1))
        return cls(_mixed(low) ^ (high << np.uint64(7)))

    def __len__(self) -> int:
        return len(self._key)

    def branch(self, index: int | npt.NDArray[Any], rows: npt.NDArray[Any] | None = None) -> Stream:
        """Return an independent stream of each of `rows`, numbered `index`.

        What one branch takes does not move the others, so that a row's values never
        depend on the rows made with it.
        """
        key = self._key if rows is None else self._key[rows]
        with np.errstate(over="ignore"):
            salt = (np.asarray(index, np.uint64) + np.uint64(1)) * _MIX[0]
        return Stream(_mixed(key ^ salt), even=self.even)

    def take(self, rows: npt.NDArray[Any] | slice = slice(None)) -> Floats:
        """Return the next uniform in [0, 1) of each of `rows`."""
        self._count += 1
        with np.errstate(over="ignore"):
            word = _mixed(self._key[rows] + np.uint64(self._count) * _GOLDEN)
        return (word >> np.uint64(11)).astype(np.float64) / _BITS


def _mixed(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        word = (word ^ (word >> np.uint64(30))) * _MIX[0]
        word = (word ^ (word >> np.uint64(27))) * _MIX[1]
    return word ^ (word >> np.uint64(31))
