"""Which kinds of parents links ask for: codebooks, and profiles of what refers to them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.tables import Tables
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.graph.clusters import Codebook, Featurizer, Matrix, fit_codebook
from syntheflow_server.engine.graph.codes import code_inputs, code_tokens
from syntheflow_server.engine.graph.joins import NULL_ROW, ORPHAN_ROW, child_counts
from syntheflow_server.engine.graph.levels import levels
from syntheflow_server.engine.graph.structure import Link, LinkKind
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.training.alike import affinities_of
from syntheflow_server.engine.training.analysis import Analysis
from syntheflow_server.engine.training.profiles import profiles_of, profiles_of_children, referring

Codes = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]
Parts = dict[tuple[str, PieceKind, str], Codes]
"""The codes of pieces by table, kind and name."""


class Coder:
    """Learns the links' codes of all tables, and encodes them into `parts`."""

    def __init__(
        self,
        tables: Tables,
        analysis: Analysis,
        held: Mapping[str, Mask],
        seed: int,
        needed: int,
        parts: Parts,
    ) -> None:
        """Prepare; a code stands for at least `needed` parents."""
        self._tables, self._analysis, self._held = tables, analysis, held
        self._seed, self._needed, self._parts = seed, needed, parts
        self._centres: dict[str, Matrix] = {}
        self.codebooks: dict[str, Codebook] = {}

    def run(self, layouts: dict[str, Layout], *, profiled: bool) -> None:
        """Fill in what `layouts` lack of links; fills `codebooks` by link text.

        With `profiled` parents carry a profile of what refers to them, too.
        """
        order = self._analysis.family.order
        coded = [
            link
            for table in order
            for link in self._analysis.family[table].links
            if link.kind is LinkKind.CODED
        ]
        if profiled:
            for link in coded:
                self._profile(link, layouts)
            for table in reversed(order):
                self._profile_of_children(table, layouts)
        for link in coded:
            self._fit_codes(link, layouts)
        for table in order:
            layouts[table] = self._with_codes(table, layouts[table])

    def levels(self, table: str) -> list[Piece]:
        """Return the pieces of a table's trees, encoded: the level of each row."""
        pieces = []
        for link in self._analysis.family[table].links:
            if link.kind is not LinkKind.LEVELS:
                continue
            found = self._analysis.references[link.key]
            depth = levels(found)
            assert depth is not None
            codes = np.where(found == np.arange(len(found)), link.levels, depth)
            self._parts[table, PieceKind.LEVEL, str(link.key)] = codes.astype(np.uint16)[:, None]
            token = Token(link.levels + int(link.loops))
            pieces.append(Piece(PieceKind.LEVEL, str(link.key), (token,), link=link))
        return pieces

    def gather(self, table: str, layout: Layout) -> Codes:
        """Return the token rows [n, T] of a table; what is not known yet is 0."""
        rows = self._analysis.rows[table]
        blank = np.zeros((rows, 2), np.uint16)
        parts = [
            self._parts.get((table, piece.kind, piece.name), blank[:, : len(piece.tokens)])
            for piece in layout.pieces
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0), np.uint16)

    def _points(self, table: str, layout: Layout) -> Matrix:
        """Return the points [n, d] of a table's own columns."""
        starts = [piece.start for piece in layout.of_kind(PieceKind.COLUMN) if piece.tokens]
        tokens = [layout.tokens[start] for start in starts]
        shape = Featurizer.of(tokens, [1.0] * len(tokens), self._seed)
        return shape.points(self.gather(table, layout)[:, starts])

    def _profile_of_children(self, table: str, layouts: dict[str, Layout]) -> None:
        """Give owners that follow their siblings a code of what their rows in `table` are like.

        The seasons of a player follow one another, and the positions of a season are rows of
        their own: only by the seasons' codes do they follow those of the season before.
        """
        family = self._analysis.family
        owner = family.owner_of(table)
        sequence = family[owner].sequence if owner else None
        if sequence is None or sequence.long:
            return
        found = profiles_of_children(
            self._points(table, layouts[table]),
            self._analysis.owners(table),
            ~self._held[owner],
            self._needed,
            self._seed,
        )
        if found is None:
            return
        name = str(family[table].owner)
        self._parts[owner, PieceKind.PROFILE, name] = found.codes[:, None]
        piece = Piece(PieceKind.PROFILE, name, (Token(len(found.centres)),))
        layouts[owner] = Layout.of([*layouts[owner].pieces, piece])

    def _profile(self, link: Link, layouts: dict[str, Layout]) -> None:
        """Give the link's parents a code of what the rows that refer to them have in common."""
        if self._analysis.family[link.key.parent_table].kept:
            return

        def points(table: str) -> Matrix:
            return self._points(table, layouts[table])

        parent, name = link.key.parent_table, str(link.key)
        found = profiles_of(
            referring(self._analysis, link, points, self._seed),
            self._analysis.references[link.key],
            ~self._held[parent],
            self._needed,
            self._seed,
        )
        if found is None:
            return
        self._parts[parent, PieceKind.PROFILE, name] = found.codes[:, None]
        self._centres[name] = found.centres
        piece = Piece(PieceKind.PROFILE, name, (Token(len(found.centres)),))
        layouts[parent] = Layout.of([*layouts[parent].pieces, piece])

    def _fit_codes(self, link: Link, layouts: Mapping[str, Layout]) -> None:
        """Learn the link's codebook from parents that are referred to; encode the children."""
        parent = link.key.parent_table
        owner = self._analysis.family.owner_of(parent)
        columns = code_tokens(layouts[parent], layouts.get(owner), link)
        above = None
        if owner:
            above = self.gather(owner, layouts[owner])[self._analysis.owners(parent)]
        inputs = code_inputs(self.gather(parent, layouts[parent]), above, columns)
        mine, theirs, weights = columns
        tokens = [layouts[parent].tokens[i] for i in mine]
        tokens += [layouts[owner].tokens[i] for i in theirs] if owner else []
        found = self._analysis.references[link.key]
        degrees = child_counts(found, len(inputs))
        teaching = ~self._held[parent] & (degrees > 0)
        shape = Featurizer.of(tokens, weights, self._seed)
        piece = layouts[parent].find(PieceKind.PROFILE, str(link.key))
        if piece is not None:
            shape = shape.with_table(mine.index(piece.start), self._centres[str(link.key)])
        book = fit_codebook(
            shape,
            inputs[teaching],
            int(degrees.sum()),
            self._seed,
            1 if self._analysis.family[parent].kept else self._needed,
        )
        self.codebooks[str(link.key)] = book
        code = np.where(found >= 0, book.assign(inputs)[found] if len(inputs) else 0, -1)
        pair = np.stack([code // book.side, code % book.side], axis=1)
        pair[found == NULL_ROW] = (len(book.groups), 0)
        pair[found == ORPHAN_ROW] = (len(book.groups) + int(link.nullable), 0)
        self._parts[link.key.child_table, PieceKind.LINK, str(link.key)] = pair.astype(np.uint16)

    def _with_codes(self, table: str, layout: Layout) -> Layout:
        """Return the layout whose links know the sizes of their codes and their affinities."""
        if not layout.of_kind(PieceKind.LINK):
            return layout
        affinities = affinities_of(
            self._analysis,
            table,
            self._tables[table],
            (layout, self.gather(table, layout)),
            self.codebooks,
            ~self._held[table],
            self._seed,
        )
        pieces = []
        for piece in layout.pieces:
            if piece.kind is not PieceKind.LINK:
                pieces.append(piece)
                continue
            assert piece.link is not None
            book = self.codebooks[piece.name]
            groups = len(book.groups) + piece.link.extra_groups
            sizes = {"groups": len(book.groups), "members": book.side}
            led_by = {"affinities": affinities.get(piece.name, ())}
            link = piece.link.model_copy(update=sizes | led_by)
            tokens = (Token(groups), Token(book.side))
            pieces.append(Piece(piece.kind, piece.name, tokens, link=link))
        return Layout.of(pieces)
