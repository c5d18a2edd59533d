"""Imports and exports as verbs: the half of the Service that meets places outside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from syntheflow_server.domain.hints import SchemaHint
from syntheflow_server.domain.ids import checked_id, new_id
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.resources import ExportOrder, ImportOrder, Job, JobKind, Model
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.jobs.claims import Claims
from syntheflow_server.jobs.generation import Generator
from syntheflow_server.jobs.ledger import Note
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.jobs.requests import GenerationSpec, GivenRows
from syntheflow_server.jobs.runner import Runner, Work
from syntheflow_server.jobs.sampling import ModelRef
from syntheflow_server.jobs.seeds import Seeds, stored_rows
from syntheflow_server.jobs.shelf import Shelf
from syntheflow_server.jobs.transfers import (
    Subject,
    Transfers,
    check_export,
    check_import,
    spec_of,
    stored_spec,
)
from syntheflow_server.jobs.uploads import Uploads
from syntheflow_server.jobs.wishes import check_spec
from syntheflow_server.jobs.work import Workshop
from syntheflow_server.store.documents import taken
from syntheflow_server.store.etag import etag_of


class Traffic(Shelf):
    """Jobs that read from places outside or write to them."""

    def __init__(
        self,
        workshop: Workshop,
        runner: Runner,
        claims: Claims,
        readiness: Readiness,
        *,
        uploads: Uploads,
        generator: Generator,
        transfers: Transfers,
    ) -> None:
        super().__init__(workshop, runner, claims, readiness)
        self._uploads, self._generator, self._transfers = uploads, generator, transfers

    async def import_dataset(
        self,
        source: str,
        *,
        dataset_id: str = "",
        wanted: Wanted,
        options: ReadOptions,
        schema: SchemaHint | None = None,
        request_id: str = "",
    ) -> Job:
        """Queue the reading of a database, folder or store and return the job at once."""
        if dataset_id:
            checked_id(dataset_id, "dataset_id")
        order = ImportOrder(
            dataset=f"datasets/{dataset_id}",
            source=source,
            wanted=wanted,
            options=options,
            hint=schema,
        )

        async def act(note: Note) -> Job:
            address = await self._transfers.address(source, writing=False)
            check_import(wanted, address)
            name = f"datasets/{dataset_id or new_id()}"
            await self._uploads.demand_free(name)
            if self._claims.made(name):
                raise taken(name)
            named = order.model_copy(update={"dataset": name})
            job = new_job(JobKind.IMPORT, address.place.url, named)
            return await self._runner.submit(job, self._importing(job, named), note(job.name))

        self._demand_welcome()
        body = order.model_dump(mode="json")
        return await self._ledger.once("import", request_id, body, act=act, again=self.get_job)

    async def export(
        self,
        spec: GenerationSpec,
        destination: str,
        *,
        mode: LoadMode = LoadMode.CREATE,
        namespace: str = "",
        request_id: str = "",
    ) -> Job:
        """Queue the writing of rows into a place outside and return the job at once."""
        order = ExportOrder(
            destination=destination, spec=stored_spec(spec), mode=mode, namespace=namespace
        )

        async def act(note: Note) -> Job:
            subject = await self._subject(spec)
            address = await self._transfers.address(destination, writing=True)
            check_export(spec, address, mode)
            job = new_job(JobKind.EXPORT, subject.model.name, order)
            work = self._exporting(job, order, subject)
            return await self._runner.submit(job, work, note(job.name))

        self._demand_welcome()
        body = order.model_dump(mode="json")
        return await self._ledger.once("export", request_id, body, act=act, again=self.get_job)

    async def _resumed(self, job: Job) -> Work:
        """Return the work of an import or export that a stopped server left behind."""
        if isinstance(job.order, ImportOrder):
            await self._uploads.demand_free(job.order.dataset)
            return self._importing(job, job.order)
        assert isinstance(job.order, ExportOrder)
        subject = await self._subject(spec_of(job.order))
        return self._exporting(job, job.order, subject)

    async def _give_up(self, job: Job) -> None:
        """Take back what a job that will not be taken up again has left outside."""
        if isinstance(job.order, ExportOrder):
            subject = await self._subject(spec_of(job.order))
            await self._transfers.give_up(job, job.order, subject)

    def _importing(self, job: Job, order: ImportOrder) -> Work:
        self._claims.add(job.name, reads=[], makes=order.dataset)
        return self._transfers.importing(order)

    def _exporting(self, job: Job, order: ExportOrder, subject: Subject) -> Work:
        reads = [subject.model.name, *(str(rows.source) for rows in given_to(subject.spec))]
        self._claims.add(job.name, reads=reads, makes=job.name)
        return self._transfers.exporting(job, order, subject)

    async def _subject(self, spec: GenerationSpec) -> Subject:
        """Return a model with the rows that it is given, as `spec` asks for."""
        model = await self.get_model(spec.model)
        ref = ModelRef(
            key=f"{model.name}@{model.create_time.isoformat()}",
            engine=model.engine,
            directory=self._blobs.path(model.name),
        )
        check_spec(model, spec)
        given = [await self._rows(model, one, "completions", spec) for one in spec.completions]
        given += [await self._rows(model, one, "existing", spec) for one in spec.existing]
        return Subject(model, ref, spec, tuple(given))

    async def _rows(
        self, model: Model, given: GivenRows, field: str, spec: GenerationSpec
    ) -> Seeds:
        """Return where the rows of a completion, or existing ones, lie."""
        table = model.data_schema.table(given.table)
        fill = spec.fill_missing and field == "completions"
        if isinstance(given.source, bytes):
            return Seeds(table, given.source, fill, field)
        dataset = await self.get_dataset(given.source)
        folder = self._blobs.path(dataset.name)
        rows = stored_rows(dataset, etag_of(dataset), folder, given.table, field)
        return Seeds(table, rows, fill, field)


def given_to(spec: GenerationSpec) -> tuple[GivenRows, ...]:
    """Return all rows that a generation is given."""
    return (*spec.completions, *spec.existing)


def new_job(kind: JobKind, target: str, order: Any = None) -> Job:
    """Return a job that waits; without an order it cannot go on after a restart."""
    name, now = f"jobs/{new_id()}", datetime.now(UTC)
    return Job(name=name, create_time=now, kind=kind, target=target, order=order)
