"""Get, list, delete and the rest for datasets, models, jobs and reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeAlias

import grpc

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
from syntheflow_server.jobs.service import Service
from syntheflow_server.rpc.checks import Checks, check_deletion, check_name
from syntheflow_server.rpc.messages import (
    dataset_message,
    job_message,
    model_message,
    report_message,
)
from syntheflow_server.rpc.schemas import schema_of
from syntheflow_server.rpc.transfers import import_settings

_PIECE_BYTES = 1 << 20
Context: TypeAlias = grpc.aio.ServicerContext


class DatasetServicer(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Datasets."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ImportDataset(  # noqa: N802 - the contract's name, as all below
        self, request: dataset_service_pb2.ImportDatasetRequest, context: Context
    ) -> dataset_service_pb2.ImportDatasetResponse:
        """Start reading a database, folder or store."""
        del context
        job = await self._service.import_dataset(**import_settings(request))
        return dataset_service_pb2.ImportDatasetResponse(job=job_message(job))

    async def GetDataset(  # noqa: N802
        self, request: dataset_service_pb2.GetDatasetRequest, context: Context
    ) -> dataset_service_pb2.GetDatasetResponse:
        """Return one dataset."""
        del context
        dataset = await self._service.get_dataset(check_name(request.name, "datasets"))
        return dataset_service_pb2.GetDatasetResponse(dataset=dataset_message(dataset))

    async def ListDatasets(  # noqa: N802
        self, request: dataset_service_pb2.ListDatasetsRequest, context: Context
    ) -> dataset_service_pb2.ListDatasetsResponse:
        """Return a page of datasets."""
        del context
        page = await self._service.list_datasets(request.page_size, request.page_token)
        return dataset_service_pb2.ListDatasetsResponse(
            datasets=map(dataset_message, page.items), next_page_token=page.next_page_token
        )

    async def UpdateSchema(  # noqa: N802
        self, request: dataset_service_pb2.UpdateSchemaRequest, context: Context
    ) -> dataset_service_pb2.UpdateSchemaResponse:
        """Replace a schema."""
        del context
        checks = Checks()
        checks.name("name", request.name, "datasets")
        checks.rule("schema", "is needed", holds=request.HasField("schema"))
        checks.request_id(request.request_id)
        checks.done()
        dataset = await self._service.update_schema(
            request.name, schema_of(request.schema), request.etag, request.request_id
        )
        return dataset_service_pb2.UpdateSchemaResponse(dataset=dataset_message(dataset))

    async def DeleteDataset(  # noqa: N802
        self, request: dataset_service_pb2.DeleteDatasetRequest, context: Context
    ) -> dataset_service_pb2.DeleteDatasetResponse:
        """Delete a dataset."""
        del context
        check_deletion(request.name, "datasets", request.request_id)
        await self._service.delete_dataset(request.name, request.request_id)
        return dataset_service_pb2.DeleteDatasetResponse()


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """Models."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def GetModel(  # noqa: N802
        self, request: model_service_pb2.GetModelRequest, context: Context
    ) -> model_service_pb2.GetModelResponse:
        """Return one model."""
        del context
        model = await self._service.get_model(check_name(request.name, "models"))
        return model_service_pb2.GetModelResponse(model=model_message(model))

    async def ListModels(  # noqa: N802
        self, request: model_service_pb2.ListModelsRequest, context: Context
    ) -> model_service_pb2.ListModelsResponse:
        """Return a page of models."""
        del context
        page = await self._service.list_models(request.page_size, request.page_token)
        return model_service_pb2.ListModelsResponse(
            models=map(model_message, page.items), next_page_token=page.next_page_token
        )

    async def DeleteModel(  # noqa: N802
        self, request: model_service_pb2.DeleteModelRequest, context: Context
    ) -> model_service_pb2.DeleteModelResponse:
        """Delete a model."""
        del context
        check_deletion(request.name, "models", request.request_id)
        await self._service.delete_model(request.name, request.request_id)
        return model_service_pb2.DeleteModelResponse()


