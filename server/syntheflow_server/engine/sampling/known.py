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
from syntheflow_server.engine.sampling.standing import standing_rows
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
    rows = len(plan.stands[table].rows)
    at = np.arange(first, min(first + plan.blocks[table], rows))
    frame = _Known(runtime, plan, unit, beat).frame(table, at, len(at), first)
    frame.known, frame.silent = True, plan.stands[table].silent
    return frame


class _Known:
    """Makes frames of which some cells are known, under stand-ins for owners nobody knows."""

    def __init__(self, runtime: Runtime, plan: SamplePlan, unit: int, beat: Beat) -> None:
        self._runtime, self._plan, self._unit, self._beat = runtime, plan, unit, beat

    def frame(
        self, table: str, at: Ints | None, rows: int, first: int = 0, child: str = ""
    ) -> Frame:
        """Return a frame of the standing rows `at` [rows] of `table`, or of ones nobody knows.

        Each has rows of the table `child`, if one is named.
        """
        part = None if at is None else self._standing(table).take(pa.array(at))
        blank = np.zeros((rows, self._runtime.layout(table).size), np.uint16)
        frame = Frame(table, self._unit, first, rows, blank)
        if self._runtime.model.family.owner_of(table):
            above = self._owners(table, at, rows)
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
            self._put_in(frame, part)
        return frame

    def _standing(self, table: str) -> pa.Table:
        rows = standing_rows(self._runtime.model, self._plan.stands, self._plan.seeds, table)
        assert rows is not None
        return rows

    def _owners(self, table: str, at: Ints | None, rows: int) -> Frame:
        """Return an owner for each row: the one it refers to if that is known, or a stand-in."""
        model, plan = self._runtime.model, self._plan
        key = model.family[table].owner
        assert key is not None
        owner, named = key.parent_table, plan.named.get(str(key))
        found = None if at is None or named is None else named[at]
        known = found is not None and bool((found >= 0).all())
        if owner not in model.kept:
            return self.frame(owner, found if known else None, rows, child=table)
        if found is None or not known:
            rng = generator(plan.spec.seed, owner, self._unit, f"owners of {table}")
            found = rng.integers(0, len(model.kept[owner]), rows)
        frame = Frame(owner, self._unit, 0, rows, model.kept_codes[owner][found], known=True)
        held = model.kept[owner].take(pa.array(found))
        frame.columns = {name: combined(held.column(name)) for name in held.column_names}
        return frame

    def _put_in(self, frame: Frame, part: pa.Table) -> None:
        """Put the cells of `part` into the frame as they are, those to be filled apart."""
        sequence = self._runtime.model.family[frame.table].sequence
        if sequence is not None and sequence.order in part.column_names:
            numbers, missing = to_numbers(combined(part.column(sequence.order)), sequence.order)
            assert frame.order is not None
            counted = sequence.counted(numbers.astype(np.int64))
            frame.order = np.where(missing, frame.order, counted)
        filled = set(frame.guides) if self._plan.spec.fill_missing else set[str]()
        for name in part.column_names:
            values = combined(part.column(name))
            if not (values.null_count and name in filled):
                frame.columns[name] = values
