"""Steer the tokens of one piece so that its cells become what is asked of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import Codec, combined
from syntheflow_server.engine.encoding.category import CategoryCodec
from syntheflow_server.engine.layout import Piece
from syntheflow_server.engine.relations.cells import (
    Cells,
    Mask,
    NoRowError,
    Numbers,
    held,
    is_ordered,
    limits,
    numbers_of,
    values_of,
)
from syntheflow_server.engine.sampling.points import DAY, Points
from syntheflow_server.engine.sampling.trie import Trie

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_HALVINGS = 54
_AGAIN = 16
_LITTLE = 1e-4


class Guide:
    """The demands of `cells` on one piece, in its codec's terms.

    Rows of one kind of demand (`choice`, `apart`, `required`) share a line of factors;
    ranges and sums differ from row to row. With `strict` a demand that no code can meet
    raises NoRowError.
    """

    def __init__(self, piece: Piece, cells: Cells, *, strict: bool) -> None:
        assert piece.codec is not None
        self.piece, self.codec, self.cells = piece, piece.codec, cells
        self.given = np.full((len(cells.known), len(piece.tokens)), -1)
        known = np.flatnonzero(cells.known)
        if len(known):
            self.given[known] = self.codec.encode(cells.values.take(pa.array(known)))
        if not piece.tokens:
            return
        self.points = Points.of(self.codec)
        self._sort(strict)
        if strict:
            self._check()

    def _sort(self, strict: bool) -> None:  # noqa: FBT001 - passed on
        """Find the kinds of demands; a kind is a set of the trie, or a line of factors."""
        cells = self.cells
        rules = np.stack(
            [cells.choice.of_row, cells.apart.of_row, cells.required.astype(np.int64)], axis=1
        )
        rules[cells.known] = (-1, -1, 0)
        kinds, number = np.unique(rules, axis=0, return_inverse=True)
        number = number.reshape(-1)
        self.set_of_row = np.full(len(number), -1)
        self.line_of_row = np.full(len(number), -1)
        sets: list[pa.Array] = []
        lines: list[Floats] = []
        for kind, (chosen, apart, required) in enumerate(kinds.tolist()):
            rows = np.flatnonzero(number == kind)
            if chosen < 0 and apart < 0 and not required:
                continue
            allowed = self._allowed(chosen, apart, required)
            if allowed is not None and len(allowed):
                self.set_of_row[rows] = len(sets)
                sets.append(allowed)
                continue
            line = self.points.shares(self._admitted(apart, required))
            if allowed is not None or not line.any():
                if strict:
                    raise NoRowError(cells.name)
                continue
            self.line_of_row[rows] = len(lines)
            lines.append(line)
        self.trie = Trie.of(self.codec, self.points, sets) if sets else None
        self.lines = np.stack(lines) if lines else np.zeros((0, 1))

    def _allowed(self, chosen: int, apart: int, required: bool) -> pa.Array | None:  # noqa: FBT001
        """Return the set of values of one kind, None if it is none but a rule."""
        cells = self.cells
        if chosen < 0:
            if not self.points.whole or self.points.clock or apart < 0:
                return None
            every = self.points.values.unique()
        else:
            every = cells.choice.sets[chosen]
            every = every.filter(pa.array(knows(self.piece, every)))
        rule = Cells.blank(cells.name, every.type, 1)
        rule.required[0] = required
        if apart >= 0:
            rule.shun(np.zeros(1, np.int64), [cells.apart.sets[apart]])
        return every.filter(pa.array(rule.admits(0, every)))

    def _admitted(self, apart: int, required: bool) -> Mask:  # noqa: FBT001
        rule = Cells.blank(self.cells.name, self.points.values.type, 1)
        rule.required[0] = required
        if apart >= 0:
            rule.shun(np.zeros(1, np.int64), [self.cells.apart.sets[apart]])
        return rule.admits(0, self.points.values)

    def _check(self) -> None:
        """Raise NoRowError if a row's range holds no value of the piece."""
        rows = np.flatnonzero(self.cells.bounded & ~self.cells.known)
        if len(rows) and not self._reach(rows).any(axis=1).all():
            raise NoRowError(self.cells.name)

    @staticmethod
    def domain(codec: Codec) -> tuple[float, float]:
        """Return the smallest and largest number that a codec decodes to."""
        points = Points.of(codec)
        least, most = _spans(codec, points)
        if np.isinf(least).all():
            return -np.inf, np.inf
        return float(least.min()), float(most.max())

    # Weights

    def weigh(
        self,
        token: int,
        rows: Ints,
        codes: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Multiply the `weights` [b, K] of the piece's `token` by what is asked of `rows`."""
        mine = codes[:, self.piece.where]
        factor = np.ones(weights.shape)
        self._choose(token, rows, mine, factor)
        if token < 2 or self.points.clock:
            self._fit_range(token, rows, mine, factor)
        if token == 0:
            self._lean(rows, factor)
        found = weights * factor
        dead = ~(found.sum(axis=1) > 0)
        if dead.any():
            # What the network thinks impossible is asked for: all allowed codes are as likely.
            found[dead] = np.where(factor[dead].any(axis=1)[:, None], factor[dead], weights[dead])
        weights[:] = found

    def _choose(self, token: int, rows: Ints, mine: Ints, factor: Floats) -> None:
        sets = self.set_of_row[rows]
        here = np.flatnonzero(sets >= 0)
        if len(here) and self.trie is not None:
            node = self.trie.nodes(sets[here], mine[here], token)
            alive = node >= 0
            factor[here[alive]] *= self.trie.factors[token][node[alive]]
        lines = self.line_of_row[rows]
        here = np.flatnonzero(lines >= 0)
        if len(here) and token == 0:
            factor[here] *= self.lines[lines[here]]

    def _fit_range(self, token: int, rows: Ints, mine: Ints, factor: Floats) -> None:
        here = np.flatnonzero((self.cells.bounded & ~self.cells.known)[rows])
        if not len(here):
            return
        at = rows[here]
        if token == 0:
            factor[here] *= self._reach(at)
        elif token < self.points.lead:
            table = self.points.table()[mine[here, 0]]
            low, high = self._ends(at)
            inside = (table >= low[:, None]) & (table <= high[:, None])
            factor[here] *= np.where(inside.any(axis=1)[:, None], inside, 1)

    def _ends(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return the range of `rows` as the points' numbers."""
        low, high = (self.cells.low[rows], self.cells.high[rows])
        none = limits(self.cells.values.type)
        low = np.where(low <= none[0], -np.inf, low.astype(np.float64))
        high = np.where(high >= none[1], np.inf, high.astype(np.float64))
        if self.points.clock:
            low = np.floor(low / DAY) * DAY
        return low, high

    def _reach(self, rows: Ints) -> Floats:
        """Return the share of each first code [n, K] that lies within the rows' ranges."""
        points = self.points
        known = np.flatnonzero(~np.isnan(points.numbers))
        order = known[np.argsort(points.numbers[known], kind="stable")]
        numbers, first = points.numbers[order], points.codes[order, 0]
        low, high = self._ends(rows)
        size = points.sizes[0]
        below = np.zeros((len(order) + 1, size))
        below[np.arange(1, len(order) + 1), first] = points.mass[order]
        np.cumsum(below, axis=0, out=below)
        start = np.searchsorted(numbers, low, side="left")
        end = np.searchsorted(numbers, high, side="right")
        share = below[np.maximum(end, start)] - below[start]
        if points.whole and not points.clock:
            return share
        # A range between two points of a code still lies within that code.
        least, most = _spans(self.codec, points)
        touched = (least <= high[:, None]) & (most >= low[:, None])
        return np.where(touched, np.maximum(share, _LITTLE), 0.0)

    def _lean(self, rows: Ints, factor: Floats) -> None:
        tilt = self.cells.tilt
        if tilt is None:
            return
        here = np.flatnonzero((tilt.rows & ~self.cells.known)[rows])
        if not len(here):
            return
        at = rows[here]
        middle = self.points.middle()
        part = np.nan_to_num(middle) * 10.0**tilt.scale * tilt.weight
        low, high = (ends[at][:, None] - part for ends in (tilt.low, tilt.high))
        start = np.searchsorted(tilt.sample, low.reshape(-1), side="left")
        end = np.searchsorted(tilt.sample, high.reshape(-1), side="right")
        share = (end - start).reshape(low.shape) / len(tilt.sample)
        factor[here] *= np.where(np.isnan(middle), 0, share + _LITTLE**2)

    # Values

    def decode(self, codes: npt.NDArray[np.uint16], uniforms: Floats, spare: Floats) -> pa.Array:
        """Return the piece's values as asked; `uniforms` [n, draws], `spare` [n, 2]."""
        codes = codes[:, self.piece.where]
        values = combined(self.codec.decode(codes, uniforms))
        if not self.piece.tokens:
            return self.cells.merged(values)
        rows = np.flatnonzero((self.set_of_row >= 0) & ~self.cells.known)
        if len(rows) and self.trie is not None:
            drawn = self.trie.draw(self.set_of_row[rows], codes[rows], spare[rows, 0])
            values = _put(values, rows, self.trie.values.take(pa.array(drawn)))
        values = self._keep_apart(values, codes, spare)
        values = self._keep_within(values, codes, uniforms, spare)
        return self.cells.merged(values)

    def _keep_apart(
        self, values: pa.Array, codes: npt.NDArray[np.uint16], spare: Floats
    ) -> pa.Array:
        """Draw values anew that are among those their rows must not hold."""
        apart = self.cells.apart
        for kind, among in enumerate(apart.sets):
            rows = np.flatnonzero((apart.of_row == kind) & (self.set_of_row < 0))
            rows = rows[~self.cells.known[rows]]
            for turn in range(_AGAIN):
                taken = values.take(pa.array(rows))
                rows = rows[pa.compute.is_in(taken, value_set=among).to_numpy(zero_copy_only=False)]
                if not len(rows) or not self.codec.draws:
                    break
                shift = (spare[rows, 0] + (turn + 1) * 0.6180339887) % 1.0
                again = self.codec.decode(
                    codes[rows], np.repeat(shift[:, None], self.codec.draws, 1)
                )
                values = _put(values, rows, combined(again))
        return values

    def _keep_within(
        self,
        values: pa.Array,
        codes: npt.NDArray[np.uint16],
        uniforms: Floats,
        spare: Floats,
    ) -> pa.Array:
        """Draw values anew that are outside their rows' ranges, from what is inside."""
        cells = self.cells
        rows = np.flatnonzero(cells.bounded & ~cells.known)
        if not len(rows):
            return values
        numbers, missing = numbers_of(values.take(pa.array(rows)))
        low, high = cells.low[rows], cells.high[rows]
        out = missing | (numbers < low) | (numbers > high)
        if not out.any():
            return values
        rows, low, high = rows[out], low[out], high[out]
        numbers = numbers[out]
        if self.codec.draws:
            found = self._inside(codes[rows], uniforms[rows], spare[rows], low, high)
            numbers = np.where(found[1], found[0], numbers)
        if self.points.clock:
            numbers = _same_day(numbers, low, high, spare[rows, 1])
        numbers = np.clip(numbers, low, np.maximum(low, high))
        return _put(values, rows, values_of(numbers, None, values.type))

    def _inside(
        self,
        codes: npt.NDArray[np.uint16],
        uniforms: Floats,
        spare: Floats,
        low: Numbers,
        high: Numbers,
    ) -> tuple[Numbers, Mask]:
        """Return numbers of `codes` within their ranges, and which rows have any.

        Within the bin's two parts, frequent values and the stretch between, the value
        rises with the first uniform: halving finds the uniforms that lead inside.
        """
        share = getattr(getattr(self.codec, "bins", None), "atom_share", np.zeros(0))
        split = np.append(share, 0.0)[np.minimum(codes[:, 0], len(share))]

        def number(place: Floats) -> Numbers:
            moved = uniforms.copy()
            moved[:, 0] = np.minimum(place, np.nextafter(1.0, 0))
            return numbers_of(combined(self.codec.decode(codes, moved)))[0]

        parts = []
        for begin, end in ((np.zeros(len(codes)), split), (split, np.ones(len(codes)))):
            last = np.nextafter(end, 0)
            first_in = _halve(lambda u: number(u) >= low, begin, last)
            last_in = _halve(lambda u: number(u) <= high, last, begin)
            there = (end > begin) & (last_in >= first_in)
            there &= (number(first_in) >= low) & (number(last_in) <= high)
            parts.append((first_in, np.where(there, last_in - first_in, 0.0), there))
        (start, width, there), (other, more, also) = parts
        place = spare[:, 0] * (width + more)
        use = there & ((place <= width) | ~also)
        chosen = np.where(
            use, start + np.minimum(place, width), other + np.maximum(place - width, 0)
        )
        numbers = number(chosen)
        return numbers, (there | also) & (numbers >= low) & (numbers <= high)


def knows(piece: Piece, values: pa.Array) -> Mask:
    """Return which `values` the piece's codec can stand for."""
    codec = piece.codec
    assert codec is not None
    if not piece.tokens:
        known = codec.decode(np.zeros((1, 0), np.uint16), np.zeros((1, 0)))
        return held(values, combined(known))
    missing = values.is_null().to_numpy(zero_copy_only=False)
    points = Points.of(codec)
    able = bool(points.missing().any())
    there = np.ones(len(values), np.bool_)
    if isinstance(codec, CategoryCodec):
        there = held(values, codec.values)
    elif is_ordered(values.type):
        least, most = Guide.domain(codec)
        numbers = numbers_of(values)[0]
        there = (numbers >= least) & (numbers <= most)
    result: Mask = np.where(missing, able, there)
    return result


def _halve(inside: object, out: Floats, end: Floats) -> Floats:
    """Return the point nearest to `out` at which `inside` holds, between it and `end`."""
    assert callable(inside)
    far, near = out.copy(), end.copy()
    at_once = inside(out)
    for _ in range(_HALVINGS):
        middle = (far + near) / 2
        good = inside(middle)
        near = np.where(good, middle, near)
        far = np.where(good, far, middle)
    return np.where(at_once, out, near)


def _spans(codec: Codec, points: Points) -> tuple[Floats, Floats]:
    """Return the lowest and highest number of each first code, inf and -inf if none."""
    size = points.sizes[0]
    codes = np.zeros((size, len(codec.sizes)), np.uint16)
    codes[:, 0] = np.arange(size)
    known = ~np.isnan(points.numbers)
    least, most = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(least, points.codes[known, 0], points.numbers[known])
    np.maximum.at(most, points.codes[known, 0], points.numbers[known])
    for place in (0.0, np.nextafter(1.0, 0)):
        values, missing = numbers_of(
            combined(codec.decode(codes, np.full((size, codec.draws), place)))
        )
        least = np.where(missing, least, np.minimum(least, values))
        most = np.where(missing, most, np.maximum(most, values))
    if points.clock:
        least, most = np.floor(least / DAY) * DAY, np.floor(most / DAY) * DAY + DAY
    return least, most


def _same_day(numbers: Numbers, low: Numbers, high: Numbers, uniforms: Floats) -> Numbers:
    """Return instants outside their range moved to a time of the nearest day inside it."""
    bounded = np.clip(numbers, low, high)
    day = bounded // DAY * DAY
    first, last = np.maximum(day, low), np.minimum(day + DAY - 1, high)
    again = first + ((last - first) * uniforms).astype(np.int64)
    return np.where(bounded == numbers, numbers, again)


def _put(values: pa.Array, rows: Ints, new: pa.Array) -> pa.Array:
    """Return `values` with `new` ones at `rows`."""
    place = np.arange(len(values))
    place[rows] = len(values) + np.arange(len(rows))
    return pa.concat_arrays([values, new.cast(values.type)]).take(pa.array(place))
