"""Imports and exports: what requests say of places outside."""

from __future__ import annotations

from typing import Any

import grpc

from syntheflow.v1 import (
    dataset_service_pb2,
    export_service_pb2,
    export_service_pb2_grpc,
    synthesis_service_pb2,
)
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.jobs.service import Service
from syntheflow_server.rpc.checks import LONGEST_NAME, MOST_ROWS, Checks
from syntheflow_server.rpc.messages import job_message
from syntheflow_server.rpc.options import load_mode_of, read_options_of
from syntheflow_server.rpc.schemas import hint_of
from syntheflow_server.rpc.synthesis import generation_spec

_LONGEST_PLACE = 4_096
_MOST_PATTERNS = 1_000


class ExportServicer(export_service_pb2_grpc.ExportServiceServicer):
    """Exports."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def Export(  # noqa: N802 - the contract's name
        self, request: export_service_pb2.ExportRequest, context: grpc.aio.ServicerContext
    ) -> export_service_pb2.ExportResponse:
        """Start writing rows into a place outside."""
        del context
        job = await self._service.export(**export_settings(request))
        return export_service_pb2.ExportResponse(job=job_message(job))


def import_settings(request: dataset_service_pb2.ImportDatasetRequest) -> dict[str, Any]:
    """Return the arguments of `Service.import_dataset`; errors name all broken rules."""
    checks = Checks()
    checks.new_id("dataset_id", request.dataset_id)
    _check_place("source", request.source, checks)
    for field in ("tables", "exclude"):
        _check_patterns(field, getattr(request, field), checks)
    checks.text("namespace", request.namespace, required=False)
    checks.between("sample_rows", request.sample_rows, 0, MOST_ROWS)
    options = read_options_of(request.options, "options", checks)
    hint = hint_of(request.schema, checks) if request.HasField("schema") else None
    checks.request_id(request.request_id)
    checks.done()
    return {
        "source": request.source,
        "dataset_id": request.dataset_id,
        "wanted": Wanted(
            tables=tuple(request.tables),
            exclude=tuple(request.exclude),
            namespace=request.namespace,
            sample_rows=request.sample_rows or None,
        ),
        "options": options,
        "schema": hint,
        "request_id": request.request_id,
    }


def export_settings(request: export_service_pb2.ExportRequest) -> dict[str, Any]:
    """Return the arguments of `Service.export`; errors name all broken rules."""
    checks = Checks()
    checks.rule("generate", "is needed", holds=request.HasField("generate"))
    _check_place("destination", request.destination, checks)
    mode = load_mode_of(request.mode, "mode", checks)
    checks.text("namespace", request.namespace, required=False)
    checks.request_id(request.request_id)
    checks.done()
    generate = request.generate
    if generate.format == synthesis_service_pb2.FORMAT_UNSPECIFIED:
        generate.format = synthesis_service_pb2.FORMAT_PARQUET
    return {
        "spec": generation_spec(generate),
        "destination": request.destination,
        "mode": mode,
        "namespace": request.namespace,
        "request_id": request.request_id,
    }


def _check_place(field: str, text: str, checks: Checks) -> None:
    checks.rule(field, "must not be empty", holds=bool(text))
    rule = f"must have at most {_LONGEST_PLACE:,} characters"
    checks.rule(field, rule, holds=len(text) <= _LONGEST_PLACE)


def _check_patterns(field: str, patterns: Any, checks: Checks) -> None:
    rule = f"must be at most {_MOST_PATTERNS:,} patterns of 1 to {LONGEST_NAME:,} characters"
    fine = len(patterns) <= _MOST_PATTERNS and all(0 < len(p) <= LONGEST_NAME for p in patterns)
    checks.rule(field, rule, holds=fine)
