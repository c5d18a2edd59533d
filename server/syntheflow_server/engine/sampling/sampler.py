"""The public face of sampling: plan a request, make its units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa
import torch

from syntheflow_server.engine.model import FittedModel
from syntheflow_server.engine.sampling.beat import Beat, Check, unchecked
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.planner import make_plan
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.spec import SampleSpec
from syntheflow_server.engine.sampling.unit import Unit
from syntheflow_server.engine.sampling.values import Values

_NO_ROWS: Mapping[str, pa.Table] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """Neighbouring rows of one table, from `first_row` on, in the schema's columns and types."""

    table: str
    first_row: int
    batch: pa.RecordBatch


class Sampler:
    """Draws rows from a fitted model on one thread.

    Every unit is a pure function of (model, spec, unit): any process may make any unit
    in any order.
    """

    def __init__(self, model: FittedModel) -> None:
        torch.set_num_threads(1)
        self._runtime = Runtime.of(model)

    def plan(
        self,
        spec: SampleSpec,
        check: Check,
        tables: frozenset[str] | None = None,
        seeds: Mapping[str, pa.Table] = _NO_ROWS,
        existing: Mapping[str, pa.Table] = _NO_ROWS,
    ) -> SamplePlan:
        """Return the plan of a request for `tables` (None: for all).

        Which tables are asked for changes no row, only what the plan costs. `check` is
        called between batches of rows and may raise CancelledError. `seeds` are rows that
        are to be completed: the columns that they have come out as they are, the others are
        drawn for them, and so are the rows that belong to them. `existing` rows are there
        already: they never come out, new rows may refer and belong to them, and new keys
        never meet theirs. Raises InvalidArgumentError if the rows asked for cannot be had,
        UnsupportedError if conditions of this kind cannot.
        """
        readings = self._runtime.model.readings
        spec = spec.read(readings)
        seeds, existing = (
            {name: readings.rows(name, rows) for name, rows in given.items()}
            for given in (seeds, existing)
        )
        return make_plan(self._runtime, spec, check, tables, seeds, existing)

    def sample(
        self,
        plan: SamplePlan,
        unit: int,
        tables: frozenset[str] | None = None,
        check: Check = unchecked,
    ) -> list[Fragment]:
        """Return the rows that `unit` makes of `tables` (None: of all planned), owners first.

        `check` is called at least every 0.2 s and may raise CancelledError.
        Raises IndexError if the plan has no such unit, KeyError if it lacks a table.
        """
        wanted = set(plan.tables) if tables is None else tables
        if missing := wanted - set(plan.tables):
            raise KeyError(f"the plan was not made for {', '.join(sorted(missing))}")
        root, block, beyond = plan.locate(unit)
        beat = Beat(check)
        making = Unit(self._runtime, plan, root, block, beat, beyond=beyond)
        values = Values(self._runtime, plan, beat)
        fragments = []
        for table in self._runtime.model.family.below(root):
            if table not in wanted or (not beyond and plan.barren(table, block)):
                continue
            frame = making.frame(table)
            if frame.rows and not frame.silent:
                fragments.append(Fragment(table, frame.first_row, values.batch(frame)))
        return fragments
