"""The rows of an owned table as siblings: who comes before whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.joins import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Siblings:
    """For each row [n]: its owner's row, its place among siblings, their number, who is before.

    `order` lists the rows by owner and then by place; `previous` and `second` are the rows
    one and two places before, -1 if there is none. Rows that were lent their owner are
    nobody's siblings, and `strays`.
    """

    owner: Rows
    position: Rows
    count: Rows
    order: Rows
    previous: Rows
    second: Rows
    strays: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        owner: Rows,
        numbers: npt.NDArray[np.int64] | None,
        strays: npt.NDArray[np.bool_] | None = None,
    ) -> Siblings:
        """Return the siblings ordered by `numbers`, or in file order if that is None."""
        rows, lent = len(owner), owner
        strays = np.zeros(rows, bool) if strays is None else strays
        if strays.any():  # each the only child of an owner of its own
            owner = owner.copy()
            owner[strays] = owner.max() + 1 + np.arange(strays.sum())
        order = (
            np.argsort(owner, kind="stable") if numbers is None else np.lexsort((numbers, owner))
        )
        ordered = owner[order]
        counts = np.bincount(owner, minlength=int(owner.max(initial=-1)) + 1)
        starts = np.cumsum(counts) - counts
        position = np.empty(rows, np.int64)
        position[order] = np.arange(rows) - starts[ordered]
        return cls(
            owner=lent,
            position=position,
            count=counts[owner],
            order=order,
            previous=_before(order, position, 1),
            second=_before(order, position, 2),
            strays=strays,
        )


def _before(order: Rows, position: Rows, steps: int) -> Rows:
    result = np.full(len(order), -1)
    result[order[steps:]] = order[:-steps] if len(order) > steps else order[:0]
    result[position < steps] = -1
    return result


def steps_of(
    siblings: Siblings, numbers: npt.NDArray[np.int64], bases: npt.NDArray[np.int64], unit: int
) -> Rows:
    """Return each row's difference to the previous sibling's base in units (0 for the first)."""
    before = np.where(siblings.previous >= 0, bases[siblings.previous], numbers)
    return (numbers - before) // unit


def ends_of(
    siblings: Siblings, numbers: npt.NDArray[np.int64], owners: int
) -> tuple[Rows, Rows, npt.NDArray[np.bool_]]:
    """Return for each of `owners` rows the first and last child, and whether it has any."""
    first, last = np.zeros(owners, np.int64), np.zeros(owners, np.int64)
    has = np.zeros(owners, bool)
    begins = (siblings.position == 0) & ~siblings.strays
    first[siblings.owner[begins]] = numbers[begins]
    ends = (siblings.position == siblings.count - 1) & ~siblings.strays
    last[siblings.owner[ends]] = numbers[ends]
    has[siblings.owner[~siblings.strays]] = True
    return first, last, has
