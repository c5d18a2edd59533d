"""The facade of the server's work: all that rpc and the gateway may ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from syntheflow_server.domain.errors import (
    FailedPreconditionError,
    NotFoundError,
    SyntheflowError,
)
from syntheflow_server.domain.ids import checked_id, id_of, new_id
from syntheflow_server.domain.resources import (
    Dataset,
    Job,
    JobKind,
    Model,
    TableSummary,
    TrainOrder,
)
from syntheflow_server.domain.schema import Schema
from syntheflow_server.jobs.checkpoints import Checkpoints
from syntheflow_server.jobs.claims import Claims
from syntheflow_server.jobs.generation import Generator
from syntheflow_server.jobs.ledger import Note
from syntheflow_server.jobs.orders import check_base, check_keep, check_order
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.jobs.requests import Chunk, GenerationSpec, StagedUpload
from syntheflow_server.jobs.runner import Runner, Work
from syntheflow_server.jobs.traffic import Traffic, new_job
from syntheflow_server.jobs.transfers import Transfers
from syntheflow_server.jobs.uploads import Uploads
from syntheflow_server.jobs.work import Workshop
from syntheflow_server.store.documents import changed, taken
from syntheflow_server.store.etag import etag_of

_LOG = structlog.get_logger(__name__)
DEFAULT_ENGINE = "neural"
_ID_LENGTH = 63


class Service(Traffic):
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
        checkpoints: Checkpoints,
        transfers: Transfers,
    ) -> None:
        super().__init__(
            workshop,
            runner,
            Claims(runner, generator),
            readiness,
            uploads=uploads,
            generator=generator,
            transfers=transfers,
        )
        self._checkpoints = checkpoints

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
        rare_holders: int = 3,
        epsilon: float | None = None,
        delta: float | None = None,
        base_model: str = "",
        keep: tuple[str, ...] = (),
        entity_rows: int | None = None,
        orphans: bool = False,
        request_id: str = "",
    ) -> Job:
        """Queue the training of a model and return the job at once; see TrainOrder."""
        order = TrainOrder(
            model=f"models/{model_id}",
            engine=engine or DEFAULT_ENGINE,
            seed=seed,
            time_limit_seconds=time_limit_seconds,
            holdout_share=holdout_share,
            rare_holders=rare_holders,
            epsilon=epsilon,
            delta=delta,
            base_model=base_model,
            keep=keep,
            entity_rows=entity_rows,
            orphans=orphans,
        )
        check_order(order, self._workshop.engines)

        async def act(note: Note) -> Job:
            source = await self.get_dataset(dataset)
            check_keep(order, source)
            if base_model:
                check_base(order, await self.get_model(base_model), source)
            named = order.model_copy(update={"model": await self._model_name(source, model_id)})
            job = new_job(JobKind.TRAIN, source.name, named)
            return await self._runner.submit(job, self._training(job, source), note(job.name))

        self._demand_welcome()
        body = [dataset, model_id, order.model_dump()]
        return await self._ledger.once("train", request_id, body, act=act, again=self.get_job)

    async def recover(self) -> None:
        """Take up the jobs that a stopped server left behind; for the server's start."""
        left = await self._runner.recover()
        for job in left.failed:
            _LOG.warning("the job was running when the server stopped", job=job.name)
            await self._left_behind(job)
        for job in left.resume:
            try:
                await self._runner.resume(job, await self._work_of(job))
            except (SyntheflowError, KeyError) as error:
                self._claims.drop(job.name)
                await self._runner.fail(job, error)
                _LOG.warning("the job could not be resumed", job=job.name)
                await self._left_behind(job)
            else:
                _LOG.info("the job is resumed", job=job.name)

    async def _left_behind(self, job: Job) -> None:
        """Take back what a given up job has left outside; the server starts in any case."""
        try:
            await self._give_up(job)
        except (SyntheflowError, KeyError) as error:
            _LOG.warning(
                "what the job has written could not be taken back; its tables stand in the "
                "target as they are",
                job=job.name,
                reason=getattr(error, "reason", ""),
            )

    async def validate(self, model: str, *, seed: int = 0, request_id: str = "") -> Job:
        """Queue the judgement of a model and return the job at once."""

        async def act(note: Note) -> Job:
            subject = await self.get_model(model)
            dataset = await self._dataset_of(subject)
            job = new_job(JobKind.VALIDATE, subject.name)
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
        """Yield the job now and at every change, up to and with its last state.

        UnavailableError if the server stops before and the job goes on after its next start.
        """
        stored = await self.get_job(name)
        states = self._runner.watch(name)
        if states is None:
            # It may have ended while the documents were asked.
            last = stored if stored.state.ended else await self.get_job(name)
            if not last.state.ended:  # it waits for the next start
                self._demand_welcome()
            yield last
            return
        async for job in states:
            yield job

    async def generate(self, spec: GenerationSpec) -> AsyncIterator[Chunk]:
        """Stream synthetic rows; closing the iterator stops the work within a unit."""
        self._demand_welcome()
        asked = await self._subject(spec)
        chunks = self._generator.stream(asked.model, asked.ref, spec, asked.given)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def idle(self) -> None:
        """Return when no stream is being generated."""
        await self._generator.idle.wait()

    async def finish(self) -> None:
        """Wait for changes under way and end all jobs; for the server's stop."""
        await self._ledger.finish()
        await self._runner.stop()

    async def _work_of(self, job: Job) -> Work:
        """Return the work of a job that a stopped server left behind."""
        if isinstance(job.order, TrainOrder):
            return self._training(job, await self.get_dataset(job.target))
        return await self._resumed(job)

    def _training(self, job: Job, source: Dataset) -> Work:
        """Return a training's work, and note what it reads and makes."""
        order = job.order
        assert isinstance(order, TrainOrder)
        work = self._workshop.training(source, order, self._checkpoints.of(job.name))
        reads = [source.name, *([order.base_model] if order.base_model else [])]
        self._claims.add(job.name, reads=reads, makes=order.model)
        return work

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
