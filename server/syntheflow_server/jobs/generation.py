"""One Generate: a plan, its units in a bounded window over the pool, chunks in order."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
)
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from pathlib import Path

from syntheflow_server.domain.errors import ExhaustedError
from syntheflow_server.domain.ids import id_of
from syntheflow_server.domain.resources import Model
from syntheflow_server.export import Target
from syntheflow_server.jobs.assembly import assembly
from syntheflow_server.jobs.plans import Plans
from syntheflow_server.jobs.pool import Pool
from syntheflow_server.jobs.requests import Chunk, GenerationSpec
from syntheflow_server.jobs.sampling import (
    RAW,
    ModelRef,
    Piece,
    Selection,
    SelectTask,
    Spec,
    UnitTask,
)
from syntheflow_server.jobs.seeds import Seeds, StoredRows
from syntheflow_server.jobs.wishes import tables_of
from syntheflow_server.telemetry.metrics import Metrics

_RETRY_SECONDS = 2.0


class Generator:
    """Streams of synthetic rows over one pool, so many at a time, so many waiting.

    `work` is a folder for what a format must keep on disk for a while; None means the
    system's own for such things.
    """

    def __init__(
        self,
        pool: Pool,
        plans: Plans,
        *,
        active: int,
        queued: int,
        metrics: Metrics,
        work: Path | None = None,
    ) -> None:
        self._pool, self._plans, self._metrics = pool, plans, metrics
        self._work = work
        self._places = asyncio.Semaphore(active)
        self._most_queued = queued
        self._queued = 0
        self.idle = asyncio.Event()
        """Set while there is no stream, neither active nor waiting."""
        self.idle.set()
        self.reads: Counter[str] = Counter()
        """Streams by the name of the resource that they read."""

    async def stream(
        self, model: Model, ref: ModelRef, spec: GenerationSpec, given: tuple[Seeds, ...] = ()
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a checked `spec`; the window of units moves as they are taken.

        `given` are the rows of its completions and the existing ones.
        """
        asked = time.monotonic()
        with self._reading(model.name):
            async with (
                self._place(),
                aclosing(self._chunks(model, ref, spec, given)) as chunks,
                aclosing(self._measured(chunks, spec.format, asked)) as measured,
            ):
                async for chunk in measured:
                    yield chunk

    @contextmanager
    def _reading(self, *names: str) -> Iterator[None]:
        self.reads.update(names)
        self.idle.clear()
        try:
            yield
        finally:
            self.reads.subtract(names)
            if not self.reads.total():
                self.idle.set()

    async def raw(
        self,
        model: Model,
        ref: ModelRef,
        spec: GenerationSpec,
        given: tuple[Seeds, ...],
        have: Callable[[Mapping[str, int]], Awaitable[Mapping[str, int]]],
    ) -> AsyncGenerator[list[Piece], None]:
        """Yield a checked `spec`'s rows by unit, as RAW pieces, for who writes them elsewhere.

        `have` is told how many rows each table will have, and says how many of its first
        ones are there already: units of these alone are left out.
        """
        with self._reading(model.name):
            async with self._place(), AsyncExitStack() as held:
                stream = self._pool.stream()
                plan = await held.enter_async_context(self._plan(stream, model, ref, spec, given))
                chosen = await self._select(stream, ref, plan, model, spec)
                there = await have(chosen.rows)
                if any(there.values()):
                    chosen = await self._select(stream, ref, plan, model, spec, there)
                tasks = _units(model, ref, spec, plan, chosen, RAW, None)
                units = await held.enter_async_context(aclosing(self._in_order(stream, tasks)))
                async for pieces in units:
                    yield pieces

    async def _chunks(
        self, model: Model, ref: ModelRef, spec: GenerationSpec, given: tuple[Seeds, ...]
    ) -> AsyncGenerator[Chunk, None]:
        stream = self._pool.stream()
        name = id_of(model.name, "models")
        target = Target(model.data_schema, tables_of(model, spec), name, spec.write)
        async with AsyncExitStack() as held:
            made = assembly(spec.format, target, self._work)
            held.push_async_callback(made.close)
            plan = await held.enter_async_context(self._plan(stream, model, ref, spec, given))
            chosen = await self._select(stream, ref, plan, model, spec)
            told = made.target if made.unit_format != RAW else None
            tasks = _units(model, ref, spec, plan, chosen, made.unit_format, told)
            for chunk in await made.begin():
                yield chunk
            async with aclosing(self._in_order(stream, tasks)) as results:
                async for pieces in results:
                    async for chunk in made.add(pieces):
                        yield chunk
            async for chunk in made.end():
                yield chunk

    @asynccontextmanager
    async def _plan(
        self,
        stream: int,
        model: Model,
        ref: ModelRef,
        spec: GenerationSpec,
        given: tuple[Seeds, ...],
    ) -> AsyncIterator[Path]:
        sources = [s.source for s in given if isinstance(s.source, StoredRows)]
        stored = [source.dataset for source in sources if source.dataset]
        existing = tuple(rows for rows in given if rows.field == "existing")
        seeds = tuple(rows for rows in given if rows.field != "existing")
        asked, tables = _asked(spec), tables_of(model, spec)
        async with AsyncExitStack() as held:
            with self._reading(*stored):  # only so long: the plan holds the rows
                plan = await held.enter_async_context(
                    self._plans.use(stream, ref, asked, tables, seeds, existing)
                )
            yield plan

    async def _select(
        self,
        stream: int,
        ref: ModelRef,
        plan: Path,
        model: Model,
        spec: GenerationSpec,
        have: Mapping[str, int] | None = None,
    ) -> Selection:
        window = (spec.range.start, spec.range.count) if spec.range else None
        task = SelectTask(ref, plan, tables_of(model, spec), window, dict(have or {}))
        chosen: Selection = await self._pool.submit(stream, task)
        return chosen

    async def _in_order(
        self, stream: int, tasks: Iterator[UnitTask]
    ) -> AsyncGenerator[list[Piece], None]:
        """Yield the answers in the tasks' order with at most 2 per worker under way."""
        pending: deque[asyncio.Future[list[Piece]]] = deque()
        try:
            while True:
                while len(pending) < 2 * self._pool.size and (task := next(tasks, None)):
                    pending.append(self._pool.submit(stream, task))
                if not pending:
                    return
                pieces = await pending[0]
                yield pieces
                # Only now: the unit that the reader is busy with counts as under way.
                pending.popleft()
        finally:
            for future in pending:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # said once is enough: the first failure ends the stream

    async def _measured(
        self, chunks: AsyncIterator[Chunk], form: str, asked: float
    ) -> AsyncGenerator[Chunk, None]:
        rows, size = self._metrics.rows.labels(form), self._metrics.bytes.labels(form)
        waiting_for_rows = True
        async for chunk in chunks:
            if waiting_for_rows and chunk.row_count:
                waiting_for_rows = False
                seconds = time.monotonic() - asked
                self._metrics.first_batch_seconds.labels(form).observe(seconds)
            rows.inc(chunk.row_count)
            size.inc(len(chunk.data))
            given = time.monotonic()
            yield chunk
            self._metrics.stall_seconds.inc(time.monotonic() - given)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Wait for one of the places of active streams; ExhaustedError if too many wait."""
        if self._places.locked() and self._queued >= self._most_queued:
            self._metrics.rejections.labels("streams_full").inc()
            raise ExhaustedError(
                "all places for streams are taken; ask again in a moment",
                reason="STREAMS_FULL",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._queued += 1
        self._metrics.queued_streams.set(self._queued)
        try:
            await self._places.acquire()
        finally:
            self._queued -= 1
            self._metrics.queued_streams.set(self._queued)
        self._metrics.active_streams.inc()
        try:
            yield
        finally:
            self._metrics.active_streams.dec()
            self._places.release()


def _units(
    model: Model,
    ref: ModelRef,
    spec: GenerationSpec,
    plan: Path,
    chosen: Selection,
    form: str,
    target: Target | None,
) -> Iterator[UnitTask]:
    tables = frozenset(tables_of(model, spec))
    for units in chosen.units:
        for unit in units:
            yield UnitTask(ref, plan, unit, tables, chosen.window, form, target)


def _asked(spec: GenerationSpec) -> Spec:
    return Spec(
        spec.seed,
        spec.scale,
        dict(spec.rows),
        dict(spec.conditions),
        spec.temperature,
        spec.fill_missing,
        spec.orphans,
    )
