"""What a plan works out for references that must agree with their row: trees, and room for rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.structure import Link, LinkKind
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.sampling.agreement import Groups
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import LevelIndex
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.shares import UNLIMITED
from syntheflow_server.engine.sampling.tree import grow

if TYPE_CHECKING:
    from syntheflow_server.engine.sampling.sizes import Units

Ints = npt.NDArray[np.int64]


def tree_of(units: Units, link: Link, codes: Ints, degrees: Ints) -> LevelIndex:
    """Return the tree of a self reference, for rows of these levels and numbers of children."""
    table, plan = link.key.child_table, units.plan
    groups = np.zeros(len(codes), np.int64)
    if link.shared:
        parts = [_values(units, table, name) for name in link.shared]
        groups = Groups.of(parts).theirs
    elif link.within:
        owners = [u.frame(table).owner + _first(u.frame(table).above) for u in units.over(table)]
        groups = np.concatenate(owners) if owners else groups
    rng = generator(plan.spec.seed, table, 0, f"tree {link.key}")
    asked = table in plan.seeds or table in plan.spec.conditions
    return LevelIndex(grow(codes, degrees, link, groups, rng, exact=not asked))


def room_of(units: Units, measure: Callable[[str], None], table: str) -> Ints | None:
    """Return how many rows of `table` each owner row can have; None if they are not limited.

    They are where a reference must find parents that agree with what the owner fills. The
    tables of those parents are measured first.
    """
    runtime = units.runtime
    structure = runtime.model.family[table]
    owner = structure.owner
    room: Ints | None = None
    for link in structure.resolved:
        parent = link.key.parent_table
        if not owner or link.kind is not LinkKind.CODED or not link.shared:
            continue
        if not set(link.shared) <= set(owner.child_columns):
            continue
        within = [names for names in structure.distinct if _adds(link, names)]
        if link.nullable and not within:
            continue
        names = [link.theirs(name) for name in link.shared]
        above = [owner.parent_columns[owner.child_columns.index(n)] for n in link.shared]
        simple = all(_simple(runtime, parent, name) for name in names)
        if not simple or not all(_simple(runtime, owner.parent_table, n) for n in above):
            continue
        measure(parent)
        if parent not in units.plan.table_rows:
            continue
        groups = Groups.of([_values(units, parent, name) for name in names])
        ours = groups.ours([_values(units, owner.parent_table, name) for name in above])
        agreeing = groups.room(ours)
        most = np.where(agreeing > 0, UNLIMITED, 0)
        for key in within:
            most = np.minimum(most, agreeing * _ways(runtime, table, link, key))
        room = most if room is None else np.minimum(room, most)
    return room


def _adds(link: Link, names: tuple[str, ...]) -> bool:
    return bool(set(names) & (set(link.key.child_columns) - set(link.shared)))


def _ways(runtime: Runtime, table: str, link: Link, names: tuple[str, ...]) -> int:
    """Return in how many ways the rest of a key can tell apart rows of one parent."""
    model = runtime.table(table)
    ways = 1
    for name in set(names) - set(link.key.child_columns):
        piece = model.layout.find(PieceKind.COLUMN, name)
        counted = model.table.column(name).type not in {"string", "bool"}
        if piece is None or piece.codec is None or counted:
            return UNLIMITED
        ways *= max(1, int(np.prod(piece.codec.sizes)))
    return ways


def _simple(runtime: Runtime, table: str, name: str) -> bool:
    """Return whether a column follows from row numbers alone: no link needs to be resolved."""
    family = runtime.model.family
    while True:
        structure = family[table]
        made = {*structure.surrogate, *structure.grid, *structure.per_owner}
        if name in made or structure.kept:
            return True
        owner = structure.owner
        if owner is None or name not in owner.child_columns:
            return False
        name = owner.parent_columns[owner.child_columns.index(name)]
        table = owner.parent_table


def _values(units: Units, table: str, name: str) -> pa.Array:
    """Return a column of all rows of a table."""
    parts = [units.values.column(unit.frame(table), name) for unit in units.over(table)]
    kind = units.runtime.table(table).table.column(name).arrow
    return combined(pa.chunked_array(parts, type=parts[0].type if parts else kind))


def _first(frame: Frame | None) -> int:
    return frame.first_row if frame else 0
