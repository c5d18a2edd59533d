"""What runs inside a process of its own: import, schema check, training, validation.

Every task is `task(report, ...)` for `process.run_process`; arguments and answers
are plain values, files lie where the arguments say.
"""

from __future__ import annotations

import importlib
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.places import PlaceKind
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.hints import SchemaHint
from syntheflow_server.domain.resources import (
    ImportOrder,
    Model,
    Report,
    TableCard,
    TableSummary,
    TrainOrder,
)
from syntheflow_server.domain.schema import Schema
from syntheflow_server.ingest.tables import IngestedTable
from syntheflow_server.jobs.declared import merged_hint, summaries_of, with_references
from syntheflow_server.jobs.process import Progress, Reporter
from syntheflow_server.jobs.requests import StagedFile
from syntheflow_server.store.blobs import size_of
from syntheflow_server.store.tables import StoredTable, file_of, open_tables

REPORT_FILES = {"html": "report.html", "json": "report.json"}
"""File of a report's folder by format."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an upload holds."""

    schema: Schema
    tables: tuple[TableSummary, ...]


def import_files(
    report: Reporter, files: tuple[StagedFile, ...], hint: SchemaHint | None, out: Path
) -> Imported:
    """Read `files` into Parquet tables in `out` and infer their schema."""
    from syntheflow_server.ingest import ingest

    made: list[IngestedTable] = []
    for number, file in enumerate(files):
        report(Progress(number / len(files), f"reading {file.file_name}", {}))
        made += ingest(
            file.path,
            file_name=file.file_name,
            table=file.table,
            format=file.format,
            out=out,
            options=file.options,
        )
        file.path.unlink()  # its rows are in Parquet now; the disk need not hold both
    if not made:
        raise InvalidArgumentError("the upload holds no table", reason="UPLOAD_EMPTY")
    return imported(made, hint, out)


def imported(made: Sequence[IngestedTable], hint: SchemaHint | None, out: Path) -> Imported:
    """Infer the schema of the tables that were made in `out`, and check it against them."""
    from syntheflow_server.schema import check, infer

    summaries = summaries_of(made)
    stored = open_tables(out)
    ordered = {name: stored[name] for name in summaries}
    types = {name: table.stored_schema for name, table in ordered.items()}
    inferred = infer(ordered, types, merged_hint(hint, made))
    schema = with_references(inferred, hint, made).checked()
    notes = check(schema, open_tables(out, schema))
    return Imported(schema, tuple(_noted(summaries[t], notes) for t in schema.table_names))


def import_place(report: Reporter, address: Address, order: ImportOrder, out: Path) -> Imported:
    """Read a database, or the files of a folder or store, into `out` and infer their schema."""

    def tell(fraction: float, stage: str) -> None:
        report(Progress(_READ * fraction, stage, {}))

    if address.place.kind is PlaceKind.DATABASE:
        from syntheflow_server.ingest.databases import read_database

        made = read_database(address, order.wanted, out, tell)
    else:
        made = _read_files(address, order, out, tell)
    if not made:
        raise InvalidArgumentError(
            f"{address.place.url} holds no table that was asked for; see its tables and patterns",
            reason="NO_TABLE",
        )
    rows = {table.name: table.rows for table in made}
    report(Progress(_READ, "finding out types, keys and references", {}, rows))
    return imported(made, order.hint, out)


_READ = 0.85
"""Share of an import's progress when all rows are read."""
_FETCHED = 0.4


def _read_files(
    address: Address, order: ImportOrder, out: Path, tell: Callable[[float, str], None]
) -> tuple[IngestedTable, ...]:
    """Fetch the files that are wanted and read each."""
    from syntheflow_server.ingest import ingest
    from syntheflow_server.ingest.stores import FetchLimits, fetch_files

    folder = out / "fetched"
    folder.mkdir()
    made: list[IngestedTable] = []
    try:
        paths = fetch_files(
            address,
            order.wanted.tables,
            folder,
            FetchLimits(),
            lambda share, stage: tell(_FETCHED * share, stage),
        )
        for number, path in enumerate(paths):
            tell(_FETCHED + (1 - _FETCHED) * number / len(paths), f"reading {path.name}")
            made += ingest(
                path, file_name=path.name, table="", format=None, out=out, options=order.options
            )
            path.unlink()
    finally:
        shutil.rmtree(folder)
    return tuple(made)


def check_schema(_report: Reporter, directory: Path, schema: Schema) -> None:
    """Check an edited schema against the stored data; InvalidArgumentError with all faults."""
    from syntheflow_server.schema import check

    check(schema, open_tables(directory, schema))


