"""The resources of a server as methods: get, list, delete, and what each kind adds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from syntheflow import messages, options, schemas, values
from syntheflow.errors import UNREACHABLE, SyntheflowError
from syntheflow.transport import BROKEN, Transport
from syntheflow.v1 import (
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
)

_AWAY_SECONDS = 15.0
_AWAY = frozenset({BROKEN, UNREACHABLE, "DRAINING"})
OnProgress = Callable[[values.Job], None]


def resource_name(kind: str, text: str) -> str:
    """Return datasets/hr for `hr` and for `datasets/hr`."""
    return text if text.startswith(f"{kind}/") else f"{kind}/{text}"


def resource_id(kind: str, text: str) -> str:
    """Return hr for `hr` and for `datasets/hr`."""
    return text.removeprefix(f"{kind}/")


def new_request_id() -> str:
    """Return a name for one request, which all its retries carry."""
    return uuid.uuid4().hex


def schema_fields(schema: Mapping[str, Any] | values.Schema) -> Mapping[str, Any]:
    """Return a schema in the form of its files, checked."""
    return schemas.checked(schema.to_dict() if isinstance(schema, values.Schema) else schema)


class Resources:
    """What can be done with datasets, models, jobs and reports; the base of `Client`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._datasets = transport.stub(dataset_service_pb2_grpc.DatasetServiceStub)
        self._models = transport.stub(model_service_pb2_grpc.ModelServiceStub)
        self._jobs = transport.stub(job_service_pb2_grpc.JobServiceStub)
        self._reports = transport.stub(report_service_pb2_grpc.ReportServiceStub)

    # -- datasets --------------------------------------------------------------------

    def get_dataset(self, dataset: str) -> values.Dataset:
        """Return a dataset with its schema."""
        request = dataset_service_pb2.GetDatasetRequest(name=resource_name("datasets", dataset))
        return messages.dataset(self._transport.call(self._datasets.GetDataset, request).dataset)

    def list_datasets(self) -> Iterator[values.Dataset]:
        """Yield all datasets, newest first."""
        request = dataset_service_pb2.ListDatasetsRequest()
        for answer in self._pages(self._datasets.ListDatasets, request):
            yield from map(messages.dataset, answer.datasets)

    def update_schema(
        self, dataset: str, schema: Mapping[str, Any] | values.Schema, *, etag: str = ""
    ) -> values.Dataset:
        """Replace the whole schema; the server checks it against the data.

        With `etag`, fails with ABORTED if the dataset has changed since.
        """
        request = dataset_service_pb2.UpdateSchemaRequest(
            name=resource_name("datasets", dataset),
            schema=messages.schema_message(schema_fields(schema)),
            etag=etag,
            request_id=new_request_id(),
        )
        answer = self._transport.call(self._datasets.UpdateSchema, request, long=True)
        return messages.dataset(answer.dataset)

    def import_dataset(
        self,
        dataset: str,
        source: str,
        *,
        tables: Sequence[str] = (),
        exclude: Sequence[str] = (),
        namespace: str = "",
        sample_rows: int | None = None,
        schema: Mapping[str, Any] | values.Schema | None = None,
        read: Mapping[str, Any] | None = None,
        wait: bool = True,
        on_progress: OnProgress | None = None,
    ) -> values.Job:
        """Let the server read a database, folder or bucket and return the job.

        `source` is a URL without password (postgresql://user@host/db, sqlite:///path,
        s3://bucket/prefix, ...) or the name of a connection of the server's settings, which
        alone hold credentials and say what may be reached. `tables` and `exclude` are
        patterns (`sales_*`, `users.password`); `namespace` is the database's schema;
        `sample_rows` about how many rows are taken of the whole, with relations kept.
        `schema` and `read` as in `Client.upload`. The job's `result` names the dataset.
        """
        request = dataset_service_pb2.ImportDatasetRequest(
            dataset_id=resource_id("datasets", dataset),
            source=source,
            tables=tables,
            exclude=exclude,
            namespace=namespace,
            sample_rows=sample_rows or 0,
            options=options.read_message(read),
            schema=None if schema is None else messages.schema_message(schema_fields(schema)),
            request_id=new_request_id(),
        )
        answer = self._transport.call(self._datasets.ImportDataset, request)
        job = messages.job(answer.job)
        return self.wait(job.name, on_progress=on_progress) if wait else job

    def delete_dataset(self, dataset: str) -> None:
        """Delete a dataset and its data; models trained on it stay."""
        request = dataset_service_pb2.DeleteDatasetRequest(
            name=resource_name("datasets", dataset), request_id=new_request_id()
        )
        self._transport.call(self._datasets.DeleteDataset, request)

    # -- models ----------------------------------------------------------------------

    def get_model(self, model: str) -> values.Model:
        """Return a model with what it knows of each table."""
        request = model_service_pb2.GetModelRequest(name=resource_name("models", model))
        return messages.model(self._transport.call(self._models.GetModel, request).model)

    def list_models(self) -> Iterator[values.Model]:
        """Yield all models, newest first."""
        request = model_service_pb2.ListModelsRequest()
        for answer in self._pages(self._models.ListModels, request):
            yield from map(messages.model, answer.models)

    def delete_model(self, model: str) -> None:
        """Delete a model; its reports stay."""
        request = model_service_pb2.DeleteModelRequest(
            name=resource_name("models", model), request_id=new_request_id()
        )
        self._transport.call(self._models.DeleteModel, request)

    # -- jobs ------------------------------------------------------------------------

    def get_job(self, job: str) -> values.Job:
        """Return a job as it stands."""
        request = job_service_pb2.GetJobRequest(name=resource_name("jobs", job))
        return messages.job(self._transport.call(self._jobs.GetJob, request).job)

    def list_jobs(self) -> Iterator[values.Job]:
        """Yield all jobs, newest first."""
        request = job_service_pb2.ListJobsRequest()
        for answer in self._pages(self._jobs.ListJobs, request):
            yield from map(messages.job, answer.jobs)

    def cancel(self, job: str) -> values.Job:
        """Ask a job to stop and return it as it is; an ended job stays as it is."""
        request = job_service_pb2.CancelJobRequest(name=resource_name("jobs", job))
        return messages.job(self._transport.call(self._jobs.CancelJob, request).job)

    def watch_job(self, job: str) -> Iterator[values.Job]:
        """Yield the job now and at each change, up to its last state."""
        request = job_service_pb2.WatchJobRequest(name=resource_name("jobs", job))
        for answer in self._transport.stream(self._jobs.WatchJob, request):
            yield messages.job(answer.job)

    def wait(self, job: str, *, on_progress: OnProgress | None = None) -> values.Job:
        """Return the job when it has succeeded; SyntheflowError if it fails or is cancelled.

        Once the job was seen, a server that is away for some seconds is waited for; a
        training goes on when it is back.
        """
        last: values.Job | None = None
        lost_at: float | None = None
        while last is None or not last.ended:
            try:
                for last in self.watch_job(job):
                    lost_at = None
                    if on_progress is not None:
                        on_progress(last)
            except SyntheflowError as error:
                if last is None or error.reason not in _AWAY:
                    raise
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > _AWAY_SECONDS:
                    raise
                time.sleep(0.2)
        if last.state == "succeeded":
            return last
        failure = last.error or values.JobFailure(
            code="CANCELLED", reason="JOB_CANCELLED", message=f"{last.name} was {last.state}"
        )
        raise SyntheflowError(
            failure.message,
            code=failure.code,
            reason=failure.reason,
            metadata={"resource": last.name},
        )

    def delete_job(self, job: str) -> None:
        """Delete the record of an ended job; what it made stays."""
        request = job_service_pb2.DeleteJobRequest(
            name=resource_name("jobs", job), request_id=new_request_id()
        )
        self._transport.call(self._jobs.DeleteJob, request)

    # -- reports ---------------------------------------------------------------------

    def get_report(self, report: str) -> values.Report:
        """Return a report."""
        request = report_service_pb2.GetReportRequest(name=resource_name("reports", report))
        return messages.report(self._transport.call(self._reports.GetReport, request).report)

    def list_reports(self) -> Iterator[values.Report]:
        """Yield all reports, newest first."""
        request = report_service_pb2.ListReportsRequest()
        for answer in self._pages(self._reports.ListReports, request):
            yield from map(messages.report, answer.reports)

    def render_report(self, report: str, format: str = "html") -> bytes:  # noqa: A002
        """Return a report as one HTML page (`html`) or as every figure (`json`)."""
        request = report_service_pb2.RenderReportRequest(
            name=resource_name("reports", report),
            format="REPORT_FORMAT_" + format.upper(),
        )
        pieces = self._transport.stream(self._reports.RenderReport, request)
        return b"".join(piece.data for piece in pieces)

    def delete_report(self, report: str) -> None:
        """Delete a report."""
        request = report_service_pb2.DeleteReportRequest(
            name=resource_name("reports", report), request_id=new_request_id()
        )
        self._transport.call(self._reports.DeleteReport, request)

    def _pages(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        while True:
            answer = self._transport.call(method, request)
            yield answer
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token
