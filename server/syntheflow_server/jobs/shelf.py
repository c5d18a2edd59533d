"""Reading, listing and deleting resources: the plain half of the Service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from syntheflow_server.domain.errors import UnavailableError
from syntheflow_server.domain.ids import id_of
from syntheflow_server.domain.resources import Dataset, Job, Model, Report
from syntheflow_server.jobs.claims import Claims
from syntheflow_server.jobs.ledger import Ledger, Note
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.jobs.runner import Runner, still_works
from syntheflow_server.jobs.tasks import REPORT_FILES
from syntheflow_server.jobs.work import Workshop
from syntheflow_server.store.documents import KIND_OF, Page, R


class Shelf:
    """What is kept, by name; jobs that wait or work are shown as they are this moment."""

    def __init__(
        self, workshop: Workshop, runner: Runner, claims: Claims, readiness: Readiness
    ) -> None:
        self.metrics = workshop.metrics
        self.readiness = readiness
        self._workshop, self._runner, self._claims = workshop, runner, claims
        self._documents, self._blobs = workshop.documents, workshop.blobs
        self._ledger = Ledger(workshop.documents)

    async def get_dataset(self, name: str) -> Dataset:
        """Return a dataset; its etag is `store.etag.etag_of(dataset)`."""
        return await self._get(Dataset, name)

    async def list_datasets(self, page_size: int = 0, page_token: str = "") -> Page[Dataset]:
        """List datasets, newest first."""
        return await self._list(Dataset, page_size, page_token)

    async def delete_dataset(self, name: str, request_id: str = "") -> None:
        """Delete a dataset and its data; FailedPreconditionError while a job reads it."""
        await self._delete(Dataset, name, request_id, self._claims.demand_unread)

    async def get_model(self, name: str) -> Model:
        """Return a model."""
        return await self._get(Model, name)

    async def list_models(self, page_size: int = 0, page_token: str = "") -> Page[Model]:
        """List models, newest first."""
        return await self._list(Model, page_size, page_token)

    async def delete_model(self, name: str, request_id: str = "") -> None:
        """Delete a model; FailedPreconditionError while a job or a stream reads it."""
        await self._delete(Model, name, request_id, self._claims.demand_unread)

    async def get_job(self, name: str) -> Job:
        """Return a job as it stands."""
        return self._runner.live(name) or await self._get(Job, name)

    async def list_jobs(self, page_size: int = 0, page_token: str = "") -> Page[Job]:
        """List jobs, newest first."""
        page = await self._list(Job, page_size, page_token)
        jobs = tuple(self._runner.live(job.name) or job for job in page.items)
        return Page(jobs, page.next_page_token)

    async def delete_job(self, name: str, request_id: str = "") -> None:
        """Delete an ended job; FailedPreconditionError while it waits or works."""
        await self._delete(Job, name, request_id, self._demand_ended)

    async def get_report(self, name: str) -> Report:
        """Return a report."""
        return await self._get(Report, name)

    async def list_reports(self, page_size: int = 0, page_token: str = "") -> Page[Report]:
        """List reports, newest first."""
        return await self._list(Report, page_size, page_token)

    async def delete_report(self, name: str, request_id: str = "") -> None:
        """Delete a report."""
        await self._delete(Report, name, request_id, lambda _: None)

    async def render(self, name: str, format: str = "html") -> bytes:  # noqa: A002 - the contract's word
        """Return a report as a document: `html` (one page) or `json`."""
        report = await self._get(Report, name)
        return await asyncio.to_thread(self._blobs.read, report.name, REPORT_FILES[format])

    def _demand_welcome(self) -> None:
        """Raise UnavailableError if the server is stopping."""
        if self.readiness.draining:
            self.metrics.rejections.labels("draining").inc()
            raise UnavailableError(
                "the server is stopping; ask again in a moment",
                reason="DRAINING",
                retry_after_seconds=1.0,
            )

    def _demand_ended(self, name: str) -> None:
        if self._runner.live(name) is not None:
            raise still_works(name)

    async def _get(self, kind: type[R], name: str) -> R:
        id_of(name, KIND_OF[kind])
        return await asyncio.to_thread(self._documents.get, kind, name)

    async def _list(self, kind: type[R], page_size: int, page_token: str) -> Page[R]:
        return await asyncio.to_thread(self._documents.list, kind, page_size, page_token)

    async def _delete(
        self, kind: type[R], name: str, request_id: str, demand: Callable[[str], None]
    ) -> None:
        async def act(note: Note) -> None:
            await self._get(kind, name)
            demand(name)
            # First the document: from then on nobody finds the blob, and a crash leaves
            # a folder that the next start sweeps away.
            await asyncio.to_thread(self._documents.delete, name, entry=note(name))
            await asyncio.to_thread(self._blobs.delete, name)

        self._demand_welcome()
        await self._ledger.once(
            f"delete {KIND_OF[kind]}", request_id, [name], act=act, again=_nothing
        )


async def _nothing(_name: str) -> None:
    """Answer a repeated deletion."""
