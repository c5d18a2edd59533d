"""Find references that never lead two rows of one owner to the same row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.graph.structure import Link, LinkKind

_SURE = 8.0
_GLANCE = 100_000


def never_shared(
    links: Sequence[Link],
    references: Mapping[ForeignKey, Rows],
    owners: Rows,
    keys: Sequence[tuple[str, ...]],
) -> tuple[tuple[str, ...], ...]:
    """Return the columns of links by which siblings never meet, though by chance they would.

    The stops of a trip, the products of an order. `owners` [n] are the owner rows; links
    that `keys` hold are left to these.
    """
    held = {name for names in keys for name in names}
    return tuple(
        link.key.child_columns
        for link in links
        if link.kind is LinkKind.CODED
        and not (link.null_share or link.orphan_share or link.unique or link.fixed or link.shared)
        and not held & set(link.key.child_columns)
        and _never_met(references[link.key], owners)
    )


def _never_met(found: Rows, owners: Rows) -> bool:
    """Return whether no two rows of one owner share a parent; chance would have made eight."""
    if not len(found):
        return False
    near = slice(0, _GLANCE)
    if _meet(found[near], owners[near]):
        return False
    counts = np.bincount(owners).astype(np.float64)
    shares = np.bincount(found) / len(found)
    expected = float((counts * (counts - 1)).sum() / 2 * (shares**2).sum())
    return expected >= _SURE and not _meet(found, owners)


def _meet(found: Rows, owners: Rows) -> bool:
    pairs = owners * (int(found.max()) + 1) + found
    return len(np.unique(pairs)) < len(pairs)
