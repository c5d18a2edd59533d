"""Decide how each reference that does not own is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.schema import ForeignKey, Schema, Table
from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.joins import NULL_ROW, ORPHAN_ROW, Rows
from syntheflow_server.engine.graph.levels import levels
from syntheflow_server.engine.graph.ownership import Forest
from syntheflow_server.engine.graph.structure import Link, LinkKind

_COPY_SHARE = 0.999
_COPY_ROWS = 20
_SEVERAL = 2
_SURE = 8.0
_DRAWN = (LinkKind.CODED, LinkKind.LEVELS)


def unique_keys(table: Table, schema: Schema) -> list[tuple[str, ...]]:
    """Return the primary key, column sets that references rely on, and declared unique keys."""
    keys = [table.primary_key] if table.primary_key else []
    relied_on = [key.parent_columns for key in schema.references_to(table.name)]
    for columns in (*relied_on, *table.unique_keys):
        if not any(set(known) == set(columns) for known in keys):
            keys.append(columns)
    return sorted(keys, key=len)


def classify_links(
    table: str, schema: Schema, references: Mapping[ForeignKey, Rows], forest: Forest
) -> tuple[Link, ...]:
    """Return the links of `table` in schema order, without sizes of codes."""
    owner = forest.owner_keys.get(table)
    keys = [key for key in dict.fromkeys(schema.references_from(table)) if key != owner]
    implied: set[ForeignKey] = set()
    own_keys = unique_keys(schema.table(table), schema)
    links = []
    for key in keys:
        wider = _implied_by(key, schema, references, implied)
        if _returned(key, references, forest):
            links.append(Link(key=key, kind=LinkKind.RETURNED))
        elif wider is not None:
            implied.add(key)
            links.append(Link(key=key, kind=LinkKind.IMPLIED))
        else:
            known = any(set(own) == set(key.child_columns) for own in own_keys)
            links.append(_link(key, references, forest, is_key=known))
    return tuple(links)


def _link(
    key: ForeignKey, references: Mapping[ForeignKey, Rows], forest: Forest, *, is_key: bool
) -> Link:
    found = references[key]
    if copied := _copied(key, references, forest):
        return copied
    held = found[found >= 0]
    counts = np.bincount(held) if len(held) else np.zeros(1)
    missing = float((found == NULL_ROW).mean()) if len(found) else 0.0
    lost = float((found == ORPHAN_ROW).mean()) if len(found) else 0.0
    # No parent twice: because the reference is a key, or beyond what chance would do.
    pairs = len(held) ** 2 / 2 / max(len(counts), 1)
    unique = len(held) > 1 and int(counts.max()) == 1 and (is_key or pairs >= _SURE)
    if key.child_table == key.parent_table:
        depth = levels(found)
        if depth is not None:
            loops = bool((found == np.arange(len(found))).any())
            # Where none is null, those that refer to nobody are the tops: of what else?
            tops = missing if missing or loops else lost
            owner = forest.owner_keys.get(key.child_table)
            above = references[owner] if owner else np.zeros(0, np.int64)
            some = np.flatnonzero(found >= 0) if owner else found[:0]
            return Link(
                key=key,
                kind=LinkKind.LEVELS,
                within=len(some) > 0 and bool((above[some] == above[found[some]]).all()),
                null_share=tops,
                orphan_share=lost,
                unique=unique,
                levels=int(depth.max(initial=0)) + 1,
                loops=loops,
            )
    return Link(key=key, kind=LinkKind.CODED, null_share=missing, orphan_share=lost, unique=unique)


def own_columns(keys: Iterable[tuple[str, ...]], links: Iterable[Link]) -> set[str]:
    """Return the columns that the row's own `keys` fill although links hold them too.

    A store's own number is part of its reference to its head: staff(store, number).
    """
    keys = list(keys)
    return {
        column
        for link in links
        for key in keys
        if link.kind in _DRAWN and set(key) < set(link.key.child_columns)
        for column in key
    }


def filled_by(links: Iterable[Link]) -> set[str]:
    """Return the columns whose values come from links."""
    return {c for x in links if x.kind is not LinkKind.RETURNED for c in x.key.child_columns}


def in_turn(
    links: Iterable[Link], filled: Iterable[str], order: str, source: TableSource
) -> tuple[Link, ...]:
    """Return the links in the order in which they are resolved, each told what it must meet.

    `filled` are columns that have values before. Narrow references come before wide ones,
    those that are never null before others; what they share, the first one fills. `order`
    is the column that orders siblings, "" for none.
    """
    before = frozenset(filled)
    known, told = set(before), []
    for link in sorted(
        links, key=lambda x: (x.kind in _DRAWN, len(x.key.child_columns), x.nullable)
    ):
        columns = link.key.child_columns
        if link.kind in _DRAWN:
            shared = tuple(c for c in columns if c in known and c != order)
            free = tuple(c for c in columns if c not in known and c != order)
            fixed = tuple(c for c in columns if c == order)
            update: dict[str, object] = {
                "fixed": fixed,
                "shared": shared,
                "partial": _partial(free, source),
            }
            if link.kind is LinkKind.LEVELS and not _tree_agrees(link, shared, before, fixed):
                update["kind"] = LinkKind.CODED
            link = link.model_copy(update=update)  # noqa: PLW2901 - the same link, told more
        if link.kind not in {LinkKind.RETURNED, LinkKind.IMPLIED}:
            known |= set(columns)
        told.append(link)
    return tuple(told)


def _tree_agrees(
    link: Link, shared: tuple[str, ...], before: frozenset[str], fixed: tuple[str, ...]
) -> bool:
    """Return whether a tree can be made of groups that have the shared columns in common."""
    alike = all(name in before and link.theirs(name) == name for name in shared)
    return alike and not fixed


def _partial(
    columns: tuple[str, ...], source: TableSource
) -> tuple[tuple[tuple[str, ...], float], ...]:
    """Return which of the columns are null together in rows where some are, with shares.

    Nothing if they are null together only.
    """
    if len(columns) < _SEVERAL:
        return ()
    gaps = np.stack([_gaps(source, name) for name in columns], axis=1)
    rows = gaps[gaps.any(axis=1)]
    if not len(rows) or rows.all():
        return ()
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    return tuple(
        (tuple(name for name, gap in zip(columns, kind, strict=True) if gap), float(share))
        for kind, share in zip(kinds, counts / len(rows), strict=True)
    )


def _gaps(source: TableSource, name: str) -> npt.NDArray[np.bool_]:
    values = combined(source.column(name))
    gaps: npt.NDArray[np.bool_] = values.is_null().to_numpy(zero_copy_only=False)
    return gaps


def _returned(key: ForeignKey, references: Mapping[ForeignKey, Rows], forest: Forest) -> bool:
    """Return whether the parent is always a row that the child's row itself owns, by this key."""
    table, columns = key.parent_table, key.parent_columns
    row = references[key]
    if not len(row) or (row < 0).any():
        return False
    while table in forest.owner_keys:
        own = forest.owner_keys[table]
        if not set(columns) <= set(own.child_columns):
            return False
        pairs = dict(zip(own.child_columns, own.parent_columns, strict=True))
        columns, row = tuple(pairs[c] for c in columns), references[own][row]
        table = own.parent_table
        if table == key.child_table:
            return columns == key.child_columns and bool((row == np.arange(len(row))).all())
    return False


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
            copied = Link(key=key, kind=LinkKind.COPIED, above=above)
            return copied if _consistent(copied, forest) else None
        for through, there in references.items():
            if (
                through.child_table == table
                and through.parent_table == key.parent_table
                and through.parent_columns == key.parent_columns
                and through != forest.owner_keys.get(table)
                and _agree(found, there[row])
            ):
                copied = Link(key=key, kind=LinkKind.COPIED, above=above, through=through)
                return copied if _consistent(copied, forest) else None
    return None


def _consistent(link: Link, forest: Forest) -> bool:
    """Return whether columns that the owner fills too come from the same place above."""
    for column in link.key.child_columns:
        name, table = column, link.key.child_table
        if name not in forest.owner_keys[table].child_columns:
            continue
        for _ in range(link.above):
            own = forest.owner_keys[table]
            if name not in own.child_columns:
                return False
            name = own.parent_columns[own.child_columns.index(name)]
            table = own.parent_table
        source = link.theirs(column)
        if link.through is not None:
            place = link.through.parent_columns.index(source)
            source = link.through.child_columns[place]
        if source != name:
            return False
    return True


def _agree(found: Rows, other: Rows) -> bool:
    """Return True if both name the same parents, and enough different ones to mean it."""
    same = (found == other) | ((found < 0) & (other < 0))
    return bool(same.mean() >= _COPY_SHARE) and len(np.unique(found)) > 1
