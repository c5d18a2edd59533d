"""Pair rows that ask for a kind of parent with the parents that are left to be referred to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.sampling.nearest import pair_near

Ints = npt.NDArray[np.int64]
_MOST_ROWS = 1 << 32


def match(
    wanted: Ints,
    stubs: Ints,
    codes: Ints,
    ours: Ints | None,
    theirs: Ints | None,
    rng: np.random.Generator,
    points: npt.NDArray[np.float32] | None = None,
) -> Ints:
    """Return a parent for each row: stubs of the wanted code first, then the nearest.

    `wanted` [n] are codes, `stubs` [n] parent rows, `codes` [p] the parents' codes. `ours`
    [n] are numbers that the parent's `theirs` [p] must equal: rows that no stub suits
    draw any parent with that number, with replacement; if there is none, the nearest stub:
    by `points` [codes, d], where codes lie, or else by their numbers.
    """
    rows, places = rng.permutation(len(wanted)), rng.permutation(len(stubs))
    offer = codes[stubs]
    need = wanted
    span = int(max(need.max(initial=0), offer.max(initial=0))) + 1
    if ours is not None and theirs is not None:
        low = int(min(ours.min(), theirs.min()))
        need, offer = need + (ours - low) * span, offer + (theirs[stubs] - low) * span
    result = np.full(len(wanted), -1)
    _pair(result, stubs, rows, places, need, offer)
    if ours is not None and theirs is not None:
        _pair_left(result, stubs, rows, places, ours, theirs[stubs])
        _redraw(result, ours, theirs, wanted, codes, rng)
    if points is not None:
        _pair_near(result, stubs, wanted, codes, points)
    _pair_left(result, stubs, rows, places, wanted, codes[np.maximum(stubs, 0)], exact=False)
    return result


def _pair_near(
    result: Ints, stubs: Ints, wanted: Ints, codes: Ints, points: npt.NDArray[np.float32]
) -> None:
    """Pair what is left by how near the codes are; rows that want anybody come later."""
    rows, places = np.flatnonzero((result < 0) & (wanted >= 0)), np.flatnonzero(stubs >= 0)
    taken = pair_near(wanted[rows], codes[stubs[places]], points)
    if taken is None:
        return
    rows, places = rows[taken >= 0], places[taken[taken >= 0]]
    result[rows] = stubs[places]
    stubs[places] = -stubs[places] - 1


def _pair(result: Ints, stubs: Ints, rows: Ints, places: Ints, need: Ints, offer: Ints) -> None:
    """Pair rows and stubs of equal value, in the given random orders."""
    if not len(need) or not len(offer):
        return
    both = np.unique(np.concatenate([need, offer]), return_inverse=True)[1]
    left, right = _ranked(both[: len(need)], rows), _ranked(both[len(need) :], places)
    place = np.searchsorted(right[0], left[0])
    found = np.minimum(place, len(right[0]) - 1)
    hit = right[0][found] == left[0]
    result[left[1][hit]] = stubs[right[1][found[hit]]]
    stubs[right[1][found[hit]]] = -stubs[right[1][found[hit]]] - 1


def _ranked(values: Ints, order: Ints) -> tuple[Ints, Ints]:
    """Return sorted (value, rank within value) as one number, and the items behind them."""
    items = order[np.argsort(values[order], kind="stable")]
    ordered = values[items]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(items) else items
    lengths = np.diff(np.append(begins, len(items)))
    rank = np.arange(len(items)) - np.repeat(begins, lengths)
    return ordered * _MOST_ROWS + rank, items


def _pair_left(
    result: Ints,
    stubs: Ints,
    rows: Ints,
    places: Ints,
    need: Ints,
    offer: Ints,
    *,
    exact: bool = True,
) -> None:
    """Pair what is left: by equal value, or (not `exact`) in the order of values."""
    rows = rows[result[rows] < 0]
    places = places[stubs[places] >= 0]
    if exact:
        _pair_subset(result, stubs, rows, places, need, offer)
        return
    rows = rows[np.argsort(need[rows], kind="stable")]
    places = places[np.argsort(offer[places], kind="stable")][: len(rows)]
    result[rows] = stubs[places]


def _pair_subset(
    result: Ints, stubs: Ints, rows: Ints, places: Ints, need: Ints, offer: Ints
) -> None:
    if not len(rows) or not len(places):
        return
    small, taken = np.full(len(rows), -1), stubs[places]
    _pair(small, taken, np.arange(len(rows)), np.arange(len(places)), need[rows], offer[places])
    result[rows] = small
    stubs[places] = taken


def _redraw(
    result: Ints, ours: Ints, theirs: Ints, wanted: Ints, codes: Ints, rng: np.random.Generator
) -> None:
    """Give unpaired rows any parent with their number, preferring the code they want."""
    rows = np.flatnonzero(result < 0)
    if not len(rows):
        return
    order = np.argsort(theirs, kind="stable")
    ordered = theirs[order]
    low = np.searchsorted(ordered, ours[rows], side="left")
    high = np.searchsorted(ordered, ours[rows], side="right")
    some = high > low
    rows, low, high = rows[some], low[some], high[some]
    best = order[low + rng.integers(0, np.maximum(high - low, 1), len(rows))]
    for _ in range(4):
        other = order[low + rng.integers(0, np.maximum(high - low, 1), len(rows))]
        better = np.abs(codes[other] - wanted[rows]) < np.abs(codes[best] - wanted[rows])
        best = np.where(better, other, best)
    result[rows] = best
