"""Choose for each table the one parent whose child counts make its rows.

The chosen references form a forest whatever the schema looks like; all other
references are links, resolved to real rows after the rows exist.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.engine.graph.joins import NULL_ROW, ORPHAN_ROW, Rows

_CROWDED = 0.5
"""Below so many children per parent on average, counts tell little about the child."""

_FEW_PARENTS = 10
_HALF = 0.5
_SPREAD = 50
"""Rows spread over so many owners (one over the chance that two share one), or half of them."""
_FEW_FOR_HUB = 200
"""So few parents do not own a table that more tables refer to than to them."""
_MOST_ORPHANS = 0.05
"""With more rows whose parent does not exist, too much would be learned of none of them."""

_MANY_CHILDREN = 1000
"""Beyond so many children per parent a unit would be too large, and counts too few."""


@dataclass(frozen=True, slots=True)
class Forest:
    """Owner references by child table, and all tables with owners before the owned."""

    owner_keys: Mapping[str, ForeignKey]
    order: tuple[str, ...]

    def owner_of(self, table: str) -> str:
        """Return the owner's table, or "" for a root."""
        key = self.owner_keys.get(table)
        return key.parent_table if key else ""

    def owned_by(self, table: str) -> tuple[str, ...]:
        """Return the tables that `table` owns, in the order they are made."""
        return tuple(name for name in self.order if self.owner_of(name) == table)

    def root_of(self, table: str) -> str:
        """Return the topmost owner of `table`."""
        while owner := self.owner_of(table):
            table = owner
        return table

    @property
    def roots(self) -> tuple[str, ...]:
        """Tables that nobody owns, in order."""
        return tuple(name for name in self.order if name not in self.owner_keys)

    def family_of(self, root: str) -> tuple[str, ...]:
        """Return `root` and all it owns, owners first."""
        return tuple(name for name in self.order if self.root_of(name) == root)


def choose_owners(
    schema: Schema,
    references: Mapping[ForeignKey, Rows],
    rows: Mapping[str, int],
    keep: Collection[str] = (),
    *,
    orphans: bool = False,
    panels: Collection[ForeignKey] = (),
) -> Forest:
    """Return the forest for `schema`; `references` are the resolved parent rows.

    A reference may own only if no training row lacks it: every child row needs an
    owner to be made. Few rows whose owner does not exist are overlooked, unless such
    `orphans` are to be made again. Nobody owns tables to `keep`. By the references `panels`
    rows are series of their parents, who own them however few they are. Greedy by rank (see
    `_rank`), never closing a cycle.
    """
    most = 0.0 if orphans else _MOST_ORPHANS
    made = [key for key in schema.foreign_keys if key.child_table not in keep]
    keys = [
        key for key in made if _may_own(schema, key, references[key], rows, most, key in panels)
    ]
    keys.sort(key=lambda key: _rank(schema, key, references[key], rows), reverse=True)
    owners: dict[str, ForeignKey] = {}
    for key in keys:
        if key.child_table in owners or _would_close_cycle(key, owners):
            continue
        owners[key.child_table] = key
    return Forest(owners, _ordered(schema, owners))


def _may_own(
    schema: Schema,
    key: ForeignKey,
    found: Rows,
    rows: Mapping[str, int],
    most_orphans: float,
    panel: bool,  # noqa: FBT001 - a fact like the others
) -> bool:
    """Return True if all rows have this parent and its counts are enough to learn from.

    Inside the child's key a parent must own whatever its size: the owner is what keeps
    the rest of the key unique.
    """
    if key.child_table == key.parent_table or not (found >= 0).any():
        return False
    if (found == NULL_ROW).any():
        return False
    if set(key.child_columns) <= set(schema.table(key.child_table).primary_key):
        return True
    if float((found == ORPHAN_ROW).mean()) > most_orphans:
        return False
    parents, own = rows[key.parent_table], np.bincount(found[found >= 0]).astype(np.float64)
    if not panel and parents < _FEW_FOR_HUB and _is_hub(schema, key):
        return False
    # The rows of a few large owners would all turn out like theirs, whoever they are.
    spread = panel or own.sum() ** 2 >= min(_SPREAD, _HALF * parents) * (own**2).sum()
    enough = parents >= _FEW_PARENTS and (own > 0).sum() >= _HALF * parents
    return bool(spread and enough) and rows[key.child_table] <= _MANY_CHILDREN * parents


def _is_hub(schema: Schema, key: ForeignKey) -> bool:
    """Return True if more other tables refer to the child than to its parent.

    Employees have salaries, reviews and assignments, posts have employees: people are what
    such a database is about, and a hundred posts say too little of when each was hired.
    """
    child, parent = (
        {other.child_table for other in schema.references_to(name)} - {key.child_table}
        for name in (key.child_table, key.parent_table)
    )
    return len(child) > max(1, len(parent))


def _rank(
    schema: Schema, key: ForeignKey, found: Rows, rows: Mapping[str, int]
) -> tuple[float, ...]:
    table = schema.table(key.child_table)
    inside_key = set(key.child_columns) <= set(table.primary_key)
    parents = max(rows[key.parent_table], 1)
    crowded = rows[key.child_table] / parents >= _CROWDED
    # Many parents, most of which have children: what the children are about.
    weight = len(np.unique(found[found >= 0])) / parents * math.log1p(parents)
    wider = sum(
        set(other.child_columns) < set(key.child_columns)
        for other in schema.references_from(key.child_table)
    )
    position = schema.foreign_keys.index(key)
    return (inside_key, len(key.child_columns), wider, crowded, weight, -position)


def _would_close_cycle(key: ForeignKey, owners: Mapping[str, ForeignKey]) -> bool:
    table = key.parent_table
    while table in owners:
        if table == key.child_table:
            return True
        table = owners[table].parent_table
    return table == key.child_table


def _ordered(schema: Schema, owners: Mapping[str, ForeignKey]) -> tuple[str, ...]:
    order: list[str] = []

    def visit(table: str) -> None:
        order.append(table)
        for name in schema.table_names:
            if name in owners and owners[name].parent_table == table:
                visit(name)

    for name in schema.table_names:
        if name not in owners:
            visit(name)
    return tuple(order)
