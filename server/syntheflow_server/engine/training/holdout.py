"""Choose the entities that training never sees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.training.analysis import Analysis, analyse

_ENTITY_ROWS = 100
_SMALL_TABLE = 50

Mask = npt.NDArray[np.bool_]


def holdout_rows(schema: Schema, tables: Tables, share: float, seed: int) -> dict[str, Mask]:
    """Return for each table which rows are held out (True).

    The split is by entity: a row goes with its topmost owner in a table of at least
    100 rows. Tables of fewer than 50 rows hold nothing back. Pure: equal arguments give
    equal masks.
    """
    return holdout_of(analyse(schema, tables), share, seed)


def holdout_of(analysis: Analysis, share: float, seed: int) -> dict[str, Mask]:
    """As `holdout_rows`, for tables that are analysed already."""
    masks: dict[str, Mask] = {}
    for table in analysis.family.order:
        rows = analysis.rows[table]
        entity = entity_table(analysis, table)
        if rows < _SMALL_TABLE or share <= 0:
            masks[table] = np.zeros(rows, bool)
        elif entity == table:
            held = round(rows * share)
            mask = np.zeros(rows, bool)
            mask[generator(seed, table, 0, "holdout").permutation(rows)[:held]] = True
            masks[table] = mask
        else:
            masks[table] = _entities_held(analysis, table, entity, share, seed)
    return masks


def _entities_held(analysis: Analysis, table: str, entity: str, share: float, seed: int) -> Mask:
    rows = analysis.rows[entity]
    mask = np.zeros(rows, bool)
    mask[generator(seed, entity, 0, "holdout").permutation(rows)[: round(rows * share)]] = True
    return mask[entity_rows(analysis, table, entity)]


def entity_table(analysis: Analysis, table: str) -> str:
    """Return the topmost owner with at least 100 rows, or the table itself."""
    for name in reversed(analysis.family.above(table)):
        if analysis.rows[name] >= _ENTITY_ROWS:
            return name
    return table


def entity_rows(analysis: Analysis, table: str, entity: str) -> npt.NDArray[np.int64]:
    """Return for each row of `table` the row of its `entity` (an owner above, or itself)."""
    row = np.arange(analysis.rows[table])
    while table != entity:
        row = analysis.owners(table)[row]
        table = analysis.family.owner_of(table)
    return row
