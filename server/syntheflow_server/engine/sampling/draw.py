"""Draw the tokens of a unit's rows: roots first, then their children, sibling by sibling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.graph.context import LATENT, Kin, Place, RelativesNetwork
from syntheflow_server.engine.layout import Piece, PieceKind
from syntheflow_server.engine.model import TableModel
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.order import OrderKeeper
from syntheflow_server.engine.sampling.rng import generator, key_of
from syntheflow_server.engine.sampling.runtime import Runtime, decode_numbers

Ints = npt.NDArray[np.int64]
_BATCH = 16_384


def draw_root(
    runtime: Runtime, table: str, seed: int, unit: int, first_row: int, rows: int
) -> Frame:
    """Return the frame of a root table's block `unit`."""
    frame = Frame(table, unit, first_row, rows, np.zeros((rows, 0), np.uint16))
    if table in runtime.samplers and rows:
        uniforms = _uniforms(runtime, frame, seed)
        given = _given(runtime.table(table), frame, seed)
        frame.codes = runtime.samplers[table].sample(uniforms, given=given)
    return frame


def draw_children(
    runtime: Runtime, table: str, seed: int, above: Frame, first_row: int, counts: Ints
) -> Frame:
    """Return the frame of the rows that the rows of `above` own; `counts` [owners]."""
    owner = np.repeat(np.arange(above.rows), counts)
    blank = np.zeros((len(owner), 0), np.uint16)
    frame = Frame(table, above.unit, first_row, len(owner), blank, above, owner)
    model = runtime.table(table)
    sequence = model.structure.sequence
    keeper = None
    if sequence and sequence.order:
        keeper = _keeper(runtime, frame, seed, counts)
        frame.order = keeper.values
    if frame.rows and table in runtime.samplers:
        with torch.inference_mode():
            _Siblings(runtime, frame, seed, counts, keeper).draw()
    return frame


def _uniforms(runtime: Runtime, frame: Frame, seed: int) -> npt.NDArray[np.float32]:
    rng = generator(seed, frame.table, frame.unit, "tokens")
    size = (frame.rows, runtime.layout(frame.table).size)
    return rng.random(size, dtype=np.float32)


def _given(model: TableModel, frame: Frame, seed: int) -> dict[int, npt.NDArray[np.uint16]] | None:
    """Return the tokens of grid keys, which the row number decides."""
    grid = set(model.structure.grid)
    if not grid:
        return None
    given: dict[int, npt.NDArray[np.uint16]] = {}
    for maker in model.makers:
        if not grid & set(maker.columns):
            continue
        values = maker.make(frame.row_numbers, key_of(seed, frame.table, *maker.columns) >> 80)
        for name in maker.columns:
            piece = model.layout.find(PieceKind.COLUMN, name)
            assert piece is not None
            assert piece.codec is not None
            codes = piece.codec.encode(values[name])
            given |= {piece.start + i: codes[:, i] for i in range(codes.shape[1])}
    return given


def _keeper(runtime: Runtime, frame: Frame, seed: int, counts: Ints) -> OrderKeeper:
    """Return the keeper of the frame's order column, from the owner's first and span."""
    above, table = frame.above, frame.table
    assert above is not None
    model = runtime.table(table)
    sequence = model.structure.sequence
    assert sequence is not None
    rng = generator(seed, table, frame.unit, "order")
    begin = runtime.piece(above.table, PieceKind.FIRST, table)
    first = _numbers(begin, above, rng)
    span = None
    if not sequence.long:
        piece = runtime.piece(above.table, PieceKind.SPAN, table)
        assert piece.codec is not None
        span = decode_numbers(piece.codec, above.codes[:, piece.where], rng)[0]
    starts = np.cumsum(counts) - counts
    position = np.arange(frame.rows) - starts[frame.owner]
    pieces = (
        runtime.piece(table, PieceKind.STEP, sequence.order),
        runtime.piece(table, PieceKind.CALENDAR, sequence.order),
    )
    return OrderKeeper.of(
        pieces,
        sequence,
        runtime.lowest_steps.get(table, np.zeros(1, np.int64)),
        (first, span),
        (frame.owner, position, counts[frame.owner]),
        rng,
    )


