"""The facade of the server's work: all that rpc and the gateway may ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from syntheflow_server.domain.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    Violation,
)
from syntheflow_server.domain.ids import checked_id, id_of, new_id
from syntheflow_server.domain.resources import Dataset, Job, JobKind, Model, TableSummary
from syntheflow_server.domain.schema import Schema
from syntheflow_server.jobs.claims import Claims
from syntheflow_server.jobs.generation import Generator
from syntheflow_server.jobs.ledger import Note
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.jobs.requests import Chunk, Completion, GenerationSpec, StagedUpload
from syntheflow_server.jobs.runner import Runner
from syntheflow_server.jobs.sampling import ModelRef
from syntheflow_server.jobs.seeds import Seeds, stored_rows
from syntheflow_server.jobs.shelf import Shelf
from syntheflow_server.jobs.tasks import TrainSettings
from syntheflow_server.jobs.uploads import Uploads
from syntheflow_server.jobs.wishes import check_spec
from syntheflow_server.jobs.work import Workshop
from syntheflow_server.store.documents import changed, taken
from syntheflow_server.store.etag import etag_of

DEFAULT_ENGINE = "neural"
_LARGEST_HOLDOUT = 0.5
_ID_LENGTH = 63


class Service(Shelf):
    """All verbs of the server, in the front process; every method raises domain errors only.

    `request_id` names a request: a retry with the same id and body returns the
    first answer, the same id with another body is InvalidArgumentError.
    `page_size` 0 means 50; above 1,000 means 1,000.
    """

    def __init__(
        self,
        workshop: Workshop,
        *,
        runner: Runner,
        uploads: Uploads,
        generator: Generator,
        readiness: Readiness,
    ) -> None:
        super().__init__(workshop, runner, Claims(runner, generator), readiness)
        self._uploads, self._generator = uploads, generator

    @asynccontextmanager
    async def staging(self) -> AsyncIterator[Path]:
        """Give a fresh directory for the files of an upload; it is removed at the end."""
        self._demand_welcome()
        with self._blobs.staging() as directory:
            yield directory

    async def precheck_upload(self, dataset_id: str, request_id: str) -> None:
        """Refuse an upload that cannot succeed before its bytes are sent."""
        self._demand_welcome()
        if not dataset_id:
            return
        checked_id(dataset_id, "dataset_id")
        entry = await asyncio.to_thread(self._documents.answered, "upload", request_id)
        if entry is None:  # else it may be a retry, which only the whole of it shows
            await self._uploads.demand_free(f"datasets/{dataset_id}")

    async def upload(self, staged: StagedUpload) -> Dataset:
        """Parse and infer in a worker process, then commit all or nothing."""
        self._demand_welcome()
        if staged.dataset_id:
            checked_id(staged.dataset_id, "dataset_id")
        files = [(f.table, f.file_name, f.format, f.size_bytes, f.sha256) for f in staged.files]
        hint = staged.schema.model_dump(mode="json") if staged.schema else None
        return await self._ledger.once(
            "upload",
            staged.request_id,
            [staged.dataset_id, hint, files],
            act=lambda note: self._uploads.import_files(staged, note),
            again=self.get_dataset,
            cancellable=True,
        )

    async def update_schema(
        self, name: str, schema: Schema, etag: str = "", request_id: str = ""
    ) -> Dataset:
        """Replace a dataset's schema after a check against its data in a worker process."""

        async def act(note: Note) -> Dataset:
            dataset = await self.get_dataset(name)
            if etag and etag != etag_of(dataset):
                raise changed(name)
            await self._uploads.check_schema(dataset, schema)
            summaries = {summary.name: summary for summary in dataset.tables}
            update: dict[str, object] = {
                "data_schema": schema,
                "tables": tuple[TableSummary, ...](summaries[t] for t in schema.table_names),
                "update_time": datetime.now(UTC),
            }
            edited = dataset.model_copy(update=update)
            # Against what was checked, so that two edits at once cannot undo each other.
            await asyncio.to_thread(
                self._documents.replace, edited, etag=etag_of(dataset), entry=note(name)
            )
            return edited

        self._demand_welcome()
        body = [name, schema.model_dump(mode="json"), etag]
        return await self._ledger.once(
            "update schema", request_id, body, act=act, again=self.get_dataset
        )

    async def train(
        self,
        dataset: str,
        *,
        model_id: str = "",
        engine: str = "",
        seed: int = 0,
        time_limit_seconds: float | None = None,
        holdout_share: float = 0.1,
        request_id: str = "",
    ) -> Job:
        """Queue the training of a model and return the job at once."""
        engine = engine or DEFAULT_ENGINE
        module = self._checked_training(engine, time_limit_seconds, holdout_share)
        settings = TrainSettings(module, seed, time_limit_seconds, holdout_share)

        async def act(note: Note) -> Job:
            source = await self.get_dataset(dataset)
            name = await self._model_name(source, model_id)
            job = _job(JobKind.TRAIN, source.name)
            work = self._workshop.training(source, name, engine, settings)
            self._claims.add(job.name, reads=[source.name], makes=name)
            return await self._runner.submit(job, work, note(job.name))

        self._demand_welcome()
        body = [dataset, model_id, asdict(settings)]
        return await self._ledger.once("train", request_id, body, act=act, again=self.get_job)

    async def validate(self, model: str, *, seed: int = 0, request_id: str = "") -> Job:
        """Queue the judgement of a model and return the job at once."""

        async def act(note: Note) -> Job:
            subject = await self.get_model(model)
            dataset = await self._dataset_of(subject)
            job = _job(JobKind.VALIDATE, subject.name)
            name = f"reports/{new_id()}"
            work = self._workshop.validation(subject, dataset, seed, name)
            self._claims.add(job.name, reads=[subject.name, dataset.name], makes=name)
            return await self._runner.submit(job, work, note(job.name))

        self._demand_welcome()
        return await self._ledger.once(
            "validate", request_id, [model, seed], act=act, again=self.get_job
        )

    async def cancel(self, name: str) -> Job:
        """Ask a job to stop and return it as it is; an ended job stays as it is."""
        job = await self.get_job(name)
        self._runner.cancel(name)
        return job

    async def watch(self, name: str) -> AsyncIterator[Job]:
        """Yield the job now and at every change, up to and with its last state."""
        stored = await self.get_job(name)
        states = self._runner.watch(name)
        if states is None:
            # It may have ended while the documents were asked.
            yield stored if stored.state.ended else await self.get_job(name)
            return
        async for job in states:
            yield job

    async def generate(self, spec: GenerationSpec) -> AsyncIterator[Chunk]:
        """Stream synthetic rows; closing the iterator stops the work within a unit."""
        self._demand_welcome()
        model = await self.get_model(spec.model)
        ref = ModelRef(
            key=f"{model.name}@{model.create_time.isoformat()}",
            engine=model.engine,
            directory=self._blobs.path(model.name),
        )
        check_spec(model, spec)
        seeds = tuple([await self._seeds(model, given, spec) for given in spec.completions])
        async with aclosing(self._generator.stream(model, ref, spec, seeds)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def idle(self) -> None:
        """Return when no stream is being generated."""
        await self._generator.idle.wait()

    async def finish(self) -> None:
        """Wait for changes under way and end all jobs; for the server's stop."""
        await self._ledger.finish()
        await self._runner.stop()

    def _checked_training(self, engine: str, limit: float | None, holdout: float) -> str:
        """Return the engine's module; InvalidArgumentError naming all that is wrong."""
        known = ", ".join(self._workshop.engines)
        rules = (
            ("engine", f"engine must be one of {known}", engine in self._workshop.engines),
            ("time_limit", "time_limit must be above 0", limit is None or limit > 0),
            (
                "holdout_share",
                "holdout_share must be 0 to 0.5",
                0 <= holdout <= _LARGEST_HOLDOUT,
            ),
        )
        faults = tuple(Violation(field=f, rule=rule) for f, rule, fine in rules if not fine)
        if faults:
            raise InvalidArgumentError(
                "; ".join(f.rule for f in faults), reason="TRAINING_INVALID", violations=faults
            )
        return self._workshop.engines[engine]

    async def _seeds(self, model: Model, given: Completion, spec: GenerationSpec) -> Seeds:
        """Return where the rows of a completion lie."""
        table = model.data_schema.table(given.table)
        if isinstance(given.source, bytes):
            return Seeds(table, given.source, spec.fill_missing)
        dataset = await self.get_dataset(given.source)
        folder = self._blobs.path(dataset.name)
        rows = stored_rows(dataset, etag_of(dataset), folder, given.table)
        return Seeds(table, rows, spec.fill_missing)

    async def _model_name(self, dataset: Dataset, model_id: str) -> str:
        if model_id:
            name = f"models/{checked_id(model_id, 'model_id')}"
            if await self._name_taken(name):
                raise taken(name)
            return name
        base, number = id_of(dataset.name, "datasets"), 1
        while True:
            suffix = f"-{number}" if number > 1 else ""
            name = f"models/{base[: _ID_LENGTH - len(suffix)]}{suffix}"
            if not await self._name_taken(name):
                return name
            number += 1

    async def _name_taken(self, name: str) -> bool:
        try:
            await self.get_model(name)
        except NotFoundError:
            return self._claims.made(name)
        return True

    async def _dataset_of(self, model: Model) -> Dataset:
        """Return the dataset that a model was trained on; FailedPreconditionError if it is gone."""
        try:
            dataset = await self.get_dataset(model.dataset)
        except NotFoundError:
            dataset = None
        if dataset is None or dataset.create_time > model.create_time:
            raise FailedPreconditionError(
                f"{model.dataset}, which {model.name} was trained on, is gone; "
                "upload it and train again to validate",
                reason="DATASET_GONE",
                metadata={"resource": model.dataset},
            )
        return dataset


def _job(kind: JobKind, target: str) -> Job:
    return Job(name=f"jobs/{new_id()}", create_time=datetime.now(UTC), kind=kind, target=target)
