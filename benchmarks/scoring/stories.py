"""Rows of an entity in their order: does what increases in the real rows increase in others?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from scoring.database import Database
from scoring.keys import Reference

_ALWAYS = 0.98
_RISING = 0.5
_ENOUGH = 10

Sequence = tuple[Reference, str]


def sequences(real: Database) -> Iterator[Sequence]:
    """Yield references and columns that never fall along the rows of (nearly) every parent.

    Asked of at least 10 parents with two rows or more; from a row to the next one of its
    parent the value must rise in at least half of all cases: a price that went up once is
    no sequence.
    """
    for reference in real.keys.references:
        if reference.child == reference.parent:
            continue
        for name, column in real.frames[reference.child].columns.items():
            if column.kind not in {"number", "time"}:
                continue
            ordered, rising = _by_parent(real, (reference, name))
            if len(ordered) >= _ENOUGH and ordered.mean() >= _ALWAYS and rising >= _RISING:
                yield reference, name


def in_order(data: Database, sequence: Sequence) -> float | None:
    """Share of parents with two rows or more whose column never falls; None without such."""
    ordered, _ = _by_parent(data, sequence)
    return float(ordered.mean()) if len(ordered) else None


def _by_parent(data: Database, sequence: Sequence) -> tuple[npt.NDArray[np.bool_], float]:
    """Return whether the column is in order, by parent with two rows, and its share of rises."""
    reference, name = sequence
    owners = data.links[reference]
    column = data.frames[reference.child].columns[name]
    rows = np.flatnonzero((owners >= 0) & column.present)
    rows = rows[np.argsort(owners[rows], kind="stable")]
    owner, value = owners[rows], column.values[rows]
    same = owner[1:] == owner[:-1]
    several = np.unique(owner[1:][same])
    falls = np.unique(owner[1:][same & (value[1:] < value[:-1])])
    rises = float((value[1:] > value[:-1])[same].mean()) if same.any() else 0.0
    return ~np.isin(several, falls), rises
