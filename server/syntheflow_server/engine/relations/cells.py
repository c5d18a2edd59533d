"""What must hold for the cells of one column before its values are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.relations.base import same

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]


class NoRowError(Exception):
    """No row can hold what is asked of the column `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(slots=True, eq=False)
class Choice:
    """Sets of values and the set of each row (-1: none)."""

    of_row: Ints
    sets: list[pa.Array]

    @classmethod
    def none(cls, rows: int) -> Self:
        """Return the choice that says nothing."""
        return cls(np.full(rows, -1), [])

    def joined(self, of_row: Ints, sets: Sequence[pa.Array], *, common: bool) -> Choice:
        """Return both choices in one: what two sets have in common, or hold together."""
        pairs, place = np.unique(
            np.stack([self.of_row, of_row], axis=1), axis=0, return_inverse=True
        )
        made: list[pa.Array] = []
        number = np.full(len(pairs), -1)
        for i, (mine, theirs) in enumerate(pairs.tolist()):
            if mine < 0 and theirs < 0:
                continue
            number[i] = len(made)
            if mine < 0 or theirs < 0:
                made.append(self.sets[mine] if theirs < 0 else sets[theirs])
            elif common:
                made.append(self.sets[mine].filter(held(self.sets[mine], sets[theirs])))
            else:
                made.append(pa.concat_arrays([self.sets[mine], sets[theirs]]).unique())
        return Choice(number[place.reshape(-1)], made)


@dataclass(slots=True, eq=False)
class Cells:
    """One column of n rows: `values` where `known`, and rules for the other cells.

    A cell that is not known must be one of its row's `choice`, none of `apart`, lie within
    `low` .. `high` (numbers as of `numbers_of`; then it is not missing), and be there at
    all where `required`. `tilt` asks for a likely rest of a sum. Rows of which a range is
    not in `leads` have it from another cell, and follow that one.
    """

    name: str
    values: pa.Array
    known: Mask
    required: Mask
    low: Numbers
    high: Numbers
    choice: Choice
    apart: Choice
    leads: Mask
    tilt: Tilt | None = field(default=None)

    @classmethod
    def blank(cls, name: str, kind: pa.DataType, rows: int) -> Self:
        """Return cells of which nothing is asked."""
        low, high = limits(kind)
        return cls(
            name=name,
            values=pa.nulls(rows, kind),
            known=np.zeros(rows, np.bool_),
            required=np.zeros(rows, np.bool_),
            low=np.full(rows, low),
            high=np.full(rows, high),
            choice=Choice.none(rows),
            apart=Choice.none(rows),
            leads=np.zeros(rows, np.bool_),
        )

    @property
    def bounded(self) -> Mask:
        """Rows with a range, known or not."""
        low, high = limits(self.values.type)
        result: Mask = (self.low > low) | (self.high < high)
        return result

    @property
    def ruled(self) -> Mask:
        """Rows that are not known and whose values are not free."""
        ruled = (self.choice.of_row >= 0) | (self.apart.of_row >= 0) | self.bounded
        if self.tilt is not None:
            ruled = ruled | self.tilt.rows
        return ruled & ~self.known

    @property
    def first(self) -> Mask:
        """Rows whose cells come before all of which nothing is asked."""
        named = (self.choice.of_row >= 0) | (self.apart.of_row >= 0) | self.leads
        return self.known | (self.ruled & named)

    @property
    def asked(self) -> Mask:
        """Rows of which anything is asked: known, ruled, or not to be missing."""
        return self.known | self.ruled | self.required

    def know(self, rows: Mask, values: pa.Array) -> bool:
        """Set cells of `rows` that are not known yet to `values` [n]; return if any was new."""
        rows = rows & ~self.known
        if not rows.any():
            return False
        values = combined(values).cast(self.values.type)
        self.values = combined(pc.if_else(pa.array(rows), values, self.values))
        self.known = self.known | rows
        return True

    def bound(
        self,
        rows: Mask,
        low: Numbers | None = None,
        high: Numbers | None = None,
        *,
        after: bool = False,
    ) -> None:
        """Narrow the range of `rows` to `low` .. `high` [n].

        With `after` the range follows from a cell that is known: this one comes after it.
        """
        if not after:
            self.leads = self.leads | rows
        if low is not None:
            self.low = np.where(rows, np.maximum(self.low, low), self.low)
        if high is not None:
            self.high = np.where(rows, np.minimum(self.high, high), self.high)

    def choose(self, of_row: Ints, sets: Sequence[pa.Array], *, strict: bool) -> None:
        """Narrow cells to sets; an empty one raises NoRowError if `strict`, else asks nothing."""
        of_row = np.where(self.known, -1, of_row)
        joined = self.choice.joined(of_row, sets, common=True)
        empty = np.array([not len(values) for values in joined.sets], np.bool_)
        lost = (joined.of_row >= 0) & np.append(empty, False)[joined.of_row]
        if lost.any():
            if strict:
                raise NoRowError(self.name)
            joined = self.choice.joined(np.where(lost, -1, of_row), sets, common=True)
        self.choice = joined

    def shun(self, of_row: Ints, sets: Sequence[pa.Array]) -> None:
        """Forbid cells the values of sets."""
        self.apart = self.apart.joined(np.where(self.known, -1, of_row), sets, common=False)

    def merged(self, values: pa.Array) -> pa.Array:
        """Return `values` [n] with the known cells in their places."""
        if self.known.all():
            return self.values
        if not self.known.any():
            return values
        return combined(pc.if_else(pa.array(self.known), self.values, values))

    def enforced(self, values: pa.Array) -> pa.Array:
        """Return `values` [n] moved to what the cells allow, where they are not so yet."""
        if self.bounded.any():
            numbers, missing = numbers_of(values)
            rows = self.bounded & ~missing & ~self.known
            rows &= (numbers < self.low) | (numbers > self.high)
            if rows.any():
                bounded = np.clip(numbers, self.low, np.maximum(self.low, self.high))
                moved = values_of(np.where(rows, bounded, numbers), missing, values.type)
                values = combined(pc.if_else(pa.array(rows), moved, values))
        for number, among in enumerate(self.choice.sets):
            rows = (self.choice.of_row == number) & ~self.known
            rows[rows] = ~held(values.filter(pa.array(rows)), among)
            if rows.any():
                fallback = among.take(pa.array(np.zeros(len(values), np.int64)))
                values = combined(pc.if_else(pa.array(rows), fallback, values))
        return self.merged(values)

    def signatures(self) -> tuple[Ints, Ints]:
        """Return the kind of demand of each row (-1: none) and one row of each kind."""
        coded = self.values.dictionary_encode(null_encoding="encode").indices
        values = np.where(self.known, coded.to_numpy(zero_copy_only=False).astype(np.int64), -1)
        ends = (np.unique(end, return_inverse=True)[1].reshape(-1) for end in (self.low, self.high))
        rules = [values, self.choice.of_row, self.apart.of_row, self.required, *ends]
        asked = np.flatnonzero(self.asked)
        table = np.stack([rule[asked].astype(np.int64) for rule in rules], axis=1)
        _, sample, number = np.unique(table, axis=0, return_index=True, return_inverse=True)
        of_row = np.full(len(self.known), -1)
        of_row[asked] = number.reshape(-1)
        return of_row, asked[sample]

    def admits(self, row: int, values: pa.Array) -> Mask:
        """Return which `values` the cell of `row` may hold."""
        if self.known[row]:
            taken = self.values.take(pa.array(np.full(len(values), row)))
            return same(taken, values)
        there = values.is_valid().to_numpy(zero_copy_only=False)
        allowed: Mask = there if self.required[row] else np.ones(len(values), np.bool_)
        if self.choice.of_row[row] >= 0:
            allowed = allowed & held(values, self.choice.sets[self.choice.of_row[row]])
        if self.apart.of_row[row] >= 0:
            allowed = allowed & ~held(values, self.apart.sets[self.apart.of_row[row]])
        low, high = limits(self.values.type)
        if self.low[row] > low or self.high[row] < high:
            numbers, missing = numbers_of(values)
            allowed = allowed & ~missing & (numbers >= self.low[row]) & (numbers <= self.high[row])
        return allowed


@dataclass(frozen=True, slots=True, eq=False)
class Tilt:
    """How likely the rest of a sum becomes by a part's value: for `rows` of a frame.

    The rest, of which `sample` (sorted) shows the distribution, must lie within
    `low` .. `high` [n] minus `weight` times the part's number in `scale` digits.
    """

    rows: Mask
    sample: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    weight: float
    scale: int


def held(values: pa.Array, among: pa.Array) -> Mask:
    """Return which of `values` (null is one too) are `among` others."""
    found: Mask = pc.is_in(values, value_set=among.cast(values.type)).to_numpy(zero_copy_only=False)
    return found


def is_ordered(kind: pa.DataType) -> bool:
    """Return whether values of the type can lie in a range."""
    return not (pa.types.is_string(kind) or pa.types.is_boolean(kind))


def limits(kind: pa.DataType) -> tuple[Any, Any]:
    """Return the lowest and highest number of the type as `numbers_of` gives it."""
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or not is_ordered(kind):
        return -np.inf, np.inf
    known = np.iinfo(np.int64)
    return np.int64(known.min), np.int64(known.max)


def numbers_of(values: pa.Array) -> tuple[Numbers, Mask]:
    """Return the values as numbers of their type's own unit, decimals as floats, and the gaps."""
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    return to_numbers(values, "")


def values_of(numbers: Numbers, missing: Mask | None, kind: pa.DataType) -> pa.Array:
    """Return values of `kind`: the inverse of `numbers_of`."""
    if pa.types.is_decimal(kind):
        return pa.array(numbers, pa.float64(), mask=missing).cast(kind)
    return from_numbers(numbers, missing, kind, 0)
