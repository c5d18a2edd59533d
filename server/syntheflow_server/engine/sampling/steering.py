"""What is asked of a frame, token by token: codes that are settled, and weights that change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.cvae.batch import Restrict
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.relations.cells import Cells, Mask
from syntheflow_server.engine.sampling.chosen import Chosen
from syntheflow_server.engine.sampling.guides import Guide

Ints = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]
_STEERED = {PieceKind.COLUMN, PieceKind.COUNT}


@dataclass(slots=True, eq=False)
class Steering:
    """`given` codes by token (-1: not), the tokens that come `first` [n, T], and guides.

    `guides` are by column, `counts` by owned table. `order` are the ends, as they are
    counted, of the column by which siblings follow one another.
    """

    given: dict[int, Ints]
    first: Mask
    guides: dict[str, Guide] = field(default_factory=dict)
    order: tuple[int, int] | None = None
    counts: dict[str, Guide] = field(default_factory=dict)
    _steered: dict[int, tuple[Guide, int]] = field(default_factory=dict)
    _chosen: dict[int, tuple[Chosen, Piece]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        layout: Layout,
        columns: Mapping[str, Cells],
        counts: Mapping[str, Cells],
        rows: int,
        settled: Mapping[int, Ints],
        chosen: Mapping[str, Chosen],
        *,
        strict: bool,
    ) -> Steering:
        """Return what the cells of `columns` and of numbers of rows ask of `rows` rows.

        Tokens that are `settled` [rows] already come first too, and so do the links of
        which the parents are `chosen`.
        """
        first = np.zeros((rows, layout.size), np.bool_)
        first[:, list(settled)] = True
        made = cls({token: codes.copy() for token, codes in settled.items()}, first)
        for piece in layout.pieces:
            if piece.kind is PieceKind.LINK and piece.name in chosen:
                made._choose(piece, chosen[piece.name])
                continue
            cells = (counts if piece.kind is PieceKind.COUNT else columns).get(piece.name)
            if cells is None or not cells.asked.any():
                continue
            if piece.kind in _STEERED and piece.codec is not None:
                made._guide(piece, cells, strict=strict)
            elif piece.kind is PieceKind.MISSING:
                made._tell_gaps(piece, cells)
            elif piece.kind in {PieceKind.SAME, PieceKind.DELTA}:
                made._free(piece, cells)
        return made

    def _guide(self, piece: Piece, cells: Cells, *, strict: bool) -> None:
        guide = Guide(piece, cells, strict=strict)
        (self.counts if piece.kind is PieceKind.COUNT else self.guides)[piece.name] = guide
        for i in range(len(piece.tokens)):
            token = piece.start + i
            self._steered[token] = (guide, i)
            own = guide.given[:, i]
            before = self.given.get(token)
            self.given[token] = own if before is None else np.where(own >= 0, own, before)
            self.first[:, token] |= cells.first

    def _choose(self, piece: Piece, chosen: Chosen) -> None:
        """Let links refer to chosen parents only."""
        self.first[:, piece.where] = True
        for token in range(piece.start, piece.end):
            self._chosen[token] = chosen, piece

    def _tell_gaps(self, piece: Piece, cells: Cells) -> None:
        """Settle whether an identifier is missing where it is given."""
        if cells.known.any() and piece.codec is not None:
            gaps = piece.codec.encode(cells.values.is_null())[:, 0]
            self.given[piece.start] = np.where(cells.known, gaps, -1)
            self.first[:, piece.start] |= cells.known

    def _free(self, piece: Piece, cells: Cells) -> None:
        """Let the sibling before have no say in cells of which something is asked."""
        none = piece.tokens[0].size - 1 if piece.kind is PieceKind.DELTA else 0
        for token in range(piece.start, piece.end):
            code = none if token == piece.start else 0
            self.given[token] = np.where(cells.asked, code, -1)

    def part(self, rows: Ints) -> tuple[dict[int, Ints], Mask]:
        """Return what is given of `rows`, and which of their tokens come first."""
        return {token: codes[rows] for token, codes in self.given.items()}, self.first[rows]

    def restrict(self, rows: Ints | None = None, then: Restrict | None = None) -> Restrict:
        """Return the sampler's hook for a call on `rows` of the frame (None: on all of it).

        `then` has a say in tokens of which nothing is asked.
        """

        def hook(token: int, part: slice, codes: Ints, weights: Weights) -> None:
            if token in self._steered:
                guide, place = self._steered[token]
                at = np.arange(part.start, part.stop) if rows is None else rows[part]
                guide.weigh(place, at, codes, weights)
            elif token in self._chosen:
                chosen, piece = self._chosen[token]
                chosen.weigh(piece, token - piece.start, codes, weights)
            elif then is not None:
                then(token, part, codes, weights)

        return hook
