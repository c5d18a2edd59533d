"""Depth of each row in the tree that a self reference spells."""

from __future__ import annotations

import numpy as np

from syntheflow_server.engine.graph.joins import ORPHAN_ROW, Rows

MOST_LEVELS = 1024


def levels(parents: Rows) -> Rows | None:
    """Return each row's depth: 0 without a parent (or being its own), else parent's + 1.

    Where some rows have no parent, those whose parent does not exist are at 1.
    None if references go round in circles (other than rows that refer to themselves)
    or nest deeper than MOST_LEVELS.
    """
    own = np.arange(len(parents))
    depth = np.where((parents < 0) | (parents == own), 0, -1)
    if (depth[parents != ORPHAN_ROW] == 0).any():
        depth[parents == ORPHAN_ROW] = 1
    for level in range(MOST_LEVELS):
        open_rows = np.flatnonzero(depth < 0)
        if not len(open_rows):
            return depth
        next_rows = open_rows[depth[parents[open_rows]] == level]
        if not len(next_rows):
            return None
        depth[next_rows] = level + 1
    return None if (depth < 0).any() else depth


def filled(counts: Rows) -> list[tuple[int, int]]:
    """Return (from, to) moves of one row each that leave no empty level below a used one.

    `counts` [levels] are rows by level. A gap would leave rows without possible parents.
    """
    counts = counts.copy()
    moves: list[tuple[int, int]] = []
    for level in range(len(counts)):
        if counts[level] == 0 and counts[level:].sum() > 0:
            source = level + int(np.flatnonzero(counts[level:])[0])
            moves.append((source, level))
            counts[source] -= 1
            counts[level] += 1
    return moves
