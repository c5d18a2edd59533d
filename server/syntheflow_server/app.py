"""The composition root: the only place that wires the rooms together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import structlog
from starlette.applications import Starlette

from syntheflow_server.allocator import keep_freed_memory
from syntheflow_server.config import Settings
from syntheflow_server.domain.resources import Resource
from syntheflow_server.gateway import WebServer, build_app, listen
from syntheflow_server.jobs.checkpoints import Checkpoints
from syntheflow_server.jobs.generation import Generator
from syntheflow_server.jobs.plans import Plans
from syntheflow_server.jobs.pool import Pool
from syntheflow_server.jobs.readiness import Readiness
from syntheflow_server.jobs.runner import Runner
from syntheflow_server.jobs.service import DEFAULT_ENGINE, Service
from syntheflow_server.jobs.transfers import Transfers
from syntheflow_server.jobs.uploads import Uploads
from syntheflow_server.jobs.work import Workshop
from syntheflow_server.rpc import RpcServer, build_server
from syntheflow_server.store.blobs import Blobs
from syntheflow_server.store.documents import KIND_OF, Documents
from syntheflow_server.store.lock import locked
from syntheflow_server.store.sql import SqlDocuments
from syntheflow_server.telemetry.metrics import Metrics

_LOG = structlog.get_logger(__name__)
_CHECK_SECONDS = 5.0
_LAST_BYTES_SECONDS = 2.0
ENGINES = {DEFAULT_ENGINE: "syntheflow_server.engine"}
"""Module by engine; each has the face of `syntheflow_server.engine`."""


class Server:
    """All rooms of one server on one event loop and one data directory."""

    def __init__(
        self, settings: Settings, documents: Documents, engines: dict[str, str] = ENGINES
    ) -> None:
        self.settings = settings
        self.metrics = metrics = Metrics()
        self.readiness = Readiness()
        self.documents = documents
        self.blobs = Blobs(settings.data_dir / "blobs")
        self.pool = Pool(
            settings.workers,
            engines=engines,
            models_per_worker=settings.models_per_worker,
            metrics=metrics,
            on_change=self._tell,
        )
        work = fresh_folder(settings.data_dir / "work")
        self.plans = Plans(settings.data_dir / "plans", self.pool, settings.cached_plans)
        workshop = Workshop(documents, self.blobs, engines, metrics)
        checkpoints = Checkpoints(settings.data_dir / "checkpoints")
        self.runner = Runner(
            documents,
            self.blobs,
            checkpoints,
            running=settings.max_running_jobs,
            queued=settings.max_queued_jobs,
            metrics=metrics,
        )
        generator = Generator(
            self.pool,
            self.plans,
            active=settings.max_active_streams,
            queued=settings.max_queued_streams,
            metrics=metrics,
            work=work,
        )
        # The environment is read here alone: it may hold PGPASSWORD and the like.
        access = settings.access(os.environ)
        self.service = Service(
            workshop,
            runner=self.runner,
            uploads=Uploads(
                workshop, running=settings.max_running_uploads, queued=settings.max_queued_uploads
            ),
            generator=generator,
            readiness=self.readiness,
            checkpoints=checkpoints,
            transfers=Transfers(workshop, access, generator, self.runner),
        )
        self._store_fault = ""
        self._monitor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Put the data in order and start the workers; see `readiness`."""
        orphans = await asyncio.to_thread(self.blobs.sweep, self._names)
        if orphans:
            _LOG.warning("removed what a crash left behind", names=orphans)
        await self.service.recover()
        self.pool.start()
        self._monitor = asyncio.create_task(self._watch_store())

    async def drain(self) -> None:
        """Say that the server stops, pause, then refuse new work."""
        if self._monitor is not None:
            self._monitor.cancel()
        self.readiness.set(ready=False, reason="the server is stopping")
        await asyncio.sleep(self.settings.drain_delay_seconds)
        self.readiness.drain()

    async def stop(self) -> None:
        """End jobs and workers."""
        await self.service.finish()
        await self.pool.stop()
        self.plans.close()

    def _names(self, kind: str) -> set[str]:
        kinds: dict[str, type[Resource]] = {word: found for found, word in KIND_OF.items()}
        return set(self.documents.names(kinds[kind]))

    async def _watch_store(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.documents.check)
                self._store_fault = ""
            except Exception as error:  # noqa: BLE001 - whatever keeps it from working
                self._store_fault = "the metadata store does not work"
                _LOG.error("the metadata store does not work", exc_info=error)
            self._tell()
            await asyncio.sleep(_CHECK_SECONDS)

    def _tell(self) -> None:
        fault = self._store_fault or ("" if self.pool.warm else "no sampling worker is warm yet")
        if not self.readiness.draining:
            self.readiness.set(ready=not fault, reason=fault)


