"""The numbers of rows that owners get: as unequal as the real ones, and exact in their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from syntheflow_server.engine.sampling.crowds import spread_like
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.shares import shared_out

if TYPE_CHECKING:
    from syntheflow_server.engine.sampling.sizes import Units

_COUNTED_OWNERS = 1 << 20
"""Of so many owners the plan holds the numbers of their rows."""


def count_rows(units: Units, table: str, owner: str, cap: int) -> bool:
    """Fix how many rows of the owned `table` each row of `owner` has; False if it is not for us.

    It is not where the request asks something of owners, which are others than really then,
    nor with very many of them: their numbers follow from the model alone.
    """
    plan, family = units.plan, units.runtime.model.family
    crowd, rows = family[owner].crowds.get(table), plan.table_rows[owner]
    asked = plan.natural(table) or plan.silent(owner) or plan.given(table)
    asked = asked or str(family[table].owner) in plan.chosen
    if not crowd or rows > _COUNTED_OWNERS or asked:
        return False
    counts, room, ends = [], [], [0]
    for unit in units.over(table):
        counts.append(unit.proposed(table))
        room.append(np.broadcast_to(unit.room(table, unit.frame(owner)), len(counts[-1])))
        ends.append(ends[-1] + len(counts[-1]))
    if not ends[-1]:
        return False
    rng = generator(plan.spec.seed, table, 0, "crowd")
    limits, kept = np.concatenate(room), family[owner].kept
    spread = np.minimum(spread_like(crowd, np.concatenate(counts), rng, exact=kept), limits)
    whole = round(rows * family[table].rows / max(family[owner].rows, 1))
    expected = plan.spec.rows.get(table, whole)
    found = shared_out(spread, expected, cap, crowd[0][0], limits)
    if table in plan.spec.rows and int(found.sum()) != expected:
        return False  # the size that was asked for cannot be had: who shares rows out says so
    plan.counts[table] = found
    plan.first_rows[table] = np.append(0, np.cumsum(found))[ends]
    plan.table_rows[table] = int(found.sum())
    return True
