"""What one table of a family tells, as columns that depend on one entity's rows only.

Besides a table's own columns these are the numbers of children of its rows, where their
children begin, steps between siblings, and which references are empty. Each is a pure
function of the rows of one entity, so an entity moves none but its own rows, of which no
more than a bounded number are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.encoding.base import Codec, combined
from syntheflow_server.engine.encoding.category import CategoryCodec
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.graph.joins import Rows, child_counts
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.privacy.columns import Price, private_codec, queries_of
from syntheflow_server.engine.privacy.kinship import Kinship
from syntheflow_server.engine.privacy.ledger import Account

Mask = npt.NDArray[np.bool_]

MOST_CHILDREN = 10_000
"""More children than this of one owner count as so many."""
MOST_PARENTS = 4096
"""References to kept tables of more rows are drawn at random."""
_ONE_TOKEN = 256
_LEAST = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """One thing to learn of a table's rows: all `values` [n] of it, before any is left out.

    `parents` is the number of rows of the kept table that the values are rows of, else 0.
    """

    kind: PieceKind
    name: str
    column: Column
    values: pa.Array
    parents: int = 0

    def codec(self, table: str, rows: Rows, account: Account, price: Price) -> Codec:
        """Return a codec of the values at `rows`, of which every part is paid for."""
        values = self.values.take(pa.array(rows))
        if not self.parents:
            return private_codec(table, self.column, values, account, price)
        return _public_codec(self, values, account, price)

    @property
    def queries(self) -> float:
        """How many times a price's precision the codec may spend."""
        return 1.0 if self.parents else queries_of(self.column)


@dataclass(frozen=True, slots=True, eq=False)
class Household:
    """The real tables of all families, the rows that each reference names, and who is who.

    `entity` is for each row of each table the row of its root, -1 for none and for roots
    that are held out.
    """

    schema: Schema
    tables: Tables
    kin: Kinship
    parents: Mapping[ForeignKey, Rows]
    entity: Mapping[str, Rows]

    @classmethod
    def of(
        cls, tables: Tables, kin: Kinship, parents: Mapping[ForeignKey, Rows], held: dict[str, Mask]
    ) -> Household:
        """Return the families' tables without the roots that are `held` out."""
        entity: dict[str, Rows] = {}
        for name in _downwards(kin):
            if name not in kin.owners:
                rows = np.arange(tables[name].num_rows)
                entity[name] = np.where(held[name], -1, rows)
                continue
            key = kin.owners[name]
            owner = parents[key]
            known = np.append(entity[key.parent_table], -1)
            entity[name] = known[np.where(owner < 0, len(known) - 1, owner)]
        return cls(kin.schema, tables, kin, parents, entity)

    def chosen(self, table: str, most: int, rng: np.random.Generator) -> Rows:
        """Return at most `most` rows of each entity, drawn without a look at their values."""
        entity = self.entity[table]
        order = np.lexsort((rng.random(len(entity)), entity))
        order = order[entity[order] >= 0]
        ranks = _ranks(entity[order])
        return np.sort(order[ranks < most])

    def attributes(self, table: str) -> Iterator[Attribute]:
        """Yield all that is learned of `table`."""
        kin, schema = self.kin, self.schema.table(table)
        for key in kin.links[table]:
            found = self.parents[key]
            if key.parent_table in kin.keep and 0 < self._rows(key.parent_table) <= MOST_PARENTS:
                values = pa.array(np.maximum(found, 0), mask=found < 0)
                parents = self._rows(key.parent_table)
                yield Attribute(PieceKind.LINK, str(key), _number(str(key)), values, parents)
            elif any(schema.column(name).nullable for name in key.child_columns):
                yield Attribute(PieceKind.MISSING, str(key), _flag(str(key)), pa.array(found < 0))
        for column in schema.columns:
            name = column.name
            if kin.filler(table, name) is not None:
                continue
            values = combined(self.tables[table].column(name))
            if name == kin.order_of.get(table):
                yield Attribute(PieceKind.STEP, name, _number(name), self._steps(table, name))
            elif not kin.made(column, schema):
                yield Attribute(PieceKind.COLUMN, name, column, values)
            elif column.nullable and name not in schema.primary_key:
                yield Attribute(PieceKind.MISSING, name, _flag(name), values.is_null())
        for child in kin.owned_by(table):
            yield from self._crowd(table, child)

    def _crowd(self, table: str, child: str) -> Iterator[Attribute]:
        """Yield how many rows of `child` a row owns, and where they begin."""
        owner = self.parents[self.kin.owners[child]]
        counts = np.minimum(child_counts(owner, self._rows(table)), MOST_CHILDREN)
        yield Attribute(PieceKind.COUNT, child, _number(child), pa.array(counts))
        order = self.kin.order_of[child]
        if order:
            numbers, missing = to_numbers(combined(self.tables[child].column(order)), order)
            first = np.full(self._rows(table), np.iinfo(np.int64).max)
            known = (owner >= 0) & ~missing
            np.minimum.at(first, owner[known], numbers[known])
            none = first == np.iinfo(np.int64).max
            column = self.schema.table(child).column(order)
            values = from_numbers(np.where(none, 0, first), none, column.arrow, 0)
            meaning = column.semantic_type
            begin = Column(name=child, type=column.type, semantic_type=meaning)
            yield Attribute(PieceKind.FIRST, child, begin, values)

    def _steps(self, table: str, order: str) -> pa.Array:
        """Return the differences to the sibling before; none for the first."""
        owner = self.parents[self.kin.owners[table]]
        numbers, missing = to_numbers(combined(self.tables[table].column(order)), order)
        numbers = numbers.astype(np.int64)
        line = np.lexsort((numbers, owner))
        steps, none = np.zeros(len(line), np.int64), np.ones(len(line), np.bool_)
        after = owner[line[1:]] == owner[line[:-1]]
        steps[line[1:]] = np.where(after, numbers[line[1:]] - numbers[line[:-1]], 0)
        none[line[1:]] = ~after
        return pa.array(steps, mask=none | missing)

    def _rows(self, table: str) -> int:
        return self.tables[table].num_rows


