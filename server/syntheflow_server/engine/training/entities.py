"""Whom rows belong to: the unit that is held out, protected, and counted as one holder."""

from __future__ import annotations

import numpy as np

from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.training.analysis import Analysis, effective

_FEWEST = 50
"""Entities over which rows must spread: rows, and effective number."""


def entity_table(analysis: Analysis, table: str) -> str:
    """Return the topmost owner over which the rows spread, or the table itself.

    They do if it has at least 50 rows and their effective number, one over the chance
    that two rows of `table` share an owner there (Simpson, 1949), is at least 50. Three
    airports among a thousand that own all flights cannot be split. A table that is kept
    as it is holds nobody's rows.
    """
    for name in reversed(analysis.family.above(table)):
        if analysis.rows[name] < _FEWEST or analysis.family[name].kept:
            continue
        if effective(np.bincount(entity_rows(analysis, table, name))) >= _FEWEST:
            return name
    return table


def entity_rows(analysis: Analysis, table: str, entity: str) -> Rows:
    """Return for each row of `table` the row of its `entity` (an owner above, or itself)."""
    row = np.arange(analysis.rows[table])
    while table != entity:
        row = analysis.owners(table)[row]
        table = analysis.family.owner_of(table)
    return row


def holders(analysis: Analysis, table: str) -> Rows | None:
    """Return the entity of each row of `table`; None where each row is one of its own."""
    entity = entity_table(analysis, table)
    return None if entity == table else entity_rows(analysis, table, entity)
