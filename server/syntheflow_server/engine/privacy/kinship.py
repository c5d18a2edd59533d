"""Which table's rows are the persons, and who owns what: from the public schema alone.

The engine's other fits choose owners by the data. Here that would tell of the data, so a
table's owner is its first reference that can never be empty: inside its key before others,
of more columns before fewer, in the schema's order. Rows of a table without such a
reference are entities of their own; kept tables are public and own nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table

_ORDERED = {"date32", "int64"}


@dataclass(frozen=True, slots=True)
class Kinship:
    """Owners by table; all tables but the kept ones, in the order in which rows are made.

    `links` are the references that have a parent of their own, by table; the rest of
    them, whose columns owners and links fill, follow. `order_of` is by owned table the
    column along which its rows are made, "" for none.
    """

    schema: Schema
    keep: frozenset[str]
    owners: Mapping[str, ForeignKey]
    order: tuple[str, ...]
    links: Mapping[str, tuple[ForeignKey, ...]]
    order_of: Mapping[str, str]

    def root_of(self, table: str) -> str:
        """Return the table whose rows are the entities that rows of `table` belong to."""
        while table in self.owners:
            table = self.owners[table].parent_table
        return table

    def owned_by(self, table: str) -> tuple[str, ...]:
        """Return the tables that `table` owns."""
        return tuple(t for t in self.order if t in self.owners and self._above(t) == table)

    def family_of(self, root: str) -> tuple[str, ...]:
        """Return `root` and all below it, owners first."""
        return tuple(name for name in self.order if self.root_of(name) == root)

    def filler(self, table: str, column: str) -> ForeignKey | None:
        """Return the reference whose parent gives the column its value, or None."""
        own: tuple[ForeignKey, ...] = self.links[table]
        if table in self.owners:
            own = (self.owners[table], *own)
        for key in own:
            if column in key.child_columns:
                return key
        return None

    def made(self, column: Column, table: Table) -> bool:
        """Return True for a column of fresh values: keys, identifiers, what others refer to."""
        name = column.name
        if self.filler(table.name, name) or name == self.order_of.get(table.name):
            return False
        asked = {c for key in self.schema.references_to(table.name) for c in key.parent_columns}
        alone = table.primary_key == (name,) or (name in asked and name not in table.primary_key)
        key = table.primary_key
        told = len(key) == 1 or any(self.filler(table.name, part) for part in key)
        number = told and name in key and column.type == "int64"
        return alone or number or column.semantic_type is SemanticType.IDENTIFIER

    def _above(self, table: str) -> str:
        return self.owners[table].parent_table


def kinship(schema: Schema, keep: Collection[str]) -> Kinship:
    """Return who owns what in `schema`.

    Raises UnsupportedError, naming them, for references that share columns, keys that
    wait for each other, and keys of several columns of which none is a reference.
    """
    kept = frozenset(keep)
    free = [table for table in schema.tables if table.name not in kept]
    owners: dict[str, ForeignKey] = {}
    for table in free:
        keys = [k for k in schema.references_from(table.name) if _may_own(table, k, kept)]
        for key in sorted(keys, key=lambda k: _rank(schema, k), reverse=True):
            if not _circle(key, owners):
                owners[table.name] = key
                break
    links = {table.name: _links(schema, table, owners.get(table.name)) for table in free}
    order_of = {name: _order_column(schema, name, owners[name], links[name]) for name in owners}
    found = Kinship(schema, kept, owners, (), links, order_of)
    for table in free:
        _check_key(found, table)
    return Kinship(schema, kept, owners, _ordered(free, owners, links), links, order_of)


def _rank(schema: Schema, key: ForeignKey) -> tuple[bool, int, int]:
    inside = set(key.child_columns) <= set(schema.table(key.child_table).primary_key)
    return inside, len(key.child_columns), -schema.foreign_keys.index(key)


def _may_own(table: Table, key: ForeignKey, kept: frozenset[str]) -> bool:
    empty = any(table.column(name).nullable for name in key.child_columns)
    return not empty and key.parent_table not in kept | {table.name}


def _circle(key: ForeignKey, owners: Mapping[str, ForeignKey]) -> bool:
    table = key.parent_table
    while table in owners and table != key.child_table:
        table = owners[table].parent_table
    return table == key.child_table


def _links(schema: Schema, table: Table, owner: ForeignKey | None) -> tuple[ForeignKey, ...]:
    """Return the references that draw a parent: those that wider ones do not fill."""
    rest = [key for key in schema.references_from(table.name) if key != owner]
    rest.sort(key=lambda key: -len(key.child_columns))
    taken = [owner] if owner else []
    for key in rest:
        mine = set(key.child_columns)
        shared = [other for other in taken if mine & set(other.child_columns)]
        if not shared:
            taken.append(key)
        elif not any(_implied(schema, key, other) for other in shared):
            raise UnsupportedError(
                f"The foreign keys {shared[0]} and {key} share a column, and the first one's"
                " parents do not refer to the second one's by it: differential privacy cannot"
                " keep both; drop one of them from the schema, or train without epsilon",
                reason="PRIVATE_RELATIONS",
                metadata={"table": table.name, "column": key.child_columns[0]},
            )
    return tuple(key for key in taken if key != owner)


def _implied(schema: Schema, key: ForeignKey, wider: ForeignKey) -> bool:
    """Return True if whoever refers by `wider` also refers by `key`, for the schema says so."""
    if not set(key.child_columns) <= set(wider.child_columns):
        return False
    place = dict(zip(wider.child_columns, wider.parent_columns, strict=True))
    above = tuple(place[name] for name in key.child_columns)
    if wider.parent_table == key.parent_table and above == key.parent_columns:
        return True
    return any(
        other.child_columns == above
        and (other.parent_table, other.parent_columns) == (key.parent_table, key.parent_columns)
        for other in schema.references_from(wider.parent_table)
    )


def _order_column(
    schema: Schema, name: str, owner: ForeignKey, links: tuple[ForeignKey, ...]
) -> str:
    """Return the column that rises within an owner: in the key, or the first moment."""
    table = schema.table(name)
    referring = {c for key in (owner, *links) for c in key.child_columns}
    free = [
        c
        for c in table.columns
        if c.name not in referring
        and not c.nullable
        and c.semantic_type is not SemanticType.IDENTIFIER
        and table.primary_key != (c.name,)
    ]
    inside = [c for c in free if c.name in table.primary_key]
    asked = {c for key in schema.references_to(name) for c in key.parent_columns}
    for column in inside:
        if column.type in _ORDERED or column.type.startswith("timestamp"):
            return column.name
    for column in free:
        moment = column.type == "date32" or column.type.startswith("timestamp")
        if moment and column.name not in asked:
            return column.name
    return ""


def _check_key(found: Kinship, table: Table) -> None:
    """Raise UnsupportedError for a key of several columns that nothing keeps apart."""
    fresh = [name for name in table.primary_key if found.made(table.column(name), table)]
    filled = [name for name in table.primary_key if found.filler(table.name, name)]
    if len(table.primary_key) > 1 and not fresh and not filled:
        raise UnsupportedError(
            f"The key ({', '.join(table.primary_key)}) of table {table.name!r} has several"
            " columns of which none is a reference, and making such keys with differential"
            " privacy is not there yet; drop the key from the schema or train without epsilon",
            reason="PRIVATE_KEY",
            metadata={"table": table.name, "column": table.primary_key[0]},
        )


def _ordered(
    free: list[Table],
    owners: Mapping[str, ForeignKey],
    links: Mapping[str, tuple[ForeignKey, ...]],
) -> tuple[str, ...]:
    """Return the tables after their owners, and after those that their keys refer to."""
    needs = {}
    for table in free:
        key = set(table.primary_key)
        inside = [k for k in links[table.name] if key & set(k.child_columns)]
        own = [owners[table.name]] if table.name in owners else []
        names = {k.parent_table for k in (*own, *inside)}
        needs[table.name] = (names & {t.name for t in free}) - {table.name}
    order: list[str] = []
    while len(order) < len(free):
        ready = [name for name in needs if name not in order and needs[name] <= set(order)]
        if not ready:
            stuck = next(name for name in needs if name not in order)
            raise UnsupportedError(
                f"The key of table {stuck!r} refers to tables whose keys refer back to it, and"
                " making such keys with differential privacy is not there; drop one reference"
                " from the schema, or train without epsilon",
                reason="PRIVATE_RELATIONS",
                metadata={"table": stuck},
            )
        order.append(ready[0])
    return tuple(order)
