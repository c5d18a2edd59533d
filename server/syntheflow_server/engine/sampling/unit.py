"""All frames of one unit, made when they are first asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.crowds import spread_like
from syntheflow_server.engine.sampling.draw import draw_children, draw_root
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.runtime import Runtime, decode_numbers
from syntheflow_server.engine.sampling.settle import is_asked, settle_root
from syntheflow_server.engine.sampling.shares import UNLIMITED

Ints = npt.NDArray[np.int64]


class Unit:
    """Block `block` of root table `root`: its rows and the rows they own."""

    def __init__(
        self,
        runtime: Runtime,
        plan: SamplePlan,
        root: str,
        block: int,
        beat: Beat,
        *,
        beyond: bool = False,
    ) -> None:
        self.runtime, self.plan, self._beat = runtime, plan, beat
        self.root, self.block, self._beyond = root, block, beyond
        self._frames: dict[str, Frame] = {}

    def frame(self, table: str) -> Frame:
        """Return the rows of `table` in this unit; its tokens are drawn, nothing decoded."""
        if table not in self._frames:
            owner = self.runtime.model.family.owner_of(table)
            self._frames[table] = self._owned(table, owner) if owner else self._root()
        return self._frames[table]

    def _root(self) -> Frame:
        table, size = self.root, self.plan.blocks[self.root]
        first = self.block * size
        spec = self.plan.spec
        asked = self.plan.table_rows[table]
        rows = min(size, asked - first)
        if is_asked(self.plan, table):
            blank = np.zeros((rows, self.runtime.layout(table).size), np.uint16)
            asked_for = Frame(table, self.block, first, rows, blank)
            settle_root(self.runtime, self.plan, asked_for, self._beat)
            return asked_for
        if table not in self.plan.unbounded:
            return draw_root(
                self.runtime, table, spec, self.block, (first, rows, asked), self._beat
            )
        # Rows that may be read beyond the table's size must not depend on that size: the
        # whole block is made, and cut where the table ends.
        frame = draw_root(self.runtime, table, spec, self.block, (first, size, asked), self._beat)
        if not self._beyond and rows < size:
            frame.rows, frame.codes = rows, frame.codes[:rows]
        return frame

    def _owned(self, table: str, owner: str) -> Frame:
        above = self.frame(owner)
        counts = self.proposed(table)
        if share := self.plan.shares.get(table):
            before = int(self.plan.parts_before[table][self.block])
            counts = share.counts(counts, before)
        first = self.plan.first_row(table, self.block)
        spec = self.plan.spec
        return draw_children(self.runtime, table, spec, above, first, counts, self._beat)

    def proposed(self, table: str) -> Ints:
        """Return how many rows of `table` each owner row in this unit would have by itself."""
        family = self.runtime.model.family
        above = self.frame(family.owner_of(table))
        piece = self.runtime.piece(above.table, PieceKind.COUNT, table)
        assert piece.codec is not None
        rng = generator(self.plan.spec.seed, table, self.block, "counts")
        counts, _ = decode_numbers(piece.codec, above.codes[:, piece.where], rng)
        if real := family[above.table].crowds.get(table):
            counts = spread_like(real, counts, rng)
        return np.clip(counts, 0, self.plan.caps.get(table, UNLIMITED))
