"""Where the siblings of each owner begin and end in the column that orders them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import moments, to_numbers
from syntheflow_server.engine.graph.structure import Sequence
from syntheflow_server.engine.layout import Piece, PieceKind
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.order import OrderKeeper
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.runtime import Runtime, lowest_values

Ints = npt.NDArray[np.int64]


def keeper_of(
    runtime: Runtime,
    frame: Frame,
    seed: int,
    counts: Ints,
    beat: Beat,
    ends: tuple[int, int] | None,
) -> OrderKeeper:
    """Return the keeper of the frame's order column, from the owner's first and span.

    With `ends` all values lie between these two.
    """
    above, table = frame.above, frame.table
    assert above is not None
    model = runtime.table(table)
    sequence = model.structure.sequence
    assert sequence is not None
    rng = generator(seed, table, frame.unit, "order")
    first, span = _ends(runtime, above, table, rng)
    if span is not None:
        span = np.maximum(span + sequence.pace * np.maximum(counts - 1, 0), 0)
    floor = None
    begin = runtime.piece(above.table, PieceKind.FIRST, table)
    if begin.base:
        kind = model.table.column(sequence.order).arrow
        base = moments(above.columns[begin.base], kind)
        assert base is not None
        floor = base if begin.by_cycle or _never_before(begin) else None
        if begin.by_cycle:
            first = _in_season(sequence, first, base)
        else:
            first = np.minimum(first + base, np.maximum(sequence.told(_high(sequence)), base))
    first = sequence.on_grid(sequence.counted(first))
    if ends is not None:
        first = _within(first, ends, rng)
    pieces = (
        runtime.piece(table, PieceKind.STEP, sequence.order),
        runtime.piece(table, PieceKind.CALENDAR, sequence.order),
    )
    keeper = OrderKeeper.of(
        pieces,
        sequence,
        runtime.lowest_steps.get(table, np.zeros(1, np.int64)),
        (first, span),
        with_silent_row(frame.owner, counts),
        rng,
        beat,
    )
    if floor is not None:
        least = sequence.on_grid(sequence.counted(floor))[keeper.owner]
        keeper.first = np.maximum(keeper.first, least)
        keeper.last = np.maximum(keeper.last, keeper.first)
    if ends is not None:
        keeper.first = np.clip(keeper.first, *ends)
        keeper.last = np.clip(keeper.last, *ends)
    return keeper


def _never_before(begin: Piece) -> bool:
    """Return whether no first child lies before its owner's date."""
    assert begin.codec is not None
    return bool(lowest_values(begin.codec).min() >= 0)


def _in_season(sequence: Sequence, places: Ints, base: Ints) -> Ints:
    """Return the first values so many places after the month or year of `base` begins.

    What would lie beyond the real values comes whole months or years earlier.
    """
    begin = sequence.counted(base)
    first = sequence.base(begin) + places
    late = np.maximum(first - np.maximum(sequence.high, begin), 0)
    return sequence.told(first - -(-late // sequence.cycle) * sequence.cycle)


def _high(sequence: Sequence) -> Ints:
    return np.array([sequence.high])


def _within(first: Ints, ends: tuple[int, int], rng: np.random.Generator) -> Ints:
    """Return first values between the `ends`: others take one of those that are, or lie nearest."""
    inside = (first >= ends[0]) & (first <= ends[1])
    lenders, short = np.flatnonzero(inside), np.flatnonzero(~inside)
    if not len(lenders):
        return np.clip(first, *ends)
    first = first.copy()
    first[short] = first[lenders[rng.integers(0, len(lenders), len(short))]]
    return first


def _ends(
    runtime: Runtime, above: Frame, table: str, rng: np.random.Generator
) -> tuple[Ints, Ints | None]:
    """Return each owner's first value and its span (None for long sequences).

    An owner that got children though its tokens say it has none borrows another's; where
    no owner in the block has any, the codecs give some.
    """
    begin = runtime.piece(above.table, PieceKind.FIRST, table)
    first, missing = _numbers(begin, above.codes[:, begin.where], rng)
    piece = runtime.layout(above.table).find(PieceKind.SPAN, table)
    span = None
    if piece is not None:
        span = _numbers(piece, above.codes[:, piece.where], rng)[0]
    lenders, short = np.flatnonzero(~missing), np.flatnonzero(missing)
    if len(lenders):
        chosen = lenders[rng.integers(0, len(lenders), len(short))]
        first[short] = first[chosen]
        if span is not None:
            span[short] = span[chosen]
    else:
        first[short] = _some(begin, len(short), rng)
        if span is not None and piece is not None:
            span[short] = _some(piece, len(short), rng)
    return first, span


def _numbers(
    piece: Piece, codes: npt.NDArray[np.uint16], rng: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the numbers behind codes [n, k] of any ordered type, and which are missing."""
    assert piece.codec is not None
    values = combined(piece.codec.decode(codes, rng.random((len(codes), piece.codec.draws))))
    numbers, missing = to_numbers(values, piece.name)
    return numbers.astype(np.int64), missing


def _some(piece: Piece, count: int, rng: np.random.Generator) -> Ints:
    """Return `count` numbers that the piece can stand for, zeros if it knows none."""
    codes = np.zeros((piece.tokens[0].size, len(piece.tokens)), np.uint16)
    codes[:, 0] = np.arange(len(codes))
    numbers, missing = _numbers(piece, codes, rng)
    known = numbers[~missing]
    if not len(known):
        return np.zeros(count, np.int64)
    return known[rng.integers(0, len(known), count)]


def with_silent_row(owner: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Return owner, position and count of each row, and of one more that nobody sees."""
    starts = np.cumsum(counts) - counts
    position = np.arange(len(owner)) - starts[owner]
    return np.append(owner, 0), np.append(position, 0), np.append(counts[owner], 1)
