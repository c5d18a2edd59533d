"""Points of a distribution that tell its shape without telling a row's value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Ints
from syntheflow_server.engine.encoding.holders import Held

Numbers = npt.NDArray[Any]

_KNOTS = 16
# Knots are rows' own values: closer ones would give back many of them, since dense
# places have short gaps (34 % of 1,000 birth dates with a knot a row, 7 % by chance).
_ROWS_A_KNOT = 8
_FARTHEST = 2**62
_FEWEST_PLACES = 10


def common_step(values: Ints) -> int:
    """Return the greatest common divisor of the gaps between sorted integers (1 if one value)."""
    gaps = np.diff(values.view(np.uint64))
    step = int(np.gcd.reduce(gaps)) if len(gaps) else 1
    return min(max(step, 1), _FARTHEST)


def merged(
    values: Numbers, counts: Ints, step: int, held: Held, needed: int
) -> tuple[Numbers, Ints]:
    """Return values and counts where rare values are replaced by means of `needed` holders.

    So the thin ends of a column of exact values stay, and none in them is anybody's own.
    """
    rare = held.counts < needed
    rows = np.repeat(values[rare], counts[rare])
    kept, stay = values[~rare], counts[~rare]
    group = _groups(np.flatnonzero(rare), counts, held, needed)
    if not len(group):
        return kept, stay
    sizes = np.bincount(group)
    first = rows[np.searchsorted(group, np.arange(len(sizes)))]
    mean: Numbers = np.bincount(group, (rows - first[group]).astype(np.float64)) / sizes
    if step:
        mean = np.rint(mean / step).astype(np.int64) * step
    every, place = np.unique(np.concatenate([kept, first + mean]), return_inverse=True)
    total = np.bincount(place, np.concatenate([stay, sizes]))
    return every.astype(values.dtype), total.astype(counts.dtype)


def _groups(rare: Ints, counts: Ints, held: Held, needed: int) -> Ints:
    """Return the group of each row of the `rare` values, each of `needed` holders or more.

    None if all of them have not so many. The last group takes what is left.
    """
    if held.who is None:
        total = int(counts[rare].sum())
        last = total // needed - 1
        return np.minimum(np.arange(total) // needed, last) if last >= 0 else rare[:0]
    number, seen = 0, set[int]()
    groups = np.zeros(len(rare), np.int64)
    for i, value in enumerate(rare.tolist()):
        groups[i] = number
        seen.update(held.who[held.start[value] : held.start[value + 1]].tolist())
        if len(seen) >= needed:
            number, seen = number + 1, set[int]()
    groups = np.minimum(groups, number - 1)
    return np.repeat(groups, counts[rare]) if number else rare[:0]


def bin_knots(
    values: Numbers,
    held: Held,
    loose: Ints,
    bins: Ints,
    step: int,
    needed: int,
    spread: int | None,
) -> tuple[Numbers, Ints]:
    """Return for each bin some points of its loose values' distribution.

    `held` are the holders of each value, `loose` their numbers where the value must not
    come back as it is. The outer points of a bin lie halfway to the neighbouring values;
    where fewer than `needed` holders of loose values stand between them, they move on until
    `needed` of any kind do, and where the whole column has not so many, by `spread` (None:
    to round numbers).
    Returns the points of all bins and where each bin's begin.
    """
    total = int(bins[-1]) + 1
    pieces: list[Numbers] = []
    start = np.zeros(total + 1, np.int64)
    first = np.searchsorted(bins, np.arange(total + 1))
    for b in range(total):
        own = np.flatnonzero(loose[first[b] : first[b + 1]]) + first[b]
        if len(own):
            points = _points(values, loose, own, step)
            if not held.enough(own, needed) or points[0] == points[-1]:
                points = _apart(points, values, held, (own[0], own[-1]), step, needed, spread)
            pieces.append(points)
            start[b + 1] = len(points)
    knots: Numbers = np.concatenate(pieces) if pieces else values[:0]
    return knots, np.cumsum(start)


def _points(values: Numbers, counts: Ints, own: Ints, step: int) -> Numbers:
    weights = np.cumsum(counts[own])
    # Too few rows to show a distribution: only the ends of the stretch are told.
    points = min(_KNOTS, max(1, int(weights[-1]) // _ROWS_A_KNOT))
    wanted = np.linspace(0, weights[-1], points + 1)[1:-1]
    inner = values[own[np.searchsorted(weights, wanted)]]
    low = _halfway(values, max(own[0] - 1, 0), own[0], step)
    high = _halfway(values, own[-1], min(own[-1] + 1, len(values) - 1), step)
    return np.concatenate([np.array([low], values.dtype), inner, np.array([high], values.dtype)])


def _halfway(values: Numbers, left: int, right: int, step: int) -> Any:
    low, high = values[left], values[right]
    if step:
        return int(low) + (int(high) - int(low)) // step // 2 * step
    return low + (high - low) / 2


def _apart(
    points: Numbers,
    values: Numbers,
    held: Held,
    own: tuple[int, int],
    step: int,
    needed: int,
    spread: int | None,
) -> Numbers:
    """Return two points between which at least `needed` holders stand, if there are so many."""
    found = held.widened(*own, needed)
    if found is None:
        return _rounded(values[[0, -1]], step, spread)
    left, right = found
    ends = min(points[0], values[left]), max(points[-1], values[right])
    return np.array(ends, values.dtype)


def _rounded(ends: Numbers, step: int, spread: int | None) -> Numbers:
    """Return the ends moved out to round numbers, so that neither is anybody's."""
    size = float(spread or digit_of(float(np.abs(ends.astype(np.float64)).max())))
    if not step:
        size = max(size, float(np.finfo(np.float64).smallest_normal))
        with np.errstate(over="ignore"):
            low, high = np.floor(ends[0] / size) * size, np.ceil(ends[1] / size) * size
            moved = np.array([low, high if high > low else low + size])
        # Beside the largest number there is no round one; a difference must be a number, too.
        most = np.finfo(np.float64).max / 2
        held: Numbers = np.clip(moved, -most, most)
        return held
    wide = max(int(size), _FEWEST_PLACES)
    low, high = int(ends[0]) // wide * wide, (int(ends[1]) // wide + 1) * wide
    low = int(ends[0]) - (int(ends[0]) - low) // step * step
    high = low + (high - low) // step * step
    return np.array([max(low, -_FARTHEST), min(high, _FARTHEST)], np.int64)


def digit_of(size: float) -> float:
    """Return the value of the first digit of `size`: 100 for 734; 1 for nothing."""
    return float(10.0 ** np.floor(np.log10(size))) if size > 0 else 1.0
