from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

import pytest
import pytest_asyncio

from syntheflow_server.gateway import WebServer, build_app, listen
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.telemetry.metrics import Metrics


class Web:
    def __init__(self, port: int, readiness: Readiness) -> None:
        self.port, self.readiness = port, readiness

    async def get(self, path: str) -> tuple[int, str, str]:
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> tuple[int, str, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()


@pytest_asyncio.fixture
async def web():
    readiness = Readiness()
    listener = listen("127.0.0.1", 0)
    app = build_app(readiness, Metrics(), version="1.2.3", grpc="<host>:5")
    server = WebServer(app, listener)
    server.start()
    yield Web(listener.getsockname()[1], readiness)
    await server.stop()


async def test_readyz_follows_readiness_and_says_why_not(web):
    status, _, text = await web.get("/readyz")
    assert (status, "starting" in text) == (503, True)
    web.readiness.set(ready=True)
    assert (await web.get("/readyz"))[0] == 200
    web.readiness.drain()
    assert (await web.get("/readyz"))[0] == 503


async def test_healthz_answers_whatever_the_readiness(web):
    assert (await web.get("/healthz"))[0] == 200


async def test_metrics_are_in_prometheus_format(web):
    status, kind, text = await web.get("/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert "syntheflow_active_streams 0.0" in text
    assert "process_resident_memory_bytes" in text


async def test_the_index_names_the_addresses_safely(web):
    status, kind, text = await web.get("/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert "1.2.3" in text
    assert "&lt;host&gt;:5" in text


async def test_other_pages_are_not_found(web):
    assert (await web.get("/secrets"))[0] == 404


async def test_a_taken_port_is_said_plainly():
    with listen("127.0.0.1", 0) as taken, pytest.raises(OSError, match="cannot listen for HTTP"):
        listen("127.0.0.1", taken.getsockname()[1])
