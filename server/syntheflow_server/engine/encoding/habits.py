"""On which days things happen: the season and the weekday inside a stretch of days.

A bin of dates may be months wide. Days drawn evenly in it would fall on winter days where
nothing happens in winter, and on Sundays as often as on Fridays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from syntheflow_server.engine.encoding.base import Floats, Ints
from syntheflow_server.engine.encoding.holders import Held

_SEASONS = 36
_WEEK = 7
_LONGEST = 150_000
_FEWEST_ROWS = 100
_PRIOR = 1.0
_CLEARLY = 3.0


@dataclass(frozen=True, eq=False)
class Habits:
    """Weights of the tenths of months [36] and of the weekdays [7], for days `first` to `last`.

    Days are counted from 1970-01-01, a Thursday.
    """

    season: Floats
    week: Floats
    first: int
    last: int

    @classmethod
    def fit(cls, days: Ints, needed: int, entity: Ints | None) -> Self | None:
        """Return the habits of `days` [n]; None where there are none to be seen.

        What fewer than `needed` holders (rows, or entities [n]) did is no habit.
        """
        first, last = int(days.min()), int(days.max())
        if len(days) < _FEWEST_ROWS or last - first >= _LONGEST or last == first:
            return None
        every = np.arange(first, last + 1)
        year = _years(every)
        rows = np.bincount(year[days - first], minlength=int(year.max()) + 1)
        expected = (rows / np.bincount(year))[year]
        season = _weights(_seasons(days), _seasons(every), expected, _SEASONS, needed, entity)
        own = expected * season[_seasons(every)]
        week = _weights(_weekdays(days), _weekdays(every), own, _WEEK, needed, entity)
        if np.ptp(season) == 0 and np.ptp(week) == 0:
            return None
        return cls(season, week, first, last)

    @cached_property
    def _below(self) -> Floats:
        """Weight of all days before each day from `first` to `last`, and of all of them."""
        every = np.arange(self.first, self.last + 1)
        weights = self.season[_seasons(every)] * self.week[_weekdays(every)]
        return np.append(0.0, np.cumsum(weights))

    def between(self, low: Ints, high: Ints, part: Floats) -> Ints:
        """Return the days [n] at the shares `part` of what happens from `low` to `high`."""
        below = self._below
        size = len(below) - 1
        start = np.clip(low - self.first, 0, size - 1)
        end = np.clip(high - self.first, start, size - 1)
        wanted = below[start] + part * (below[end + 1] - below[start])
        place = np.searchsorted(below, wanted, side="right") - 1
        days: Ints = np.clip(place, start, end) + self.first
        return np.clip(days, low, high)

    def to_json(self) -> dict[str, Any]:
        """Return the habits as a JSON object."""
        return {
            "season": self.season.tolist(),
            "week": self.week.tolist(),
            "first": self.first,
            "last": self.last,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the habits that `to_json` wrote."""
        season, week = np.array(facts["season"]), np.array(facts["week"])
        return cls(season, week, facts["first"], facts["last"])


def _weights(
    kinds: Ints, days: Ints, expected: Floats, size: int, needed: int, entity: Ints | None
) -> Floats:
    """Return how much more than expected happens on each kind of day; ones if it is chance.

    `kinds` [n] are those of the rows, `days` those of all days, of which each is
    `expected` to have so many rows.
    """
    counts = np.bincount(kinds, minlength=size).astype(np.float64)
    chance = np.bincount(days, expected, minlength=size)
    there = chance > 0
    unlike = ((counts - chance)[there] ** 2 / chance[there]).sum()
    if unlike < _CLEARLY * max(1, there.sum() - 1):
        return np.ones(size)
    weights = (counts + _PRIOR) / (chance + _PRIOR)
    # Nothing at all, as in a closed season, is no one's either.
    few = (counts > 0) & (Held.of(kinds, size, entity).counts < needed)
    return np.where(few, _PRIOR / (chance + _PRIOR), weights)


def _years(days: Ints) -> Ints:
    years: Ints = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    numbers: Ints = years - years[0]
    return numbers


def _seasons(days: Ints) -> Ints:
    """Return the tenth of a month of each day: three a month."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    inside = (dates - months.astype("datetime64[D]")).astype(np.int64)
    tenths: Ints = (months.astype(np.int64) % 12) * 3 + np.minimum(inside // 10, 2)
    return tenths


def _weekdays(days: Ints) -> Ints:
    week: Ints = (days + 3) % _WEEK
    return week
