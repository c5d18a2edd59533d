"""A tiny real engine with the faces of `syntheflow_server.engine`, for tests of jobs.

Learns each column's values with their counts and draws from them, one generator a
unit. Its manners can be set from the outside, for the environment reaches all processes:
A condition of one value and given rows fix their columns; other wishes do nothing.
With TINY_CHECKPOINTS a fit keeps how often it began, and tells it as its epochs.
TINY_FIT_SECONDS, TINY_PLAN_SECONDS, TINY_UNIT_SECONDS stretch the work; TINY_DEATHS is
a folder: a unit that finds a file called after its number there removes it and kills
its process.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from syntheflow_server.domain.errors import DataLossError, OutOfRangeError
from syntheflow_server.domain.resources import PrivacySpending, TableCard
from syntheflow_server.domain.schema import Schema

UNIT_ROWS = 1_000


def _setting(name: str) -> float:
    """A manner: a file of that name in the folder TINY_MANNERS changes it as it runs."""
    said = Path(os.environ.get("TINY_MANNERS", os.devnull)) / name
    return float(said.read_text() if said.is_file() else os.environ.get(name, "0"))


@dataclass(frozen=True)
class FitSettings:
    seed: int = 0
    time_limit_seconds: float | None = None
    holdout_share: float = 0.1
    threads: int = 0
    rare_holders: int = 3
    epsilon: float | None = None
    delta: float | None = None
    keep: tuple[str, ...] = ()
    entity_rows: int | None = None
    orphans: bool = False


@dataclass(frozen=True)
class FitProgress:
    fraction: float
    stage: str
    metrics: dict[str, float]


class FittedModel:
    def __init__(self, schema, tables, cards):
        self.schema, self.tables, self.cards = schema, tables, cards

    def save(self, directory: Path) -> None:
        (directory / "schema.json").write_text(self.schema.model_dump_json())
        for name, table in self.tables.items():
            pq.write_table(table, directory / f"{name}.parquet")


def _begun(checkpoints: Path | None) -> int:
    """How often this fit began, this time included."""
    if checkpoints is None or not _setting("TINY_CHECKPOINTS"):
        return 1
    count = checkpoints / "begun"
    before = int(count.read_text()) if count.exists() else 0
    if before < 0:
        raise DataLossError("the checkpoint is damaged", reason="CHECKPOINT_DAMAGED")
    count.write_text(str(before + 1))
    return before + 1


def fit(schema, tables, settings, report, *, base=None, checkpoints=None) -> FittedModel:
    learned, cards = {}, []
    begun = _begun(checkpoints)
    privacy = ()
    if settings.epsilon is not None:
        spent = PrivacySpending(
            spent_on="all", epsilon=settings.epsilon, delta=settings.delta or 0, mechanism="none"
        )
        privacy = (spent,)
    for table in schema.tables:
        source = tables[table.name]
        columns = [source.column(name) for name in table.column_names]
        learned[table.name] = pa.table(columns, schema=table.arrow)
        cards.append(
            TableCard(
                table=table.name,
                train_rows=source.num_rows,
                holdout_rows=0,
                columns=len(table.columns),
                tokens=len(table.columns),
                parameters=0,
                epochs=begun,
                stopped="" if base is None else f"knew {base.tables[table.name].num_rows} rows",
                privacy=privacy,
                validation_loss=0,
                train_seconds=0,
            )
        )
    end = time.monotonic() + _setting("TINY_FIT_SECONDS")
    step = 0
    while (left := end - time.monotonic()) > 0:
        step += 1
        metrics = {"train_loss": 1 / step, "rows_per_second": 10.0}
        report(FitProgress(min(0.9, step / 1000), f"step {step}", metrics))
        time.sleep(min(left, 0.02))
    return FittedModel(schema, learned, tuple(cards))


def load(directory: Path) -> FittedModel:
    schema = Schema.model_validate_json((directory / "schema.json").read_text())
    names = schema.table_names
    return FittedModel(schema, {n: pq.read_table(directory / f"{n}.parquet") for n in names}, ())


def holdout_rows(schema, tables, share, seed, keep=(), *, orphans=False, private=False):
    rng = np.random.default_rng(seed)
    return {n: rng.random(tables[n].num_rows) < share for n in schema.table_names}


@dataclass(frozen=True)
class SampleSpec:
    seed: int = 0
    scale: float = 1.0
    rows: dict[str, int] = field(default_factory=dict)
    conditions: dict[str, tuple[dict, ...]] = field(default_factory=dict)
    temperature: float = 1.0
    fill_missing: bool = False
    orphans: bool = False


@dataclass
class Fragment:
    table: str
    first_row: int
    batch: pa.RecordBatch


@dataclass
class SamplePlan:
    seed: int
    table_rows: dict[str, int]
    fixed: dict[str, dict[str, list]] = field(default_factory=dict)
    """Values of columns by table; they begin again at their end."""

    @property
    def unit_count(self) -> int:
        return sum(len(self.units_of(t)) for t in self.table_rows)

    def units_of(self, table: str) -> range:
        start = 0
        for name, rows in self.table_rows.items():
            count = -(-rows // UNIT_ROWS)
            if name == table:
                return range(start, start + count)
            start += count
        raise KeyError(table)

    def window(self, table: str, start: int, count: int) -> range:
        if start + count > self.table_rows[table]:
            raise OutOfRangeError("beyond the end", reason="ROW_OUT_OF_RANGE")
        first = self.units_of(table).start
        return range(first + start // UNIT_ROWS, first + -(-(start + count) // UNIT_ROWS))

    def save(self, path: Path) -> None:
        path.write_text(json.dumps([self.seed, self.table_rows, self.fixed]))

    @classmethod
    def load(cls, path: Path) -> SamplePlan:
        return cls(*json.loads(path.read_text()))


class Sampler:
    def __init__(self, model: FittedModel) -> None:
        self._model = model

    def plan(self, spec, check, tables=None, seeds=None, existing=None) -> SamplePlan:
        end = time.monotonic() + _setting("TINY_PLAN_SECONDS")
        while time.monotonic() < end:
            check()
            time.sleep(0.02)
        rows = {
            name: spec.rows.get(name, round(table.num_rows * spec.scale))
            for name, table in self._model.tables.items()
        }
        fixed = {
            table: {
                rule["column"]: list(rule["values"])
                for rule in rules
                if "values" in rule and "column" in rule
            }
            for table, rules in spec.conditions.items()
        }
        for table, given in (seeds or {}).items():
            fixed.setdefault(table, {}).update(given.to_pydict())
            rows[table] = given.num_rows
        for table, there in (existing or {}).items():
            rows[table] -= there.num_rows  # of a whole of the real size, only the rest is made
        return SamplePlan(spec.seed, rows, fixed)

    def sample(self, plan, unit, tables, check=lambda: None) -> list[Fragment]:
        end = time.monotonic() + _setting("TINY_UNIT_SECONDS")
        while (left := end - time.monotonic()) > 0:
            check()
            time.sleep(min(left, 0.02))
        if folder := os.environ.get("TINY_DEATHS"):
            self._die_if_asked(Path(folder) / str(unit))
        for name, rows in plan.table_rows.items():
            units = plan.units_of(name)
            if unit in units and (tables is None or name in tables):
                first = (unit - units.start) * UNIT_ROWS
                count = min(UNIT_ROWS, rows - first)
                real = self._model.tables[name]
                rng = np.random.default_rng([plan.seed, unit])
                picks = rng.integers(0, real.num_rows, count)
                made = real.take(pa.array(picks)).combine_chunks()
                for column, values in plan.fixed.get(name, {}).items():
                    kind = made.schema.field(column).type
                    cells = [values[row % len(values)] for row in range(first, first + count)]
                    made = made.set_column(
                        made.schema.get_field_index(column),
                        made.schema.field(column),
                        pa.array(cells, kind),
                    )
                made = made.combine_chunks()
                return [Fragment(name, first, made.to_batches()[0])]
        return []

    def _die_if_asked(self, order: Path) -> None:
        left = int(order.read_text()) if order.exists() else 0
        if left:
            order.write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
