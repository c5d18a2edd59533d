"""A database of invented rows: keys that hold together, everything else from codes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, ForeignKey, Schema
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.graph.joins import Rows
from syntheflow_server.engine.keys.base import KeyMaker
from syntheflow_server.engine.keys.number import NumberKey
from syntheflow_server.engine.keys.pattern import PatternKey
from syntheflow_server.engine.layout import Layout, PieceKind
from syntheflow_server.engine.privacy.kinship import Kinship

Codes = npt.NDArray[np.uint16]

_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_KEY_LENGTH = 12
_YES, _NO = pa.scalar(value=True), pa.scalar(value=False)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Codes [n, T] of invented rows, and the owner's row of each (None for a root)."""

    layout: Layout
    codes: Codes
    owner: Rows | None


@dataclass(slots=True, eq=False)
class _Rows:
    """The rows of one table: their codes, owners, decoded pieces, and the rows they refer to."""

    codes: Codes
    owner: Rows | None
    pieces: dict[tuple[PieceKind, str], pa.Array]
    parents: dict[ForeignKey, Rows] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.codes)

    def keep(self, rows: Rows) -> None:
        """Leave out all other rows."""
        places = pa.array(rows)
        self.codes = self.codes[rows]
        self.owner = None if self.owner is None else self.owner[rows]
        self.pieces = {name: values.take(places) for name, values in self.pieces.items()}
        self.parents = {key: found[rows] for key, found in self.parents.items()}


