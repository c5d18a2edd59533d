"""Decide how each reference that does not own is resolved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.engine.graph.joins import NULL_ROW, Rows
from syntheflow_server.engine.graph.levels import levels
from syntheflow_server.engine.graph.ownership import Forest
from syntheflow_server.engine.graph.structure import Link, LinkKind

_COPY_SHARE = 0.999
_COPY_ROWS = 20


def classify_links(
    table: str, schema: Schema, references: Mapping[ForeignKey, Rows], forest: Forest
) -> tuple[Link, ...]:
    """Return the links of `table` in schema order, without sizes of codes."""
    owner = forest.owner_keys.get(table)
    keys = [key for key in dict.fromkeys(schema.references_from(table)) if key != owner]
    implied: set[ForeignKey] = set()
    links = []
    for key in keys:
        wider = _implied_by(key, schema, references, implied)
        if wider is not None:
            implied.add(key)
            links.append(Link(key=key, kind=LinkKind.IMPLIED))
        else:
            links.append(_link(key, references, forest))
    return tuple(links)


def _link(key: ForeignKey, references: Mapping[ForeignKey, Rows], forest: Forest) -> Link:
    found = references[key]
    if copied := _copied(key, references, forest):
        return copied
    held = found[found >= 0]
    counts = np.bincount(held) if len(held) else np.zeros(1)
    # An orphan counts as missing where references may be missing; elsewhere it is not learned.
    may_miss = bool((found == NULL_ROW).any())
    missing = float((found < 0).mean()) if may_miss else 0.0
    unique = len(held) > 1 and int(counts.max()) == 1
    if key.child_table == key.parent_table:
        depth = levels(found)
        if depth is not None:
            loops = bool((found == np.arange(len(found))).any())
            return Link(
                key=key,
                kind=LinkKind.LEVELS,
                null_share=missing,
                unique=unique,
                levels=int(depth.max(initial=0)) + 1,
                loops=loops,
            )
    return Link(key=key, kind=LinkKind.CODED, null_share=missing, unique=unique)


def _implied_by(
    key: ForeignKey,
    schema: Schema,
    references: Mapping[ForeignKey, Rows],
    implied: set[ForeignKey],
) -> ForeignKey | None:
    """Return a reference over the same columns and more, whose parent makes `key` itself.

    weather(origin) -> airports(faa) makes flights(origin) -> airports(faa) follow from
    flights(origin, time_hour) -> weather(origin, time_hour).
    """
    for wide in schema.references_from(key.child_table):
        if wide == key or wide in implied or not set(key.child_columns) <= set(wide.child_columns):
            continue
        if np.any((references[wide] == NULL_ROW) & (references[key] != NULL_ROW)):
            continue
        there = dict(zip(wide.child_columns, wide.parent_columns, strict=True))
        wanted = {
            there[mine]: theirs
            for mine, theirs in zip(key.child_columns, key.parent_columns, strict=True)
        }
        for next_key in schema.references_from(wide.parent_table):
            pairs = dict(zip(next_key.child_columns, next_key.parent_columns, strict=True))
            if next_key.parent_table == key.parent_table and pairs == wanted:
                return wide
    return None


def _copied(key: ForeignKey, references: Mapping[ForeignKey, Rows], forest: Forest) -> Link | None:
    """Return the link as a copy of what an owner above refers to, if that always holds."""
    found = references[key]
    table, above = key.child_table, 0
    row = np.arange(len(found))
    while len(found) >= _COPY_ROWS and table in forest.owner_keys:
        own = forest.owner_keys[table]
        row, table, above = references[own][row], own.parent_table, above + 1
        if table == key.parent_table and above > 1 and _agree(found, row):
            return Link(key=key, kind=LinkKind.COPIED, above=above)
        for through, there in references.items():
            if (
                through.child_table == table
                and through.parent_table == key.parent_table
                and through.parent_columns == key.parent_columns
                and through != forest.owner_keys.get(table)
                and _agree(found, there[row])
            ):
                return Link(key=key, kind=LinkKind.COPIED, above=above, through=through)
    return None


def _agree(found: Rows, other: Rows) -> bool:
    """Return True if both name the same parents, and enough different ones to mean it."""
    same = (found == other) | ((found < 0) & (other < 0))
    return bool(same.mean() >= _COPY_SHARE) and len(np.unique(found)) > 1
