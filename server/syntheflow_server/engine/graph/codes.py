"""Which tokens of a parent (and of its owner) its code is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.layout import Layout, PieceKind

_OWN = {PieceKind.COLUMN, PieceKind.COUNT, PieceKind.FIRST, PieceKind.SPAN, PieceKind.CALENDAR}
_DEGREE_WEIGHT = 1.5
_ABOVE_WEIGHT = 0.6


def code_tokens(
    own: Layout, above: Layout | None, link: Link
) -> tuple[list[int], list[int], list[float]]:
    """Return token columns of the parent, of its owner, and the weights of both in order."""
    mine: list[int] = []
    weights: list[float] = []
    for piece in own.pieces:
        of_link = piece.name == str(link.key)
        degree = of_link and piece.kind is PieceKind.DEGREE
        profile = of_link and piece.kind is PieceKind.PROFILE
        if piece.kind in _OWN or degree or profile:
            mine += range(piece.start, piece.end)
            share = _DEGREE_WEIGHT if degree else 1.0
            weights += _shared(share, piece.end - piece.start)
    theirs: list[int] = []
    for piece in above.pieces if above else ():
        if piece.kind is PieceKind.COLUMN:
            theirs += range(piece.start, piece.end)
            weights += _shared(_ABOVE_WEIGHT, piece.end - piece.start)
    return mine, theirs, weights


def _shared(weight: float, tokens: int) -> list[float]:
    """Return the weights of a piece's tokens: those after the first only refine it."""
    return [weight * 0.5**i for i in range(tokens)]


def code_inputs(
    own: npt.NDArray[np.uint16],
    above: npt.NDArray[np.uint16] | None,
    columns: tuple[list[int], list[int], list[float]],
) -> npt.NDArray[np.uint16]:
    """Return the token rows that a codebook reads; `above` [n, T'] is the owner's per row."""
    mine, theirs, _ = columns
    parts = [own[:, mine]]
    if theirs:
        assert above is not None
        parts.append(above[:, theirs])
    return np.concatenate(parts, axis=1)
