"""Large related tables: some entities teach, each with all rows that belong to it.

What an entity's rows say of each other (how many there are, in what order, after what
gaps) is whole then, and what is held in memory hardly grows with the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.graph.joins import Rows, parent_rows
from syntheflow_server.engine.graph.ownership import Forest, choose_owners
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.training.panels import find_panels

Mask = npt.NDArray[np.bool_]
_FREE_SHARE = 0.5
_FEWEST = 50
"""Entities over which the rows of each large table must spread, as in `entities`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of one table teach, and which are held out; the others do neither."""

    teaching: Rows
    held: Mask


def thin_families(
    schema: Schema, tables: Tables, most: int, chance: tuple[float, int], keep: Collection[str]
) -> dict[str, Part]:
    """Return the rows that teach of tables in families one of which has more than `most` rows.

    `chance` is the share to be held out, and the seed. A family is a table without owner
    and all that it owns: of its rows, the entities, some are chosen so that no table has
    more than `most` rows that teach. Families stay whole to whose rows others refer, or
    whose large tables do not spread over 50 entities. Pure: equal arguments, equal rows.
    """
    rows = {name: tables[name].num_rows for name in schema.table_names}
    related = {name for key in schema.foreign_keys for name in (key.child_table, key.parent_table)}
    large = {name for name in related if rows[name] > most and name not in keep}
    if not large:
        return {}
    references = {key: parent_rows(key, tables) for key in schema.foreign_keys}
    panels = find_panels(schema, tables, references)
    forest = choose_owners(schema, references, rows, keep, panels=panels)
    parts: dict[str, Part] = {}
    for root in sorted({forest.root_of(name) for name in large} - set(keep)):
        names = forest.family_of(root)
        entity = _entities(forest, names, references, rows)
        spread = all(_spread(entity[name]) >= _FEWEST for name in large & set(names))
        if not spread:
            continue
        if any(_leaves(key, names, entity, references, forest) for key in references):
            continue
        found = _chosen(root, entity, most, chance)
        if _same_owners(schema, references, rows, keep, forest, found, panels):
            parts |= found
    return parts


def _entities(
    forest: Forest,
    names: tuple[str, ...],
    references: Mapping[ForeignKey, Rows],
    rows: Mapping[str, int],
) -> dict[str, Rows]:
    """Return by table the entity of each row, -1 where there is none."""
    entity: dict[str, Rows] = {}
    for name in names:  # owners come first
        key = forest.owner_keys.get(name)
        if key is None:
            entity[name] = np.arange(rows[name])
        else:
            found = references[key]
            entity[name] = np.where(found >= 0, entity[key.parent_table][found], -1)
    return entity


def _spread(entity: Rows) -> float:
    """Return over how many entities rows spread: one over the chance that two share one."""
    counts = np.bincount(entity[entity >= 0]).astype(float)
    return float(counts.sum() ** 2 / max((counts**2).sum(), 1.0))


def _leaves(
    key: ForeignKey,
    names: tuple[str, ...],
    entity: Mapping[str, Rows],
    references: Mapping[ForeignKey, Rows],
    forest: Forest,
) -> bool:
    """Return whether rows refer by `key` to the family `names` from outside their own entity."""
    if key.parent_table not in names or forest.owner_keys.get(key.child_table) == key:
        return False
    if key.child_table not in names:
        return True
    found = references[key]
    refers = found >= 0
    theirs = entity[key.parent_table][found[refers]]
    return bool((theirs != entity[key.child_table][refers]).any())


def _chosen(
    root: str, entity: Mapping[str, Rows], most: int, chance: tuple[float, int]
) -> dict[str, Part]:
    """Return the rows of as many random entities as fit."""
    share, seed = chance
    entities = len(entity[root])
    held = rows_held(root, np.zeros(entities, bool), share, seed)
    room = min(most / max(len(rows), 1) for rows in entity.values())
    free = np.flatnonzero(~held)
    count = max(1, min(len(free), int(room * entities)))
    teaching = np.zeros(entities + 1, bool)  # the last is nobody, at -1
    teaching[generator(seed, root, 0, "thin").choice(free, count, replace=False)] = True
    held = np.append(held, False)
    return {name: Part(np.flatnonzero(teaching[rows]), held[rows]) for name, rows in entity.items()}


def _same_owners(
    schema: Schema,
    references: Mapping[ForeignKey, Rows],
    rows: Mapping[str, int],
    keep: Collection[str],
    forest: Forest,
    parts: Mapping[str, Part],
    panels: Collection[ForeignKey],
) -> bool:
    """Return whether the rows that teach give each table the owner that all rows give it."""
    fewer = dict(rows) | {name: len(part.teaching) for name, part in parts.items()}
    seen = dict(_restricted(references, rows, parts))
    return choose_owners(schema, seen, fewer, keep, panels=panels).owner_keys == forest.owner_keys


def _restricted(
    references: Mapping[ForeignKey, Rows], rows: Mapping[str, int], parts: Mapping[str, Part]
) -> Iterator[tuple[ForeignKey, Rows]]:
    """Yield the references among the rows that teach."""
    for key, found in references.items():
        kept = found[parts[key.child_table].teaching] if key.child_table in parts else found
        if key.parent_table in parts:
            number = np.full(rows[key.parent_table], -1)
            theirs = parts[key.parent_table].teaching
            number[theirs] = np.arange(len(theirs))
            kept = np.where(kept >= 0, number[kept], kept)
        yield key, kept


def rows_held(entity: str, kept: Mask, share: float, seed: int) -> Mask:
    """Return which rows of the table `entity` are held out: none that is `kept`.

    Where most rows are kept, keeping is given up: too few would be left to choose from.
    """
    rows = len(kept)
    order = generator(seed, entity, 0, "holdout").permutation(rows)
    if kept.sum() <= _FREE_SHARE * rows:
        order = order[~kept[order]]
    mask = np.zeros(rows, bool)
    mask[order[: round(rows * share)]] = True
    return mask
