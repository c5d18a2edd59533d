"""Move a generated day to the nearest one that is what the row's hints say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.relations.base import Ref, Relation
from syntheflow_server.engine.relations.mapping import Mapping as Table
from syntheflow_server.engine.relations.moments import Part

_REACH = 45
_MOST_DAYS = 200_000
_DAY = 86_400_000_000
_CLOCK = frozenset({"hour", "minute", "second", "%H", "%H:%M", "date"})


def tell_of_days(relations: Sequence[Relation], column: str) -> tuple[Relation, ...]:
    """Return the relations whose hints say what kind of day the column holds."""
    return tuple(
        relation
        for relation in relations
        if relation.hints
        and relation.needs == (Ref(column),)
        and (
            (isinstance(relation, Part) and not relation.zone and relation.part not in _CLOCK)
            or (isinstance(relation, Table) and pa.types.is_temporal(relation.sources.type))
        )
    )


def agreed(
    moments: pa.Array, relations: Sequence[Relation], hinted: Mapping[str, pa.Array]
) -> pa.Array:
    """Return `moments` [n] moved by at most 45 days so that `relations` give `hinted` [n].

    A day of a bin is drawn without regard to the weekday that the network has in mind;
    its neighbour is as likely. Moments that no day near by suits stay where they are.
    """
    kind = moments.type
    unit = 1 if pa.types.is_date32(kind) else _DAY
    numbers, missing = to_numbers(moments, "")
    if missing.all():
        return moments
    days, clock = np.divmod(numbers, unit)
    first = int(days[~missing].min()) - _REACH
    every = np.arange(first, int(days[~missing].max()) + _REACH + 1)
    if len(every) > _MOST_DAYS:
        return moments
    days[missing] = first + _REACH
    theirs, ours = np.zeros(len(every), np.int64), np.zeros(len(days), np.int64)
    calendar = from_numbers(every * unit, None, kind, 0)
    for relation in relations:
        values = relation.derive(relation.makes[0], {relation.needs[0]: calendar})
        known = pc.unique(values)
        theirs = theirs * (len(known) + 1) + _places(values, known)
        ours = ours * (len(known) + 1) + _places(hinted[relation.makes[0]], known)
    moved, left = days.copy(), np.arange(len(days))
    for step in sorted(range(-_REACH, _REACH + 1), key=abs):
        hit = theirs[days[left] + step - first] == ours[left]
        moved[left[hit]] = days[left[hit]] + step
        left = left[~hit]
        if not len(left):
            break
    return from_numbers(moved * unit + clock, missing, kind, 0)


def _places(values: pa.Array, known: pa.Array) -> npt.NDArray[np.int64]:
    found = pc.fill_null(pc.index_in(values, value_set=known), len(known))
    places: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return places
