"""Translates protobuf messages of the contract into the client's plain values, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from syntheflow import values
from syntheflow.v1 import (
    dataset_service_pb2,
    job_service_pb2,
    model_service_pb2,
    report_service_pb2,
    schema_pb2,
    synthesis_service_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = {
    "arrow": synthesis_service_pb2.FORMAT_ARROW,
    "csv": synthesis_service_pb2.FORMAT_CSV,
    "json": synthesis_service_pb2.FORMAT_JSON,
    "jsonl": synthesis_service_pb2.FORMAT_JSON_LINES,
    "parquet": synthesis_service_pb2.FORMAT_PARQUET,
    "excel": synthesis_service_pb2.FORMAT_EXCEL,
    "xml": synthesis_service_pb2.FORMAT_XML,
    "sql": synthesis_service_pb2.FORMAT_SQL,
    "sqlite": synthesis_service_pb2.FORMAT_SQLITE,
    "duckdb": synthesis_service_pb2.FORMAT_DUCKDB,
    "archive": synthesis_service_pb2.FORMAT_ARCHIVE,
}
ONLY_READ = frozenset({"archive"})
"""Formats that can be uploaded but not generated."""

# The canonical status codes, each at its number.
_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


def _word(enum: Any, value: int, prefix: str) -> str:
    """Return an enum's value as a small word: JOB_STATE_FAILED -> failed."""
    names = {number: name for name, number in enum.items()}
    word: str = names.get(value, f"{prefix}{value}").removeprefix(prefix).lower()
    return "" if word == "unspecified" else word


def _time(message: Any, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    moment: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    return moment


def schema(message: schema_pb2.Schema) -> values.Schema:
    """Return the schema in the message."""
    return values.Schema(
        tables=tuple(
            values.Table(
                name=table.name,
                primary_key=tuple(table.primary_key),
                columns=tuple(
                    values.Column(
                        name=column.name,
                        type=column.type,
                        semantic_type=_word(
                            schema_pb2.SemanticType, column.semantic_type, "SEMANTIC_TYPE_"
                        ),
                        nullable=column.nullable,
                        native_type=column.native_type,
                        identity=column.identity,
                    )
                    for column in table.columns
                ),
                unique_keys=tuple(tuple(key.columns) for key in table.unique_keys),
                checks=tuple(table.checks),
            )
            for table in message.tables
        ),
        foreign_keys=tuple(
            values.ForeignKey(
                child_table=key.child_table,
                child_columns=tuple(key.child_columns),
                parent_table=key.parent_table,
                parent_columns=tuple(key.parent_columns),
            )
            for key in message.foreign_keys
        ),
        dialect=message.dialect,
    )


def schema_message(fields: Mapping[str, Any]) -> schema_pb2.Schema:
    """Return the message of a schema given as a dictionary, which may be partial.

    The dictionary is one that `syntheflow.schemas.checked` has seen.
    """
    return schema_pb2.Schema(
        tables=[
            schema_pb2.Table(
                name=table["name"],
                primary_key=table.get("primary_key") or (),
                columns=[
                    schema_pb2.Column(
                        name=column["name"],
                        type=column.get("type") or "",
                        semantic_type="SEMANTIC_TYPE_"
                        + (column.get("semantic_type") or "unspecified").upper(),
                        nullable=bool(column.get("nullable", False)),
                        native_type=column.get("native_type") or "",
                        identity=bool(column.get("identity", False)),
                    )
                    for column in table.get("columns") or ()
                ],
                unique_keys=[
                    schema_pb2.UniqueKey(columns=key) for key in table.get("unique_keys") or ()
                ],
                checks=table.get("checks") or (),
            )
            for table in fields.get("tables") or ()
        ],
        foreign_keys=[schema_pb2.ForeignKey(**key) for key in fields.get("foreign_keys") or ()],
        dialect=fields.get("dialect") or "",
    )


def dataset(message: dataset_service_pb2.Dataset) -> values.Dataset:
    """Return the dataset in the message."""
    return values.Dataset(
        name=message.name,
        create_time=_time(message, "create_time"),
        update_time=_time(message, "update_time"),
        schema=schema(message.schema),
        tables=tuple(
            values.TableSummary(
                name=table.name,
                rows=table.rows,
                bytes=table.bytes,
                file_name=table.file_name,
                findings=tuple(table.findings),
                read_as=dict(sorted(table.read_as.items())),
                rejected_rows=table.rejected_rows,
            )
            for table in message.tables
        ),
        etag=message.etag,
    )


def model(message: model_service_pb2.Model) -> values.Model:
    """Return the model in the message."""
    return values.Model(
        name=message.name,
        create_time=_time(message, "create_time"),
        dataset=message.dataset,
        engine=message.engine,
        schema=schema(message.schema),
        seed=message.seed,
        train_seconds=message.train_seconds,
        bytes=message.bytes,
        tables=tuple(_card(card) for card in message.tables),
        versions=dict(sorted(message.versions.items())),
        settings=dict(sorted(message.settings.items())),
        base_model=message.base_model,
        kept_tables=tuple(message.kept_tables),
    )


def _card(message: model_service_pb2.TableCard) -> values.TableCard:
    plain = {name: getattr(message, name) for name in values.TableCard.__slots__}
    plain["relations"] = tuple(message.relations)
    plain["keys"] = tuple(message.keys)
    plain["privacy"] = tuple(
        values.PrivacySpending(
            spent_on=entry.spent_on,
            epsilon=entry.epsilon,
            delta=entry.delta,
            mechanism=entry.mechanism,
        )
        for entry in message.privacy
    )
    return values.TableCard(**plain)


def job(message: job_service_pb2.Job) -> values.Job:
    """Return the job in the message."""
    return values.Job(
        name=message.name,
        create_time=_time(message, "create_time"),
        kind=_word(job_service_pb2.JobKind, message.kind, "JOB_KIND_"),
        state=_word(job_service_pb2.JobState, message.state, "JOB_STATE_"),
        progress=message.progress,
        stage=message.stage,
        metrics=dict(message.metrics),
        target=message.target,
        result=message.result,
        error=_failure(message.error) if message.HasField("error") else None,
        start_time=_time(message, "start_time"),
        end_time=_time(message, "end_time"),
        tables={one.table: one.rows for one in message.tables},
        notes=tuple(message.notes),
    )


def _failure(message: job_service_pb2.JobError) -> values.JobFailure:
    from google.rpc import error_details_pb2

    info = error_details_pb2.ErrorInfo()
    for packed in message.details:
        if packed.Is(info.DESCRIPTOR):
            packed.Unpack(info)
    code = _CODES[message.code] if 0 <= message.code < len(_CODES) else "UNKNOWN"
    return values.JobFailure(code=code, reason=info.reason, message=message.message)


def report(message: report_service_pb2.Report) -> values.Report:
    """Return the report in the message."""
    return values.Report(
        name=message.name,
        create_time=_time(message, "create_time"),
        model=message.model,
        quality=message.quality,
        parts=tuple(_score(part) for part in message.parts),
        tables=tuple(
            values.TableScores(
                table=table.table, scores=tuple(_score(score) for score in table.scores)
            )
            for table in message.tables
        ),
        warnings=tuple(message.warnings),
    )


def _score(message: report_service_pb2.Score) -> values.Score:
    return values.Score(
        name=message.name, value=message.value, raw=message.raw, detail=message.detail
    )
