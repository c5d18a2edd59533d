"""Find columns that siblings hand on: equal to the sibling before, or not far from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import RARE_ROWS, Codec
from syntheflow_server.engine.encoding.bins import Bins
from syntheflow_server.engine.encoding.whole import to_whole
from syntheflow_server.engine.layout import Piece, PieceKind
from syntheflow_server.engine.relations.base import codes_of
from syntheflow_server.engine.training.kin import Siblings

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_FEW_PAIRS = 50
_FEW_OWNERS = 100
_FEW_VALUES = 3
_FEW_NUMBERS = 12
_BEYOND_CHANCE = 0.2
_GROUPS = 16
_BITS_SAVED = 0.5
_OFTEN_DIFFERENT = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Steady:
    """A column's numbers as its codec counts them, and its steps along siblings.

    `steps` [n] are differences to the last number among the siblings before, `told` [n]
    says which rows have one, `known` [n] those that have such a sibling.
    """

    numbers: Ints
    steps: Ints
    told: Mask
    known: Mask


def repeats(values: pa.Array, siblings: Siblings, teaching: Mask) -> Mask | None:
    """Return which rows [n] hold what the sibling before does, if chance does not explain it.

    A missing value follows a missing one. None if too few do.
    """
    codes, size = codes_of(values)
    return repeats_of(codes, size, siblings, teaching)


def repeats_of(codes: Ints, size: int, siblings: Siblings, teaching: Mask) -> Mask | None:
    """Return which rows [n] have the sibling's code 0 .. `size` - 1, if that is not chance."""
    follows = siblings.previous >= 0
    pairs = follows & teaching
    if size < _FEW_VALUES or pairs.sum() < _FEW_PAIRS:
        return None
    before = codes[siblings.previous]
    same = follows & (codes == before)
    held = np.bincount(codes[teaching], minlength=size) / max(int(teaching.sum()), 1)
    # That zeros follow zeros the network sees by itself; it is rarer values that come back.
    telling = pairs & (before != held.argmax())
    # The first siblings of a few owners would stand for all rows.
    if telling.sum() < _FEW_PAIRS or len(np.unique(siblings.owner[telling])) < _FEW_OWNERS:
        return None
    share, chance = float(same[telling].mean()), float(held[before[telling]].mean())
    if share - chance < _BEYOND_CHANCE * (1 - chance):
        return None
    return np.asarray(same)


def steady(codec: Codec, values: pa.Array, siblings: Siblings, teaching: Mask) -> Steady | None:
    """Return the column's steps if they say more, in fewer bits, than the values; else None.

    A column that never falls (or never rises) along siblings must not in synthetic rows
    either, so its steps are always told.
    """
    found = steps_of_column(codec, values, siblings)
    if found is None:
        return None
    pairs = found.told & teaching
    if pairs.sum() < _FEW_PAIRS:
        return None
    steps, now = found.steps[pairs], found.numbers[pairs]
    before = now - steps
    if len(np.unique(now)) < _FEW_NUMBERS or (steps != 0).mean() < _OFTEN_DIFFERENT:
        return None
    one_way = bool((steps >= 0).all() or (steps <= 0).all())
    saved = bits_to_tell(now, before) - bits_to_tell(steps, before)
    return found if one_way or saved > _BITS_SAVED else None


def steps_of_column(codec: Codec, values: pa.Array, siblings: Siblings) -> Steady | None:
    """Return a column's numbers and steps; None if it is not counted in whole units."""
    whole = to_whole(codec, values)
    if whole is None:
        return None
    numbers, missing = whole
    before, known = _last_known(numbers, missing, siblings)
    told = known & ~missing
    return Steady(numbers, np.where(told, numbers - before, 0), told, known)


