"""The rows that relations are looked for in, with what is known of their owners."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column, Schema, Table
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.graph.structure import LinkKind
from syntheflow_server.engine.relations.base import Ref
from syntheflow_server.engine.training.analysis import Analysis
from syntheflow_server.engine.training.links import unique_keys


class Sight:
    """Columns of some rows of a table, and of their owners, by reference.

    `keep` holds columns in memory once they are read: for samples only.
    """

    def __init__(
        self,
        schema: Schema,
        tables: Tables,
        analysis: Analysis,
        table: str,
        rows: Rows,
        *,
        keep: bool,
    ) -> None:
        self._tables, self._keep = tables, keep
        self._names = (table, *analysis.family.above(table))[:3]
        self._schema, self._structure = schema, analysis.family[table]
        self._rows = [rows]
        for name in self._names[:-1]:
            self._rows.append(analysis.owners(name)[self._rows[-1]])
        self._links = {
            str(link.key): (link.key.parent_table, analysis.references[link.key][rows])
            for link in self._structure.resolved
            if link.kind is LinkKind.CODED and not _leads(schema, link.key.parent_table, table)
        }
        self._held: dict[Ref, pa.Array] = {}

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._rows[0])

    @property
    def table(self) -> Table:
        """The table of the rows."""
        return self._schema.table(self._names[0])

    def column(self, ref: Ref) -> Column:
        """Return what the schema says of the column."""
        name = self._links[ref.link][0] if ref.link else self._names[ref.above]
        return self._schema.table(name).column(ref.column)

    def get(self, ref: Ref) -> pa.Array:
        """Return the column [n] for the rows."""
        if ref in self._held:
            return self._held[ref]
        name, rows = self._names[ref.above], self._rows[ref.above]
        if ref.link:
            name, rows = self._links[ref.link]
        source = combined(self._tables[name].column(ref.column))
        values = combined(source.take(pa.array(rows, mask=rows < 0)))
        if self._keep:
            self._held[ref] = values
        return values

    @property
    def free(self) -> tuple[str, ...]:
        """Columns that may be derived: those with tokens that are part of no key."""
        structure = self._structure
        keys = {c for key in unique_keys(self.table, self._schema) for c in key}
        keys |= {c for key in structure.distinct for c in key}
        fixed = keys | set(structure.grid)
        return tuple(name for name in structure.modelled if name not in fixed)

    @property
    def modelled(self) -> tuple[Ref, ...]:
        """Columns of the row that have tokens."""
        return tuple(Ref(name) for name in self._structure.modelled)

    @property
    def early(self) -> frozenset[Ref]:
        """Columns of the row that the owner or the siblings' order decides."""
        structure = self._structure
        names = set(structure.owner.child_columns) if structure.owner else set()
        if structure.sequence and structure.sequence.order:
            names.add(structure.sequence.order)
        names |= {ref.column for ref in self.telling if self.column(ref).type != "int64"}
        return frozenset(Ref(name) for name in names)

    @property
    def telling(self) -> tuple[Ref, ...]:
        """Keys made from the row number on which other columns depend."""
        return tuple(Ref(name) for name in self._structure.telling)

    @property
    def linked(self) -> tuple[Ref, ...]:
        """Columns of the row that references fill after its tokens are drawn."""
        names = dict.fromkeys(c for link in self._structure.links for c in link.key.child_columns)
        return tuple(Ref(name) for name in names if Ref(name) not in self.early)

    @property
    def above(self) -> tuple[Ref, ...]:
        """Columns of the owners that are part of no key."""
        found = []
        for place, name in enumerate(self._names[1:], start=1):
            table = self._schema.table(name)
            keys = {c for key in unique_keys(table, self._schema) for c in key}
            keys |= {c for key in self._schema.references_from(name) for c in key.child_columns}
            found += [Ref(c, place) for c in table.column_names if c not in keys]
        return tuple(found)

    @property
    def beside(self) -> tuple[Ref, ...]:
        """Columns of the rows that links refer to which are part of no key."""
        found = []
        for link, (name, _) in self._links.items():
            table = self._schema.table(name)
            keys = {c for key in unique_keys(table, self._schema) for c in key}
            keys |= {c for key in self._schema.references_from(name) for c in key.child_columns}
            found += [Ref(c, 0, link) for c in table.column_names if c not in keys]
        return tuple(found)


def _leads(schema: Schema, source: str, target: str) -> bool:
    """Return whether references lead from one table to another, or they are one."""
    seen, left = set[str](), [source]
    while left:
        name = left.pop()
        if name == target:
            return True
        if name not in seen:
            seen.add(name)
            left += [key.parent_table for key in schema.references_from(name)]
    return False


def some_rows(rows: Rows, most: int, seed: int) -> Rows:
    """Return at most `most` of the rows, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
