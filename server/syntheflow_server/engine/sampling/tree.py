"""Parents of a self reference: rows of the level above, by their degrees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.keys.permute import permute
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.rng import key_of

Ints = npt.NDArray[np.int64]

LOOP = -1
"""Level of a row that refers to itself."""


def level_parents(plan: SamplePlan, frame: Frame, link: Link) -> Ints:
    """Return the parent rows of the frame's rows: -1 at the top, itself for a loop."""
    index = plan.levels[str(link.key)]
    mine = index.level[frame.first_row : frame.first_row + frame.rows]
    result = np.where(mine == LOOP, frame.row_numbers, -1)
    depth = np.maximum(index.level, 0)
    for level in range(1, int(mine.max(initial=0)) + 1):
        rows = np.flatnonzero(mine == level)
        if not len(rows):
            continue
        all_rows = np.flatnonzero(index.level == level)
        above = np.flatnonzero(depth == level - 1)
        ends = np.cumsum(index.degrees[above])
        if not ends[-1]:
            ends = np.arange(1, len(above) + 1)
        rank = np.searchsorted(all_rows, frame.first_row + rows)
        key = key_of(plan.spec.seed, "tree", link.key, level) >> 80
        place = permute(rank, len(all_rows), key)
        stub = place * int(ends[-1]) // len(all_rows)
        result[rows] = above[np.searchsorted(ends, stub, side="right")]
    return result