@dataclass(frozen=True, slots=True)
class TrainTask:
    """What a training works on: tables and schema, the engine's module and what was asked.

    `base` is the artefact of the model that it starts from, if any; `checkpoints` a
    folder of its own that outlives the process.
    """

    data: Path
    schema: Schema
    engine: str
    order: TrainOrder
    base: Path | None
    checkpoints: Path


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training tells besides its artefact."""

    cards: tuple[TableCard, ...]
    seconds: float
    bytes: int
    versions: dict[str, str]


def train(report: Reporter, task: TrainTask, out: Path) -> Trained:
    """Fit a model and save its artefact in `out`, from the last checkpoint on if there is one."""
    engine = importlib.import_module(task.engine)
    began = time.monotonic()
    order = task.order
    settings = engine.FitSettings(
        seed=order.seed,
        time_limit_seconds=order.time_limit_seconds,
        holdout_share=order.holdout_share,
        rare_holders=order.rare_holders,
        epsilon=order.epsilon,
        delta=order.delta,
        keep=order.keep,
        entity_rows=order.entity_rows,
        orphans=order.orphans,
    )

    def tell(progress: Any) -> None:
        report(Progress(progress.fraction, progress.stage, dict(progress.metrics)))

    tables = open_tables(task.data, task.schema)
    base = None if task.base is None else engine.load(task.base)
    model = engine.fit(task.schema, tables, settings, tell, base=base, checkpoints=task.checkpoints)
    model.save(out)
    return Trained(
        cards=tuple(model.cards),
        seconds=time.monotonic() - began,
        bytes=size_of(out),
        versions=_versions(),
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be judged and where its artefact and its dataset's tables lie."""

    model: Model
    engine: str
    artefact: Path
    data: Path


def validate(report: Reporter, subject: Subject, seed: int, name: str, out: Path) -> Report:
    """Judge a model against its held-out rows; write the documents of the report into `out`."""
    from syntheflow_server.jobs.drawing import Drawing, drawn_tables
    from syntheflow_server.quality import judge, render_html, render_json

    model, schema = subject.model, subject.model.data_schema
    engine = importlib.import_module(subject.engine)
    report(Progress(0.0, "reading the real rows", {}))
    tables = open_tables(subject.data, schema)
    drawing = Drawing.of(schema, tables, {card.table: card.owner_table for card in model.tables})
    held_out = engine.holdout_rows(
        schema,
        tables,
        model.holdout_share,
        model.seed,
        model.kept_tables,
        orphans=model.orphans,
        private=any(card.privacy for card in model.tables),
    )
    with _sampled(report, engine, subject.artefact, schema, seed, out) as made_tables:
        synthetic = drawn_tables(schema, made_tables, drawing.rows(made_tables, seed))
    drawn = drawing.rows(tables, seed)

    def tell(fraction: float, stage: str) -> None:
        report(Progress(_SAMPLED + (1 - _SAMPLED) * fraction, stage, {}))

    judgement = judge(
        schema,
        drawn_tables(schema, tables, {t: drawn[t] & ~held_out[t] for t in drawn}),
        drawn_tables(schema, tables, {t: drawn[t] & held_out[t] for t in drawn}),
        synthetic,
        seed=seed,
        report=tell,
        kept=model.kept_tables,
        whole=drawing.whole,
    )
    made = Report(
        name=name,
        create_time=datetime.now(UTC),
        model=model.name,
        quality=judgement.quality,
        parts=judgement.parts,
        tables=judgement.tables,
        warnings=judgement.warnings,
    )
    (out / REPORT_FILES["html"]).write_text(render_html(made, judgement.details), "utf-8")
    (out / REPORT_FILES["json"]).write_text(render_json(made, judgement.details), "utf-8")
    return made


_SAMPLED = 0.4
"""Share of a validation's progress when the synthetic rows are there."""


@contextmanager
def _sampled(
    report: Reporter, engine: Any, artefact: Path, schema: Schema, seed: int, out: Path
) -> Iterator[dict[str, StoredTable]]:
    """Give as many synthetic rows as there are real ones, in files that are removed at the end."""
    sampler = engine.Sampler(engine.load(artefact))
    report(Progress(0.05, "planning the synthetic rows", {}))
    plan = sampler.plan(engine.SampleSpec(seed=seed), lambda: None)
    folder = out / "synthetic"
    folder.mkdir()
    try:
        with ExitStack() as files:
            writers = {
                table.name: files.enter_context(
                    pq.ParquetWriter(folder / file_of(table.name), table.arrow, compression="lz4")
                )
                for table in schema.tables
            }
            for unit in range(plan.unit_count):
                share = 0.05 + (_SAMPLED - 0.05) * unit / plan.unit_count
                report(Progress(share, "making synthetic rows", {}))
                for made in sampler.sample(plan, unit, None):
                    writers[made.table].write_batch(made.batch)
        yield open_tables(folder, schema)
    finally:
        shutil.rmtree(folder)


def _noted(summary: TableSummary, notes: Any) -> TableSummary:
    mine = tuple(note.rule for note in notes if note.table == summary.name)
    return summary.model_copy(update={"findings": summary.findings + mine})


def _versions() -> dict[str, str]:
    packages = ("syntheflow", "torch", "numpy", "pyarrow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
