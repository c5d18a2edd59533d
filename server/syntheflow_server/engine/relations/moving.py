"""Move moments to the nearest ones whose calendar parts are what is asked of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.relations.base import Ref, Relation
from syntheflow_server.engine.relations.cells import Cells, limits
from syntheflow_server.engine.relations.moments import Part, local_times
from syntheflow_server.engine.relations.sheet import Sheet

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_DAY, _SECOND = 86_400_000_000, 1_000_000
_SECONDS = 86_400
_MOST_DAYS = 400_000
_CLOCK = frozenset({"hour", "minute", "second", "%H", "%H:%M"})


def moved(moments: pa.Array, parts: Sequence[Part], cells: Cells, sheet: Sheet) -> pa.Array:
    """Return `moments` [n] moved so that all asked of `parts` and of `cells` holds.

    Days and times of day are the nearest ones that fit; where none does (a 30th of
    February), the moment stays, or raises NoRowError if the sheet is strict.
    """
    zone = next((part.zone for part in parts), "")
    kind = moments.type
    naive = local_times(moments, zone)
    local, missing = to_numbers(naive, "")
    days, clock = np.divmod(local, _DAY)
    movable = ~missing & ~cells.known
    dated = [part for part in parts if part.part not in _CLOCK]
    timed = [part for part in parts if part.part in _CLOCK]
    changed = np.zeros(len(days), np.bool_)
    if dated:
        low, high = _day_range(cells, sheet, kind, days[movable])
        every = np.arange(low.min(initial=0), high.max(initial=0) + 1)[:_MOST_DAYS]
        for rows, fits in _kinds(dated, every * _DAY, movable, sheet):
            found = _nearest(every[fits], days[rows], low[rows], high[rows])
            changed[rows] |= found != days[rows]
            days[rows] = found
    if timed:
        every = np.arange(_SECONDS)
        for rows, fits in _kinds(timed, every * _SECOND, movable, sheet):
            seconds, fine = np.divmod(clock[rows], _SECOND)
            found = _nearest_time(fits, seconds)
            changed[rows] |= found != seconds
            clock[rows] = found * _SECOND + fine
    if not changed.any():
        return moments
    again = _stored(days * _DAY + clock, missing, kind, zone)
    return combined(pc.if_else(pa.array(changed), again, moments))


def met(values: pa.Array, name: str, sheet: Sheet, relations: Sequence[Relation]) -> pa.Array:
    """Return a column's values [n] such that they meet the sheet's demands.

    Most do already. Moments move to where their parts are what is asked; what could not be
    met by way of the columns that decide this one, is met here.
    """
    parts = [
        relation
        for relation in relations
        if isinstance(relation, Part)
        and relation.needs == (Ref(name),)
        and sheet.asked(relation.makes[0])
    ]
    if name not in sheet.cells and not parts:
        return values
    cells = sheet[name]
    if parts:
        values = moved(values, parts, cells, sheet)
    return cells.enforced(values)


def _day_range(cells: Cells, sheet: Sheet, kind: pa.DataType, days: Ints) -> tuple[Ints, Ints]:
    """Return the first and last day [n] on which each moment may fall."""
    unit = 1 if pa.types.is_date(kind) else _DAY
    known = sheet.domain(cells.name)
    least = known[0] // unit if np.isfinite(known[0]) else days.min(initial=0)
    most = known[1] // unit if np.isfinite(known[1]) else days.max(initial=0)
    none = limits(kind)
    asked_low, asked_high = cells.low > none[0], cells.high < none[1]
    low = np.where(asked_low, -(-cells.low // unit), int(least))
    high = np.where(asked_high, (cells.high + 1) // unit - 1, int(most))
    # A range within one day, or between two, has no whole day inside: its ends are all there is.
    none_inside = low > high
    low = np.where(none_inside & asked_low, cells.low // unit, low)
    high = np.where(none_inside & asked_high, cells.high // unit, high)
    return low.astype(np.int64), high.astype(np.int64)


def _kinds(
    parts: Sequence[Part], instants: Ints, movable: Mask, sheet: Sheet
) -> list[tuple[Ints, Mask]]:
    """Return rows of one demand on all parts with which of the `instants` meet it."""
    moments = pa.array(instants, pa.timestamp("us"))
    columns, tables = [], []
    for part in parts:
        cells = sheet[part.makes[0]]
        plain = replace(part, zone="", needs=part.needs)
        values = combined(plain.derive(part.makes[0], {part.needs[0]: moments}))
        kind, samples = cells.signatures()
        tables.append(np.array([cells.admits(row, values) for row in samples.tolist()]))
        columns.append(kind)
    table = np.stack(columns, axis=1)
    lines, number = np.unique(table, axis=0, return_inverse=True)
    found = []
    for i, line in enumerate(lines.tolist()):
        fits = np.ones(len(instants), np.bool_)
        for which, mask in zip(line, tables, strict=True):
            if which >= 0:
                fits &= mask[which]
        rows = np.flatnonzero((number.reshape(-1) == i) & movable)
        if not len(rows) or max(line) < 0:
            continue
        if not fits.any():
            sheet.fail(parts[0].makes[0])
            continue
        found.append((rows, fits))
    return found


def _nearest(among: Ints, days: Ints, low: Ints, high: Ints) -> Ints:
    """Return for each day the nearest of the sorted days `among` that lies in its range."""
    start, end = np.searchsorted(among, low), np.searchsorted(among, high, side="right")
    right = np.searchsorted(among, days)
    left = right - 1
    can_right, can_left = (right >= start) & (right < end), (left >= start) & (left < end)
    last = len(among) - 1
    to_right = np.where(can_right, among[np.clip(right, 0, last)] - days, 2**40)
    to_left = np.where(can_left, days - among[np.clip(left, 0, last)], 2**40)
    edge = np.where(days < low, start, end - 1)
    place = np.where(to_right <= to_left, right, left)
    place = np.where(can_right | can_left, place, edge)
    return np.where(end > start, among[np.clip(place, 0, last)], days)


def _nearest_time(fits: Mask, seconds: Ints) -> Ints:
    """Return times that fit: the hour moved first, then the minute, then the second."""
    found = seconds.copy()
    left = np.flatnonzero(~fits[found])
    for step, reach in ((3600, 23), (60, 59)):
        for shift in sorted(range(-reach, reach + 1), key=abs):
            if not len(left):
                return found
            tried = found[left] + shift * step
            # A minute stays within its hour.
            same = (tried // (step * 60) == found[left] // (step * 60)) | (step > 60)
            good = same & (tried >= 0) & (tried < _SECONDS) & fits[tried % _SECONDS]
            found[left[good]] = tried[good]
            left = left[~good]
    among = np.flatnonzero(fits)
    place = np.clip(np.searchsorted(among, found[left]), 0, len(among) - 1)
    found[left] = among[place]
    return found


def _stored(local: Ints, missing: Mask, kind: pa.DataType, zone: str) -> pa.Array:
    """Return wall-clock times of `zone` as stored moments."""
    if pa.types.is_date(kind):
        return from_numbers(local // _DAY, missing, kind, 0)
    naive = from_numbers(local, missing, pa.timestamp("us"), 0)
    if zone:
        zoned = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest")
        naive = pa.array(zoned.cast(pa.int64()), pa.int64()).cast(pa.timestamp("us"))
    return from_numbers(naive.cast(pa.int64()).fill_null(0).to_numpy(), missing, kind, 0)
