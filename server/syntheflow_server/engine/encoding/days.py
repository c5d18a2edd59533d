"""Arithmetic of days: places of months and years that return, and weekdays that are closed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
_SLOTS = 32
MONTH = _SLOTS
YEAR = 12 * _SLOTS
_MANY_DAYS = 200
_HARDLY_ANY = 0.002
_NEAREST = (-1, 1, -2, 2, -3, 3)


def to_slots(numbers: Numbers, day: int) -> Numbers:
    """Return the place of each day where every month has 32 places.

    `day` is one day in the unit of `numbers` (days or microseconds since 1970). What
    happens each first of April is then always the same number of places apart.
    """
    days = (numbers // day).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    within = (days - months.astype("datetime64[D]")).astype(np.int64)
    slots: Numbers = months.astype(np.int64) * _SLOTS + within
    return slots


def from_slots(slots: Numbers, day: int) -> Numbers:
    """Return the days behind places, in the unit of `day`; beyond a month's end, its last day."""
    months = slots // _SLOTS
    begin = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days: Numbers = np.minimum(begin + slots % _SLOTS, after - 1) * day
    return days


def closed_weekdays(days: Numbers) -> tuple[int, ...]:
    """Return the weekdays (0 is Monday) on which of many `days` since 1970 hardly any falls."""
    if len(days) < _MANY_DAYS:
        return ()
    counts = np.bincount((days + 3) % 7, minlength=7)
    return tuple(np.flatnonzero(counts < _HARDLY_ANY * len(days)).tolist())


def to_open(days: Numbers, closed: tuple[int, ...]) -> Numbers:
    """Return `days`, those on closed weekdays moved to the nearest open one."""
    if not closed:
        return days
    moves = np.zeros(7, np.int64)
    for weekday in closed:
        moves[weekday] = next(m for m in _NEAREST if (weekday + m) % 7 not in closed)
    moved: Numbers = days + moves[(days + 3) % 7]
    return moved
