"""Which values the codes of a piece stand for: points, each with its share of its code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import Codec, combined
from syntheflow_server.engine.encoding.bins import Bins
from syntheflow_server.engine.encoding.category import CategoryCodec
from syntheflow_server.engine.relations.cells import is_ordered, numbers_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_POINTS = 32
DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Values of a codec by their leading codes, `codes` [p, 1 or 2].

    `numbers` [p] are the values as numbers (NaN where missing or without order), `mass`
    [p] the share of the first code that the point stands for. `lead` tokens tell the
    value; where more follow (`clock`) they tell the time of day. `whole` says that each
    code has one value, so that the points are all there are.
    """

    codes: Ints
    values: pa.Array
    numbers: Floats
    mass: Floats
    sizes: tuple[int, ...]
    lead: int
    clock: bool
    whole: bool

    @classmethod
    def of(cls, codec: Codec) -> Points:
        """Return the points of `codec`."""
        clock = getattr(codec, "clock", None) is not None
        lead = len(codec.sizes)
        if clock:
            lead = 2 if codec.bins.paired else 1  # type: ignore[attr-defined]
        lead = min(lead, 2)
        grid = np.meshgrid(*[np.arange(size) for size in codec.sizes[:lead]], indexing="ij")
        codes = np.stack(grid, -1).reshape(-1, lead).astype(np.int64)
        each = _POINTS if codec.draws else 1
        codes = np.repeat(codes, each, axis=0)
        place = np.tile((np.arange(each) + 0.5) / each, len(codes) // each)
        full = np.zeros((len(codes), len(codec.sizes)), np.uint16)
        full[:, :lead] = codes
        values = combined(codec.decode(full, np.repeat(place[:, None], codec.draws, axis=1)))
        numbers = np.full(len(values), np.nan)
        if is_ordered(values.type):
            found, missing = numbers_of(values)
            numbers = np.where(missing, np.nan, found.astype(np.float64))
        mass = _mass(codec, codes)
        total = np.bincount(codes[:, 0], mass, codec.sizes[0])
        share = mass / np.maximum(total[codes[:, 0]], 1e-300)
        return cls(codes, values, numbers, share, codec.sizes, lead, clock, not codec.draws)

    def missing(self) -> npt.NDArray[np.bool_]:
        """Return which first codes [K] stand for a missing value."""
        empty = self.values.is_null().to_numpy(zero_copy_only=False)
        result: npt.NDArray[np.bool_] = np.bincount(self.codes[:, 0], ~empty, self.sizes[0]) == 0
        return result

    def shares(self, admitted: npt.NDArray[np.bool_]) -> Floats:
        """Return the share of each first code [K] that `admitted` points [p] have."""
        return np.bincount(self.codes[:, 0], self.mass * admitted, self.sizes[0]).astype(np.float64)

    def middle(self) -> Floats:
        """Return a usual number of each first code [K], NaN where it has none."""
        known = ~np.isnan(self.numbers)
        order = np.argsort(self.codes[known, 0], kind="stable")
        first = self.codes[known, 0][order]
        start = np.searchsorted(first, np.arange(self.sizes[0]))
        end = np.searchsorted(first, np.arange(self.sizes[0]), side="right")
        middle = np.append(self.numbers[known][order], np.nan)[(start + end) // 2]
        return np.where(end > start, middle, np.nan)

    def table(self) -> Floats:
        """Return the numbers [K0, K1] of two tokens that tell the value exactly."""
        return self.numbers.reshape(self.sizes[0], self.sizes[1])


def _mass(codec: Codec, codes: Ints) -> Floats:
    """Return weights of the points within their first code."""
    bins = getattr(codec, "bins", None)
    if isinstance(bins, Bins) and bins.paired:
        weights = _pair_mass(bins)
        wide = np.zeros((codec.sizes[0], codec.sizes[1]))
        wide[: len(weights), : weights.shape[1]] = weights
        wide[len(weights) :, 0] = 1
        return _picked(wide, codes)
    if isinstance(codec, CategoryCodec) and codec.width > 1:
        member = np.diff(codec.cumulative, prepend=0)
        place = np.minimum(codes[:, 0] * codec.width + codes[:, 1], len(member))
        known = np.append(member, 0.0)[place]
        none = np.where(codes[:, 1] == 0, 1.0, 0.0)
        return np.where(codes[:, 0] >= codec.groups, none, known)
    return np.ones(len(codes))


def _picked(table: Floats, codes: Ints) -> Floats:
    return table[codes[:, 0], codes[:, 1]]


def _pair_mass(bins: Bins) -> Floats:
    """Return the share of each rank [bins, ranks] in its bin."""
    owner = np.repeat(np.arange(bins.size), np.diff(bins.atom_start))
    rank = np.arange(len(owner)) - bins.atom_start[owner]
    before = np.where(rank > 0, np.roll(bins.atom_keys, 1), owner)
    share = bins.atom_keys - before
    found = np.zeros((bins.size, int(np.diff(bins.atom_start).max())))
    found[owner, rank] = share
    return found
