"""The tokens of one table in the order the network makes them, and what each stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.calendar import Calendar
from syntheflow_server.engine.encoding.base import Codec, Token
from syntheflow_server.engine.graph.structure import Link


class PieceKind(StrEnum):
    """What a piece of a row stands for."""

    STEP = "step"
    """Difference of the order column to the previous sibling, in units."""

    CALENDAR = "calendar"
    """Derived from the order column's value; never drawn, always computed."""

    LEVEL = "level"
    """Depth in the tree of a self reference; the last code means 'refers to itself'."""

    LINK = "link"
    """Code of the referenced parent, group and member; group `groups` means 'none'."""

    COUNT = "count"
    """Number of children in an owned table."""

    DEGREE = "degree"
    """Number of rows that refer to this one by a link."""

    PROFILE = "profile"
    """What the rows that refer to this one by a link have in common."""

    FIRST = "first"
    """Value of the order column of the first child."""

    SPAN = "span"
    """Last minus first value of the children's order column, in units."""

    MISSING = "missing"
    """Whether an identifier is empty."""

    SAME = "same"
    """Whether the piece that follows is what the previous sibling has."""

    DELTA = "delta"
    """Difference of the column that follows to the previous sibling; missing without one."""

    COLUMN = "column"
    """A column of the table itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One piece of a row: tokens `start` to `end` of the layout.

    `name` is unique within kind: the column's, the child table's or the link's text. What a
    FIRST counts from is the row's own column `base`, where there is one: days, or, `by_cycle`,
    places from the beginning of its month or year.
    """

    kind: PieceKind
    name: str
    tokens: tuple[Token, ...]
    codec: Codec | None = None
    calendar: Calendar | None = None
    link: Link | None = None
    start: int = 0
    base: str = ""
    by_cycle: bool = False

    @property
    def end(self) -> int:
        """One beyond the piece's last token."""
        return self.start + len(self.tokens)

    @property
    def where(self) -> slice:
        """The piece's columns in a token matrix."""
        return slice(self.start, self.end)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """All pieces of a table in order."""

    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Layout:
        """Return the layout of `pieces` in this order, with starts set."""
        placed, start = [], 0
        for piece in pieces:
            placed.append(replace(piece, start=start))
            start += len(piece.tokens)
        return cls(tuple(placed))

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of all pieces."""
        return tuple(token for piece in self.pieces for token in piece.tokens)

    @property
    def columns(self) -> npt.NDArray[np.int64]:
        """The number of each token's piece [T]."""
        return np.repeat(np.arange(len(self.pieces)), [len(p.tokens) for p in self.pieces])

    @property
    def askable(self) -> npt.NDArray[np.int64]:
        """As `columns`, -1 for tokens that only say how siblings follow one another."""
        between = {PieceKind.STEP, PieceKind.CALENDAR, PieceKind.SAME, PieceKind.DELTA}
        numbers = [-1 if p.kind in between else i for i, p in enumerate(self.pieces)]
        return np.repeat(np.array(numbers, np.int64), [len(p.tokens) for p in self.pieces])

    @property
    def size(self) -> int:
        """Number of tokens of a row."""
        return self.pieces[-1].end if self.pieces else 0

    def of_kind(self, kind: PieceKind) -> tuple[Piece, ...]:
        """Return the pieces of a kind."""
        return tuple(piece for piece in self.pieces if piece.kind is kind)

    def find(self, kind: PieceKind, name: str) -> Piece | None:
        """Return the piece, or None."""
        for piece in self.pieces:
            if piece.kind is kind and piece.name == name:
                return piece
        return None
