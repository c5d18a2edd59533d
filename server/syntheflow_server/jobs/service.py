"""The facade of the server's work: all that rpc and the gateway may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from syntheflow_server.domain.resources import Dataset, Job, Model, Report
from syntheflow_server.domain.schema import Schema
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.jobs.requests import Chunk, GenerationSpec, StagedUpload
from syntheflow_server.store.documents import Page
from syntheflow_server.telemetry.metrics import Metrics


class Service:
    """All verbs of the server, in the front process; every method raises domain errors only.

    `request_id` names a request: a retry with the same id and body returns the
    first answer, the same id with another body is InvalidArgumentError.
    `page_size` 0 means 50; above 1,000 means 1,000.
    """

    metrics: Metrics
    readiness: Readiness

    def staging(self) -> AbstractAsyncContextManager[Path]:
        """Give a fresh directory for the files of an upload; it is removed at the end."""
        raise NotImplementedError

    async def precheck_upload(self, dataset_id: str, request_id: str) -> None:
        """Refuse an upload that cannot succeed before its bytes are sent."""
        raise NotImplementedError

    async def upload(self, staged: StagedUpload) -> Dataset:
        """Parse and infer in a worker process, then commit all or nothing."""
        raise NotImplementedError

    async def get_dataset(self, name: str) -> Dataset:
        """Return a dataset; its etag is `store.etag.etag_of(dataset)`."""
        raise NotImplementedError

    async def list_datasets(self, page_size: int = 0, page_token: str = "") -> Page[Dataset]:
        """List datasets, newest first."""
        raise NotImplementedError

    async def update_schema(
        self, name: str, schema: Schema, etag: str = "", request_id: str = ""
    ) -> Dataset:
        """Replace a dataset's schema after a check against its data in a worker process."""
        raise NotImplementedError

    async def delete_dataset(self, name: str, request_id: str = "") -> None:
        """Delete a dataset and its data; FailedPreconditionError while a job reads it."""
        raise NotImplementedError

    async def get_model(self, name: str) -> Model:
        """Return a model."""
        raise NotImplementedError

    async def list_models(self, page_size: int = 0, page_token: str = "") -> Page[Model]:
        """List models, newest first."""
        raise NotImplementedError

    async def delete_model(self, name: str, request_id: str = "") -> None:
        """Delete a model; FailedPreconditionError while a job or a stream reads it."""
        raise NotImplementedError

    async def get_job(self, name: str) -> Job:
        """Return a job as it stands."""
        raise NotImplementedError

    async def list_jobs(self, page_size: int = 0, page_token: str = "") -> Page[Job]:
        """List jobs, newest first."""
        raise NotImplementedError

    async def cancel(self, name: str) -> Job:
        """Ask a job to stop and return it as it is; an ended job stays as it is."""
        raise NotImplementedError

    def watch(self, name: str) -> AsyncIterator[Job]:
        """Yield the job now and at every change, up to and with its last state."""
        raise NotImplementedError

    async def delete_job(self, name: str, request_id: str = "") -> None:
        """Delete an ended job; FailedPreconditionError while it waits or works."""
        raise NotImplementedError

    async def get_report(self, name: str) -> Report:
        """Return a report."""
        raise NotImplementedError

    async def list_reports(self, page_size: int = 0, page_token: str = "") -> Page[Report]:
        """List reports, newest first."""
        raise NotImplementedError

    async def delete_report(self, name: str, request_id: str = "") -> None:
        """Delete a report."""
        raise NotImplementedError

    async def render(self, name: str, format: str = "html") -> bytes:  # noqa: A002
        """Return a report as a document: `html` (one page) or `json`."""
        raise NotImplementedError

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
        raise NotImplementedError

    async def validate(self, model: str, *, seed: int = 0, request_id: str = "") -> Job:
        """Queue the judgement of a model and return the job at once."""
        raise NotImplementedError

    def generate(self, spec: GenerationSpec) -> AsyncIterator[Chunk]:
        """Stream synthetic rows; closing the iterator stops the work within a unit."""
        raise NotImplementedError
