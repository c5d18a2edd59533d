"""One version of a data set (training half, held-out half, sampled): tables, links, entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.frames import Frame, Kind, MissingColumnError, frame_of, kinds_in
from scoring.keys import NOTHING, Ints, Keys, Reference, links

Kinds = Mapping[str, dict[str, tuple[Kind, bool]]]


@dataclass(frozen=True, slots=True)
class Database:
    """Tables by name, their links by reference, the rows of data columns as frames."""

    keys: Keys
    tables: Mapping[str, pa.Table]
    links: Mapping[Reference, Ints]
    frames: Mapping[str, Frame]

    def rows(self, table: str) -> int:
        return int(self.tables[table].num_rows)


def database(keys: Keys, tables: Mapping[str, pa.Table], kinds: Kinds) -> Database:
    """Follow all references; frames hold the columns that are data, in the given kinds."""
    lacking = [name for name in keys.tables if name not in tables]
    if lacking:
        raise MissingColumnError(f"table {lacking[0]!r} is missing")
    return Database(
        keys,
        tables,
        linked(keys, tables),
        {name: frame_of(tables[name], kinds[name]) for name in keys.tables},
    )


def linked(keys: Keys, tables: Mapping[str, pa.Table]) -> dict[Reference, Ints]:
    """Return the parent row of each row, by reference."""
    return {r: links(tables[r.child], tables[r.parent], r) for r in keys.references}


def kinds_of_tables(keys: Keys, tables: Mapping[str, pa.Table]) -> Kinds:
    """Return the kinds of all columns that are data.

    In references of several columns numbers and moments (years, hours) are data, texts
    (codes of teams) are names of parents, which may be new ones.
    """
    kinds = {}
    for name in keys.tables:
        hidden, shared = keys.hidden(name), keys.shared(name)
        kinds[name] = {
            column: kind
            for column, kind in kinds_in(tables[name]).items()
            if column not in hidden and not (column in shared and kind[0] in {"category", "text"})
        }
    return kinds


def stored(folder: Path, keys: Keys) -> dict[str, pa.Table]:
    """Read one Parquet file a table; those that are not there are left out."""
    paths = {name: folder / f"{name}.parquet" for name in keys.tables}
    return {name: pq.read_table(path) for name, path in paths.items() if path.exists()}


def above(keys: Keys, root: str) -> set[str]:
    """Return all tables that a table refers to, directly or not."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        for reference in keys.of(waiting.pop()):
            if reference.parent not in found | {root}:
                found.add(reference.parent)
                waiting.append(reference.parent)
    return found


def below(keys: Keys, root: str) -> list[str]:
    """Return all tables whose references lead to a table, without those that it refers to."""
    barred = above(keys, root) | {root}
    found: list[str] = []
    waiting = [root]
    while waiting:
        for reference in keys.to(waiting.pop()):
            if reference.child not in barred and reference.child not in found:
                found.append(reference.child)
                waiting.append(reference.child)
    return found


def entities(
    keys: Keys, found: Mapping[Reference, Ints], sizes: Mapping[str, int], root: str
) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """Return by table (root and below) the root row that each row belongs to, or NOTHING.

    The second answer is one that another reference of the row leads to, if there is a second
    that differs; else the same. Self references are not followed.
    """
    under = below(keys, root)
    first = {name: np.full(sizes[name], NOTHING, dtype=np.int64) for name in under}
    first[root] = np.arange(sizes[root], dtype=np.int64)
    last = dict(first)
    for _ in under:
        for name in under:
            low = high = np.full(sizes[name], NOTHING, dtype=np.int64)
            for r in keys.of(name):
                if r.parent not in first or r.parent == name:
                    continue
                mine, other = (follow(side[r.parent], found[r]) for side in (first, last))
                low = np.where(low == NOTHING, mine, low)
                high = np.where(high == NOTHING, low, high)
                high = np.where((other != NOTHING) & (other != low), other, high)
                high = np.where((mine != NOTHING) & (mine != low), mine, high)
            first[name], last[name] = low, high
    return first, last


def follow(values: Ints, found: Ints) -> Ints:
    """Return each child row's value of its parent row; NOTHING where there is no parent."""
    if not len(values):
        return np.full(len(found), NOTHING, dtype=np.int64)
    return np.where(found >= 0, values[np.maximum(found, 0)], NOTHING)