class Database:
    """Tables that are made one after another, owners first."""

    def __init__(
        self, schema: Schema, tables: Tables, kin: Kinship, rng: np.random.Generator
    ) -> None:
        """Begin with the kept tables alone."""
        self._schema, self._kin, self._rng = schema, kin, rng
        self._kept = {name: tables[name] for name in kin.keep}
        self._made: dict[str, _Rows] = {}
        self._columns: dict[tuple[str, str], pa.Array] = {}

    def add(self, table: str, made: Made) -> None:
        """Take the rows of `table`; those whose key is there already are left out."""
        pieces = {}
        for piece in made.layout.pieces:
            assert piece.codec is not None
            uniforms = self._rng.random((len(made.codes), piece.codec.draws))
            decoded = piece.codec.decode(made.codes[:, piece.where], uniforms)
            pieces[piece.kind, piece.name] = decoded
        rows = _Rows(made.codes, made.owner, pieces)
        self._made[table] = rows
        key = set(self._schema.table(table).primary_key)
        for link in self._kin.links[table]:
            if (PieceKind.LINK, str(link)) in pieces:
                found = pieces[PieceKind.LINK, str(link)]
                rows.parents[link] = np.asarray(found.fill_null(-1), dtype=np.int64)
            elif key & set(link.child_columns):
                rows.parents[link] = self._drawn(table, link)
        order = self._kin.order_of.get(table)
        if order:
            pieces[PieceKind.STEP, order] = self._risen(table, order)
        rows.keep(self._distinct(table))

    def crowd(self, table: str) -> tuple[Codes, Rows]:
        """Return the codes of the owners of `table`, and how many rows of it each has."""
        owner = self._made[self._kin.owners[table].parent_table]
        counts = owner.pieces[PieceKind.COUNT, table].fill_null(0)
        return owner.codes, np.maximum(np.asarray(counts, dtype=np.int64), 0)

    def tables(self) -> dict[str, pa.Table]:
        """Return all tables that were made, with all their columns."""
        for name, rows in self._made.items():
            for link in self._kin.links[name]:
                if link not in rows.parents:
                    rows.parents[link] = self._drawn(name, link)
        found = {}
        for name in self._made:
            table = self._schema.table(name)
            columns = {column.name: self._column(name, column.name) for column in table.columns}
            found[name] = pa.table(columns, schema=table.arrow)
        return found

    def _count(self, table: str) -> int:
        kept = self._kept.get(table)
        return self._made[table].count if kept is None else kept.num_rows

    def _drawn(self, table: str, link: ForeignKey) -> Rows:
        """Return parents drawn at random, for a self reference among the rows before."""
        rows = self._made[table]
        chance = self._rng.random(rows.count)
        if link.parent_table == table:
            found = (chance * np.arange(rows.count)).astype(np.int64)
        else:
            found = (chance * self._count(link.parent_table)).astype(np.int64)
        none = rows.pieces.get((PieceKind.MISSING, str(link)))
        empty = any(self._schema.table(table).column(n).nullable for n in link.child_columns)
        if none is not None:
            found = np.where(np.asarray(none.fill_null(_YES)), -1, found)
        if empty and link.parent_table == table:
            found[:1] = -1
        return found if self._count(link.parent_table) else np.full(rows.count, -1)

    def _risen(self, table: str, order: str) -> pa.Array:
        """Return the order column: where an owner's rows begin, and steps from row to row."""
        rows, column = self._made[table], self._schema.table(table).column(order)
        assert rows.owner is not None
        above = self._made[self._kin.owners[table].parent_table]
        begin, missing = to_numbers(above.pieces[PieceKind.FIRST, table], order)
        known = begin[~missing]
        usual = int(np.median(known)) if len(known) else 0
        first = np.where(missing, usual, begin).astype(np.int64)[rows.owner]
        steps = np.asarray(rows.pieces[PieceKind.STEP, order].fill_null(0), dtype=np.int64)
        starts = np.flatnonzero(np.diff(rows.owner, prepend=-1))
        steps = np.maximum(steps, 0)
        steps[starts] = 0
        total = np.cumsum(steps)
        lengths = np.diff(np.append(starts, len(steps)))
        total -= np.repeat(total[starts], lengths)
        return from_numbers(first + total, np.zeros(len(steps), np.bool_), column.arrow, 0)

    def _distinct(self, table: str) -> Rows:
        """Return the rows to keep: the first of each key, and of those with all their parents."""
        rows, schema = self._made[table], self._schema.table(table)
        good = np.ones(rows.count, np.bool_)
        parts: list[npt.NDArray[np.int64]] = []
        for name in schema.primary_key:
            column, key = schema.column(name), self._kin.filler(table, name)
            if key is not None:
                found = rows.owner if key == self._kin.owners.get(table) else rows.parents.get(key)
                assert found is not None
                good &= found >= 0
                parts.append(found)
            elif self._kin.made(column, schema):
                parts = []
                break
            else:
                kind = PieceKind.STEP if name == self._kin.order_of.get(table) else PieceKind.COLUMN
                coded = rows.pieces[kind, name].dictionary_encode()
                good &= coded.is_valid().to_numpy(zero_copy_only=False)
                parts.append(np.asarray(coded.indices.fill_null(0), dtype=np.int64))
        places = np.flatnonzero(good)
        if not parts:
            return places
        _, first = np.unique(np.stack(parts, axis=1)[places], axis=0, return_index=True)
        return places[np.sort(first)]

    def _column(self, table: str, name: str) -> pa.Array:
        if (table, name) not in self._columns:
            kept = self._kept.get(table)
            made = self._new(table, name) if kept is None else combined(kept.column(name))
            self._columns[table, name] = made
        return self._columns[table, name]

    def _new(self, table: str, name: str) -> pa.Array:
        rows, schema = self._made[table], self._schema.table(table)
        column, key = schema.column(name), self._kin.filler(table, name)
        if key is not None:
            found = rows.owner if key == self._kin.owners.get(table) else rows.parents[key]
            assert found is not None
            above = dict(zip(key.child_columns, key.parent_columns, strict=True))[name]
            values = self._column(key.parent_table, above)
            return values.take(pa.array(np.maximum(found, 0), mask=found < 0)).cast(column.arrow)
        if name == self._kin.order_of.get(table):
            return rows.pieces[PieceKind.STEP, name]
        if not self._kin.made(column, schema):
            return rows.pieces[PieceKind.COLUMN, name]
        fresh = self._fresh(table, column)
        none = rows.pieces.get((PieceKind.MISSING, name))
        return fresh if none is None else _without(fresh, none)

    def _fresh(self, table: str, column: Column) -> pa.Array:
        """Return new keys: within an owner a count, where the rest of the key tells the owner."""
        rows, schema = self._made[table], self._schema.table(table)
        owner = self._kin.owners.get(table)
        inside = owner is not None and set(owner.child_columns) <= set(schema.primary_key)
        if inside and column.name in schema.primary_key and column.type == "int64":
            assert rows.owner is not None
            starts = np.flatnonzero(np.diff(rows.owner, prepend=-1))
            lengths = np.diff(np.append(starts, rows.count))
            return pa.array(1 + np.arange(rows.count) - np.repeat(starts, lengths))
        return fresh_maker(column).make(np.arange(rows.count), 0)[column.name]


def _without(values: pa.Array, none: pa.Array) -> pa.Array:
    """Return the values, missing where `none` says so."""
    mask = np.asarray(none.fill_null(_NO))
    return values.take(pa.array(np.arange(len(values)), mask=mask))


def fresh_maker(column: Column) -> KeyMaker:
    """Return a maker of fresh identifiers that owes nothing to the real ones."""
    if pa.types.is_string(column.arrow):
        shape = ((_KEY_ALPHABET, _KEY_LENGTH),)
        return PatternKey(columns=(column.name,), shapes=(shape,), turns=(0,), mark="-")
    return NumberKey(
        columns=(column.name,), type=column.type, start=1, room=1, keys=1, unit=1, digits=0
    )
