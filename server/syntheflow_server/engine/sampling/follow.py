"""Hands values on from sibling to sibling while their rows are being drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.engine.encoding.base import Codec
from syntheflow_server.engine.encoding.whole import from_whole, to_whole
from syntheflow_server.engine.graph.structure import Family
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.model import TableModel
from syntheflow_server.engine.relations import Ref
from syntheflow_server.engine.relations.hinted import hinted, hinting
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.runtime import decode_numbers, lowest_values

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float32]
_HIGHEST = 1 - 1e-9


@dataclass(slots=True, eq=False)
class _Steps:
    """One column that is told by differences: their ends by code and the column's own ends.

    `numbers` and `known` [n] are filled as rows are made: the last number so far among the
    row and the siblings before it. `drawn` [b, k] are the value's codes in mid-row.
    """

    delta: Piece
    value: Piece
    lowest: Ints
    highest: Ints
    low: int
    high: int
    numbers: Ints
    known: Mask
    missing: Mask
    drawn: npt.NDArray[np.uint16]
    told: Mask

    @classmethod
    def of(cls, delta: Piece, value: Piece, rows: int) -> _Steps:
        assert delta.codec is not None
        assert value.codec is not None
        low, high = _ends(value.codec)
        return cls(
            delta,
            value,
            lowest_values(delta.codec)[:-1],
            _highest_values(delta.codec)[:-1],
            low,
            high,
            np.zeros(rows, np.int64),
            np.zeros(rows, bool),
            np.zeros(rows, bool),
            np.zeros((0, 0), np.uint16),
            np.zeros(0, bool),
        )

    @property
    def least(self) -> int | None:
        """The smallest step of a column that never falls, None for others."""
        least = int(self.lowest.min()) if len(self.lowest) else -1
        return least if least >= 0 else None

    @property
    def most(self) -> int | None:
        """The largest step of a column that never rises, None for others."""
        most = int(self.highest.max()) if len(self.highest) else 1
        return most if most <= 0 else None

    def bounded(self, numbers: Ints, before: Ints) -> Ints:
        """Return `numbers` within the column's ends; a column that only rises goes on rising."""
        inside = np.clip(numbers, self.low, self.high)
        if self.least is not None:
            return np.maximum(inside, before + self.least)
        if self.most is not None:
            return np.minimum(inside, before + self.most)
        return inside


class Follower:
    """Settles what follows from the sibling before; a `restrict` hook of the sampler.

    `rows` are the frame rows of the call under way, `codes` [n, T] all tokens made so far,
    `position` [n] the rows' places among siblings: the row before is the sibling before.
    """

    def __init__(
        self,
        layout: Layout,
        codes: npt.NDArray[np.uint16],
        position: Ints,
        rng: np.random.Generator,
    ) -> None:
        self.rows: Ints = np.zeros(0, np.int64)
        self._codes, self._position, self._rng = codes, position, rng
        self._same: dict[int, int] = {}
        self._flags: set[int] = set()
        self._steps: dict[int, _Steps] = {}
        self._values: dict[int, _Steps] = {}
        for piece, after in zip(layout.pieces, layout.pieces[1:], strict=False):
            if piece.kind is PieceKind.SAME:
                self._flags.add(piece.start)
                self._same |= dict.fromkeys(range(after.start, after.end), piece.start)
            elif piece.kind is PieceKind.DELTA:
                steps = _Steps.of(piece, after, len(codes))
                self._steps |= dict.fromkeys(range(piece.start, piece.end), steps)
                self._values |= dict.fromkeys(range(after.start, after.end), steps)

    @property
    def idle(self) -> bool:
        """True if nothing is handed on."""
        return not self._flags and not self._steps

    @property
    def tokens(self) -> tuple[int, ...]:
        """The tokens whose weights change."""
        return (*self._flags, *self._same, *self._steps, *self._values)

    def __call__(self, token: int, part: slice, codes: Ints, weights: Weights) -> None:
        """Change the weights of one token of the rows `part` of the call."""
        rows = self.rows[part]
        if token in self._flags:
            begins = self._position[rows] == 0
            weights[begins] = (1, 0)
        elif token in self._same:
            same = np.flatnonzero(codes[:, self._same[token]] == 1)
            _force(weights, same, self._codes[rows[same] - 1, token])
        elif token in self._steps:
            self._mask(self._steps[token], token, rows, weights)
        elif token in self._values:
            steps = self._values[token]
            if token == steps.value.start:
                self._settle(steps, rows, codes)
            told = np.flatnonzero(steps.told)
            _force(weights, told, steps.drawn[told, token - steps.value.start])
            self._only_gaps(steps, token, rows, weights)

    def _before(self, steps: _Steps, rows: Ints) -> tuple[Ints, Mask]:
        """Return the last number among the siblings before `rows`, and which have one."""
        before = np.maximum(rows - 1, 0)
        return steps.numbers[before], steps.known[before] & (self._position[rows] > 0)

    def _mask(self, steps: _Steps, token: int, rows: Ints, weights: Weights) -> None:
        """Rule out steps that leave the column's range; without a number before there is none."""
        if token != steps.delta.start:
            return
        before, known = self._before(steps, rows)
        _force(weights, np.flatnonzero(~known), len(steps.lowest))
        follows = np.flatnonzero(known)
        assert steps.value.codec is not None
        if not _has_gaps(steps.value.codec):
            weights[follows, len(steps.lowest)] = 0
        low, high = steps.low - before[follows], steps.high - before[follows]
        allowed = (steps.lowest[None, :] <= high[:, None]) & (
            steps.highest[None, :] >= low[:, None]
        )
        nearest = np.abs(steps.lowest).argmin()
        allowed[~allowed.any(axis=1), nearest] = True
        weights[follows, : len(steps.lowest)] *= allowed
        empty = follows[weights[follows].sum(axis=1) <= 0]
        weights[empty, nearest] = 1

    def _settle(self, steps: _Steps, rows: Ints, codes: Ints) -> None:
        """Compute the numbers of `rows` from their steps, and the tokens that tell them."""
        assert steps.delta.codec is not None
        assert steps.value.codec is not None
        own = codes[:, steps.delta.where].astype(np.uint16)
        units, missing = decode_numbers(steps.delta.codec, own, self._rng)
        before, _ = self._before(steps, rows)
        numbers = steps.bounded(before + units, before)
        steps.told = ~missing
        steps.numbers[rows[~missing]] = numbers[~missing]
        kind = _type_of(steps.value.codec)
        values = from_whole(steps.value.codec, numbers, missing, kind)
        steps.drawn = steps.value.codec.encode(values)

    def _only_gaps(self, steps: _Steps, token: int, rows: Ints, weights: Weights) -> None:
        """Leave a row that has a number before it, but no step, nothing but a missing value."""
        if token == steps.value.start and _has_gaps(steps.value.codec):
            _, known = self._before(steps, rows)
            gap = np.flatnonzero(known & ~steps.told)
            _force(weights, gap, steps.value.tokens[0].size - 1)

    def learn(self, rows: Ints) -> None:
        """Take note of `rows`, which are complete now, for the siblings to come."""
        for steps in {id(steps): steps for steps in self._steps.values()}.values():
            codec = steps.value.codec
            assert codec is not None
            assert steps.delta.codec is not None
            none = steps.delta.tokens[0].size - 1
            free = rows[self._codes[rows, steps.delta.start] == none]
            draws = self._rng.random((len(free), codec.draws))
            found = to_whole(codec, codec.decode(self._codes[free][:, steps.value.where], draws))
            assert found is not None
            numbers, missing = found
            before, known = self._before(steps, free)
            steps.missing[free] = missing
            steps.numbers[free] = np.where(missing, before, numbers)
            steps.known[rows] = True
            steps.known[free] = ~missing | known

    def columns(self) -> dict[str, pa.Array]:
        """Return the columns that steps tell, without the silent last row."""
        made = {}
        for steps in {id(steps): steps for steps in self._steps.values()}.values():
            codec = steps.value.codec
            assert codec is not None
            kind = _type_of(codec)
            made[steps.value.name] = from_whole(codec, steps.numbers, steps.missing, kind)[:-1]
        return made


