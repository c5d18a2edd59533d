"""Foreign keys: names must speak for them, values must not speak against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.schema.names import agreement, is_generic, words
from syntheflow_server.schema.profile import ColumnProfile, TableProfile
from syntheflow_server.schema.rows import orphans

# Share of orphan rows that is forgiven, by how clearly the name refers.
_FORGIVEN = ((1.0, 0.2), (0.8, 0.05), (0.6, 0.05), (0.0, 0.0))
_FORGIVEN_COMPOSITE = 0.05
_ROLE = 0.6
_TELLING_LENGTH = 2
_TELLING_DISTINCT = 3

Keys = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Candidate:
    parent: str
    name_score: float
    orphan_share: float
    fit: float
    """Share of the parent's rows that are referred to at most."""


def single_references(tables: Mapping[str, TableProfile], keys: Keys) -> list[ForeignKey]:
    """Return the references of single columns to single-column primary keys."""
    found: list[ForeignKey] = []
    for child in tables.values():
        for column in child.columns:
            best = _best_parent(child, column, tables, keys)
            if best is not None:
                key = keys[best.parent]
                found.append(ForeignKey(child_table=child.name, child_columns=(column.name,),
                                        parent_table=best.parent, parent_columns=key))  # fmt: skip
    return _without_circles_of_keys(found, keys)


def _best_parent(
    child: TableProfile, column: ColumnProfile, tables: Mapping[str, TableProfile], keys: Keys
) -> _Candidate | None:
    if not (column.is_integer or column.is_text) or column.rows == column.nulls:
        return None
    candidates: list[_Candidate] = []
    # A table's own key refers only to a table that it is called after more than its own.
    own = _called_after(column.name, child.name) if _owns(child, column, keys) else -1.0
    for name, key in keys.items():
        if len(key) != 1:
            continue
        parent = tables[name]
        target = parent.by_name[key[0]]
        candidate = _judge(child, column, parent, target)
        if candidate and _called_after(column.name, name) > own:
            candidates.append(candidate)
    return max(
        candidates,
        key=lambda c: (c.name_score + _called_after(column.name, c.parent), -c.orphan_share, c.fit),
        default=None,
    )


def _owns(child: TableProfile, column: ColumnProfile, keys: Keys) -> bool:
    return keys.get(child.name) == (column.name,)


def _called_after(column: str, table: str) -> float:
    """Return how much of the table's name is in the column's: stop_id is of stop, not stop_text."""
    named, own = words(column), words(table)
    shared = sum(word in named for word in own)
    return 0.05 * shared / len(own) if own else 0.0


def _judge(
    child: TableProfile, column: ColumnProfile, parent: TableProfile, target: ColumnProfile
) -> _Candidate | None:
    if not _same_family(column.kind, target.kind) or column.distinct > 2 * max(1, target.distinct):
        return None
    if child.name == parent.name and column.name == target.name:
        return None
    score = agreement(column.name, child.name, target.name, parent.name)
    if score == 0 and not _speaks_for_itself(child, column, parent, target):
        return None
    total, lost = orphans(child.source, [column.name], parent.source, [target.name])
    share = lost / total if total else 1.0
    if share > next(limit for least, limit in _FORGIVEN if score >= least):
        return None
    return _Candidate(parent.name, score, share, column.distinct / max(1, target.distinct))


def _speaks_for_itself(
    child: TableProfile, column: ColumnProfile, parent: TableProfile, target: ColumnProfile
) -> bool:
    """Tell whether text values alone may prove a reference: never within a table, never trivial."""
    if child.name == parent.name or not column.is_text or column.shape is None:
        return False
    if target.shape is None or column.unique:
        return False
    telling = column.shape.mean_length >= _TELLING_LENGTH and column.distinct >= _TELLING_DISTINCT
    return telling and target.distinct >= 2 * _TELLING_DISTINCT


def _same_family(child: pa.DataType, parent: pa.DataType) -> bool:
    return bool(child == parent)


def _without_circles_of_keys(found: list[ForeignKey], keys: Keys) -> list[ForeignKey]:
    """Keep one direction where two tables' own keys refer to each other."""
    pairs = {
        (f.child_table, f.parent_table) for f in found if keys[f.child_table] == f.child_columns
    }
    return [
        f
        for f in found
        if not (
            keys[f.child_table] == f.child_columns
            and (f.parent_table, f.child_table) in pairs
            and f.child_table < f.parent_table
        )
    ]


def composite_references(
    tables: Mapping[str, TableProfile], keys: Keys, singles: list[ForeignKey]
) -> list[ForeignKey]:
    """Return the references of same-named columns to composite primary keys."""
    found: list[ForeignKey] = []
    for parent_name, key in keys.items():
        if len(key) < 2 or all(is_generic(name) for name in key):
            continue
        for child in tables.values():
            if child.name == parent_name or not _has_columns(child, tables[parent_name], key):
                continue
            if _are_siblings(child.name, parent_name, keys, singles):
                continue
            columns = _matching(child, key)
            total, lost = orphans(child.source, columns, tables[parent_name].source, key)
            if total and lost / total <= _FORGIVEN_COMPOSITE:
                found.append(ForeignKey(child_table=child.name, child_columns=tuple(columns),
                                        parent_table=parent_name, parent_columns=key))  # fmt: skip
    return found


def _matching(child: TableProfile, key: tuple[str, ...]) -> list[str]:
    by_lower = {column.name.lower(): column.name for column in child.columns}
    return [by_lower.get(name.lower(), "") for name in key]


def _has_columns(child: TableProfile, parent: TableProfile, key: tuple[str, ...]) -> bool:
    columns = _matching(child, key)
    return all(columns) and all(
        _same_family(child.by_name[c].kind, parent.by_name[p].kind)
        for c, p in zip(columns, key, strict=True)
    )


def _are_siblings(child: str, parent: str, keys: Keys, singles: list[ForeignKey]) -> bool:
    """Tell siblings from parent and child: both keys hold the key of one third table.

    Two tables of facts about players share (player, year): neither refers to the other,
    unless the child is called after the parent, as order_line_tax after order_line.
    """
    ours, theirs = set(keys.get(child, ())), set(keys[parent])
    if not theirs <= ours or set(words(parent)) < set(words(child)):
        return False
    above = {
        table: {(f.parent_table, f.child_columns) for f in singles if f.child_table == table}
        for table in (child, parent)
    }
    return bool(above[child] & above[parent])
