"""Splits a data set of related tables by entity: a root row with all that hangs below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scoring.database import below, entities, follow, linked
from scoring.keys import NOTHING, ORPHAN, Ints, Keys, Reference

ENOUGH = 50
"""So many root rows must have children: two halves of fewer say nothing."""

ROOTS = {
    # The rule takes film, whose copies, rentals and payments are more rows; but the customer
    # is the person, whom a hold-out must keep apart.
    "sakila": "customer",
}
"""Roots that the rule does not choose, each with its reason."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Split:
    """Both parts, and what the cut cost: rows by table, references set to null by name."""

    root: str
    train: dict[str, pa.Table]
    holdout: dict[str, pa.Table]
    dropped: dict[str, int]
    cut: dict[str, int]


def root_of(keys: Keys, tables: Mapping[str, pa.Table], name: str = "") -> str:
    """Return the table whose rows are the entities.

    That is the table with the most rows in itself and below it that belong to one of its
    rows and no other, among those of which at least `ENOUGH` rows have children; if there is
    none, the largest that is referred to. Key values alone decide.
    """
    if name in ROOTS:
        return ROOTS[name]
    found = linked(keys, tables)
    sizes = {table: tables[table].num_rows for table in keys.tables}
    parents = [table for table in keys.tables if any(r.child != table for r in keys.to(table))]
    scores = {table: _kept(keys, found, sizes, table) for table in parents}
    if any(scores.values()):
        return max(parents, key=lambda table: scores[table])
    return max(parents or keys.tables, key=lambda table: sizes[table])


def _kept(keys: Keys, found: Mapping[Reference, Ints], sizes: Mapping[str, int], root: str) -> int:
    under = below(keys, root)
    parents: set[int] = set()
    for reference in keys.to(root):
        if reference.child in under:
            parents.update(np.unique(found[reference]).tolist())
    if len(parents - {NOTHING, ORPHAN}) < ENOUGH:
        return 0
    first, last = entities(keys, found, sizes, root)
    return sum(int(((first[t] != NOTHING) & (first[t] == last[t])).sum()) for t in first)


def split(
    keys: Keys, tables: Mapping[str, pa.Table], root: str, *, share: float, seed: int
) -> Split:
    """Hold out `share` of the root rows with all that is below them.

    Tables that are not below the root stay whole on both sides. Rows below it that belong to
    no root row are drawn one by one. A row that belongs to both sides is left out; so is a
    row whose reference leads to the other side, unless the data has nulls there: then the
    reference is set to null, on both sides alike.
    """
    rng = np.random.default_rng(seed)
    found = linked(keys, tables)
    sizes = {name: tables[name].num_rows for name in keys.tables}
    first, last = entities(keys, found, sizes, root)
    side = np.zeros(sizes[root], dtype=np.int64)
    side[rng.permutation(sizes[root])[: round(share * sizes[root])]] = 1
    belongs = {}
    for name in first:
        alone = rng.random(sizes[name]) < share
        mine, other = follow(side, first[name]), follow(side, last[name])
        mine, other = (np.where(part == NOTHING, alone, part) for part in (mine, other))
        belongs[name] = (mine, other)
    kept = {
        at: {
            name: (belongs[name][0] == at) & (belongs[name][1] == at)
            if name in belongs
            else np.ones(sizes[name], dtype=bool)
            for name in keys.tables
        }
        for at in (0, 1)
    }
    cut = {at: _repair(keys, found, kept[at]) for at in (0, 1)}
    parts = [_part(keys, tables, kept[at], cut[at]) for at in (0, 1)]
    lost = {n: int((~kept[0][n] & ~kept[1][n]).sum()) for n in keys.tables}
    nulls = {r.name: int(sum(cut[at][r].sum() for at in (0, 1))) for r in keys.references}
    return Split(root, parts[0], parts[1], _some(lost), _some(nulls))


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _repair(
    keys: Keys, found: Mapping[Reference, Ints], kept: dict[str, Bools]
) -> dict[Reference, Bools]:
    """Drop rows whose parent is not kept, or say that their reference becomes null."""
    changed = True
    cut: dict[Reference, Bools] = {}
    while changed:
        changed = False
        for reference in keys.references:
            lost = (found[reference] >= 0) & kept[reference.child]
            lost &= follow(kept[reference.parent].astype(np.int64), found[reference]) == 0
            nullable = len(reference.columns) == 1 and bool((found[reference] == NOTHING).any())
            cut[reference] = lost if nullable else np.zeros_like(lost)
            if not nullable and lost.any():
                kept[reference.child] &= ~lost
                changed = True
    return cut


def _part(
    keys: Keys,
    tables: Mapping[str, pa.Table],
    kept: Mapping[str, Bools],
    cut: Mapping[Reference, Bools],
) -> dict[str, pa.Table]:
    part = {}
    for name in keys.tables:
        table = tables[name]
        for reference in keys.of(name):
            if cut[reference].any():
                at = table.column_names.index(reference.columns[0])
                gone = pa.array(cut[reference])
                values = pa.chunked_array([table.column(at).combine_chunks()])
                cleared = pa.compute.if_else(gone, pa.scalar(None, values.type), values)
                table = table.set_column(at, table.schema.field(at), cleared)
        part[name] = table.filter(pa.array(kept[name]))
    return part