def hinted_tokens(
    family: Family, model: TableModel, above: Frame, owner: Ints
) -> dict[int, npt.NDArray[np.uint16]]:
    """Return by token the codes [n] of columns that the owners of the rows decide."""
    known = {
        Ref(mine): above.columns[theirs].take(pa.array(owner))
        for mine, theirs in hinting(family, model.table.name, model.relations).items()
        if theirs in above.columns
    }
    found: dict[int, npt.NDArray[np.uint16]] = {}
    for relation, name in hinted(model.relations, list(known)):
        known[Ref(name)] = relation.derive(name, known)
        piece = model.layout.find(PieceKind.COLUMN, name)
        if piece is not None and piece.codec is not None:
            codes = piece.codec.encode(known[Ref(name)])
            found |= {piece.start + i: codes[:, i] for i in range(codes.shape[1])}
    return found


def handed_on(layout: Layout, name: str, codes: npt.NDArray[np.uint16]) -> Ints | None:
    """Return for each row [n] the row whose value it has; None if the piece hands nothing on.

    `name` is that of a column or a link.
    """
    piece = layout.find(PieceKind.SAME, name)
    if piece is None:
        return None
    rows = np.arange(len(codes))
    own = np.where(codes[:, piece.start] == 1, 0, rows)
    return np.maximum.accumulate(own)


def _force(weights: Weights, rows: Ints, codes: Any) -> None:
    weights[rows] = 0
    weights[rows, codes] = 1


def _has_gaps(codec: Codec | None) -> bool:
    return bool(getattr(codec, "missing", False))


def _type_of(codec: Codec) -> pa.DataType:
    return arrow_type(codec.type)  # type: ignore[attr-defined]


def _highest_values(codec: Codec) -> Ints:
    """Return the largest number that each code of the first token stands for; 0 if missing."""
    first = codec.sizes[0]
    codes = np.zeros((first, len(codec.sizes)), np.uint16)
    codes[:, 0] = np.arange(first)
    codes[:, 1:] = np.array(codec.sizes[1:], np.uint16) - 1
    values = codec.decode(codes, np.full((first, codec.draws), _HIGHEST))
    numbers: Ints = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _ends(codec: Codec) -> tuple[int, int]:
    """Return the least and the greatest number that the codec yields."""
    codes = np.zeros((2, len(codec.sizes)), np.uint16)
    sizes = np.array(codec.sizes, np.int64) - 1
    sizes[0] -= int(_has_gaps(codec))
    codes[1] = sizes
    ends = np.repeat([[0.0], [_HIGHEST]], codec.draws, axis=1)
    found = to_whole(codec, codec.decode(codes, ends))
    assert found is not None
    return int(found[0].min()), int(found[0].max())
