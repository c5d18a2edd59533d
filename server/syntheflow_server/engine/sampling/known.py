"""Frames of rows that are not drawn, or not wholly: kept, given and existing ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.sampling.beat import Beat
from syntheflow_server.engine.sampling.draw import draw_children
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.settle import settle_known, steer_known
from syntheflow_server.engine.sampling.standing import parents_of, standing_rows
from syntheflow_server.engine.sampling.values import know_begin

Ints = npt.NDArray[np.int64]


def kept_frame(runtime: Runtime, table: str, unit: int, first: int, rows: int) -> Frame:
    """Return rows of a kept table: its cells, and the tokens that say what depends on them."""
    part = runtime.model.kept[table].slice(first, rows)
    codes = runtime.model.kept_codes[table][first : first + rows]
    frame = Frame(table, unit, first, rows, codes, known=True)
    frame.columns = {name: combined(part.column(name)) for name in part.column_names}
    return frame


def stand_frame(
    runtime: Runtime, plan: SamplePlan, table: str, unit: int, first: int, beat: Beat
) -> Frame:
    """Return a unit's given or existing rows of `table`, from `first` on; the rest is drawn."""
    stand = plan.stands[table]
    part = stand.rows.slice(first, plan.blocks[table])
    frame = _Known(runtime, plan, unit, beat).frame(table, part, len(part), first)
    frame.known, frame.silent = True, stand.silent
    return frame


class _Known:
    """Makes frames of which some cells are known, under stand-ins for owners nobody knows."""

    def __init__(self, runtime: Runtime, plan: SamplePlan, unit: int, beat: Beat) -> None:
        self._runtime, self._plan, self._unit, self._beat = runtime, plan, unit, beat

    def frame(
        self, table: str, part: pa.Table | None, rows: int, first: int = 0, child: str = ""
    ) -> Frame:
        """Return rows with the cells of `part` [n]; each has rows of the table `child`, if any."""
        owner = self._runtime.model.family.owner_of(table)
        blank = np.zeros((rows, self._runtime.layout(table).size), np.uint16)
        frame = Frame(table, self._unit, first, rows, blank)
        if owner:
            above = self._owners(table, owner, part, rows)
            ones = np.ones(rows, np.int64)
            steering = steer_known(self._runtime, self._plan, frame, part, child, self._beat)
            spec = self._plan.spec
            know_begin(self._runtime, self._plan, above, table, self._beat)
            frame = draw_children(
                self._runtime, table, spec, above, first, ones, self._beat, steering
            )
        else:
            settle_known(self._runtime, self._plan, frame, part, child, self._beat)
        if part is not None:
            self._put_in_order(frame, part)
            drawn = set(frame.guides) if self._plan.spec.fill_missing else set()
            for name in part.column_names:
                values = combined(part.column(name))
                if not (values.null_count and name in drawn):
                    frame.columns[name] = values
        return frame

    def _owners(self, table: str, owner: str, part: pa.Table | None, count: int) -> Frame:
        """Return an owner for each row: the one it refers to if that is known, or a stand-in."""
        model, plan = self._runtime.model, self._plan
        key = model.family[table].owner
        assert key is not None
        rows = standing_rows(model, plan.stands, plan.seeds, owner)
        found = None if part is None else parents_of(key, part, rows)
        if found is None or rows is None or (found < 0).any():
            if owner in model.kept:
                rng = generator(plan.spec.seed, owner, self._unit, f"owners of {table}")
                rows = model.kept[owner]
                found = rng.integers(0, len(rows), count)
            else:
                return self.frame(owner, None, count, child=table)
        if owner in model.kept:
            frame = Frame(owner, self._unit, 0, count, model.kept_codes[owner][found])
            held = rows.take(pa.array(found))
            frame.columns = {name: combined(held.column(name)) for name in held.column_names}
            return frame
        return self.frame(owner, rows.take(pa.array(found)), count, child=table)

    def _put_in_order(self, frame: Frame, part: pa.Table) -> None:
        """Let the order numbers of the frame be those of a given order column."""
        sequence = self._runtime.model.family[frame.table].sequence
        if sequence is None or sequence.order not in part.column_names:
            return
        numbers, missing = to_numbers(combined(part.column(sequence.order)), sequence.order)
        assert frame.order is not None
        counted = sequence.counted(numbers.astype(np.int64))
        frame.order = np.where(missing, frame.order, counted)
