"""Tables that hold a row for each parent and time: a team a year, a store a week."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.joins import Rows

_FEWEST_TIMES = 3
_FILLED = 0.3
_MOST_PARENTS = 1000


def find_panels(
    schema: Schema, tables: Tables, references: Mapping[ForeignKey, Rows]
) -> frozenset[ForeignKey]:
    """Return the references by which a table is a panel: its rows are series of the parents.

    No parent has two rows with the same value of some date or integer, and a good part of
    all parents and values meet.
    """
    return frozenset(
        key
        for key in schema.foreign_keys
        if key.child_table != key.parent_table and _is_panel(schema, tables, key, references[key])
    )


def _is_panel(schema: Schema, tables: Tables, key: ForeignKey, found: Rows) -> bool:
    parents = len(np.unique(found))
    if not len(found) or (found < 0).any() or not 1 < parents <= _MOST_PARENTS:
        return False
    if len(found) < _FEWEST_TIMES * parents:
        return False
    taken = {name for own in schema.references_from(key.child_table) for name in own.child_columns}
    for column in schema.table(key.child_table).columns:
        kind = column.arrow
        timed = pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        if timed and column.name not in taken:
            values = combined(tables[key.child_table].column(column.name))
            if not values.null_count and _fills(values, found, parents):
                return True
    return False


def _fills(values: pa.Array, found: Rows, parents: int) -> bool:
    """Return whether parents and values meet at most once, and often enough."""
    coded = values.dictionary_encode()
    times = len(coded.dictionary)
    if times < _FEWEST_TIMES or len(values) < _FILLED * parents * times:
        return False
    pairs = found * times + coded.indices.to_numpy(zero_copy_only=False)
    return len(np.unique(pairs)) == len(pairs)
