"""How likely each cell of a grid holds a row, from what enough rows share and no single cell.

A log-linear model of the odds: its sums agree with the real ones over every value, over
pairs of values, and over values in stretches of an ordered column (a country and five
years). It is fitted by iterative proportional fitting (Deming and Stephan, 1940), in odds
because a cell holds one row at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_CELLS = 1_000_000
_SWEEPS = 5
_LAST_SWEEPS = 40
_CLOSE = 0.01
_LEAST = 1e-6
_WIDEST = 3
_ROWS_A_SUM = 8.0
_SURE = 8.0


def cell_chances(
    rows: Ints, sizes: Sequence[int], ordered: Sequence[bool], needed: int
) -> npt.NDArray[np.float32]:
    """Return the chance [cells] of each cell, the first column's value changing fastest.

    `rows` [n, k] are the values' numbers, `sizes` how many there are; `ordered` columns
    may be looked at in stretches. A sum of fewer than `needed` rows is told only together
    with all others that small, unless it is nothing where chance would have put eight rows.
    """
    cells = np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), sizes, order="F"))
    odds = np.full(cells.shape[1], len(rows) / max(cells.shape[1] - len(rows), 1) + _LEAST)
    sums: list[Sums] = []
    for view, wide in _views(len(rows), sizes, ordered):
        sums.append(_told(_number(view, wide, cells), _number(view, wide, rows.T), needed))
        if len(view) > 1:
            sums[-1] = _shrunk(sums[-1], odds)
        _agree(odds, sums, _SWEEPS)
    _agree(odds, sums, _LAST_SWEEPS)
    chances: npt.NDArray[np.float32] = np.clip(odds / (1 + odds), _LEAST, 1 - _LEAST).astype(
        np.float32
    )
    return chances


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Group of each cell, and of each group the sum to be, its cells, and whether it is none."""

    groups: Ints
    targets: Floats
    room: Floats
    none: npt.NDArray[np.bool_]


def _agree(odds: Floats, sums: Sequence[Sums], sweeps: int) -> None:
    """Change `odds` [cells] until all sums are near their targets."""
    for _ in range(sweeps):
        worst = 0.0
        for own in sums:
            now = np.bincount(own.groups, odds / (1 + odds), len(own.room))
            now = np.clip(now, 1e-12, (1 - _LEAST / 2) * own.room)
            wanted = np.clip(own.targets, _LEAST * own.room, (1 - _LEAST) * own.room)
            odds *= (wanted / now * (own.room - now) / (own.room - wanted))[own.groups]
            worst = max(worst, float((np.abs(wanted - now) / (wanted + 1)).max()))
        if worst < _CLOSE:
            break


def _shrunk(sums: Sums, odds: Floats) -> Sums:
    """Return the sums drawn towards what is expected of them as far as they differ by chance.

    Without this, cells would be likely because of the very rows that are there.
    """
    chance = odds / (1 + odds)
    expected = np.bincount(sums.groups, chance, len(sums.room))
    noise = np.bincount(sums.groups, chance * (1 - chance), len(sums.room))
    off = sums.targets - expected
    beyond = float((off**2 / np.maximum(noise, _LEAST)).sum())
    kept = max(0.0, 1 - len(off) / max(beyond, 1.0))
    targets = np.where(sums.none, 0.0, expected + kept * off)
    return replace(sums, targets=targets)


View = list[tuple[int, int]]
"""Columns that are summed over together, each with the width of its stretches."""


def _views(rows: int, sizes: Sequence[int], ordered: Sequence[bool]) -> Iterator[tuple[View, Ints]]:
    """Yield the sums to agree with: sets of columns, and pairs with one of them in stretches."""
    columns = range(len(sizes))
    views: list[View] = [
        [(column, 1) for column in chosen]
        for many in range(1, min(len(sizes) - 1, _WIDEST) + 1)
        for chosen in combinations(columns, many)
    ]
    for column, other in permutations(columns, 2):
        stretches = min(sizes[other] // 2, int(rows / sizes[column] / _ROWS_A_SUM))
        if ordered[other] and stretches > 1:
            views.append([(column, 1), (other, -(-sizes[other] // stretches))])
    for view in views:
        yield view, np.array([-(-sizes[column] // width) for column, width in view])


def _number(view: View, wide: Ints, values: Ints) -> Ints:
    """Return the number of the sum that each of `values` [k, n] belongs to."""
    number = np.zeros(values.shape[1], np.int64)
    for (column, width), size in zip(view, wide.tolist(), strict=True):
        number = number * size + values[column] // width
    return number


def _told(groups: Ints, seen: Ints, needed: int) -> Sums:
    """Return the sums that may be told; all small ones are one."""
    room = np.bincount(groups)
    held = np.bincount(seen, minlength=len(room))
    expected = room * (len(seen) / len(groups))
    none = (held == 0) & (expected >= _SURE)
    number = np.where((held < needed) & ~none, 0, 1 + np.arange(len(room)))
    _, number = np.unique(number, return_inverse=True)
    total = np.bincount(number, held).astype(np.float64)
    places = np.bincount(number, room).astype(np.float64)
    return Sums(number[groups], total, places, total == 0)
