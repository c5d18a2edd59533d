"""Ordered numbers as tokens: equal-mass bins with spikes of their own, or exact values.

A value held by enough rows is an *atom* and may come back exactly; the others are only
known through *knots*, a few points of their distribution inside the bin, between which
decoding interpolates. A number may still meet a real one, as any number on a grid may,
but by chance: no real value is more likely than its neighbours on the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import RARE_ROWS, Arrays, Floats, Ints, Token
from syntheflow_server.engine.encoding.habits import Habits
from syntheflow_server.engine.encoding.holders import Held
from syntheflow_server.engine.encoding.knots import Numbers, bin_knots, common_step, merged
from syntheflow_server.engine.encoding.tails import EVEN, Tails

_BINS = 128
_FEW_DISTINCT = 200
_PAIR_DISTINCT = 20_000
_PAIR_ROWS_A_VALUE = 20
_PAIRED_SHARE = 0.98
_ROWS_A_BIN = 16
_LEAST_BINS = 16
_GRID_ROOM = 2


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Bins over sorted numbers (int64 or float64).

    Bin b covers the values from `lows[b]` to below `lows[b + 1]`. With probability
    `atom_share[b]` it yields one of its atoms, whose upper cumulative shares stand in
    `atom_keys` as b + share; else a point between its knots
    `knots[knot_start[b]:knot_start[b + 1]]`, rounded to the grid `base + i * step`
    where the numbers are integers. `places` are mid-quantiles.

    In a `paired` set the values are exact and told by two tokens: bin, and rank of the
    atom in its bin. `habits` weigh the days between two knots, `day` being one in the
    numbers' unit.
    """

    lows: Numbers
    places: npt.NDArray[np.float32]
    atoms: Numbers
    atom_keys: Floats
    atom_start: Ints
    atom_share: Floats
    knots: Numbers
    knot_start: Ints
    step: int
    paired: bool
    tails: Tails = EVEN
    habits: Habits | None = None
    day: int = 1

    @classmethod
    def fit(
        cls,
        numbers: Numbers,
        needed: int = RARE_ROWS,
        *,
        tails: bool = False,
        spread: int | None = None,
        entity: Ints | None = None,
        released: Numbers | None = None,
    ) -> Self:
        """Return bins for the present `numbers` [n], n >= 1.

        A value needs `needed` holders to come back exactly: rows, or different ones of the
        entities [n] that rows belong to; values in `released` need none. With `tails` what lies
        outside the outermost knots but one thins out as it does in the data, and may go a little
        beyond the real extremes. `spread` is how far around a value that stands alone its
        substitutes may lie (None: as far as one significant digit).
        """
        values, codes, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        rows = len(numbers)
        held = Held.of(codes, len(values), entity)
        step = common_step(values) if values.dtype == np.int64 else 0
        atom = held.counts >= needed
        if released is not None:
            atom |= np.isin(values, released)
        if _fills_grid(values, step, atom):
            step = 1
        paired = _is_paired(counts, atom)
        if paired:
            values, counts = merged(values, counts, step, held, needed)
            atom = np.ones(len(values), np.bool_)
        bins = _cut(counts, atom, rows)
        total = int(bins[-1]) + 1
        mass = np.bincount(bins, counts, total)
        lows = values[np.searchsorted(bins, np.arange(total))]
        places = ((np.cumsum(mass) - mass / 2) / mass.sum()).astype(np.float32)
        # One entity's many rows of a value must not draw several knots there.
        loose = np.zeros(len(values), np.int64) if paired else np.where(atom, 0, held.counts)
        knots, knot_start = bin_knots(values, held, loose, bins, step, needed, spread)
        ends = EVEN
        if tails:
            ends, knots = Tails.fit(values, loose, bins, knots, knot_start, step)
        atom_mass = np.where(atom, counts, 0)
        in_atoms = np.bincount(bins, atom_mass, total)
        below = np.cumsum(atom_mass) - (np.cumsum(in_atoms) - in_atoms)[bins]
        keys = bins + below / np.maximum(in_atoms[bins], 1)
        return cls(
            lows=lows,
            places=places,
            atoms=values[atom],
            atom_keys=keys[atom],
            atom_start=np.searchsorted(bins[atom], np.arange(total + 1)).astype(np.int64),
            atom_share=in_atoms / mass,
            knots=knots,
            knot_start=knot_start,
            step=step,
            paired=paired,
            tails=ends,
        )

    @property
    def size(self) -> int:
        """Number of bins."""
        return len(self.lows)

    @property
    def exact(self) -> bool:
        """True if every bin yields exactly one value."""
        return len(self.atoms) == self.size and bool((self.atom_share == 1).all())

    @property
    def draws(self) -> int:
        """Uniforms a row needs in `decode`."""
        return 0 if self.paired or self.exact else 1

    def tokens(self, *, missing: bool) -> tuple[Token, ...]:
        """Return the tokens; with `missing` the first has one more code, the last one."""
        places = self.places
        loose = self.atom_share < 0.5
        touching = np.append(loose[:-1] & loose[1:], False)
        if missing:
            places = np.append(places, np.float32(np.nan))
            touching = np.append(touching, False)
        first = Token(len(places), places, touching)
        if not self.paired:
            return (first,)
        widest = int(np.diff(self.atom_start).max())
        ranks = ((np.arange(widest) + 0.5) / widest).astype(np.float32)
        return first, Token(widest, ranks)

    def encode(self, numbers: Numbers) -> npt.NDArray[np.int64]:
        """Return codes [n, 1] or, paired, [n, 2]."""
        if not self.paired:
            bins = np.searchsorted(self.lows, numbers, side="right") - 1
            return np.maximum(bins, 0)[:, None]
        index = nearest(self.atoms, numbers)
        bins = np.searchsorted(self.atom_start, index, side="right") - 1
        return np.stack([bins, index - self.atom_start[bins]], axis=1)

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> Numbers:
        """Return numbers for codes of present values; uniforms [n, draws]."""
        bins = codes[:, 0]
        if self.paired:
            start = self.atom_start.take(bins)
            rank = np.minimum(codes[:, 1], self.atom_start.take(bins + 1) - start - 1)
            bins = start + rank
        elif not self.exact:
            return self._draw(bins, uniforms[:, 0])
        exact: Numbers = self.atoms.take(bins)
        return exact

    def _draw(self, bins: npt.NDArray[Any], uniforms: Floats) -> Numbers:
        share = self.atom_share.take(bins)
        is_atom = uniforms < share
        if not is_atom.any():
            return self._between(bins, uniforms)
        result: Numbers = np.empty(len(bins), self.lows.dtype)
        at = np.flatnonzero(is_atom)
        own = bins.take(at)
        wanted = own + uniforms.take(at) / share.take(at)
        index = np.searchsorted(self.atom_keys, wanted, side="right")
        low, high = self.atom_start.take(own), self.atom_start.take(own + 1) - 1
        result[at] = self.atoms.take(np.minimum(np.maximum(index, low), high))
        at = np.flatnonzero(~is_atom)
        if len(at):
            rest = share.take(at)
            result[at] = self._between(bins.take(at), (uniforms.take(at) - rest) / (1 - rest))
        return result

    def _between(self, bins: npt.NDArray[Any], uniforms: Floats) -> Numbers:
        start = self.knot_start.take(bins)
        last = self.knot_start.take(bins + 1) - start - 2
        position = uniforms * (last + 1)
        whole = np.minimum(position.astype(np.int64), last)
        place = start + whole
        low, high = self.knots.take(place), self.knots.take(place + 1)
        part = self.tails.bend(position - whole, bins == 0, whole == 0, upper=False)
        part = self.tails.bend(part, bins == self.size - 1, whole == last, upper=True)
        result: Numbers
        if self.habits is not None:
            result = self.habits.between(low // self.day, high // self.day, part) * self.day
        elif self.step:
            # Differences in uint64 stay exact over the whole range of int64.
            step, base = np.uint64(self.step), low.view(np.uint64)
            spread = high.view(np.uint64) - base
            steps = np.floor(part * (spread / step + 1)).astype(np.uint64)
            result = (base + np.minimum(steps * step, spread)).view(np.int64)
        else:
            result = low + part * (high - low)
        return result

    def to_state(self) -> tuple[dict[str, Any], Arrays]:
        """Return JSON facts and arrays for `from_state`."""
        arrays = {
            name: getattr(self, name)
            for name in (
                "lows",
                "places",
                "atoms",
                "atom_keys",
                "atom_start",
                "atom_share",
                "knots",
                "knot_start",
            )
        }
        facts = {
            "step": self.step,
            "paired": self.paired,
            "tails": self.tails.to_json(),
            "habits": self.habits.to_json() if self.habits else None,
            "day": self.day,
        }
        return facts, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build the bins that gave this state."""
        return cls(
            **arrays,
            step=facts["step"],
            paired=facts["paired"],
            tails=Tails.from_json(facts["tails"]),
            habits=Habits.from_json(facts["habits"]) if facts["habits"] else None,
            day=facts["day"],
        )


def nearest(ordered: Numbers, numbers: Numbers) -> npt.NDArray[np.int64]:
    """Return for each number the index of the nearest of the `ordered` values."""
    right = np.clip(np.searchsorted(ordered, numbers), 0, len(ordered) - 1)
    left = np.maximum(right - 1, 0)
    to_right = ordered[right].astype(np.float64) - numbers
    to_left = numbers - ordered[left].astype(np.float64)
    exact = ordered[right] == numbers
    return np.where(exact | (to_right <= to_left), right, left).astype(np.int64)


def _fills_grid(values: Numbers, step: int, atom: npt.NDArray[np.bool_]) -> bool:
    """Return True if a coarse grid of few places would give back values that are somebody's.

    Six prices two apart, each held once, are all the places that there are.
    """
    if step <= 1 or atom.sum() * 2 > len(values):
        return False
    return (int(values[-1]) - int(values[0])) // step + 1 < _GRID_ROOM * len(values)


def _is_paired(counts: Ints, atom: npt.NDArray[np.bool_]) -> bool:
    """Tell whether nearly all rows hold one of a few hundred or thousand repeated values."""
    distinct, rows = len(counts), int(counts.sum())
    few = _FEW_DISTINCT < distinct <= _PAIR_DISTINCT
    if not few or rows < distinct * _PAIR_ROWS_A_VALUE:
        return False
    return bool(counts[atom].sum() >= _PAIRED_SHARE * rows)


def _cut(counts: Ints, atom: npt.NDArray[np.bool_], rows: int) -> Ints:
    """Return the bin of each distinct value: ascending from 0 without gaps."""
    wanted = min(_BINS, max(_LEAST_BINS, rows // _ROWS_A_BIN))
    if len(counts) <= _FEW_DISTINCT:
        alone = atom & (counts * wanted > rows / 8)
    else:
        alone = atom & (counts * wanted > rows)
    # A stretch is a run of values between spikes; its bins get equal mass.
    edge = alone.copy()
    edge[1:] |= alone[:-1]
    edge[0] = True
    stretch = np.cumsum(edge) - 1
    mass = np.bincount(stretch, counts)
    spike = np.zeros(len(mass), np.bool_)
    spike[stretch[alone]] = True
    loose = mass[~spike].sum()
    left = max(1, wanted - int(spike.sum()))
    parts = np.ones(len(mass))
    if loose:
        parts = np.where(spike, 1, np.maximum(1, np.rint(left * mass / loose)))
    start = np.cumsum(mass) - mass
    middle = np.cumsum(counts) - counts / 2 - start[stretch]
    part = np.minimum(middle / mass[stretch] * parts[stretch], parts[stretch] - 1).astype(np.int64)
    key = (np.cumsum(parts) - parts)[stretch].astype(np.int64) + part
    return np.cumsum(np.append(0, np.diff(key) > 0)).astype(np.int64)
