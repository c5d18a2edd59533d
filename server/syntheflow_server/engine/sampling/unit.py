"""All frames of one unit, made when they are first asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.graph.summary import elder
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.sampling.asked import asked_counts, nearest_counts
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.draw import draw_children, draw_root
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.known import kept_frame, stand_frame
from syntheflow_server.engine.sampling.plan import SamplePlan, of_existing
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.runtime import Runtime, decode_numbers
from syntheflow_server.engine.sampling.settle import (
    is_asked,
    settle_root,
    steer_owned,
)
from syntheflow_server.engine.sampling.shares import UNLIMITED
from syntheflow_server.engine.sampling.values import know_begin

Ints = npt.NDArray[np.int64]
_NO_CODES = np.zeros((0, 0), np.uint16)


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
        noting: bool = False,
    ) -> None:
        """Prepare; with `noting` the plan takes note of what is drawn."""
        self._noting = noting and plan.as_usual
        self.runtime, self.plan, self._beat = runtime, plan, beat
        self.root, self.block, self._beyond = root, block, beyond
        self._standing = plan.standing(root, block)
        self._frames: dict[str, Frame] = {}

    def frame(self, table: str) -> Frame:
        """Return the rows of `table` in this unit; its tokens are drawn, nothing decoded."""
        if table not in self._frames:
            owner = self.runtime.model.family.owner_of(table)
            if self._standing is not None and self._standing[0] == table:
                first = self._standing[1]
                frame = stand_frame(self.runtime, self.plan, table, self.block, first, self._beat)
            else:
                frame = self._owned(table, owner) if owner else self._root()
                frame.shift = self.plan.silent(table)
            self._frames[table] = frame
        return self._frames[table]

    def stands(self, table: str) -> bool:
        """Return whether the unit begins with given or existing rows of `table`."""
        return self._standing is not None and self._standing[0] == table

    def _root(self) -> Frame:
        table, size = self.root, self.plan.blocks[self.root]
        first = self.plan.first_row(table, self.block)
        asked = self.plan.table_rows[table]
        rows = 0 if self._standing is not None else min(size, asked - first)
        if table in self.runtime.model.kept:
            return kept_frame(self.runtime, table, self.block, first, rows)
        if is_asked(self.plan, table):
            blank = np.zeros((rows, self.runtime.layout(table).size), np.uint16)
            asked_for = Frame(table, self.block, first, rows, blank)
            settle_root(self.runtime, self.plan, asked_for, self._beat)
            return asked_for
        if table not in self.plan.unbounded:
            if drawn := self.plan.notes.root(table, self.block, rows):
                return drawn.root(table, self.block, first, rows)
            place = first, rows, asked
            frame = draw_root(self.runtime, table, self.plan, self.block, place, self._beat)
            if self._noting:
                self.plan.notes.note(frame)
            return frame
        # Rows that may be read beyond the table's size must not depend on that size: the
        # whole block is made, and cut where the table ends.
        whole = first, size, asked
        frame = draw_root(self.runtime, table, self.plan, self.block, whole, self._beat)
        if not self._beyond and rows < size:
            frame.rows, frame.codes = rows, frame.codes[:rows]
        return frame

    def _owned(self, table: str, owner: str) -> Frame:
        above = self.frame(owner)
        counts = self._fixed(table, above)
        key = of_existing(table) if above.silent else table
        if share := self.plan.shares.get(key):
            before = int(self.plan.parts_before[key][self.block])
            counts = share.counts(counts, before, self.room(table, above))
        know_begin(self.runtime, self.plan, above, table, self._beat)
        first = self.plan.first_row(table, self.block)
        if drawn := self.plan.notes.owned(table, self.block, counts):
            return drawn.owned(table, above, first)
        spec, steering = self.plan.spec, None
        if spec.conditions.get(table):
            rows = Frame(table, above.unit, first, int(counts.sum()), _NO_CODES)
            steering = steer_owned(self.runtime, self.plan, rows, self._beat)
        elders = [self.frame(name) for name in elder(self.runtime.model.family, table)]
        frame = draw_children(
            self.runtime, table, spec, above, first, counts, self._beat, steering, elders
        )
        if self._noting:
            self.plan.notes.note(frame, counts)
        return frame

    def _fixed(self, table: str, above: Frame) -> Ints:
        """Return the owners' numbers of rows that the plan holds, or else those of their own."""
        if table not in self.plan.counts:
            return self.proposed(table)
        return self.plan.counts[table][above.first_row : above.first_row + above.rows]

    def proposed(self, table: str) -> Ints:
        """Return how many rows of `table` each owner row in this unit would have by itself."""
        family = self.runtime.model.family
        above = self.frame(family.owner_of(table))
        piece = self.runtime.piece(above.table, PieceKind.COUNT, table)
        assert piece.codec is not None
        rng = generator(self.plan.spec.seed, table, self.block, "counts")
        if table in above.counts:
            return asked_counts(above, table, rng)
        if self.plan.given(table):
            return np.zeros(above.rows, np.int64)  # its rows are given
        counts, _ = decode_numbers(piece.codec, above.codes[:, piece.where], rng)
        if family[table].always:
            counts = np.ones(above.rows, np.int64)
        held = self.plan.held.get(str(family[table].owner))
        if held is not None and above.silent:
            counts = np.where(held[above.row_numbers], 0, counts)  # they have their only one
        if above.table in self.runtime.model.kept:
            counts = nearest_counts(self.runtime, self.plan, above.table, table, counts)
        return np.clip(counts, 0, self.room(table, above))

    def room(self, table: str, above: Frame) -> Ints | int:
        """Return how many rows of `table` each owner row can have, or all of them alike."""
        room = self.plan.rooms.get(table)
        if room is None:
            return self.plan.caps.get(table, UNLIMITED)
        first = above.first_row + above.shift
        return room[first : first + above.rows]
