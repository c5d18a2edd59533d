"""What an owner's rows in one child table tell the rows of the next: their mean and number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.clusters import Featurizer, Matrix
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.graph.structure import Family


def elder(family: Family, table: str) -> tuple[str, ...]:
    """Return the child tables of the same owner that are made before `table`."""
    owner = family.owner_of(table)
    siblings = family.owned_by(owner) if owner else ()
    return siblings[: siblings.index(table)] if table in siblings else ()


def summary(history: Featurizer, codes: npt.NDArray[Any], owner: Rows, owners: int) -> Matrix:
    """Return for each of `owners` the mean point of its rows and how many it has [owners, D + 1].

    `codes` [n, T] are the rows' tokens, `owner` [n] their owners.
    """
    counts = np.bincount(owner, minlength=owners)
    result = np.zeros((owners, history.width + 1), np.float32)
    place = 0
    # Coordinate by coordinate: all points at once would be the largest matrix of a fit.
    for token, table in enumerate(history.tables):
        for part in table.T:
            points = part.astype(np.float64).take(codes[:, token])
            result[:, place] = np.bincount(owner, points, owners) / np.maximum(counts, 1)
            place += 1
    result[:, -1] = np.log1p(counts) / 3
    return result