def _numbers(piece: Piece, above: Frame, rng: np.random.Generator) -> Ints:
    """Return first values; an owner that got children by scaling borrows another's."""
    assert piece.codec is not None
    codes = above.codes[:, piece.where]
    values = combined(piece.codec.decode(codes, rng.random((above.rows, piece.codec.draws))))
    numbers, missing = to_numbers(values, piece.name)
    numbers = numbers.astype(np.int64)
    known = np.flatnonzero(~missing)
    if len(known):
        numbers[missing] = numbers[known[rng.integers(0, len(known), int(missing.sum()))]]
    return numbers


class _Siblings:
    """Draws all children of one frame, one place after another where siblings matter."""

    def __init__(
        self, runtime: Runtime, frame: Frame, seed: int, counts: Ints, keeper: OrderKeeper | None
    ) -> None:
        self.frame, self.counts, self.keeper = frame, counts, keeper
        model = runtime.table(frame.table)
        assert model.relatives is not None
        self.net: RelativesNetwork = model.relatives
        self.sampler = runtime.samplers[frame.table]
        self.history = model.history
        self.uniforms = _uniforms(runtime, frame, seed)
        self.state = self._owner_state(seed)
        frame.codes = np.zeros((frame.rows, model.layout.size), np.uint16)
        starts = np.cumsum(counts) - counts
        self.position = np.arange(frame.rows) - starts[frame.owner]

    def _owner_state(self, seed: int) -> Tensor:
        """Return each owner's message with the latent that its children share."""
        above = self.frame.above
        assert above is not None
        grand = above.owner_codes()
        noise = generator(seed, self.frame.table, self.frame.unit, "latent")
        draws = torch.from_numpy(noise.standard_normal((above.rows, LATENT), dtype=np.float32))
        message = self.net.owner_message(
            _long(above.codes), None if grand is None else _long(grand)
        )
        return self.net.draw_latent(message, draws)

    def draw(self) -> None:
        """Fill the frame's codes."""
        if not self.net.history:
            for start in range(0, self.frame.rows, _BATCH):
                rows = np.arange(start, min(start + _BATCH, self.frame.rows))
                self._draw_rows(rows, Kin(self.state, None, self._place(rows)))
            return
        by_place = np.argsort(self.position, kind="stable")
        ends = np.cumsum(np.bincount(self.position))
        size = self.history.points(self.frame.codes[:1]).shape[1]
        sums = np.zeros((len(self.counts), size), np.float32)
        start = 0
        for place, end in enumerate(ends.tolist()):
            rows = by_place[start:end]
            start = end
            kin = self._kin(rows, place, sums)
            self._draw_rows(rows, kin)
            sums[self.frame.owner[rows]] += self.history.points(self.frame.codes[rows])

    def _kin(self, rows: Ints, place: int, sums: npt.NDArray[np.float32]) -> Kin:
        codes = self.frame.codes
        before = torch.zeros(len(rows), 2)
        before[:, 0], before[:, 1] = float(place > 0), float(place > 1)
        return Kin(
            owner=self.state,
            grand=None,
            place=self._place(rows),
            previous=_long(codes[np.maximum(rows - 1, 0)]),
            second=_long(codes[np.maximum(rows - 2, 0)]),
            before=before,
            mean=torch.from_numpy(sums[self.frame.owner[rows]] / max(place, 1)),
        )

    def _place(self, rows: Ints) -> Place:
        left = np.zeros(len(rows))
        if self.keeper is not None and self.net.history:
            keeper = self.keeper
            left = (keeper.last[rows] - keeper.previous(rows)) / keeper.sequence.unit
        return Place(
            torch.from_numpy(self.position[rows].astype(np.float32)),
            torch.from_numpy(self.counts[self.frame.owner[rows]].astype(np.float32)),
            torch.from_numpy(left.astype(np.float32)),
        )

    def _draw_rows(self, rows: Ints, kin: Kin) -> None:
        context = self.net.context(self.state[torch.from_numpy(self.frame.owner[rows])], kin)
        if self.keeper is not None:
            self.keeper.rows = rows
        self.frame.codes[rows] = self.sampler.sample(
            self.uniforms[rows], context=context, restrict=self.keeper
        )


def _long(codes: npt.NDArray[np.uint16]) -> Tensor:
    return torch.from_numpy(codes.astype(np.int64))
