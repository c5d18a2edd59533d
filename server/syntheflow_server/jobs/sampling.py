"""What runs inside the pool's processes: plans, windows and units of rows."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import pyarrow as pa

from syntheflow_server.domain.errors import CancelledError, OutOfRangeError
from syntheflow_server.domain.ids import new_id
from syntheflow_server.export import ENCODERS, Target
from syntheflow_server.jobs.failures import caught
from syntheflow_server.jobs.requests import Condition
from syntheflow_server.jobs.seeds import Seeds

T = TypeVar("T")
_PLANS_KEPT = 4
RAW = "raw"
"""Not a format of the contract: each fragment as one Arrow IPC message, for the front to encode."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Where a worker finds a model; `key` tells it from one that had the same name before."""

    key: str
    engine: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Spec:
    """What is asked of a model: the words of the engine's SampleSpec."""

    seed: int
    scale: float
    rows: dict[str, int] = field(default_factory=dict)
    conditions: dict[str, tuple[Condition, ...]] = field(default_factory=dict)
    temperature: float = 1.0
    fill_missing: bool = False
    orphans: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of the engine's SampleSpec."""
        conditions = {
            table: tuple(condition.fields() for condition in rules)
            for table, rules in self.conditions.items()
        }
        return {
            "seed": self.seed,
            "scale": self.scale,
            "rows": self.rows,
            "conditions": conditions,
            "temperature": self.temperature,
            "fill_missing": self.fill_missing,
            "orphans": self.orphans,
        }


@dataclass(frozen=True, slots=True)
class PlanTask:
    """Make the plan of a spec for `tables` and save it as `path`; answers None.

    `seeds` are rows to be completed, `existing` rows that are there already; the plan
    holds them from then on.
    """

    model: ModelRef
    spec: Spec
    tables: tuple[str, ...]
    path: Path
    seeds: tuple[Seeds, ...] = ()
    existing: tuple[Seeds, ...] = ()

    def run(self, worker: Worker) -> None:
        """Do it."""
        module, sampler = worker.sampler(self.model)
        spec = module.SampleSpec(**self.spec.fields())
        seeds = {given.table.name: given.read() for given in self.seeds}
        existing = {given.table.name: given.read() for given in self.existing}
        plan = sampler.plan(spec, worker.check, frozenset(self.tables), seeds, existing)
        draft = self.path.with_name(f"{self.path.name}.{new_id()}")
        plan.save(draft)
        draft.rename(self.path)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which units make the rows asked for, and the window of rows of each table (or None).

    `rows` says how many rows each table will have in all.
    """

    units: tuple[range, ...]
    window: tuple[int, int] | None
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SelectTask:
    """Say which units hold the rows of `tables` (or of a window of the first); a Selection.

    Units that make nothing but the first `have` rows of tables are left out.
    """

    model: ModelRef
    plan: Path
    tables: tuple[str, ...]
    window: tuple[int, int] | None = None
    have: dict[str, int] = field(default_factory=dict)

    def run(self, worker: Worker) -> Selection:
        """Do it."""
        plan = worker.plan(self.model, self.plan)
        if self.window is None:
            units = [self._wanted(plan, table) for table in self.tables]
            rows = {table: plan.table_rows[table] for table in self.tables}
            return Selection(_united(units), None, rows)
        table, (start, count) = self.tables[0], self.window
        if count == 0:
            count = plan.table_rows[table] - start
            if count < 0:
                raise OutOfRangeError(
                    f"table {table!r} has {plan.table_rows[table]} rows; "
                    f"row {start} lies beyond its end",
                    reason="ROW_OUT_OF_RANGE",
                    metadata={"table": table},
                )
        units = [plan.window(table, start, count)] if count else []
        return Selection(_united(units), (start, count), {table: count})

    def _wanted(self, plan: Any, table: str) -> range:
        have, rows = self.have.get(table, 0), plan.table_rows[table]
        if not have:
            return cast("range", plan.units_of(table))
        return cast("range", plan.window(table, have, rows - have)) if have < rows else range(0)


@dataclass(frozen=True, slots=True)
class Piece:
    """Encoded rows of one table; see `requests.Chunk`."""

    table: str
    first_row: int
    row_count: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UnitTask:
    """Make one unit and encode its rows; answers a list of Piece.

    `target` says for whom the rows are encoded; None with the format RAW.
    """

    model: ModelRef
    plan: Path
    unit: int
    tables: frozenset[str]
    window: tuple[int, int] | None
    format: str
    target: Target | None = None

    def run(self, worker: Worker) -> list[Piece]:
        """Do it."""
        plan = worker.plan(self.model, self.plan)
        _, sampler = worker.sampler(self.model)
        start, count = self.window or (0, None)
        pieces: list[Piece] = []
        for made in sampler.sample(plan, self.unit, self.tables, worker.check):
            if made.table not in self.tables:
                continue
            low = max(0, start - made.first_row)
            high = made.batch.num_rows
            if count is not None:
                high = min(high, start + count - made.first_row)
            if low < high:
                first_row = made.first_row + low
                batch = made.batch.slice(low, high - low)
                pieces += self._encoded(made.table, first_row, batch, first=first_row == start)
        return pieces

    def _encoded(
        self, table: str, first_row: int, batch: pa.RecordBatch, *, first: bool
    ) -> list[Piece]:
        if self.target is None:
            return [Piece(table, first_row, batch.num_rows, batch.serialize().to_pybytes())]
        pieces = []
        made = ENCODERS[self.format](self.target, table)
        for data, rows in made.pieces(batch, first=first):
            pieces.append(Piece(table, first_row, rows, data))
            first_row += rows
        return pieces


Task = PlanTask | SelectTask | UnitTask


@dataclass(frozen=True, slots=True)
class Order:
    """Sent to a worker: do this task; numbers are never used twice."""

    number: int
    task: Task


@dataclass(frozen=True, slots=True)
class Cancel:
    """Sent to a worker: the order of this number is not wanted any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker's first message: its libraries are loaded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's answer to a task."""

    value: Any
    models_loaded: int


class _Recent(Generic[T]):
    """The last few things by key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._things: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str, make: Callable[[], T]) -> T:
        if key not in self._things:
            while len(self._things) >= self._size:
                self._things.popitem(last=False)  # first, so that both are never held
            self._things[key] = make()
        self._things.move_to_end(key)
        return self._things[key]

    def __len__(self) -> int:
        return len(self._things)


