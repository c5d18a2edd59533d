"""The four verbs: Upload, Train, Generate, Validate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc

from syntheflow.v1 import synthesis_service_pb2, synthesis_service_pb2_grpc
from syntheflow_server.jobs.requests import GenerationSpec, RowRange
from syntheflow_server.jobs.service import Service
from syntheflow_server.rpc import upload
from syntheflow_server.rpc.checks import LARGEST_SCALE, MOST_ROWS, Checks
from syntheflow_server.rpc.formats import OUTPUT_FORMATS
from syntheflow_server.rpc.fragments import fragment_bytes
from syntheflow_server.rpc.messages import dataset_message, job_message
from syntheflow_server.rpc.options import write_options_of
from syntheflow_server.rpc.wishes import (
    completions_of,
    conditions_of,
    existing_of,
    temperature_of,
)

SERVICE = "syntheflow.v1.SynthesisService"
DEFAULT_HOLDOUT_SHARE = 0.1
DEFAULT_RARE_HOLDERS = 3
MOST_RARE_HOLDERS = 1_000_000
MOST_ENTITY_ROWS = 1_000_000
LARGEST_EPSILON = 1_000
LONGEST_TRAINING_SECONDS = 366 * 24 * 3600.0


class SynthesisServicer(synthesis_service_pb2_grpc.SynthesisServiceServicer):
    """Translates the verbs' messages; `max_upload_bytes` bounds all files of an upload."""

    def __init__(self, service: Service, *, max_upload_bytes: int) -> None:
        self._service = service
        self._max_upload_bytes = max_upload_bytes

    async def Upload(  # noqa: N802 - the contract's name
        self, request_iterator: upload.Requests, context: grpc.aio.ServicerContext
    ) -> synthesis_service_pb2.UploadResponse:
        """Receive files and make a dataset of them."""
        del context
        async with self._service.staging() as folder:
            staged = await upload.receive(
                request_iterator, self._service, folder, max_bytes=self._max_upload_bytes
            )
            dataset = await self._service.upload(staged)
        return synthesis_service_pb2.UploadResponse(dataset=dataset_message(dataset))

    async def Train(  # noqa: N802
        self, request: synthesis_service_pb2.TrainRequest, context: grpc.aio.ServicerContext
    ) -> synthesis_service_pb2.TrainResponse:
        """Start learning a dataset."""
        del context
        job = await self._service.train(
            request.dataset, **training_settings(request), request_id=request.request_id
        )
        return synthesis_service_pb2.TrainResponse(job=job_message(job))

    async def Generate(  # noqa: N802
        self, request: synthesis_service_pb2.GenerateRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        """Stream synthetic rows as serialised GenerateResponses."""
        del context
        chunks = self._service.generate(generation_spec(request))
        async with aclosing(chunks):  # type: ignore[type-var] # it is an async generator
            async for chunk in chunks:
                yield fragment_bytes(chunk)

    async def Validate(  # noqa: N802
        self, request: synthesis_service_pb2.ValidateRequest, context: grpc.aio.ServicerContext
    ) -> synthesis_service_pb2.ValidateResponse:
        """Start judging a model."""
        del context
        checks = Checks()
        checks.name("model", request.model, "models")
        checks.seed(request.seed)
        checks.request_id(request.request_id)
        checks.done()
        job = await self._service.validate(
            request.model, seed=request.seed, request_id=request.request_id
        )
        return synthesis_service_pb2.ValidateResponse(job=job_message(job))


def add_to(server: grpc.aio.Server, servicer: SynthesisServicer) -> None:
    """Register the servicer; Generate's answers are bytes already and pass unserialised."""
    register: Callable[..., None] = (
        synthesis_service_pb2_grpc.add_SynthesisServiceServicer_to_server
    )
    register(servicer, server)
    generate = grpc.unary_stream_rpc_method_handler(
        servicer.Generate,
        request_deserializer=synthesis_service_pb2.GenerateRequest.FromString,
        response_serializer=None,
    )
    server.add_registered_method_handlers(SERVICE, {"Generate": generate})


def training_settings(request: synthesis_service_pb2.TrainRequest) -> dict[str, Any]:
    """Return the arguments of `Service.train`; InvalidArgumentError names all broken rules."""
    limit = _time_limit(request)
    holdout = request.holdout_share if request.HasField("holdout_share") else DEFAULT_HOLDOUT_SHARE
    holders = request.rare_holders if request.HasField("rare_holders") else DEFAULT_RARE_HOLDERS
    epsilon = delta = None
    checks = Checks()
    checks.name("dataset", request.dataset, "datasets")
    checks.new_id("model_id", request.model_id)
    checks.seed(request.seed)
    checks.between("holdout_share", holdout, 0.0, 0.5)
    checks.between("rare_holders", holders, 1, MOST_RARE_HOLDERS)
    checks.request_id(request.request_id)
    if limit is not None:
        rule = "must be more than 0 and at most 366 days"
        checks.rule("time_limit", rule, holds=0 < limit <= LONGEST_TRAINING_SECONDS)
    if request.HasField("privacy"):
        epsilon = request.privacy.epsilon
        rule = f"must be above 0, at most {LARGEST_EPSILON:,}"
        checks.rule("privacy.epsilon", rule, holds=0 < epsilon <= LARGEST_EPSILON)
        if request.privacy.HasField("delta"):
            delta = request.privacy.delta
            checks.rule("privacy.delta", "must be above 0 and below 1", holds=0 < delta < 1)
    if request.base_model:
        checks.name("base_model", request.base_model, "models")
    for at, table in enumerate(request.keep_tables):
        checks.text(f"keep_tables[{at}]", table)
    checks.distinct("keep_tables", request.keep_tables)
    entity_rows = request.entity_rows if request.HasField("entity_rows") else None
    if entity_rows is not None:
        checks.between("entity_rows", entity_rows, 1, MOST_ENTITY_ROWS)
        bounded = request.HasField("privacy")
        checks.rule("entity_rows", "needs privacy, whose noise it bounds", holds=bounded)
    checks.done()
    return {
        "model_id": request.model_id,
        "engine": request.engine,
        "seed": request.seed,
        "time_limit_seconds": limit,
        "holdout_share": holdout,
        "rare_holders": holders,
        "epsilon": epsilon,
        "delta": delta,
        "base_model": request.base_model,
        "keep": tuple(request.keep_tables),
        "entity_rows": entity_rows,
        "orphans": request.orphans,
    }


def generation_spec(request: synthesis_service_pb2.GenerateRequest) -> GenerationSpec:
    """Return what a request asks for; InvalidArgumentError names all broken rules."""
    checks = Checks()
    checks.name("model", request.model, "models")
    checks.seed(request.seed)
    checks.between("scale", request.scale, 0.0, LARGEST_SCALE)
    for at, rows in enumerate(request.rows):
        checks.text(f"rows[{at}].table", rows.table)
        checks.between(f"rows[{at}].rows", rows.rows, 0, MOST_ROWS)
    checks.distinct("rows", (rows.table for rows in request.rows))
    for at, table in enumerate(request.tables):
        checks.text(f"tables[{at}]", table)
    checks.distinct("tables", request.tables)
    known = request.format in OUTPUT_FORMATS
    checks.rule("format", "must be one that can be generated", holds=known)
    window = _window(request, checks)
    conditions = conditions_of(request, checks)
    completions, fill_missing = completions_of(request, checks)
    existing = existing_of(request, checks)
    temperature = temperature_of(request, checks)
    write = write_options_of(request.write, "write", checks)
    checks.done()
    return GenerationSpec(
        model=request.model,
        seed=request.seed,
        scale=request.scale or 1.0,
        rows={rows.table: rows.rows for rows in request.rows},
        tables=tuple(request.tables),
        range=window,
        format=OUTPUT_FORMATS[request.format],
        conditions=conditions,
        temperature=temperature,
        completions=completions,
        fill_missing=fill_missing,
        existing=existing,
        orphans=request.orphans,
        write=write,
    )


def _window(request: synthesis_service_pb2.GenerateRequest, checks: Checks) -> RowRange | None:
    if not request.HasField("range"):
        return None
    window = request.range
    checks.text("range.table", window.table)
    checks.between("range.start_row", window.start_row, 0, MOST_ROWS)
    checks.between("range.row_count", window.row_count, 0, MOST_ROWS)
    checks.rule("tables", "must be empty if a range is given", holds=not request.tables)
    return RowRange(table=window.table, start=window.start_row, count=window.row_count)


def _time_limit(request: synthesis_service_pb2.TrainRequest) -> float | None:
    if not request.HasField("time_limit"):
        return None
    seconds: float = request.time_limit.seconds + request.time_limit.nanos / 1e9
    return seconds
