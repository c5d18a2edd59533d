"""Draws entities of tables too large to be judged whole: some parents, all that is theirs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.quality.keys import parent_rows

Mask: TypeAlias = npt.NDArray[np.bool_]

MOST_VALUES = 20_000_000
"""Values (rows x columns of all tables) of one side that a judgement holds in memory."""
_SMALL_VALUES = 500_000
"""Tables of a tree with fewer values in all are taken whole."""
_ENTITIES = 1_000
"""Rows of a table from which on entities are drawn from it; above, all are taken."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What share of the entities of each tree is drawn; the same for real and synthetic rows.

    `owners` are the references by which rows belong to rows, `shares` the shares by table
    that is drawn from. Tables that no such table is above are taken whole.
    """

    schema: Schema
    owners: Mapping[str, ForeignKey]
    shares: Mapping[str, float]

    @classmethod
    def of(cls, schema: Schema, tables: Tables, owner_tables: Mapping[str, str]) -> Drawing:
        """Return the drawing for tables of these sizes; `owner_tables` as the model has them."""
        owners = dict(_owners(schema, owner_tables))
        values = {t.name: tables[t.name].num_rows * len(t.columns) for t in schema.tables}
        trees: dict[str, list[str]] = {}
        for table in schema.table_names:
            trees.setdefault(_root(table, owners), []).append(table)
        large = [tree for tree in trees.values() if sum(values[t] for t in tree) >= _SMALL_VALUES]
        small = sum(values.values()) - sum(values[t] for tree in large for t in tree)
        share = (MOST_VALUES - small) / max(1, sum(values[t] for tree in large for t in tree))
        if sum(values.values()) <= MOST_VALUES:
            return cls(schema, owners, {})
        drawn: dict[str, float] = {}
        for tree in large:
            for table in sorted(tree, key=lambda t: len(list(_above(t, owners)))):
                below = any(table == owners[t].parent_table for t in tree if t in owners)
                enough = tables[table].num_rows >= _ENTITIES or not below
                if enough and not any(t in drawn for t in _above(table, owners)):
                    drawn[table] = max(share, 0.01)
        return cls(schema, owners, drawn)

    @property
    def whole(self) -> bool:
        """True if all rows are taken."""
        return not self.shares

    def rows(self, tables: Tables, seed: int) -> dict[str, Mask]:
        """Return which rows of each table are drawn, with all rows that these refer to."""
        masks: dict[str, Mask] = {}
        for table in sorted(
            self.schema.table_names, key=lambda t: len(list(_above(t, self.owners)))
        ):
            count = tables[table].num_rows
            rng = np.random.default_rng([seed, zlib.crc32(table.encode())])
            if table in self.shares:
                masks[table] = rng.random(count) < self.shares[table]
            elif table in self.owners and not masks[self.owners[table].parent_table].all():
                key = self.owners[table]
                owner = _parents(tables, key)
                mine = masks[key.parent_table][np.maximum(owner, 0)]
                # Rows of nobody are entities of their own.
                share = self._share_above(table)
                masks[table] = np.where(owner < 0, rng.random(count) < share, mine)
            else:
                masks[table] = np.ones(count, dtype=bool)
        self._close(tables, masks)
        return masks

    def _share_above(self, table: str) -> float:
        return next((self.shares[t] for t in _above(table, self.owners) if t in self.shares), 1.0)

    def _close(self, tables: Tables, masks: dict[str, Mask]) -> None:
        """Add the rows that drawn rows refer to, and those that these refer to, and so on."""
        links = {
            key: _parents(tables, key)
            for key in self.schema.foreign_keys
            if not masks[key.parent_table].all()
        }
        grown = True
        while grown:
            grown = False
            for key, parents in links.items():
                wanted = parents[masks[key.child_table] & (parents >= 0)]
                if not masks[key.parent_table][wanted].all():
                    masks[key.parent_table][wanted] = True
                    grown = True


def drawn_tables(schema: Schema, tables: Tables, masks: Mapping[str, Mask]) -> dict[str, pa.Table]:
    """Read the rows of the masks, one column at a time."""
    found = {}
    for table in schema.tables:
        mask = pa.array(masks[table.name])
        source = tables[table.name]
        columns = [source.column(name).filter(mask) for name in table.column_names]
        found[table.name] = pa.table(columns, schema=table.arrow)
    return found


def _parents(tables: Tables, key: ForeignKey) -> npt.NDArray[np.int64]:
    child, parent = (
        pa.table({name: tables[table].column(name) for name in columns})
        for table, columns in (
            (key.child_table, key.child_columns),
            (key.parent_table, key.parent_columns),
        )
    )
    return parent_rows(child, key.child_columns, parent, key.parent_columns)


def _owners(schema: Schema, owner_tables: Mapping[str, str]) -> Iterator[tuple[str, ForeignKey]]:
    """Yield for each table the reference to its owner, if the schema has one."""
    for table in schema.table_names:
        for key in schema.references_from(table):
            if key.parent_table == owner_tables.get(table) and key.parent_table != table:
                yield table, key
                break


def _above(table: str, owners: Mapping[str, ForeignKey]) -> Iterator[str]:
    """Yield the owner of a table, the owner's owner, and so on."""
    seen = {table}
    while table in owners and owners[table].parent_table not in seen:
        table = owners[table].parent_table
        seen.add(table)
        yield table


def _root(table: str, owners: Mapping[str, ForeignKey]) -> str:
    return [table, *_above(table, owners)][-1]
