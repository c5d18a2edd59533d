"""What a plan must hold for the tables that are wanted, and no more."""

from __future__ import annotations

from collections.abc import Iterable

from syntheflow_server.engine.graph.structure import AffinityKind, Link, LinkKind
from syntheflow_server.engine.graph.summary import elder
from syntheflow_server.engine.model import FittedModel, TableModel
from syntheflow_server.engine.relations import Ref
from syntheflow_server.engine.sampling.values import link_of, settles


class Needs:
    """The closure of what the columns of `tables` depend on.

    `sized` are tables whose rows must be counted, `links` (by text) those that need an
    index, `keys` the key columns that references read, by table. Follows the ways of
    `Values` and `Resolver`; tables and links are visited once, so circles end.
    """

    def __init__(self, model: FittedModel, tables: Iterable[str]) -> None:
        self._model, self._family = model, model.family
        self.sized: set[str] = set()
        self.links: dict[str, Link] = {}
        self.keys: dict[str, set[str]] = {}
        self._settled: set[str] = set()
        self._columns: set[tuple[str, str]] = set()
        for table in tables:
            self._size(table)
            self._settle(table)
            for name in model.tables[table].table.column_names:
                self._column(table, name)

    def _size(self, table: str) -> None:
        """Note that rows of `table` are drawn: so are its owners', and its caps are asked for."""
        if table in self.sized:
            return
        self.sized.add(table)
        if owner := self._family.owner_of(table):
            self._size(owner)
        # Rows hear what their owner has in the tables before: these must be as large as ever.
        for name in elder(self._family, table):
            self._size(name)
        structure = self._family[table]
        for link in structure.resolved:
            if owner and (link.shared or structure.repaired & set(link.key.child_columns)):
                self._size(link.key.parent_table)

    def _settle(self, table: str) -> None:
        """Note that all links of `table` are resolved and its keys repaired."""
        if table in self._settled:
            return
        self._settled.add(table)
        structure = self._family[table]
        repaired = structure.repaired
        for link in structure.settled:
            self._index(link)
            for mine in link.key.child_columns:
                if mine in repaired or mine in link.fixed:
                    self._key(link.key.parent_table, link.theirs(mine))
        for name in sorted(repaired):
            self._column(table, name)

    def _index(self, link: Link) -> None:
        if str(link.key) in self.links:
            return
        self.links[str(link.key)] = link
        self._size(link.key.parent_table)
        self._size(link.key.child_table)
        for mine in link.shared:
            self._key(link.key.parent_table, link.theirs(mine))
            self._column(link.key.child_table, mine)
        for affinity in link.affinities:
            if affinity.kind is AffinityKind.LINK:
                self._index(self._family[link.key.child_table].named(affinity.name))
            elif affinity.kind is AffinityKind.OWNER:
                self._column(link.key.child_table, affinity.name)

    def _key(self, table: str, name: str) -> None:
        """Note that references read a key column: it is stored unless row numbers give it."""
        if any(name in maker.columns for maker in self._model.tables[table].makers):
            return
        held = self.keys.setdefault(table, set())
        if name not in held:
            held.add(name)
            self._size(table)
            self._column(table, name)
            if settles(self._family, table):
                self._settle(table)

    def _column(self, table: str, name: str) -> None:
        if (table, name) in self._columns:
            return
        self._columns.add((table, name))
        structure = self._family[table]
        if structure.owner and name in structure.owner.child_columns:
            place = structure.owner.child_columns.index(name)
            self._read_above(structure.owner.parent_table, structure.owner.parent_columns[place])
            return
        model = self._model.tables[table]
        link = link_of(model, name)
        if link is None:
            for ref in model.made_by[name].needs if name in model.made_by else ():
                if ref.link:
                    self._read_beside(model, ref)
                else:
                    self._read_above(self._above(table, ref.above), ref.column)
            return
        theirs = link.key.parent_columns[link.key.child_columns.index(name)]
        if link.kind is not LinkKind.COPIED:
            self._index(link)
            self._key(link.key.parent_table, theirs)
            return
        table = self._above(table, link.above)
        if link.through is not None:
            theirs = link.through.child_columns[link.through.parent_columns.index(theirs)]
        self._read_above(table, theirs)

    def _read_beside(self, model: TableModel, ref: Ref) -> None:
        link = model.structure.named(ref.link)
        self._index(link)
        self._key(link.key.parent_table, ref.column)

    def _above(self, table: str, steps: int) -> str:
        return (table, *self._family.above(table))[steps]

    def _read_above(self, table: str, name: str) -> None:
        if settles(self._family, table):
            self._settle(table)
        self._column(table, name)
