"""Large tables: a million of their rows teach, all of them are looked at once.

What is held in memory then hardly grows with the table (see docs/training.md). What must
be true of every row is asked of every row, part by part: which rows are held out,
whether a relation holds, which strings somebody has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Schema
from syntheflow_server.domain.tables import PART_ROWS, Tables, TableSource, one_array
from syntheflow_server.engine.relations.base import Ref, Relation, given_of, same
from syntheflow_server.engine.relations.mapping import Mapping as Listed
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.training.families import rows_held, thin_families

__all__ = ["MOST_ROWS", "Mask", "ThinTable", "Thinned", "Whole", "rows_held", "thin"]

MOST_ROWS = 1_000_000
_KEPT_BYTES = 64 << 20

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class ThinTable:
    """A TableSource of some rows of another, in their order."""

    def __init__(self, source: TableSource, rows: Rows) -> None:
        self._source, self._rows = source, rows
        starts = [part.start for part in source.parts]
        self._edges = np.searchsorted(rows, [*starts, source.num_rows])
        self._kept: dict[str, pa.ChunkedArray] = {}

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        return len(self._rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return all values of a column, in row order; KeyError if there is none."""
        if name in self._kept:
            return self._kept[name]
        pieces = []
        for number, part in enumerate(self._source.parts):
            mine = self._rows[self._edges[number] : self._edges[number + 1]] - part.start
            pieces.append(self._source.part(name, number).take(pa.array(mine)))
        values = pa.chunked_array([one_array(pa.chunked_array(pieces))])
        if values.nbytes <= _KEPT_BYTES:
            self._kept[name] = values
        return values

    @property
    def parts(self) -> tuple[range, ...]:
        """See `TableSource.parts`."""
        starts = range(0, self.num_rows, PART_ROWS)
        return tuple(range(start, min(start + PART_ROWS, self.num_rows)) for start in starts)

    def part(self, name: str, number: int) -> pa.Array:
        """See `TableSource.part`."""
        rows = self.parts[number]
        return one_array(self.column(name).slice(rows.start, len(rows)))


Getter = Callable[[Ref], pa.Array]


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """All rows of a table that was thinned, and which of them are held out."""

    source: TableSource
    held: Mask

    def teaching(self) -> Iterator[Getter]:
        """Yield for each part what gives the columns of its rows that are not held out."""
        for number, rows in enumerate(self.source.parts):
            kept = pa.array(~self.held[rows.start : rows.stop])

            def get(ref: Ref, number: int = number, kept: pa.Array = kept) -> pa.Array:
                return self.source.part(ref.column, number).filter(kept)

            yield get

    def obeys(self, relation: Relation) -> bool:
        """Return True if the relation gives back the values of every row that teaches.

        A mapping says nothing of rows whose source it does not list. What owners have a
        part in is known of the rows that were looked at alone.
        """
        if any(not ref.near for ref in relation.needs):
            return True
        for get in self.teaching():
            given = given_of(relation, get)
            for name in relation.makes:
                right = same(relation.derive(name, given), given[Ref(name)])
                if isinstance(relation, Listed):
                    right |= ~relation.lists(given)
                if not right.all():
                    return False
        return True

    def values(self, name: str, relation: Relation | None = None) -> Iterator[pa.Array]:
        """Yield part by part the column `name`, or the hidden one of a `relation`."""
        for get in self.teaching():
            yield get(Ref(name)) if relation is None else given_of(relation, get)[Ref(name)]


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """The tables to learn from, and what the thinned ones of them are in whole, by name."""

    tables: Tables
    whole: Mapping[str, Whole]

    def obeys(self, table: str, relation: Relation) -> bool:
        """Return True if all rows that teach obey the relation, also those left out."""
        return table not in self.whole or self.whole[table].obeys(relation)


def thin(
    schema: Schema, tables: Tables, share: float, seed: int, keep: Collection[str] = ()
) -> Thinned:
    """Return the tables with at most a million random rows of each that stands alone.

    A table stands alone if it neither refers to another nor is referred to; of others some
    entities are kept with all their rows (see `thin_families`). None to `keep`
    is thinned. Rows that are
    held out (`share` of them) are not among those kept. Pure: equal arguments give equal
    rows.
    """
    related = {name for key in schema.foreign_keys for name in (key.child_table, key.parent_table)}
    kept: dict[str, TableSource] = dict(tables)
    whole = {}
    for name in schema.table_names:
        source = tables[name]
        if name in related or name in keep or source.num_rows <= MOST_ROWS:
            continue
        held = rows_held(name, np.zeros(source.num_rows, bool), share, seed)
        teaching = np.flatnonzero(~held)
        count = min(MOST_ROWS, len(teaching))
        chosen = generator(seed, name, 0, "thin").choice(len(teaching), count, replace=False)
        kept[name] = ThinTable(source, teaching[np.sort(chosen)])
        whole[name] = Whole(source, held)
    for name, part in thin_families(schema, tables, MOST_ROWS, (share, seed), keep).items():
        kept[name] = ThinTable(tables[name], part.teaching)
        whole[name] = Whole(tables[name], part.held)
    return Thinned(kept, whole)
