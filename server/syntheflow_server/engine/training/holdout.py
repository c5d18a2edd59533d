"""Choose the entities that training never sees."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.training.analysis import Analysis, analyse
from syntheflow_server.engine.training.entities import entity_rows, entity_table
from syntheflow_server.engine.training.inclusion import with_inclusions
from syntheflow_server.engine.training.thinning import Mask, rows_held, thin

_SMALL_TABLE = 50
_MOST_OWN = 0.5


def holdout_rows(
    schema: Schema,
    tables: Tables,
    share: float,
    seed: int,
    keep: Collection[str] = (),
    *,
    orphans: bool = False,
    private: bool = False,
) -> dict[str, Mask]:
    """Return for each table which rows are held out (True); `keep`, `orphans` as in the fit.

    The split is by entity (see `entity_table`): a row goes with its entity. Rows of
    tables above that, which own rows split further down, stay in training: of an airport
    with both held-out and training flights nothing is hidden. Where such rows are the
    larger part of their table nothing of it is held out, since what is left would not
    stand for it. Tables of fewer than 50 rows and those to `keep` hold nothing back. So no
    row in training belongs to one that is held out. With `private`, for fits with epsilon,
    entities follow from the schema alone. Pure: equal arguments give equal masks.
    """
    if private and (schema.foreign_keys or keep):
        from syntheflow_server.engine.privacy.held import held_entities

        return held_entities(schema, tables, share, seed, keep)
    thinned = thin(schema, tables, share, seed, keep)
    schema = with_inclusions(schema, thinned.tables)
    analysis = analyse(schema, thinned.tables, keep, orphans=orphans)
    masks = holdout_of(analysis, share, seed)
    return masks | {name: whole.held for name, whole in thinned.whole.items()}


def holdout_of(analysis: Analysis, share: float, seed: int) -> dict[str, Mask]:
    """As `holdout_rows`, for tables that are analysed already."""
    order = analysis.family.order
    entities = {table: entity_table(analysis, table) for table in order}
    kept = _kept(analysis, entities)
    masks: dict[str, Mask] = {}
    for table in order:
        rows, entity = analysis.rows[table], entities[table]
        above = entity == table and kept[table].sum() > _MOST_OWN * rows
        if rows < _SMALL_TABLE or share <= 0 or above or analysis.family[table].kept:
            masks[table] = np.zeros(rows, bool)
        else:
            held = rows_held(entity, kept[entity], share, seed)
            masks[table] = held[entity_rows(analysis, table, entity)]
    return masks


def _kept(analysis: Analysis, entities: dict[str, str]) -> dict[str, Mask]:
    """Return for each table which rows own rows of tables that are split further down."""
    kept = {table: np.zeros(rows, bool) for table, rows in analysis.rows.items()}
    for table, entity in entities.items():
        row = np.unique(entity_rows(analysis, table, entity))
        for above in analysis.family.above(entity):
            row = np.unique(analysis.owners(entity)[row])
            kept[above][row] = True
            entity = above  # noqa: PLW2901 - one step up
    return kept
