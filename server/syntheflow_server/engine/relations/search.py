"""Find the relations of all tables, each verified on every training row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.encoding.base import RARE_ROWS
from syntheflow_server.engine.relations import (
    arithmetic,
    around,
    bounds,
    clock,
    copies,
    differences,
    mapping,
    moments,
    onehot,
    rising,
    strings,
)
from syntheflow_server.engine.relations.base import Ref, Relation, given_of, same, seen
from syntheflow_server.engine.relations.sight import Sight, some_rows
from syntheflow_server.engine.training import entities
from syntheflow_server.engine.training.analysis import Analysis

Mask = npt.NDArray[np.bool_]
_SAMPLE = 10_000
_FEW_ROWS = 30


def find_relations(
    schema: Schema,
    tables: Tables,
    analysis: Analysis,
    held: Mapping[str, Mask],
    tick: Callable[[str], None],
    obeyed: Callable[[str, Relation], bool] = lambda _table, _relation: True,
    holders: int = RARE_ROWS,
) -> dict[str, tuple[Relation, ...]]:
    """Return by table the relations that all rows that are not `held` obey.

    `obeyed` has the last word on a relation: whether rows that `tables` leave out obey it.
    What fewer than `holders` entities hold is not listed in any relation.
    """
    found = {}
    for name in analysis.family.order:
        tick(f"reading {name}")
        rows = np.flatnonzero(~held[name])
        every = Sight(schema, tables, analysis, name, rows, keep=False)
        few = some_rows(rows, _SAMPLE, 0)
        sample = Sight(schema, tables, analysis, name, few, keep=True)
        entity = entities.holders(analysis, name)
        search = _Search(
            sample,
            every,
            partial(tick, f"reading {name}"),
            partial(obeyed, name),
            holders,
            entity if entity is None else entity[rows],
        )
        found[name] = search.run()
    return found


class _Search:
    """Collects the relations of one table; what is made is not made twice, nor from itself."""

    def __init__(
        self,
        sample: Sight,
        every: Sight,
        tick: Callable[[], None],
        obeyed: Callable[[Relation], bool],
        holders: int,
        entity: npt.NDArray[np.int64] | None,
    ) -> None:
        self._sample, self._every, self._tick = sample, every, tick
        self._obeyed, self._holders, self._entity = obeyed, holders, entity
        self._found: list[Relation] = []
        self._needs: dict[str, set[str]] = {}

    def run(self) -> tuple[Relation, ...]:
        """Return the relations; strict kinds first, so that loose ones take what is left."""
        sample, every = self._sample, self._every
        if every.count < _FEW_ROWS:
            self._take(bounds.find(sample, self._free()))
            return tuple(self._found)
        self._take(moments.find(sample, self._free()))
        self._take(clock.find(sample, every, self._free()))
        self._take(rising.find(sample, every, self._free(), self._running()))
        for copied in copies.find(sample, self._free()):
            self._take_copy(copied)
        for linear in arithmetic.find(sample, self._free()):
            if set(linear.makes) <= set(self._free()) and self._proves(linear):
                self._take([linear])
        self._take(around.find(sample, self._free()))
        self._take(differences.find(sample, self._free()))
        self._take(strings.find(sample, self._free()))
        made = {name for relation in self._found for name in relation.makes}
        decided = mapping.find(
            sample, every, self._free(), self._needs, made, self._holders, self._entity
        )
        self._take(decided, verified=True)
        self._take(onehot.find(sample, self._free()))
        self._take(bounds.find(sample, self._free()))
        return seen(self._found, sample.telling)

    def _running(self) -> list[Ref]:
        """Return dates that a key tells, and the first key that tells about its rows."""
        dates = [
            Ref(name)
            for relation in self._found
            if isinstance(relation, clock.Clock)
            for name, role in zip(relation.makes, relation.roles, strict=True)
            if role == "date"
        ]
        return dates + list(self._sample.telling[:1])

    def _free(self) -> tuple[str, ...]:
        made = {name for relation in self._found for name in relation.makes}
        return tuple(name for name in self._sample.free if name not in made)

    def _take(self, relations: Iterable[Relation], *, verified: bool = False) -> None:
        for relation in relations:
            self._tick()
            free, above = set(self._free()), self._above(relation)
            if not set(relation.makes) <= free or set(relation.makes) & above:
                continue
            if (verified or self._holds(relation)) and self._obeyed(relation):
                self._found.append(relation)
                for name in relation.makes:
                    self._needs[name] = above
                for parts in self._needs.values():
                    if parts & set(relation.makes):
                        parts.update(above)

    def _take_copy(self, copied: copies.Copied) -> None:
        """Take the copy; one that some row breaks may have rows of their own value."""
        before = len(self._found)
        self._take([copied])
        if len(self._found) == before and not copied.hidden:
            column = self._sample.column(Ref(copied.makes[0]))
            self._take([copies.loosened(copied, column)])

    def _above(self, relation: Relation) -> set[str]:
        """Return the columns of the row that the relation needs, near and far."""
        near = {ref.column for ref in relation.needs if ref.near}
        return near.union(*(self._needs.get(name, set()) for name in near))

    def _holds(self, relation: Relation) -> bool:
        """Return True if deriving gives back every training row's values."""
        names = set(self._sample.table.column_names)
        if any(column.name in names for column in relation.hidden):
            return False
        for sight in (self._sample, self._every):
            given = given_of(relation, sight.get)
            for name in relation.makes:
                made = relation.derive(name, given)
                if not same(made, given[Ref(name)]).all():
                    return False
        return True

    def _proves(self, relation: arithmetic.Linear) -> bool:
        return arithmetic.evident(relation, given_of(relation, self._sample.get))
