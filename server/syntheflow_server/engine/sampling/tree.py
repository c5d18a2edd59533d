"""Parents of a self reference without cycles: rows of the level above, by their degrees.

The whole tree is made at plan time: who may be a row's parent depends on the levels of
all rows. Where parents and children must agree in something (their tenant, their owner),
each group is a forest of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.sampling.agreement import spread
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import SamplePlan

Ints = npt.NDArray[np.int64]

LOOP = -1
"""Level of a row that refers to itself."""


def level_parents(plan: SamplePlan, frame: Frame, link: Link) -> Ints:
    """Return the parent rows of the frame's rows: -1 at the top, itself for a loop."""
    parents = plan.levels[str(link.key)].parents
    first = frame.first_row + frame.shift
    return parents[first : first + frame.rows]


def grow(
    codes: Ints,
    degrees: Ints,
    link: Link,
    groups: Ints,
    rng: np.random.Generator,
    *,
    exact: bool = True,
) -> Ints:
    """Return the parent of each row of a table: -1 for none, itself for a loop.

    `codes` [n] are levels, `degrees` [n] how many children rows would have, `groups` [n]
    who may be related. With `exact` as large a share of rows has no parent as in the real table.
    """
    rows = np.arange(len(codes))
    level = np.where(codes >= link.levels, LOOP, codes)
    if not link.nullable and link.loops:
        level[level == 0] = LOOP
    if link.nullable and exact:
        _set_tops(level, groups, round(len(level) * link.null_share), rng)
    _close(level, groups)
    if not link.nullable and link.loops:
        level[level == 0] = LOOP
    depth = np.maximum(level, 0)
    result = np.where(level == LOOP, rows, -1)
    for step in range(1, int(depth.max(initial=0)) + 1):
        mine = np.flatnonzero(depth == step)
        above = np.flatnonzero(depth == step - 1)
        mine = mine[np.argsort(groups[mine], kind="stable")]
        free = degrees[above] - (result[above] == above)
        found = spread(groups[mine], groups[above], np.maximum(free, 0), rng, once=link.unique)
        result[mine] = np.where(found >= 0, above[np.maximum(found, 0)], -1)
    if link.unique:
        _chain(result, np.flatnonzero((result < 0) & (depth > 0)), groups)
    return result


def _set_tops(level: Ints, groups: Ints, target: int, rng: np.random.Generator) -> None:
    """Let `target` rows have level 0, as far as each group keeps one."""
    tops = np.flatnonzero(level == 0)
    if len(tops) > target:
        tops = rng.permutation(tops)
        spare = tops[_later(groups[tops])][: len(tops) - target]
        level[spare] = 1
    elif len(tops) < target:
        others = rng.permutation(np.flatnonzero(level > 0))
        level[others[: target - len(tops)]] = 0


def _later(groups: Ints) -> npt.NDArray[np.bool_]:
    """Return which entries are not the first of their group."""
    later = np.ones(len(groups), bool)
    later[np.unique(groups, return_index=True)[1]] = False
    return later


def _close(level: Ints, groups: Ints) -> None:
    """Let no group have an empty level below a used one: its rows would lack possible parents."""
    for step in range(int(level.max(initial=0))):
        higher = np.flatnonzero(level > step)
        if not len(higher):
            return
        there = np.unique(groups[np.maximum(level, 0) == step])
        lacking = higher[~np.isin(groups[higher], there)]
        if not len(lacking):
            continue
        lacking = lacking[np.lexsort((level[lacking], groups[lacking]))]
        level[lacking[~_later(groups[lacking])]] = step


def _chain(parents: Ints, rows: Ints, groups: Ints) -> None:
    """Hang `rows` that found no parent without a child at the end of a chain of their group."""
    below = np.full(len(parents), -1)
    held = np.flatnonzero(parents >= 0)
    below[parents[held]] = held
    ends: dict[int, int] = {}
    waiting = set(rows.tolist())
    for top in np.flatnonzero(parents < 0).tolist():
        if top not in waiting:
            ends.setdefault(int(groups[top]), _end(below, top))
    for row in rows.tolist():
        group = int(groups[row])
        if group in ends:
            parents[row] = ends[group]
        ends[group] = _end(below, row)


def _end(below: Ints, row: int) -> int:
    """Return the last row of the chain that begins with `row`."""
    while below[row] >= 0 and below[row] != row:
        row = int(below[row])
    return row
