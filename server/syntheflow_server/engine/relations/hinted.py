"""Columns that follow from what the owner hands down: the month of an hour that owns the row."""

from __future__ import annotations

from collections.abc import Sequence

from syntheflow_server.engine.graph.structure import Family
from syntheflow_server.engine.relations.base import Ref, Relation, told_by


def hinting(family: Family, table: str, relations: Sequence[Relation]) -> dict[str, str]:
    """Return the columns of `table` that repeat the owner's and decide hints: theirs by mine.

    Only such as the owner has as soon as its tokens are drawn.
    """
    owner = family[table].owner
    if owner is None:
        return {}
    above = family[owner.parent_table]
    plain = set(above.modelled) | ({above.sequence.order} if above.sequence else set())
    pairs = dict(zip(owner.child_columns, owner.parent_columns, strict=True))
    hints = {r.needs for r in relations if r.hints and not r.hidden}
    return {
        mine: theirs for mine, theirs in pairs.items() if theirs in plain and (Ref(mine),) in hints
    }


def hinted(relations: Sequence[Relation], known: Sequence[Ref]) -> tuple[tuple[Relation, str], ...]:
    """Return the hints that `known` columns of the row decide, each after those that it needs."""
    return told_by([relation for relation in relations if relation.hints], known)
