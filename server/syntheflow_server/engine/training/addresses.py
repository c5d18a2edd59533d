"""Keep composed addresses from being real ones: two people of one name share no e-mail."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.tables import TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.holders import counted
from syntheflow_server.engine.encoding.sieve import Sieve
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.relations import Ref, Relation
from syntheflow_server.engine.relations.strings import Composed
from syntheflow_server.engine.training.thinning import Mask, Whole

_BITS = 8
"""Bits of the sieve for each address: with fewer, too many would get a number for nothing."""


def guarded(
    relations: Iterable[Relation],
    source: TableSource,
    teaching: Mask,
    whole: Whole | None,
    needed: int,
    entity: Rows | None,
) -> tuple[Relation, ...]:
    """Return the relations such that composed strings are not those of fewer than `needed` rows.

    First and last names that many hold meet in someone's address by chance. The rows
    `teaching` [n] of `source` belong to `entity` (None: each is its own); a table that was
    thinned is asked as a `whole`.
    """
    found = []
    for relation in relations:
        own = relation
        near = all(ref.near for ref in relation.needs)
        if isinstance(relation, Composed) and near:
            keep = pa.array(teaching)
            columns = {ref: combined(source.column(ref.column)) for ref in relation.needs}
            made = combined(source.column(relation.makes[0])).filter(keep)
            given = {ref: values.filter(keep) for ref, values in columns.items()}
            given[Ref(relation.makes[0])] = made
            hidden = tuple(relation.hide(given).values())
            rare = _rare(made, needed, None if entity is None else entity[teaching])
            if whole is not None:
                rare = Sieve.of_rare(whole.values(relation.makes[0]), needed, _BITS)
            own = relation.guarding(hidden, rare)
        found.append(own)
    return tuple(found)


def _rare(values: pa.Array, needed: int, entity: Rows | None) -> Sieve:
    """Return the sieve of the strings that fewer than `needed` entities hold."""
    names, _, held = counted(values, entity)
    return Sieve.of(np.array(names.to_pylist(), object)[held.counts < needed].tolist(), _BITS)