def _last_known(numbers: Ints, missing: Mask, siblings: Siblings) -> tuple[Ints, Mask]:
    """Return the last number among the siblings before each row, and whether there is one."""
    order, position = siblings.order, siblings.position[siblings.order]
    places = np.arange(len(order))
    last = np.maximum.accumulate(np.where(missing[order], -1, places))
    last = np.append(-1, last[:-1])[: len(order)]
    begin = places - position
    known = np.empty(len(order), bool)
    before = np.empty(len(order), np.int64)
    known[order] = last >= begin
    before[order] = numbers[order][np.maximum(last, 0)]
    return before, known


def bits_to_tell(numbers: Ints, before: Ints) -> float:
    """Return the bits that it takes to tell a number, knowing roughly the one before.

    The entropy of its bin given the group of the number before, and the places in the bin.
    """
    bins = Bins.fit(numbers, RARE_ROWS)
    code = bins.encode(numbers)[:, 0].astype(np.int64)
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _GROUPS + 1)[1:-1], method="nearest"))
    group = np.searchsorted(edges, before, side="right")
    cells = np.bincount(group * bins.size + code, minlength=(len(edges) + 1) * bins.size)
    rows = np.bincount(group)
    total = len(numbers)
    seen, kinds = cells[cells > 0], rows[rows > 0]
    entropy = (kinds * np.log2(kinds)).sum() - (seen * np.log2(seen)).sum()
    # Few rows in many cells look more regular than they are (Miller and Madow).
    bias = (len(seen) - len(kinds)) / (2 * np.log(2))
    return float((entropy + bias) / total + _places(numbers, code, bins.size).mean())


def _places(numbers: Ints, code: Ints, size: int) -> npt.NDArray[np.float64]:
    """Return by row the bits that tell a number within its bin: among values, or on the grid."""
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, np.iinfo(np.int64).min)
    np.minimum.at(low, code, numbers)
    np.maximum.at(high, code, numbers)
    values = np.unique(numbers)
    repeated = len(values) * RARE_ROWS < len(numbers)
    if repeated:
        first = np.searchsorted(values, low[code])
        width = np.searchsorted(values, high[code]) - first + 1
    else:
        width = (high - low)[code] + 1
    bits: npt.NDArray[np.float64] = np.log2(np.maximum(width, 1))
    return bits


@dataclass(frozen=True, slots=True, eq=False)
class Follow:
    """How a column follows the sibling before: flags [n] of equal rows, or steps [n]."""

    same: Mask | None = None
    steps: pa.Array | None = None

    @property
    def same_codes(self) -> npt.NDArray[np.uint16]:
        """The flags as codes [n, 1]."""
        assert self.same is not None
        return self.same.astype(np.uint16)[:, None]

    @classmethod
    def of_parents(cls, parents: Ints, siblings: Siblings, teaching: Mask) -> Follow | None:
        """Return how references to the rows `parents` [n] (-1: none) follow one another."""
        size = int(parents.max(initial=-1)) + 2
        same = repeats_of(np.maximum(parents, -1) + 1, size, siblings, teaching)
        return None if same is None else cls(same=same)


def following(codec: Codec, values: pa.Array, siblings: Siblings, teaching: Mask) -> Follow | None:
    """Return how a column's `values` [n] follow the sibling before, None if they do not."""
    found = steady(codec, values, siblings, teaching)
    if found is not None:
        return Follow(steps=pa.array(found.steps, pa.int64(), mask=~found.told))
    same = repeats(values, siblings, teaching)
    return None if same is None else Follow(same=same)


def settled_by(
    piece: Piece, codes: npt.NDArray[np.uint16], counted: Mask, siblings: Siblings
) -> Mask:
    """Return in which rows [n] the piece decides the one that comes next.

    In `counted` [n, T] the piece's own tokens are cleared where no sibling is before.
    """
    first = codes[:, piece.start : piece.start + 1]
    if piece.kind is PieceKind.SAME:
        counted[siblings.position == 0, piece.start] = False
        return np.asarray(first[:, 0] == 1)
    if piece.kind is not PieceKind.DELTA:
        return np.zeros(len(codes), bool)
    counted[siblings.position == 0, piece.where] = False
    return np.asarray(first[:, 0] != piece.tokens[0].size - 1)
