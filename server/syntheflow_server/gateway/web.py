"""The HTTP server: /metrics, /healthz, /readyz and an index page, on the loop of gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import socket
from collections.abc import Iterator

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.telemetry.metrics import Metrics

_INDEX = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>syntheflow</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}
code{{background:#eee;padding:.1em .3em}}</style>
<h1>syntheflow {version}</h1>
<p>Synthetic data server. {state}</p>
<ul><li>gRPC on <code>{grpc}</code>: <code>syntheflow --server {grpc} --help</code></li>
<li><a href="/metrics">/metrics</a>: figures for Prometheus</li>
<li><a href="/healthz">/healthz</a>: the process lives</li>
<li><a href="/readyz">/readyz</a>: it can serve</li></ul></html>
"""


def build_app(readiness: Readiness, metrics: Metrics, *, version: str, grpc: str) -> Starlette:
    """Return the ASGI application; `grpc` is the address that the index page shows."""

    async def index(_request: Request) -> Response:
        state = "It is ready." if readiness.ready else f"It is not ready: {readiness.reason}."
        facts = {"version": version, "state": state, "grpc": grpc}
        return HTMLResponse(_INDEX.format_map({k: html.escape(v) for k, v in facts.items()}))

    async def show_metrics(_request: Request) -> Response:
        return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_request: Request) -> Response:
        if readiness.ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {readiness.reason}\n", status_code=503)

    pages = {"/": index, "/metrics": show_metrics, "/healthz": healthz, "/readyz": readyz}
    return Starlette(routes=[Route(path, page) for path, page in pages.items()])


class WebServer:
    """uvicorn on a socket of ours, started and stopped by the owner of the loop."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        self._listener = listener
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Answer from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))

    async def stop(self) -> None:
        """Let answers under way end, then stop."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()


class _Uvicorn(uvicorn.Server):
    """Leaves signals to the application."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; OSError if the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise OSError(
            f"cannot listen for HTTP on {host}:{port}: {os.strerror(error.errno or 0)}; "
            "is another server running there? Choose another with --http-port"
        ) from error
