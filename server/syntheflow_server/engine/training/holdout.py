"""Choose the entities that training never sees."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.training.analysis import Analysis, analyse, effective
from syntheflow_server.engine.training.inclusion import with_inclusions
from syntheflow_server.engine.training.thinning import Mask, rows_held, thin

_ENTITY_ROWS = 100
_EFFECTIVE_ENTITIES = 50
_SMALL_TABLE = 50


def holdout_rows(
    schema: Schema, tables: Tables, share: float, seed: int, keep: Collection[str] = ()
) -> dict[str, Mask]:
    """Return for each table which rows are held out (True).

    The split is by entity (see `entity_table`): a row goes with its entity. Rows of
    tables above that, which own rows split further down, stay in training: of an airport
    with both held-out and training flights nothing is hidden. Where such rows are the
    larger part of their table it is split as if it owned nothing, since what is left
    would not stand for it. Tables of fewer than 50 rows and those to `keep` hold nothing back. Pure: equal
    arguments give equal masks.
    """
    thinned = thin(schema, tables, share, seed, keep)
    schema = with_inclusions(schema, thinned.tables)
    masks = holdout_of(analyse(schema, thinned.tables, keep), share, seed)
    return masks | {name: whole.held for name, whole in thinned.whole.items()}


def holdout_of(analysis: Analysis, share: float, seed: int) -> dict[str, Mask]:
    """As `holdout_rows`, for tables that are analysed already."""
    order = analysis.family.order
    entities = {table: entity_table(analysis, table) for table in order}
    kept = _kept(analysis, entities)
    masks: dict[str, Mask] = {}
    for table in order:
        rows, entity = analysis.rows[table], entities[table]
        if rows < _SMALL_TABLE or share <= 0 or analysis.family[table].kept:
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


def entity_table(analysis: Analysis, table: str) -> str:
    """Return the topmost owner over which the rows spread, or the table itself.

    They do if it has at least 100 rows and their effective number, one over the chance
    that two rows of `table` share an owner there (Simpson, 1949), is at least 50. Three
    airports among a thousand that own all flights cannot be split.
    """
    for name in reversed(analysis.family.above(table)):
        if analysis.rows[name] < _ENTITY_ROWS or analysis.family[name].kept:
            continue
        if effective(np.bincount(entity_rows(analysis, table, name))) >= _EFFECTIVE_ENTITIES:
            return name
    return table


def entity_rows(analysis: Analysis, table: str, entity: str) -> npt.NDArray[np.int64]:
    """Return for each row of `table` the row of its `entity` (an owner above, or itself)."""
    row = np.arange(analysis.rows[table])
    while table != entity:
        row = analysis.owners(table)[row]
        table = analysis.family.owner_of(table)
    return row
