"""The warm pool: spawned processes that hold models and make units of rows."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import structlog

from syntheflow_server.domain.errors import UnavailableError, WorkerDiedError
from syntheflow_server.jobs.child import Child
from syntheflow_server.jobs.failures import Caught, error_of
from syntheflow_server.jobs.process import log_unknown
from syntheflow_server.jobs.sampling import Answer, Cancel, Order, Ready, Task
from syntheflow_server.jobs.turns import Item, Turns
from syntheflow_server.telemetry.metrics import Metrics

_LOG = structlog.get_logger(__name__)
_ENTRY = "syntheflow_server.jobs.sampling:serve"


class Pool:
    """`size` processes that take tasks by turns; a dead one is replaced.

    A task whose process dies is run once more on another (tasks are pure); the
    second death is WorkerDiedError. Cancelling the wait for a task withdraws it.
    `on_change` is called whenever the number of warm workers changes.
    """

    def __init__(
        self,
        size: int,
        *,
        engines: dict[str, str],
        models_per_worker: int,
        metrics: Metrics,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.size = size
        self._engines = engines
        self._models = models_per_worker
        self._metrics = metrics
        self._on_change = on_change
        self._turns = Turns()
        self._streams = itertools.count()
        self._orders = itertools.count()
        self._keepers: list[asyncio.Task[None]] = []
        self._children: dict[int, Child] = {}
        self._loaded: dict[int, int] = {}
        self._stopped = False

    @property
    def warm(self) -> int:
        """Workers that wait for tasks or work on them."""
        return len(self._loaded)

    @property
    def pids(self) -> list[int]:
        """Process ids of the warm workers."""
        return [self._children[number].pid for number in sorted(self._loaded)]

    def start(self) -> None:
        """Begin to keep the workers alive; returns at once, see `warm`."""
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(self.size)]

    async def stop(self) -> None:
        """End all workers; waiting tasks fail as UnavailableError."""
        self._stopped = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for item in self._turns.drain():
            _fail(item, _stopping())

    def stream(self) -> int:
        """Return a new stream number; streams take turns."""
        return next(self._streams)

    def submit(self, stream: int, task: Task) -> asyncio.Future[Any]:
        """Queue a task; the future gets its answer, cancelling the future withdraws it."""
        if self._stopped:
            raise _stopping()
        item = Item(stream, task, asyncio.get_running_loop().create_future())
        self._turns.put(item)
        return item.future

    async def _keep(self, number: int) -> None:
        """Keep worker `number` alive until cancelled."""
        failures = 0
        while True:
            # Always one thread: the sums of several come out in another order, and so other rows.
            child = Child(_ENTRY, self._engines, self._models, title="sampling", threads=1)
            self._children[number] = child
            child.start()
            try:
                await self._warm_up(number, child)
                failures = 0
                while True:
                    await self._serve(number, child, await self._next(child))
            except WorkerDiedError as error:
                failures += 1
                self._metrics.worker_deaths.labels("sampling").inc()
                _LOG.warning("sampling worker died", pid=child.pid, **error.metadata)
            finally:
                self._loaded.pop(number, None)
                self._tell()
                await child.end()
            # Replaced at once after work; a worker that cannot even start is not tried in a spin.
            await asyncio.sleep(min(0.1 * 2**failures, 10) if failures > 1 else 0)

    async def _warm_up(self, number: int, child: Child) -> None:
        message = await child.receive()
        if isinstance(message, Caught):
            log_unknown(message, "sampling")
            await child.receive()  # it ends itself
        assert isinstance(message, Ready)
        self._loaded[number] = 0
        self._tell()

    async def _next(self, child: Child) -> Item:
        """Wait for a task, but notice the worker's death too; no task is lost then."""
        taking = asyncio.ensure_future(self._turns.get())
        dying = asyncio.ensure_future(child.gone())
        try:
            await asyncio.wait({taking, dying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            dying.cancel()
            if not taking.done():
                taking.cancel()
            elif child.dead or asyncio.current_task().cancelling():  # type: ignore[union-attr]
                self._turns.put(taking.result(), front=True)
        if child.dead:
            await child.receive()  # raises how it died
        return taking.result()

    async def _serve(self, number: int, child: Child, item: Item) -> None:
        """Have one task done; its worker's death is this coroutine's error, not the task's."""
        if item.future.done():
            return
        order = Order(next(self._orders), item.task)
        item.future.add_done_callback(
            lambda future: child.send(Cancel(order.number)) if future.cancelled() else None
        )
        child.send(order)
        try:
            answer = await child.receive()
        except WorkerDiedError as error:
            item.deaths += 1
            if item.deaths > 1:
                _fail(item, error)
            elif not item.future.done():
                self._turns.put(item, front=True)
            raise
        except asyncio.CancelledError:
            _fail(item, _stopping())
            raise
        if isinstance(answer, Caught):
            log_unknown(answer, "sampling")
            _fail(item, error_of(answer.failure))
        else:
            assert isinstance(answer, Answer)
            self._loaded[number] = answer.models_loaded
            self._metrics.models_loaded.set(sum(self._loaded.values()))
            if not item.future.done():
                item.future.set_result(answer.value)

    def _tell(self) -> None:
        self._metrics.workers_ready.set(self.warm)
        self._metrics.models_loaded.set(sum(self._loaded.values()))
        with contextlib.suppress(RuntimeError):  # the loop may be closing
            self._on_change()


def _fail(item: Item, error: Exception) -> None:
    if not item.future.done():
        item.future.set_exception(error)


def _stopping() -> UnavailableError:
    return UnavailableError(
        "the server is stopping; ask again in a moment",
        reason="DRAINING",
        retry_after_seconds=1.0,
    )