class Worker:
    """The state of one pool process: the models and plans used last, and the pipe."""

    def __init__(self, pipe: Connection, engines: dict[str, str], models: int) -> None:
        self.order = -1
        self._pipe = pipe
        self._engines = {name: importlib.import_module(path) for name, path in engines.items()}
        self._samplers: _Recent[Any] = _Recent(models)
        self._plans: _Recent[Any] = _Recent(_PLANS_KEPT)

    def sampler(self, model: ModelRef) -> tuple[Any, Any]:
        """Return the engine's module and the model's Sampler, loaded if need be."""
        module = self._engines[model.engine]
        made = self._samplers.get(model.key, lambda: module.Sampler(module.load(model.directory)))
        return module, made

    def plan(self, model: ModelRef, path: Path) -> Any:
        """Return the plan saved as `path`."""
        module = self._engines[model.engine]
        return self._plans.get(str(path), lambda: module.SamplePlan.load(path))

    def check(self) -> None:
        """Raise CancelledError if the task at hand is not wanted any more."""
        # A word about an earlier order may come late and means nothing.
        while self._pipe.poll():
            if self._pipe.recv() == Cancel(self.order):
                raise CancelledError("the stream was cancelled", reason="CANCELLED")

    @property
    def models_loaded(self) -> int:
        """Models in memory."""
        return len(self._samplers)


def serve(pipe: Connection, engines: dict[str, str], models: int) -> None:
    """Be a worker: load the libraries, then do one task after the other."""
    try:
        worker = Worker(pipe, engines, models)
    except Exception as error:  # noqa: BLE001 - the front logs it; nobody else could
        pipe.send(caught(error))
        return
    pipe.send(Ready())
    while True:
        order = pipe.recv()
        if isinstance(order, Cancel):  # its order had ended before the word came
            continue
        worker.order = order.number
        try:
            pipe.send(Answer(order.task.run(worker), worker.models_loaded))
        except BrokenPipeError:
            return
        except Exception as error:  # noqa: BLE001 - every failure must cross as data
            pipe.send(caught(error))


def _united(units: list[range]) -> tuple[range, ...]:
    """Return ascending ranges without overlap that hold the same units."""
    united: list[range] = []
    for part in sorted((u for u in units if len(u)), key=lambda u: u.start):
        if united and part.start <= united[-1].stop:
            united[-1] = range(united[-1].start, max(united[-1].stop, part.stop))
        else:
            united.append(part)
    return tuple(united)
