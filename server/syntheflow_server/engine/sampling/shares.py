"""Give whole numbers to many rows so that they come to an exact total."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

MULTIPLIERS = (1, 2, 4, 8, 16, 64, 1024, 0)
"""Tried in this order until the rows can hold the total; 0 means 'as many as each can'."""

UNLIMITED = 1 << 40
_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Share:
    """How the counts that a model proposes become `target` in total.

    Row i with proposed count w_i gets min(w_i * `multiplier`, cap) parts (cap parts if
    the multiplier is 0); the parts of all rows, `total` in number, are laid in a line and
    every (total / target)-th is taken: the counts keep their proportions and the sum is
    exact, and each unit needs only how many parts lie before it.
    """

    multiplier: int
    total: int
    target: int
    cap: int

    def parts(self, proposed: Ints, room: Ints | int | None = None) -> Ints:
        """Return each row's parts; `room` [n] is the cap of each, if they differ."""
        return parts_of(proposed, self.multiplier, self.cap if room is None else room)

    def counts(self, proposed: Ints, before: int, room: Ints | int | None = None) -> Ints:
        """Return the rows' final counts; `before` parts belong to earlier units."""
        ends = before + np.cumsum(self.parts(proposed, room))
        if not len(ends):
            return ends
        taken = taken_below(ends, self.total, self.target)
        first = taken_below(np.array([before]), self.total, self.target)
        return np.diff(np.concatenate([first, taken]))


def taken_below(places: Ints, total: int, target: int) -> Ints:
    """Return how many of `target` evenly spread picks out of `total` lie below each place."""
    if total == target:
        return places
    if total < (1 << 62) // max(target, 1):
        return places * target // max(total, 1)
    exact = [int(place) * target // total for place in places]
    return np.array(exact, np.int64)


def parts_of(proposed: Ints, multiplier: int, cap: Ints | int) -> Ints:
    """Return min(proposed * multiplier, cap), or cap for all if the multiplier is 0."""
    if multiplier == 0:
        caps = np.broadcast_to(np.asarray(cap, np.int64), len(proposed))
        return np.where(caps < UNLIMITED, caps, 1)
    return np.minimum(proposed * multiplier, cap)


def share_of(sums: Ints, expected: int, cap: int, *, exact: bool) -> Share:
    """Return the share for the sums of parts by multiplier ([len(MULTIPLIERS)]).

    Unless `exact`, a proposed total within 5 % of what is expected stays as it is.
    """
    proposed = int(sums[0])
    if not exact and proposed and abs(proposed - expected) <= _TOLERANCE * expected:
        return Share(1, proposed, proposed, cap)
    if cap >= UNLIMITED:
        which = 0 if proposed else len(MULTIPLIERS) - 1
    else:
        enough = np.flatnonzero(sums >= expected)
        which = int(enough[0]) if len(enough) else len(MULTIPLIERS) - 1
    total = int(sums[which])
    if cap < UNLIMITED:
        expected = min(expected, total)
    return Share(MULTIPLIERS[which], total, expected, cap)


def parts_by_multiplier(proposed: Ints, cap: Ints | int) -> Ints:
    """Return the sum of parts for each of MULTIPLIERS."""
    return np.array([parts_of(proposed, m, cap).sum() for m in MULTIPLIERS], np.int64)


def shared_out(
    proposed: Ints, expected: int, cap: int, floor: int = 0, room: Ints | int | None = None
) -> Ints:
    """Return counts [n] of `expected` in total (fewer if the cap forbids it), close to `proposed`.

    No count falls below `floor` as long as the total allows it; `room` [n] is the cap of
    each, if they differ.
    """
    limits = np.broadcast_to(np.asarray(cap if room is None else room, np.int64), len(proposed))
    if floor * len(proposed) > expected or limits.min(initial=floor) < floor:
        floor = 0
    target = expected - floor * len(proposed)
    for multiplier in MULTIPLIERS:
        most = limits if multiplier == 0 else np.minimum(proposed * multiplier, limits)
        open_ended = multiplier == 0 and cap >= UNLIMITED
        parts = np.ones(len(proposed), np.int64) if open_ended else np.maximum(most - floor, 0)
        total = int(parts.sum())
        if total >= target or (cap >= UNLIMITED and total):
            break
    target = target if cap >= UNLIMITED and total else min(target, total)
    ends = taken_below(np.cumsum(parts), total, target)
    return floor + np.diff(ends, prepend=0)
