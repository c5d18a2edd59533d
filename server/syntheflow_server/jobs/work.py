"""The work of each kind of job: what its process does and how its result becomes visible."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from syntheflow_server.domain.resources import Dataset, Model, Report, Resource
from syntheflow_server.jobs import tasks
from syntheflow_server.jobs.process import Outcome, Reporter, run_process
from syntheflow_server.jobs.runner import Commit, Made, Work
from syntheflow_server.store.blobs import Blobs
from syntheflow_server.store.documents import Documents, LedgerEntry
from syntheflow_server.telemetry.metrics import Metrics

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

    def training(
        self, dataset: Dataset, name: str, engine: str, settings: tasks.TrainSettings
    ) -> Work:
        """Return the work that trains the model `name`."""

        async def work(report: Reporter, staging: Path) -> Commit:
            outcome = await run_process(
                f"{_TASKS}:train",
                self.blobs.path(dataset.name),
                dataset.data_schema,
                settings,
                staging,
                title="training",
                threads=cores(),
                on_progress=report,
            )
            trained: tasks.Trained = outcome.value
            model = Model(
                name=name,
                create_time=datetime.now(UTC),
                dataset=dataset.name,
                engine=engine,
                data_schema=dataset.data_schema,
                seed=settings.seed,
                holdout_share=settings.holdout_share,
                train_seconds=trained.seconds,
                bytes=trained.bytes,
                tables=trained.cards,
                versions=trained.versions,
            )
            return lambda: self._keep(model, staging, outcome)

        return work

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
