"""Draw rows for chosen tokens, several for each, and keep one by how likely the network finds it.

Given later columns the network draws the earlier ones less well than it draws all in order:
only a share of its lessons was about that. In order it can also judge whole rows. So each
row is drawn a few times, and one of these is taken in proportion to its weight: its
probability in order over the probability with which it was drawn (importance resampling).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.cvae import TableSampler
from syntheflow_server.engine.cvae.batch import Restrict
from syntheflow_server.engine.sampling.beat import Beat

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
_CANDIDATES = 8
_LEAST = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What is settled of rows: `given` tokens (-1: not), `first` [n, T], rules for the others."""

    given: Mapping[int, Codes]
    first: Mask
    restrict: Restrict
    temperature: float


def choose(
    sampler: TableSampler,
    wish: Wish,
    uniforms: Callable[[int], npt.NDArray[np.float32]],
    beat: Beat,
) -> npt.NDArray[np.uint16]:
    """Return codes [n, T]; `uniforms(i)` [n, T + 1] are those of candidate i."""
    kept, total = np.zeros(0, np.uint16), np.zeros(0)
    for number in range(_CANDIDATES):
        drawn = uniforms(number)
        proposal = _Proposal(wish, len(drawn))
        codes = sampler.sample(
            drawn[:, :-1],
            given=wish.given,
            restrict=proposal,
            first=wish.first,
            temperature=wish.temperature,
        )
        proposal.close()
        judge = _Judge(codes.astype(np.int64), beat)
        sampler.sample(drawn[:, :-1], restrict=judge, temperature=wish.temperature)
        weight = judge.total - proposal.total
        if number == 0:
            kept, total = codes, weight
            continue
        # One at a time: a candidate replaces the one that is kept with its share of all so far.
        total = np.logaddexp(total, weight)
        better = drawn[:, -1] < np.exp(weight - total)
        kept = np.where(better[:, None], codes, kept)
    return kept


def leads(first: Mask) -> bool:
    """Return whether the chosen tokens come first anyway."""
    last = int(np.flatnonzero(first.any(axis=0)).max(initial=-1))
    return bool(first[:, : last + 1].all())


class _Proposal:
    """Passes rules on, and sums up the log probabilities of what is drawn under them.

    The share of a code that a rule allows counts for the row, so it is left out here.
    """

    def __init__(self, wish: Wish, rows: int) -> None:
        self._wish, self.total = wish, np.zeros(rows)
        self._open: tuple[int, slice, Codes, Floats, Mask] | None = None
        self._early: list[int] = []
        self._start = -1

    def __call__(
        self,
        token: int,
        rows: slice,
        codes: Codes,
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Restrict the weights and remember their sum until the code is drawn."""
        self.close()
        if rows.start != self._start:
            self._start, self._early = rows.start, self._drawn_early(rows)
        before = weights.astype(np.float64)
        self._wish.restrict(token, rows, codes, weights)
        first = self._wish.first[rows, token]
        early = bool(self._early) and self._early[0] == token
        if early:
            self._early.pop(0)
        given = self._wish.given.get(token)
        counts = first if early else ~first
        if given is not None:
            counts = counts & (given[rows] < 0)
        before /= np.maximum(weights.sum(axis=1, keepdims=True), _LEAST)
        self._open = (token, rows, codes, before, counts)

    def _drawn_early(self, rows: slice) -> list[int]:
        """Return the tokens that the sampler draws while it settles the chosen ones."""
        first, given = self._wish.first[rows], self._wish.given
        chosen = np.flatnonzero(first.any(axis=0)).tolist()
        return [t for t in chosen if t not in given or bool((given[t][rows] < 0).any())]

    def close(self) -> None:
        """Take down the code that was drawn last."""
        if self._open is None:
            return
        token, rows, codes, weights, counts = self._open
        share = weights[np.arange(len(codes)), codes[:, token]]
        self.total[rows] += np.where(counts, np.log(np.maximum(share, _LEAST)), 0.0)
        self._open = None


class _Judge:
    """Makes the sampler follow `codes` in order, and sums up their log probabilities."""

    def __init__(self, codes: Codes, beat: Beat) -> None:
        self._codes, self._beat, self.total = codes, beat, np.zeros(len(codes))

    def __call__(
        self,
        token: int,
        rows: slice,
        codes: Codes,
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Leave only the row's own code."""
        del codes
        self._beat()
        own, place = self._codes[rows, token], np.arange(rows.stop - rows.start)
        share = weights[place, own] / weights.sum(axis=1)
        self.total[rows] += np.log(np.maximum(share, _LEAST))
        weights[:] = 0
        weights[place, own] = 1
