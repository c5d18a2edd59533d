"""Which rows belong together: rows of one parent are no independent witnesses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.keys import NO_KEY, key_codes


@dataclass(frozen=True, slots=True)
class Groups:
    """A group number for each row of the three kinds of rows of one table."""

    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray


def row_groups(evidence: Evidence, table: str) -> Groups:
    """Return the groups of a table's rows: those of the reference that the hold-out respects.

    Rows are held out by entity, so the parent that owns the rows is the one whose keys
    training and held-out rows share least. Without such a reference each row is its own
    group.
    """
    train, holdout = evidence.train(table), evidence.holdout(table)
    synthetic = evidence.synthetic(table)
    best: tuple[float, int] | None = None
    found = Groups(*(np.arange(rows.num_rows) for rows in (train, holdout, synthetic)))
    for key in evidence.schema.references_from(table):
        columns = key.child_columns
        codes, count = key_codes([(train, columns), (holdout, columns), (synthetic, columns)])
        seen = np.zeros(count + 1, dtype=bool)
        seen[codes[0][codes[0] != NO_KEY]] = True
        present = codes[1][codes[1] != NO_KEY]
        if not len(present):
            continue
        shared = float(seen[present].mean())
        if shared <= 0.5 and (best is None or (shared, count) < best):
            best = (shared, count)
            found = Groups(*(_own_if_missing(side, count) for side in codes))
    return found


def _own_if_missing(codes: np.ndarray, count: int) -> np.ndarray:
    return np.where(codes == NO_KEY, count + np.arange(len(codes)), codes)
