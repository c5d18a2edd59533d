"""Which rows belong together: rows of one parent are no independent witnesses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.quality.evidence import MARGINAL_ROWS, Evidence
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
    training and held-out rows share least; where that parent's own rows are held out with
    their parent, that one is the entity, and so on. Without such a reference each row is
    its own group.
    """
    return _groups(evidence, table, frozenset({table}))


def _groups(evidence: Evidence, table: str, below: frozenset[str]) -> Groups:
    """Return the groups of a table's rows, of which the tables `below` ask."""
    train, holdout = evidence.train(table), evidence.holdout(table)
    synthetic = evidence.synthetic(table)
    best: tuple[float, int] | None = None
    owner: ForeignKey | None = None
    own = np.arange(train.num_rows + holdout.num_rows)
    found = Groups(own[: train.num_rows], own[train.num_rows :], np.arange(synthetic.num_rows))
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
            starts = (count, count + train.num_rows, count)
            found = Groups(*map(_own_if_missing, codes, starts))
            owner = key
    if owner is None or owner.parent_table in below:
        return found
    return _lifted(evidence, owner, found, below | {owner.parent_table})


def _lifted(evidence: Evidence, owner: ForeignKey, found: Groups, below: frozenset[str]) -> Groups:
    """Return the groups of the owners of rows; rows whose owner is not there keep their own."""
    above = _groups(evidence, owner.parent_table, below)
    lifted = []
    for side in ("train", "holdout", "synthetic"):
        parents = getattr(evidence, side)(owner.parent_table)
        rows = getattr(evidence, side)(owner.child_table)
        codes, count = key_codes([(rows, owner.child_columns), (parents, owner.parent_columns)])
        place = np.full(count + 1, -1)
        known = codes[1] != NO_KEY
        place[codes[1][known]] = np.flatnonzero(known)
        row = place[codes[0]]
        theirs = np.append(getattr(above, side), 0)[row]
        # Groups without owner are told apart from the owners' by their sign.
        lifted.append(np.where(row < 0, -1 - getattr(found, side), theirs))
    return Groups(*lifted)


def _own_if_missing(codes: np.ndarray, start: int) -> np.ndarray:
    return np.where(codes == NO_KEY, start + np.arange(len(codes)), codes)


def halves(evidence: Evidence, table: str) -> np.ndarray | None:
    """Return a mask of about half the real rows of `Evidence.marginals`, split by group.

    The halves show how far two real samples lie apart when rows of one parent resemble
    each other. None if every row is its own group.
    """
    groups = row_groups(evidence, table)
    owners = np.concatenate([groups.train, groups.holdout])
    owners = owners[evidence.places(len(owners), MARGINAL_ROWS, table, "real")]
    _, places = np.unique(owners, return_inverse=True)
    count = int(places.max(initial=-1)) + 1
    if count in {0, 1, len(owners)}:
        return None
    first = evidence.rng(table, "halves").permutation(count) < count // 2
    return np.asarray(first[places])
