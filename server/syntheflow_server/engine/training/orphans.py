"""Rows that refer to parents which do not exist: found, counted, and kept from teaching."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.joins import ORPHAN_ROW, Rows

Mask = npt.NDArray[np.bool_]


def lent(found: Rows) -> Rows:
    """Return `found` with a parent lent to each orphan: that of another row, at random.

    It stands in where a row must have an owner; what such a row says is not learned.
    """
    orphans = np.flatnonzero(found == ORPHAN_ROW)
    held = found[found >= 0]
    if not len(orphans) or not len(held):
        return found
    result = found.copy()
    result[orphans] = held[np.random.default_rng(0).integers(0, len(held), len(orphans))]
    return result