@asynccontextmanager
async def running(settings: Settings, engines: dict[str, str] = ENGINES) -> AsyncIterator[Server]:
    """Run all but the two listeners; for `serve` and for tests of the rooms together."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with locked(settings.data_dir), _documents(settings) as documents:
        server = Server(settings, documents, engines)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


async def serve(settings: Settings, engines: dict[str, str] = ENGINES) -> None:
    """Run the server until SIGTERM or SIGINT, then drain; a second signal cuts the grace short.

    Raises OSError or a domain error, with a message for people, if it cannot start.
    """
    keep_freed_memory()  # messages of a megabyte come and go
    stopping, hurried = _signals()
    async with running(settings, engines) as server:
        listener = listen(settings.host, settings.http_port)
        rpc = build_server(
            server.service,
            host=settings.host,
            port=settings.port,
            max_upload_bytes=settings.max_upload_bytes,
        )
        web = WebServer(_app(server, rpc), listener)
        await rpc.start()
        web.start()
        announcer = asyncio.create_task(_announce(server, rpc, listener))
        await stopping.wait()
        announcer.cancel()
        _LOG.info("stopping", grace_seconds=settings.shutdown_grace_seconds)
        await _stop(server, rpc, hurried)
        await web.stop()
    _LOG.info("stopped")


async def _stop(server: Server, rpc: RpcServer, hurried: asyncio.Event) -> None:
    """Drain: health first, then no new work, then streams get the grace; jobs end at once."""

    async def gently() -> None:
        await server.drain()
        refusing = asyncio.create_task(rpc.stop(server.settings.shutdown_grace_seconds))
        # Streams can use the grace, jobs cannot: they end or wait for the next start.
        await server.service.finish()
        idle = asyncio.create_task(server.service.idle())
        await asyncio.wait({refusing, idle}, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        if not refusing.done():  # only watchers of health are left, and last bytes on their way
            await rpc.stop(_LAST_BYTES_SECONDS)
        await refusing

    gentle = asyncio.create_task(gently())
    hurry = asyncio.create_task(hurried.wait())
    await asyncio.wait({gentle, hurry}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not gentle.done():
        server.readiness.drain()
        await rpc.stop(0)
    await gentle


def _app(server: Server, rpc: RpcServer) -> Starlette:
    return build_app(
        server.readiness,
        server.metrics,
        version=version("syntheflow"),
        grpc=f"{server.settings.host}:{rpc.port}",
    )


async def _announce(server: Server, rpc: RpcServer, listener: socket.socket) -> None:
    host, http_port = server.settings.host, listener.getsockname()[1]
    facts = {
        "grpc": f"{host}:{rpc.port}",
        "http": f"http://{host}:{http_port}",
        "data_dir": str(server.settings.data_dir),
        "workers": server.settings.workers,
    }
    _LOG.info("syntheflow listens", version=version("syntheflow"), **facts)
    async for ready in server.readiness.watch():
        if ready:
            _LOG.info("syntheflow is ready", **facts)
        elif server.pool.warm:
            _LOG.warning("syntheflow is not ready", reason=server.readiness.reason)


def fresh_folder(folder: Path) -> Path:
    """Return `folder`, made and empty: what a crash left there is of no use."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return the events of a first and of a second signal to stop."""
    first, second = asyncio.Event(), asyncio.Event()

    def heard() -> None:
        (second if first.is_set() else first).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, heard)
    return first, second


@contextlib.contextmanager
def _documents(settings: Settings) -> Iterator[Documents]:
    documents = SqlDocuments.in_file(settings.data_dir / "metadata.sqlite")
    try:
        yield documents
    finally:
        documents.close()
