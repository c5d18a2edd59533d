"""Learn the makers of key columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, Table
from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import RARE_ROWS, combined
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.graph.structure import Structure
from syntheflow_server.engine.keys.base import KeyMaker
from syntheflow_server.engine.keys.cells import MOST_CELLS, cell_chances
from syntheflow_server.engine.keys.grid import GridKey
from syntheflow_server.engine.keys.number import NumberKey
from syntheflow_server.engine.keys.pattern import PatternKey
from syntheflow_server.engine.keys.spread import SpreadKey
from syntheflow_server.engine.training.thinning import Whole

Makers = tuple[tuple[KeyMaker, ...], tuple[KeyMaker, ...]]


def learn_makers(
    table: Table,
    source: TableSource,
    structure: Structure,
    whole: Whole | None = None,
    needed: int = RARE_ROWS,
) -> Makers:
    """Return the makers by row number and by owner's row number.

    `whole` is what `source` leaves out rows of: numbers must be as dense as all of them are.
    Of grids, values that fewer than `needed` rows hold are left out.
    """
    by_row = [
        _maker(table, source, name, whole, needed, telling=name in structure.telling)
        for name in structure.surrogate
    ]
    if structure.grid:
        by_row.append(_grid(table, source, structure.grid, needed))
    by_owner = [_maker(table, source, name, None, needed) for name in structure.per_owner]
    return tuple(by_row), tuple(by_owner)


def _maker(
    table: Table,
    source: TableSource,
    name: str,
    whole: Whole | None,
    needed: int,
    *,
    telling: bool = False,
) -> KeyMaker:
    column = table.column(name)
    values = pc.unique(combined(source.column(name))).drop_null()
    if whole is not None and not pa.types.is_string(values.type):
        values = _distinct(whole, column)
    if pa.types.is_string(values.type):
        return PatternKey.fit(name, values.to_pylist(), needed)
    return SpreadKey.fit(column, values) if telling else NumberKey.fit(column, values)


def _distinct(whole: Whole, column: Column) -> pa.Array:
    """Return the different values of all rows: sorted, which takes less memory than hashing."""
    if column.arrow == pa.bool_() or pa.types.is_decimal(column.arrow):
        return pc.unique(pa.chunked_array([pc.unique(part) for part in whole.values(column.name)]))
    parts = [to_numbers(part.drop_null(), column.name)[0] for part in whole.values(column.name)]
    numbers = np.concatenate(parts)
    del parts
    numbers.sort()
    first = np.ones(len(numbers), np.bool_)
    first[1:] = numbers[1:] != numbers[:-1]
    return from_numbers(numbers[first], None, column.arrow, 0)


def _grid(table: Table, source: TableSource, names: tuple[str, ...], needed: int) -> GridKey:
    """Return the grid of all values that enough rows hold to be published."""
    values, places, ordered = [], [], []
    room = _held_by(source, names, needed)
    for name in names:
        column = combined(source.column(name))
        counted = pc.value_counts(column.drop_null())
        held = pc.greater_equal(counted.field("counts"), room)
        known = counted.field("values").filter(held)
        if not len(known) or pa.types.is_boolean(known.type):
            known = counted.field("values")
        values.append(known.take(pc.sort_indices(known)))
        found = pc.fill_null(pc.index_in(column, values[-1]), -1)
        places.append(found.to_numpy(zero_copy_only=False).astype(np.int64))
        ordered.append(not (pa.types.is_string(known.type) or pa.types.is_boolean(known.type)))
    columns, sizes = [table.column(name) for name in names], [len(known) for known in values]
    if np.prod(sizes, dtype=np.float64) > MOST_CELLS:
        return GridKey.fit(columns, values)
    rows = np.stack(places, axis=1)
    rows = rows[(rows >= 0).all(axis=1)]
    return GridKey.fit(columns, values, source.num_rows, cell_chances(rows, sizes, ordered, needed))


def _held_by(source: TableSource, names: tuple[str, ...], needed: int) -> int:
    """Return how many rows must hold a value for it to be a place: fewer if places run short.

    Without room for as many keys as there are, no table of the real size could be made.
    """
    counts = [pc.value_counts(combined(source.column(name))).field("counts") for name in names]
    for held in range(needed, 1, -1):
        sizes = [pc.sum(pc.greater_equal(own, held)).as_py() or 0 for own in counts]
        if np.prod(sizes, dtype=np.float64) >= source.num_rows:
            return held
    return 1
