"""Translates the domain's resources into messages."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from syntheflow.v1 import (
    dataset_service_pb2,
    job_service_pb2,
    model_service_pb2,
    report_service_pb2,
)
from syntheflow_server.domain.errors import Failure
from syntheflow_server.domain.resources import Dataset, Job, Model, Report, Score
from syntheflow_server.rpc.schemas import schema_message
from syntheflow_server.rpc.status import status_of_failure
from syntheflow_server.store.etag import etag_of


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def dataset_message(dataset: Dataset) -> dataset_service_pb2.Dataset:
    """Return the message that tells `dataset`."""
    return dataset_service_pb2.Dataset(
        name=dataset.name,
        create_time=_time(dataset.create_time),
        update_time=_time(dataset.update_time),
        schema=schema_message(dataset.data_schema),
        tables=[dataset_service_pb2.TableSummary(**table.model_dump()) for table in dataset.tables],
        etag=etag_of(dataset),
    )


def model_message(model: Model) -> model_service_pb2.Model:
    """Return the message that tells `model`."""
    return model_service_pb2.Model(
        name=model.name,
        dataset=model.dataset,
        engine=model.engine,
        create_time=_time(model.create_time),
        schema=schema_message(model.data_schema),
        seed=model.seed,
        train_seconds=model.train_seconds,
        bytes=model.bytes,
        tables=[model_service_pb2.TableCard(**card.model_dump()) for card in model.tables],
        versions=model.versions,
        settings=model.settings,
        base_model=model.base_model,
        kept_tables=model.kept_tables,
    )


def job_message(job: Job) -> job_service_pb2.Job:
    """Return the message that tells `job`."""
    return job_service_pb2.Job(
        name=job.name,
        kind="JOB_KIND_" + job.kind.value.upper(),
        state="JOB_STATE_" + job.state.value.upper(),
        progress=job.progress,
        stage=job.stage,
        metrics=job.metrics,
        target=job.target,
        result=job.result,
        error=None if job.error is None else _error(job.error),
        create_time=_time(job.create_time),
        start_time=_time(job.start_time),
        end_time=_time(job.end_time),
        tables=[job_service_pb2.TableCount(table=t, rows=n) for t, n in job.tables.items()],
        notes=job.notes,
    )


def _error(failure: Failure) -> job_service_pb2.JobError:
    status = status_of_failure(failure)
    return job_service_pb2.JobError(
        code=status.code, message=status.message, details=status.details
    )


def report_message(report: Report) -> report_service_pb2.Report:
    """Return the message that tells `report`."""
    return report_service_pb2.Report(
        name=report.name,
        model=report.model,
        create_time=_time(report.create_time),
        quality=report.quality,
        parts=[_score(part) for part in report.parts],
        tables=[
            report_service_pb2.TableScores(
                table=table.table, scores=[_score(score) for score in table.scores]
            )
            for table in report.tables
        ],
        warnings=report.warnings,
    )


def _score(score: Score) -> report_service_pb2.Score:
    return report_service_pb2.Score(**score.model_dump())
