"""Stands around every call: counts and times it, logs its end, turns errors into statuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from syntheflow_server.domain.errors import SyntheflowError
from syntheflow_server.jobs.failures import caught
from syntheflow_server.rpc.status import status_of_error, status_of_failure
from syntheflow_server.telemetry.metrics import Metrics

_LOG = structlog.get_logger("syntheflow.rpc")
_PACKAGE = "/syntheflow.v1."
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def go_name(code: grpc.StatusCode) -> str:
    """Return a status code as go-grpc-middleware labels it: NOT_FOUND -> NotFound."""
    if code is grpc.StatusCode.OK:
        return "OK"
    name = "".join(word.capitalize() for word in code.name.split("_"))
    return "Canceled" if code is grpc.StatusCode.CANCELLED else name


def grpc_type(*, request_streaming: bool, response_streaming: bool) -> str:
    """Return the kind of a method as go-grpc-middleware labels it."""
    if request_streaming:
        return "bidi_stream" if response_streaming else "client_stream"
    return "server_stream" if response_streaming else "unary"


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Wraps the methods of our services; health and reflection pass untouched."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Return the method's handler with our care around it."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_PACKAGE):
            return handler
        labels = (
            grpc_type(
                request_streaming=handler.request_streaming,
                response_streaming=handler.response_streaming,
            ),
            *method.lstrip("/").split("/"),
        )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(handler.unary_stream, labels),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._answering(handler.stream_unary, labels, requests_stream=True),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._answering(handler.unary_unary, labels, requests_stream=False),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _answering(
        self, method: Callable[..., Any], labels: tuple[str, ...], *, requests_stream: bool
    ) -> Callable[..., Any]:
        received = self._metrics.grpc_received.labels(*labels)
        sent = self._metrics.grpc_sent.labels(*labels)

        async def counted(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for request in requests:
                received.inc()
                yield request

        async def behaviour(request: Any, context: grpc.aio.ServicerContext) -> Any:
            async with self._call(labels, context):
                if requests_stream:
                    async with aclosing(counted(request)) as requests:  # type: ignore[type-var]
                        answer = await method(requests, context)
                else:
                    received.inc()
                    answer = await method(request, context)
                sent.inc()
                return answer

        return behaviour

    def _streaming(self, method: Callable[..., Any], labels: tuple[str, ...]) -> Callable[..., Any]:
        received = self._metrics.grpc_received.labels(*labels)
        sent = self._metrics.grpc_sent.labels(*labels)

        async def behaviour(request: Any, context: grpc.aio.ServicerContext) -> None:
            async with self._call(labels, context):
                received.inc()
                # Closed here, so that a caller who leaves stops the work at once and not
                # when the garbage collector comes by.
                async with aclosing(method(request, context)) as answers:
                    async for answer in answers:
                        await context.write(answer)
                        sent.inc()

        return behaviour

    @asynccontextmanager
    async def _call(
        self, labels: tuple[str, ...], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[None]:
        """Count, time and log what happens inside, and tell the caller of its errors."""
        self._metrics.grpc_started.labels(*labels).inc()
        begin = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            yield
        except asyncio.CancelledError:
            late = context.time_remaining()
            expired = late is not None and late <= 0
            code = grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED
            raise  # swallowing it would leak the call's memory
        except Exception as error:  # noqa: BLE001 - the one place where all errors end
            status = _status_of(error, labels)
            code = _CODES[status.code]
            await context.abort_with_status(rpc_status.to_status(status))
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.grpc_handled.labels(*labels, go_name(code)).inc()
            self._metrics.grpc_seconds.labels(*labels).observe(seconds)
            _LOG.info(
                "call",
                service=labels[1],
                method=labels[2],
                code=code.name,
                seconds=round(seconds, 4),
            )


def _status_of(error: Exception, labels: tuple[str, ...]) -> status_pb2.Status:
    if isinstance(error, SyntheflowError):
        return status_of_error(error)
    found = caught(error)
    _LOG.error(
        "internal error",
        service=labels[1],
        method=labels[2],
        reason=found.failure.reason,
        **found.failure.metadata,
        trace="\n".join(found.trace),
    )
    return status_of_failure(found.failure)
