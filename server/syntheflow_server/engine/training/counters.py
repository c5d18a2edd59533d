"""Find columns that only count siblings of the same time: a stint within a year, a line."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.graph.structure import counted_within

_FEWEST_GROUPS = 5


def find_counters(
    source: TableSource,
    owners: Rows,
    order: npt.NDArray[np.int64] | None,
    candidates: Iterable[str],
) -> dict[str, int]:
    """Return the integer columns that number the rows of one owner and order value, from where.

    `owners` [n] and `order` [n] (None: no order) say which rows count together. They must
    do so in every row, and in several groups of more than one.
    """
    groups = owners if order is None else _pairs(owners, order)
    sizes = np.bincount(np.unique(groups, return_inverse=True)[1])
    if (sizes > 1).sum() < _FEWEST_GROUPS:
        return {}
    found = {}
    for name in candidates:
        values = combined(source.column(name))
        if not pa.types.is_int64(values.type) or values.null_count:
            continue
        numbers = to_numbers(values, name)[0].astype(np.int64)
        base = int(numbers.min())
        if abs(base) <= 1 and _counts(groups, numbers - base):
            found[name] = base
    return found


def _counts(groups: Rows, numbers: Rows) -> bool:
    """Return whether each group holds 0, 1, 2 ... once."""
    ordered = np.lexsort((numbers, groups))
    return bool((numbers[ordered] == counted_within(groups[ordered])).all())


def _pairs(owners: Rows, order: npt.NDArray[np.int64]) -> Rows:
    different, place = np.unique(order, return_inverse=True)
    return owners * (len(different) + 1) + place
