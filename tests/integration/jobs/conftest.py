"""All rooms of a server but its listeners, in this process, with a tiny real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pyarrow as pa
import pytest
import pytest_asyncio

from support.rooms import ENGINES, ended, eventually, settings, upload
from syntheflow_server.app import Server, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rooms(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server with a dataset `shop` and a model `shop`, for tests that do it no harm."""
    async with running(settings(tmp_path_factory.mktemp("rooms")), ENGINES) as server:
        await eventually(lambda: server.readiness.ready)
        await upload(
            server.service,
            "shop",
            sales=pa.table({"n": range(5_000), "name": [f"name {n % 7}" for n in range(5_000)]}),
            places=pa.table({"p": range(10)}),
        )
        job = await ended(server.service, await server.service.train("datasets/shop"))
        assert job.result == "models/shop", job.error
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Server]]:
    """Starts a server of the test's own on one directory, again if need be."""

    def begin(**changes: object) -> AbstractAsyncContextManager[Server]:
        return running(settings(tmp_path / "data", **changes), ENGINES)

    return begin
