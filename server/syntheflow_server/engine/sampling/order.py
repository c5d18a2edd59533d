"""Keeps the order column of siblings while their rows are being drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.cvae.batch import Told
from syntheflow_server.engine.encoding.days import MONTH
from syntheflow_server.engine.graph.structure import Sequence
from syntheflow_server.engine.layout import Piece
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.runtime import decode_numbers

Ints = npt.NDArray[np.int64]
END_SLACK = 6 * MONTH

_UNKNOWN = 1 << 62


@dataclass(slots=True, eq=False)
class OrderKeeper:
    """Turns step tokens into values, and values into calendar tokens, in mid-row.

    It is the sampler's `restrict` hook: steps that would overshoot the last value are
    ruled out, and calendar tokens are set to what the value says. `given` tells these at
    once, where the sampler asks nobody else: then only `tokens` need the hook. `rows` are the frame
    rows of the call under way; `values` [n] fill up as rows are made. `last` [n] is the
    owner's last value (`_UNKNOWN` if the series is long and has no fixed end).
    """

    step: Piece
    calendar: Piece
    sequence: Sequence
    lowest: Ints
    first: Ints
    last: Ints
    owner: Ints
    position: Ints
    count: Ints
    rng: np.random.Generator
    beat: Beat
    values: Ints
    rows: Ints
    drawn: npt.NDArray[np.uint16] | None = None

    @classmethod
    def of(
        cls,
        pieces: tuple[Piece, Piece],
        sequence: Sequence,
        lowest: Ints,
        ends: tuple[Ints, Ints | None],
        kin: tuple[Ints, Ints, Ints],
        rng: np.random.Generator,
        beat: Beat,
    ) -> OrderKeeper:
        """Return a keeper for rows with `kin` = (owner, position, count), all [n].

        `ends` are each owner's first value and its span in units (None if unknown).
        """
        owner, position, count = kin
        first = sequence.opened(ends[0][owner])
        if ends[1] is None:
            last = np.full(len(owner), _UNKNOWN)
            # Where the siblings do not fit in before the end, the first comes earlier.
            needed = sequence.room(count - 1)
            first = np.minimum(first, np.maximum(sequence.high, first) - needed)
        else:
            needed = sequence.room(count - 1)
            last = sequence.last(first, ends[1][owner])
            # Where the siblings do not fit in between, the last comes later ...
            end = np.maximum(sequence.high, first)
            last = np.minimum(np.maximum(last, first + needed), np.maximum(end, last))
            if sequence.cycle:  # the end is known to the month or year only
                last = sequence.base(last) + sequence.cycle - 1
            # ... and where that is too late, the first earlier.
            early = np.maximum(first - (last - needed), 0)
            whole = sequence.cycle or 1  # by whole years or months, to keep its day
            first = first - -(-early // whole) * whole
        return cls(
            pieces[0],
            pieces[1],
            sequence,
            lowest,
            first,
            last,
            owner,
            position,
            count,
            rng,
            beat,
            np.zeros(len(owner), np.int64),
            np.arange(len(owner)),
        )

    def room(self, rows: Ints, before: Ints) -> Ints:
        """Return the largest step in units that leaves place for the siblings to come."""
        after = self.count[rows] - 1 - self.position[rows]
        kept = self.sequence.room(after) // self.sequence.unit
        room = (self.last[rows] - self.sequence.base(before)) // self.sequence.unit
        if cycle := self.sequence.cycle:
            # A rare number of months is known roughly: the last sibling may go further.
            slack = np.where(after == 0, END_SLACK if cycle == MONTH else 0, 0)
            room += slack - kept
            rough: Ints = np.maximum(room // cycle, 0) * cycle + cycle - 1
            return rough
        free: Ints = np.maximum(room - kept, 0)
        return free

    def previous(self, rows: Ints) -> Ints:
        """Return the value of the sibling before (the first value for the first)."""
        before = self.values[np.maximum(rows - 1, 0)]
        return np.where(self.position[rows] > 0, before, self.first[rows])

    def __call__(
        self,
        token: int,
        part: slice,
        codes: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Change the weights of one token of the rows `part` of the call."""
        self.beat()
        rows = self.rows[part]
        if self.step.tokens and token == self.step.start:
            self._mask_steps(rows, weights)
        elif token == self.calendar.start:
            self._settle(rows, codes[:, self.step.where])
        if self.calendar.start <= token < self.calendar.end:
            assert self.drawn is not None
            weights[:] = 0
            weights[np.arange(len(rows)), self.drawn[:, token - self.calendar.start]] = 1

    @property
    def tokens(self) -> tuple[int, ...]:
        """The tokens whose weights change, besides those that are `given`."""
        return (self.step.start,) if self.step.tokens else ()

    @property
    def given(self) -> dict[int, Told]:
        """What tells the calendar tokens."""
        return {
            token: partial(self._calendar, token - self.calendar.start)
            for token in range(self.calendar.start, self.calendar.end)
        }

    def _calendar(self, place: int, part: slice, codes: Ints) -> Ints:
        """Return calendar token `place` of the rows `part` of the call; the first settles them."""
        if place == 0:
            self._settle(self.rows[part], codes[:, self.step.where])
        assert self.drawn is not None
        return self.drawn[:, place].astype(np.int64)

    def _mask_steps(self, rows: Ints, weights: npt.NDArray[np.float32]) -> None:
        """Rule out steps beyond the end; the first sibling has none at all."""
        begins = self.position[rows] == 0
        missing = len(self.lowest) - 1
        if begins.any():
            weights[begins] = 0
            weights[begins, missing] = 1
        follows = np.flatnonzero(~begins)
        if not len(follows):
            return
        weights[follows, missing] = 0
        if self.last[rows[0]] != _UNKNOWN:
            before = self.previous(rows[follows])
            room = self.room(rows[follows], before)
            allowed = self.lowest[None, :] <= room[:, None]
            if self.sequence.cycle:  # not back to earlier days of the month or year
                below = before - self.sequence.base(before)
                above = np.append(self.lowest[1:-1], [_UNKNOWN, 0])
                allowed &= above[None, :] > below[:, None]
            allowed[:, missing] = False
            smallest = int(np.argmin(self.lowest[:-1])) if missing else 0
            allowed[:, smallest] = True
            weights[follows] *= allowed
            empty = follows[weights[follows].sum(axis=1) <= 0]
            weights[empty, smallest] = 1

    def _settle(self, rows: Ints, steps: npt.NDArray[np.int64]) -> None:
        """Compute the values of `rows` from their steps, and their calendar."""
        codec = self.step.codec
        assert codec is not None
        assert self.calendar.calendar is not None
        units, _ = decode_numbers(codec, steps.astype(np.uint16), self.rng)
        units = np.maximum(units, 1 if self.sequence.strict else 0)
        if self.sequence.long:
            self._accumulate(rows, units)
        else:
            self.values[rows] = self._placed(rows, units)
        told = self.sequence.told(self.values[rows])
        self.drawn = self.calendar.calendar.codes(told)

    def _placed(self, rows: Ints, units: Ints) -> Ints:
        """Return the values that steps lead to, between the sibling before and the end."""
        sequence = self.sequence
        before, last = self.previous(rows), self.last[rows]
        base = sequence.base(before)
        least = (before - base) // sequence.unit + (1 if sequence.strict else 0)
        room = np.maximum(self.room(rows, before), least)
        if cycle := sequence.cycle:
            # Too late: the same day of the last month or year; too early: of the next.
            units = np.where(units > room, room - cycle + 1 + units % cycle, units)
            units = np.where(units < least, units % cycle + cycle, units)
            values = sequence.counted(sequence.told(base + units))
        else:
            final = self.position[rows] == self.count[rows] - 1
            values = base + np.clip(units, least, room) * sequence.unit
            values = np.where(final, np.maximum(last, before), values)
            values = np.maximum(sequence.opened(values), before + least * sequence.unit)
        placed: Ints = np.where(self.position[rows] == 0, self.first[rows], values)
        return placed

    def _accumulate(self, rows: Ints, units: Ints) -> None:
        """Sum the steps of neighbouring rows of one owner, going on from the row before.

        Where they would lead beyond the real values, all steps are shortened alike.
        """
        least = 1 if self.sequence.strict else 0
        starts = self.position[rows] == 0
        begins = np.flatnonzero(starts | (np.arange(len(rows)) == 0))
        lengths = np.diff(np.append(begins, len(rows)))
        base = self.previous(rows[begins])
        needed = np.where(starts, 0, least)
        spare = np.where(starts, 0, units) - needed
        left = self.count[rows[begins]] - self.position[rows[begins]]
        room = (self.sequence.high - base) // self.sequence.unit
        room = np.maximum(room - least * (left - starts[begins]), 0) * lengths / left
        total = np.add.reduceat(spare, begins) if len(begins) else spare
        shorter = np.minimum(1.0, room / np.maximum(total, 1))
        steps = _within_parts(needed, begins, lengths)
        steps += (_within_parts(spare, begins, lengths) * np.repeat(shorter, lengths)).astype(int)
        self.values[rows] = np.repeat(base, lengths) + steps * self.sequence.unit


def _within_parts(numbers: Ints, begins: Ints, lengths: Ints) -> Ints:
    """Return the sums of `numbers` [n] up to each, from the begin of its part on."""
    total = np.cumsum(numbers)
    return total - np.repeat(total[begins] - numbers[begins], lengths)