def _public_codec(own: Attribute, values: pa.Array, account: Account, price: Price) -> Codec:
    """Return the codec of rows of a public table: all of them are known, their shares paid."""
    codes = np.where(values.is_null(), own.parents, values.fill_null(0)).astype(np.int64)
    counts = np.bincount(codes, minlength=own.parents + 1)
    noisy = account.noisy(counts, price.precision, "references to kept tables")
    order = np.argsort(-noisy[:-1], kind="stable")
    shares = np.maximum(noisy[:-1][order], _LEAST)
    width = 1 if own.parents <= _ONE_TOKEN else int(np.ceil(np.sqrt(own.parents)))
    return CategoryCodec.of(
        own.name,
        "int64",
        pa.array(order.astype(np.int64)),
        np.cumsum(shares) / shares.sum(),
        width=width,
        missing=bool(noisy[-1] > 3 * price.sigma),
        rare=False,
        distinct=own.parents + 1,
    )


def _downwards(kin: Kinship) -> list[str]:
    """Return all tables after their owners."""
    return [name for root in kin.order if root not in kin.owners for name in kin.family_of(root)]


def _ranks(groups: Rows) -> Rows:
    """Return the place of each row within its group; groups stand together."""
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    lengths = np.diff(np.append(begins, len(groups)))
    return np.arange(len(groups)) - np.repeat(begins, lengths)


def _number(name: str) -> Column:
    return Column(name=name, type="int64", semantic_type=SemanticType.INTEGER)


def _flag(name: str) -> Column:
    return Column(name=name, type="bool", semantic_type=SemanticType.BOOLEAN)
