"""Builds the gRPC server: services, interceptor, health and reflection around a Service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from syntheflow.v1 import (
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    export_service_pb2,
    export_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
    synthesis_service_pb2,
)
from syntheflow_server.jobs.service import Service
from syntheflow_server.rpc import synthesis
from syntheflow_server.rpc.interceptor import CallInterceptor, go_name, grpc_type
from syntheflow_server.rpc.resources import (
    DatasetServicer,
    JobServicer,
    ModelServicer,
    ReportServicer,
)
from syntheflow_server.rpc.transfers import ExportServicer
from syntheflow_server.telemetry.metrics import Metrics

_FILES = (
    synthesis_service_pb2,
    dataset_service_pb2,
    model_service_pb2,
    job_service_pb2,
    report_service_pb2,
    export_service_pb2,
)
SERVICES = tuple(
    service.full_name for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()
)
_RESOURCES: tuple[tuple[Callable[..., None], Callable[[Service], Any]], ...] = (
    (dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server, DatasetServicer),
    (model_service_pb2_grpc.add_ModelServiceServicer_to_server, ModelServicer),
    (job_service_pb2_grpc.add_JobServiceServicer_to_server, JobServicer),
    (report_service_pb2_grpc.add_ReportServiceServicer_to_server, ReportServicer),
    (export_service_pb2_grpc.add_ExportServiceServicer_to_server, ExportServicer),
)
_OPTIONS = (
    # Two servers on one port would each get a share of the calls, silently.
    ("grpc.so_reuseport", 0),
    # Schemas of a thousand wide tables exceed the default of 4 MiB.
    ("grpc.max_receive_message_length", 16 << 20),
    # A client whose machine vanished is noticed, and its stream stopped, within 80 seconds.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class RpcServer:
    """A gRPC server on `port` whose health is the Service's readiness."""

    def __init__(self, server: grpc.aio.Server, port: int, service: Service) -> None:
        self.port = port
        self._server = server
        self._service = service
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer from now on; health says NOT_SERVING until the Service is ready."""
        await self._tell(serving=False)
        await self._server.start()
        self._follower = asyncio.create_task(self._follow())

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, let running ones end within the grace, then stop."""
        await self._health.enter_graceful_shutdown()
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        await self._server.stop(grace_seconds)

    async def _follow(self) -> None:
        async for ready in self._service.readiness.watch():
            await self._tell(serving=ready)

    async def _tell(self, *, serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        for name in ("", *SERVICES):
            await self._health.set(name, states.SERVING if serving else states.NOT_SERVING)


def build_server(service: Service, *, host: str, port: int, max_upload_bytes: int) -> RpcServer:
    """Return a server bound to `host`:`port` (0: a free port) but not yet started.

    OSError if the address is taken. Call it within the event loop that will serve.
    """
    server = grpc.aio.server(interceptors=[CallInterceptor(service.metrics)], options=_OPTIONS)
    verbs = synthesis.SynthesisServicer(service, max_upload_bytes=max_upload_bytes)
    synthesis.add_to(server, verbs)
    for register, servicer in _RESOURCES:
        register(servicer(service), server)
    names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    make_zero_series(service.metrics)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}; is another server running there?") from error
    return RpcServer(server, bound, service)


def make_zero_series(metrics: Metrics) -> None:
    """Make the series of every method and code, so that rates are right from the first call."""
    codes = [go_name(code) for code in grpc.StatusCode]
    for file in _FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                kind = grpc_type(
                    request_streaming=method.client_streaming,
                    response_streaming=method.server_streaming,
                )
                metrics.init_grpc_method(kind, service.full_name, method.name, codes)
