"""Turn all tables into token matrices: own columns, counts, degrees, steps and codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import Column, Schema, SemanticType
from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.calendar import Calendar
from syntheflow_server.engine.encoding import best_guide, column_order, fit_codec
from syntheflow_server.engine.encoding.base import RARE_ROWS, Codec, Token, combined
from syntheflow_server.engine.encoding.category import CategoryCodec
from syntheflow_server.engine.encoding.holders import counted
from syntheflow_server.engine.encoding.plain import from_numbers
from syntheflow_server.engine.encoding.text import TextCodec
from syntheflow_server.engine.graph.joins import Rows, child_counts
from syntheflow_server.engine.graph.structure import LinkKind
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.relations import Ref, Relation, given_of, told_by
from syntheflow_server.engine.relations.copies import Copied
from syntheflow_server.engine.relations.hinted import hinted, hinting
from syntheflow_server.engine.relations.sight import Sight
from syntheflow_server.engine.support import Support
from syntheflow_server.engine.training.analysis import Analysis, children_of
from syntheflow_server.engine.training.begins import by_cycle, find_begin
from syntheflow_server.engine.training.coding import Coder, Codes, Mask, Parts
from syntheflow_server.engine.training.entities import holders
from syntheflow_server.engine.training.follow import Follow, following, settled_by
from syntheflow_server.engine.training.kin import Siblings, ends_of, steps_of
from syntheflow_server.engine.training.siblings import order_numbers
from syntheflow_server.engine.training.thinning import Whole
from syntheflow_server.engine.training.warm import Base

_FEW_PARENTS = 100


@dataclass(slots=True)
class Encoded:
    """One table's layout, its token rows [n, T], which of them teach, and its siblings.

    `steps` [n] are differences of the order column to the previous sibling, in units.
    """

    layout: Layout
    codes: Codes
    counted: Mask
    siblings: Siblings | None
    steps: Rows | None = None


class Encoder:
    """Encodes all tables of one fit; codecs see only rows that are not held out."""

    def __init__(
        self,
        schema: Schema,
        tables: Tables,
        analysis: Analysis,
        held: Mapping[str, Mask],
        relations: Mapping[str, tuple[Relation, ...]],
        seed: int,
        tick: Callable[[str], None],
        whole: Mapping[str, Whole] | None = None,
        base: Base | None = None,
        needed: int = RARE_ROWS,
    ) -> None:
        """Prepare to encode; a value needs `needed` holders to be put out as it is."""
        self._needed = needed
        self._schema, self._tables, self._analysis = schema, tables, analysis
        self._whole, self._base = whole or {}, base
        self._relations = relations
        self._held, self._seed, self._tick = held, seed, tick
        self._numbers: dict[str, npt.NDArray[np.int64]] = {}
        self._siblings: dict[str, Siblings] = {}
        self._step_units: dict[str, Rows] = {}
        self._parts: Parts = {}
        self._entities: dict[str, Rows | None] = {}
        self._hidden_values: dict[tuple[str, str], pa.Array] = {}
        self._coder = Coder(tables, analysis, held, seed, needed, self._parts)
        self.codebooks = self._coder.codebooks

    def run(self) -> dict[str, Encoded]:
        """Return all tables encoded; fills `codebooks` by link text."""
        order = self._analysis.family.order
        for table in order:
            self._line_up(table)
        layouts = {}
        for table in order:
            self._tick(f"reading {table}")
            layouts[table] = self._first_layout(table)
        self._coder.run(layouts, profiled=self._base is None)
        return {table: self._assemble(table, layouts[table]) for table in order}

    def _line_up(self, table: str) -> None:
        structure = self._analysis.family[table]
        if not structure.owner:
            return
        order = structure.sequence.order if structure.sequence else ""
        numbers = order_numbers(self._tables[table], order) if order else None
        if numbers is not None:
            assert structure.sequence is not None
            numbers = structure.sequence.counted(numbers)
            self._numbers[table] = numbers
        strays = self._analysis.strays(table)
        self._siblings[table] = Siblings.of(self._analysis.owners(table), numbers, strays)

    def _fit(
        self,
        table: str,
        kind: PieceKind,
        column: Column,
        values: pa.Array,
        relation: Relation | None = None,
    ) -> Piece:
        """Learn the piece's codec and encode its values; a hidden column's `relation` is told."""
        taught = values.filter(pa.array(~self._held[table]))
        old = self._kept(table, kind, column.name, taught)
        # Children do not outlive the longest span, nor outnumber the largest crowd.
        tails = kind is PieceKind.COLUMN
        needed = 1 if self._analysis.family[table].kept else self._needed
        codec = old or fit_codec(
            column,
            taught,
            self._seed,
            needed=needed,
            tails=tails,
            entity=self._whose(table),
            released=self._released(table, column.name) if tails else None,
        )
        if isinstance(codec, TextCodec) and table in self._whole:
            every = self._whole[table].values(column.name, relation)
            codec = codec.guarding(every, self._needed)
        self._parts[table, kind, column.name] = codec.encode(values)
        self._tick(f"reading {table}")
        return Piece(kind, column.name, codec.tokens, codec)

    def _whose(self, table: str) -> Rows | None:
        """Return the entity of each row that teaches; None where each is one of its own."""
        if table not in self._entities:
            entity = holders(self._analysis, table)
            self._entities[table] = None if entity is None else entity[~self._held[table]]
        return self._entities[table]

    def _released(self, table: str, name: str) -> pa.Array | None:
        """Return the values of a column that rows of enough entities repeat by a reference.

        The price that three customers paid for a product is no one's own.
        """
        found = []
        for child, relations in self._relations.items():
            for relation in relations:
                for ref in relation.needs if isinstance(relation, Copied) else ():
                    if not ref.link or ref.column != name:
                        continue
                    if self._analysis.family[child].named(ref.link).key.parent_table == table:
                        values = combined(self._tables[child].column(relation.makes[0]))
                        taught = values.filter(pa.array(~self._held[child]))
                        names, _, held = counted(taught, self._whose(child))
                        found.append(names.filter(pa.array(held.counts >= self._needed)))
        return pa.concat_arrays(found) if found else None

    def _kept(self, table: str, kind: PieceKind, name: str, values: pa.Array) -> Codec | None:
        """Return the codec of an earlier model, if there is one that suits."""
        if self._base is None:
            return None
        return self._base.codec(table, kind, name, values, self._needed, self._whose(table))

    def _count(self, table: str, kind: PieceKind, name: str, counts: Rows) -> Piece:
        """Return the piece of counts; few rows lend each other's neighbourhood.

        A number of rows is no private value, and a small table would lose its shape if
        each count needed several holders: so each stands with two near ones.
        """
        values = pa.array(counts, pa.int64())
        if not 0 < len(counts) < _FEW_PARENTS:
            return self._fit(table, kind, _integer(name), values)
        near = np.concatenate([np.round(counts * share) for share in (0.97, 1.0, 1.03)])
        codec = fit_codec(_integer(name), pa.array(near.astype(np.int64)), self._seed, tails=False)
        self._parts[table, kind, name] = codec.encode(values)
        return Piece(kind, name, codec.tokens, codec)

    def _first_layout(self, table: str) -> Layout:
        """Return the layout with the codes' tokens still unknown."""
        structure = self._analysis.family[table]
        leading = [*self._steps(table), *self._coder.levels(table)]
        for link in structure.links:
            if link.kind is LinkKind.CODED:
                token = Token(1)
                leading.append(Piece(PieceKind.LINK, str(link.key), (token, token), link=link))
        own = [*self._columns(table), *self._crowd(table)]
        codecs = [piece.codec for piece in own if piece.codec is not None]
        own = [own[i] for i in column_order(codecs)]
        telling = [Ref(name) for name in structure.telling]
        told = {name for _, name in told_by(self._relations[table], telling)}
        given = {*structure.grid, *structure.telling, *told}
        own.sort(key=lambda piece: piece.name not in given)
        pieces = self._handed_on(table, [*leading, *own])
        kept = self._base.in_old_order(table, pieces) if self._base else None
        return Layout.of(kept or pieces)

    def _handed_on(self, table: str, pieces: list[Piece]) -> list[Piece]:
        """Return the pieces, with one before each that says how it follows the sibling before."""
        structure, siblings = self._analysis.family[table], self._siblings.get(table)
        if siblings is None or structure.sequence is None or structure.sequence.long:
            return pieces
        keys = {name for names in structure.distinct for name in names} | self._owner_told(table)
        result = []
        for piece in pieces:
            found = None
            if piece.kind is PieceKind.LINK and piece.link is not None:
                parents = self._analysis.references[piece.link.key]
                found = Follow.of_parents(parents, siblings, ~self._held[table])
            elif piece.kind is PieceKind.COLUMN and piece.codec and piece.name not in keys:
                values = self._hidden_values.get((table, piece.name))
                if values is None:
                    values = combined(self._tables[table].column(piece.name))
                found = following(piece.codec, values, siblings, ~self._held[table])
            if found is not None and found.steps is not None:
                column = _integer(piece.name)
                result.append(self._fit(table, PieceKind.DELTA, column, found.steps))
            elif found is not None:
                self._parts[table, PieceKind.SAME, piece.name] = found.same_codes
                result.append(Piece(PieceKind.SAME, piece.name, (Token(2),)))
            result.append(piece)
        return result

    def _owner_told(self, table: str) -> set[str]:
        """Return the columns that the owner decides: it is of no use to draw how they go on."""
        relations = self._relations[table]
        known = [Ref(name) for name in hinting(self._analysis.family, table, relations)]
        return {name for _, name in hinted(relations, known)}

    def _columns(self, table: str) -> list[Piece]:
        structure, schema = self._analysis.family[table], self._schema.table(table)
        source = self._tables[table]
        made = {c for r in self._relations[table] if not r.hints for c in r.makes}
        pieces = [
            self._fit(table, PieceKind.COLUMN, schema.column(name), combined(source.column(name)))
            for name in (*structure.telling, *structure.modelled)
            if name not in made
        ]
        if self._base is None:
            pieces = [self._guided(table, piece, pieces) for piece in pieces]
        pieces += self._hidden(table)
        keys = {c for key in self._schema.references_to(table) for c in key.parent_columns}
        for name in structure.surrogate:
            values = combined(source.column(name))
            if values.null_count and name not in keys | set(schema.primary_key):
                column = Column(name=name, type="bool", semantic_type=SemanticType.BOOLEAN)
                pieces.append(self._fit(table, PieceKind.MISSING, column, values.is_null()))
        return pieces

    def _guided(self, table: str, piece: Piece, others: list[Piece]) -> Piece:
        """Return the piece; many names are grouped by the column that tells most about them."""
        codec = piece.codec
        kept = self._analysis.family[table].kept
        if not isinstance(codec, CategoryCodec) or codec.width == 1 or kept:
            return piece
        teaching = ~self._held[table]
        told = [
            self._parts[table, other.kind, other.name][teaching, 0].astype(np.int64)
            for other in others
            if other is not piece and len(other.tokens) == 1
        ]
        column = self._schema.table(table).column(piece.name)
        values = combined(self._tables[table].column(piece.name))
        taught = values.filter(pa.array(teaching))
        guide = best_guide(taught, told)
        if guide is None:
            return piece
        whose = self._whose(table)
        grouped = CategoryCodec.fit(column, taught, guide, self._needed, whose, self._seed)
        self._parts[table, piece.kind, piece.name] = grouped.encode(values)
        self._tick(f"reading {table}")
        return Piece(piece.kind, piece.name, grouped.tokens, grouped)

    def _hidden(self, table: str) -> list[Piece]:
        """Return the pieces of columns that no table has, which relations need."""
        rows = np.arange(self._analysis.rows[table])
        sight = Sight(self._schema, self._tables, self._analysis, table, rows, keep=False)
        pieces = []
        for relation in self._relations[table]:
            if not relation.hidden:
                continue
            given = given_of(relation, sight.get)
            for column in relation.hidden:
                values = given[Ref(column.name)]
                self._hidden_values[table, column.name] = values
                pieces.append(self._fit(table, PieceKind.COLUMN, column, values, relation))
        return pieces

    def _crowd(self, table: str) -> list[Piece]:
        """Return the pieces that say how many rows depend on a row, and when."""
        family = self._analysis.family
        pieces = []
        for child in family.owned_by(table):
            counts = children_of(self._analysis, child)
            pieces.append(self._count(table, PieceKind.COUNT, child, counts))
            sequence = family[child].sequence
            if sequence and sequence.order:
                pieces += self._ends(table, child)
        for link in family.drawn_from(table):
            degrees = child_counts(self._analysis.references[link.key], self._analysis.rows[table])
            pieces.append(self._count(table, PieceKind.DEGREE, str(link.key), degrees))
        return pieces

    def _ends(self, table: str, child: str) -> list[Piece]:
        sequence = self._analysis.family[child].sequence
        assert sequence is not None
        first, last, has = ends_of(
            self._siblings[child], self._numbers[child], self._analysis.rows[table]
        )
        column = self._schema.table(child).column(sequence.order)
        begin = Column(name=child, type=column.type, semantic_type=column.semantic_type)
        told = sequence.told(first)
        taught = has & ~self._held[table]
        since = find_begin(
            self._analysis.family[table], self._tables[table], column.arrow, told, taught
        )
        if since is not None:
            places = by_cycle(sequence, first, since[1], taught)
            numbers = told - since[1] if places is None else places
            apart = pa.array(numbers, pa.int64(), mask=~has)
            piece = self._fit(table, PieceKind.FIRST, _integer(child), apart)
            pieces = [replace(piece, base=since[0], by_cycle=places is not None)]
        else:
            values = from_numbers(told, ~has, column.arrow, 0)
            pieces = [self._fit(table, PieceKind.FIRST, begin, values)]
        if not sequence.long:
            siblings = np.maximum(children_of(self._analysis, child), 1)
            beyond = sequence.ends(first, last) - sequence.pace * (siblings - 1)
            spans = pa.array(beyond, pa.int64(), mask=~has)
            pieces.append(self._fit(table, PieceKind.SPAN, _integer(child), spans))
        return pieces

    def _steps(self, table: str) -> list[Piece]:
        sequence = self._analysis.family[table].sequence
        if not sequence or not sequence.order:
            return []
        numbers, siblings = self._numbers[table], self._siblings[table]
        bases = sequence.base(numbers)
        steps = steps_of(siblings, numbers, bases, sequence.unit)
        self._step_units[table] = steps_of(siblings, bases, bases, sequence.unit)
        values = pa.array(steps, pa.int64(), mask=siblings.position == 0)
        column = _integer(sequence.order)
        piece = self._fit(table, PieceKind.STEP, column, values)
        kind = self._schema.table(table).column(sequence.order).type
        name = "date" if kind == "date32" else "number" if kind == "int64" else "timestamp"
        told = sequence.told(numbers)
        calendar = Calendar.fit(told[~self._held[table]], name)
        self._parts[table, PieceKind.CALENDAR, sequence.order] = calendar.codes(told)
        derived = Piece(PieceKind.CALENDAR, sequence.order, calendar.tokens, calendar=calendar)
        return [piece, derived]

    def _assemble(self, table: str, layout: Layout) -> Encoded:
        codes = self._coder.gather(table, layout)
        counted = np.ones(codes.shape, bool)
        siblings = self._siblings.get(table)
        if siblings is not None:
            for piece, after in pairwise(layout.pieces):
                told = settled_by(piece, codes, counted, siblings)
                counted[told, after.where] = False
        for piece in layout.pieces:
            if piece.kind is PieceKind.CALENDAR:
                counted[:, piece.where] = False
            elif piece.kind is PieceKind.STEP and siblings is not None:
                counted[siblings.position == 0, piece.where] = False
            elif piece.kind is PieceKind.LINK and piece.link is not None:
                found = self._analysis.references[piece.link.key]
                counted[found < 0, piece.start + 1] = False
        return Encoded(layout, codes, counted, siblings, self._step_units.get(table))


def learn_support(encoded: Encoded, held: Mask) -> Support:
    """Return which codes of columns and kinds of parents never meet in rows that teach."""
    kinds = {PieceKind.LINK, PieceKind.COLUMN, PieceKind.MISSING}
    pieces = [piece for piece in encoded.layout.pieces if piece.tokens]
    tokens = [piece.start for piece in pieces if piece.kind in kinds]
    sizes = [token.size for token in encoded.layout.tokens]
    return Support.learn(encoded.codes[~held], encoded.counted[~held], sizes, tokens)


def _integer(name: str) -> Column:
    return Column(name=name, type="int64", semantic_type=SemanticType.INTEGER)