class JobServicer(job_service_pb2_grpc.JobServiceServicer):
    """Jobs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def GetJob(  # noqa: N802
        self, request: job_service_pb2.GetJobRequest, context: Context
    ) -> job_service_pb2.GetJobResponse:
        """Return one job."""
        del context
        job = await self._service.get_job(check_name(request.name, "jobs"))
        return job_service_pb2.GetJobResponse(job=job_message(job))

    async def ListJobs(  # noqa: N802
        self, request: job_service_pb2.ListJobsRequest, context: Context
    ) -> job_service_pb2.ListJobsResponse:
        """Return a page of jobs."""
        del context
        page = await self._service.list_jobs(request.page_size, request.page_token)
        return job_service_pb2.ListJobsResponse(
            jobs=map(job_message, page.items), next_page_token=page.next_page_token
        )

    async def CancelJob(  # noqa: N802
        self, request: job_service_pb2.CancelJobRequest, context: Context
    ) -> job_service_pb2.CancelJobResponse:
        """Ask a job to stop."""
        del context
        job = await self._service.cancel(check_name(request.name, "jobs"))
        return job_service_pb2.CancelJobResponse(job=job_message(job))

    async def WatchJob(  # noqa: N802
        self, request: job_service_pb2.WatchJobRequest, context: Context
    ) -> AsyncIterator[job_service_pb2.WatchJobResponse]:
        """Stream a job's states."""
        del context
        states = self._service.watch(check_name(request.name, "jobs"))
        async with aclosing(states):  # type: ignore[type-var] # it is an async generator
            async for job in states:
                yield job_service_pb2.WatchJobResponse(job=job_message(job))

    async def DeleteJob(  # noqa: N802
        self, request: job_service_pb2.DeleteJobRequest, context: Context
    ) -> job_service_pb2.DeleteJobResponse:
        """Delete an ended job."""
        del context
        check_deletion(request.name, "jobs", request.request_id)
        await self._service.delete_job(request.name, request.request_id)
        return job_service_pb2.DeleteJobResponse()


class ReportServicer(report_service_pb2_grpc.ReportServiceServicer):
    """Reports."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def GetReport(  # noqa: N802
        self, request: report_service_pb2.GetReportRequest, context: Context
    ) -> report_service_pb2.GetReportResponse:
        """Return one report."""
        del context
        report = await self._service.get_report(check_name(request.name, "reports"))
        return report_service_pb2.GetReportResponse(report=report_message(report))

    async def ListReports(  # noqa: N802
        self, request: report_service_pb2.ListReportsRequest, context: Context
    ) -> report_service_pb2.ListReportsResponse:
        """Return a page of reports."""
        del context
        page = await self._service.list_reports(request.page_size, request.page_token)
        return report_service_pb2.ListReportsResponse(
            reports=map(report_message, page.items), next_page_token=page.next_page_token
        )

    async def RenderReport(  # noqa: N802
        self, request: report_service_pb2.RenderReportRequest, context: Context
    ) -> AsyncIterator[report_service_pb2.RenderReportResponse]:
        """Stream a report as a document."""
        del context
        checks = Checks()
        checks.name("name", request.name, "reports")
        known = request.format in report_service_pb2.ReportFormat.values()
        checks.rule("format", "must be HTML or JSON", holds=known)
        checks.done()
        as_json = request.format == report_service_pb2.REPORT_FORMAT_JSON
        page = await self._service.render(request.name, "json" if as_json else "html")
        for start in range(0, len(page), _PIECE_BYTES):
            piece = page[start : start + _PIECE_BYTES]
            yield report_service_pb2.RenderReportResponse(data=piece)

    async def DeleteReport(  # noqa: N802
        self, request: report_service_pb2.DeleteReportRequest, context: Context
    ) -> report_service_pb2.DeleteReportResponse:
        """Delete a report."""
        del context
        check_deletion(request.name, "reports", request.request_id)
        await self._service.delete_report(request.name, request.request_id)
        return report_service_pb2.DeleteReportResponse()
