"""Rows that refer to parents which do not exist: found, counted, and kept from teaching."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
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


def orphan_keys(key: ForeignKey, references: Mapping[ForeignKey, Rows], source: TableSource) -> int:
    """Return how many different rows that do not exist are referred to."""
    rows = pa.array(np.flatnonzero(references[key] == ORPHAN_ROW))
    parts = [combined(source.column(name)).take(rows) for name in key.child_columns]
    codes = [part.dictionary_encode().indices.to_numpy(zero_copy_only=False) for part in parts]
    return len(np.unique(np.stack(codes), axis=1)[0]) if len(rows) else 0
