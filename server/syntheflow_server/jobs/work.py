"""The work of each kind of job: what its process does and how its result becomes visible."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from syntheflow_server.domain.errors import SyntheflowError, WorkerDiedError
from syntheflow_server.domain.resources import Dataset, Model, Report, Resource, TrainOrder
from syntheflow_server.jobs import tasks
from syntheflow_server.jobs.process import Outcome, Progress, Reporter, run_process
from syntheflow_server.jobs.runner import Commit, Made, Work
from syntheflow_server.store.blobs import Blobs
from syntheflow_server.store.documents import Documents, LedgerEntry
from syntheflow_server.telemetry.metrics import Metrics

_LOG = structlog.get_logger(__name__)
_UNFIT_CHECKPOINTS = frozenset({"CHECKPOINT_DAMAGED", "CHECKPOINT_OF_ANOTHER_FIT"})
_TASKS = "syntheflow_server.jobs.tasks"


def cores() -> int:
    """Return the cores that heavy work may use."""
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all work needs: the stores, the engines' modules by name, the metrics."""

    documents: Documents
    blobs: Blobs
    engines: dict[str, str]
    metrics: Metrics

    def training(self, dataset: Dataset, order: TrainOrder, checkpoints: Path) -> Work:
        """Return the work that trains the model `order.model`.

        A process that dies is followed by one more, if it left a checkpoint to go on from.
        Checkpoints that another version of the software left, or that are damaged, are
        dropped, and the training begins anew.
        """
        task = tasks.TrainTask(
            data=self.blobs.path(dataset.name),
            schema=dataset.data_schema,
            engine=self.engines[order.engine],
            order=order,
            base=self.blobs.path(order.base_model) if order.base_model else None,
            checkpoints=checkpoints,
        )

        async def work(report: Reporter, staging: Path) -> Commit:
            outcome = await self._persistently(task, staging, report)
            model = _trained_model(dataset, order, outcome.value)
            return lambda: self._keep(model, staging, outcome)

        return work

    async def _persistently(
        self, task: tasks.TrainTask, staging: Path, report: Reporter
    ) -> Outcome:
        tried: set[str] = set()
        while True:
            try:
                return await _train(task, staging, report)
            except SyntheflowError as error:
                stage = await asyncio.to_thread(_next_try, error, task.checkpoints)
                if not stage or stage in tried:
                    raise
                if isinstance(error, WorkerDiedError):
                    self.metrics.worker_deaths.labels("job").inc()
                _LOG.warning("a training is tried again", why=error.reason, now=stage)
            tried.add(stage)
            report(Progress(0.0, stage, {}))
            await asyncio.to_thread(_empty, staging)

    def validation(self, model: Model, dataset: Dataset, seed: int, name: str) -> Work:
        """Return the work that makes the report `name`."""

        async def work(report: Reporter, staging: Path) -> Commit:
            subject = tasks.Subject(
                model=model,
                engine=self.engines[model.engine],
                artefact=self.blobs.path(model.name),
                data=self.blobs.path(dataset.name),
            )
            outcome = await run_process(
                f"{_TASKS}:validate",
                subject,
                seed,
                name,
                staging,
                title="validation",
                threads=cores(),
                on_progress=report,
            )
            made: Report = outcome.value

            def commit() -> Made:
                kept = self._keep(made, staging, outcome)
                self.metrics.quality_score.set(made.quality)
                return kept

            return commit

        return work

    def _keep(self, resource: Model | Report, staging: Path, outcome: Outcome) -> Made:
        """Put folder and document in place; a crash in between leaves no document, see `sweep`."""
        keep(self.documents, self.blobs, resource, staging)
        return Made(resource.name, {"peak_memory_bytes": float(outcome.peak_memory_bytes)})


async def _train(task: tasks.TrainTask, staging: Path, report: Reporter) -> Outcome:
    return await run_process(
        f"{_TASKS}:train",
        task,
        staging,
        title="training",
        threads=cores(),
        on_progress=report,
    )


def _next_try(error: SyntheflowError, checkpoints: Path) -> str:
    """Put `checkpoints` in order for another try and return its stage; "" if there is none."""
    if not any(checkpoints.iterdir()):
        return ""
    if isinstance(error, WorkerDiedError):
        return "resumed after its process died"
    if error.reason in _UNFIT_CHECKPOINTS:
        _empty(checkpoints)
        return "begun anew, for its checkpoint does not fit any more"
    return ""


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _trained_model(dataset: Dataset, order: TrainOrder, trained: tasks.Trained) -> Model:
    return Model(
        name=order.model,
        create_time=datetime.now(UTC),
        dataset=dataset.name,
        engine=order.engine,
        data_schema=dataset.data_schema,
        seed=order.seed,
        holdout_share=order.holdout_share,
        train_seconds=trained.seconds,
        bytes=trained.bytes,
        tables=trained.cards,
        versions=trained.versions,
        settings=settings_of(order),
        base_model=order.base_model,
        kept_tables=order.keep,
        orphans=order.orphans,
    )


def settings_of(order: TrainOrder) -> dict[str, str]:
    """Return the settings of a training that are set, as text, by their names in the contract."""
    limit = order.time_limit_seconds
    settings = {
        "seed": order.seed,
        "holdout_share": order.holdout_share,
        "time_limit": None if limit is None else f"{limit:g}s",
        "rare_holders": order.rare_holders,
        "privacy.epsilon": order.epsilon,
        "privacy.delta": order.delta,
        "keep_tables": ", ".join(order.keep) or None,
        "entity_rows": order.entity_rows,
        "orphans": "learned" if order.orphans else None,
    }
    return {name: str(value) for name, value in settings.items() if value is not None}


def keep(
    documents: Documents,
    blobs: Blobs,
    resource: Resource,
    staging: Path,
    entry: LedgerEntry | None = None,
) -> None:
    """Commit a staged folder and then its document; if that fails the folder goes too."""
    blobs.commit(staging, resource.name)
    try:
        documents.create(resource, entry=entry)
    except BaseException:
        blobs.delete(resource.name)
        raise
