"""The queue of jobs: each waits for a place, works in a process, ends once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from syntheflow_server.domain.errors import (
    ExhaustedError,
    FailedPreconditionError,
    Failure,
    WorkerDiedError,
)
from syntheflow_server.domain.resources import Job, JobKind, JobState
from syntheflow_server.jobs.checkpoints import Checkpoints
from syntheflow_server.jobs.failures import caught
from syntheflow_server.jobs.live import Ending, LiveJob
from syntheflow_server.jobs.process import Progress, Reporter
from syntheflow_server.store.blobs import Blobs
from syntheflow_server.store.documents import Documents, LedgerEntry
from syntheflow_server.telemetry.metrics import Metrics

_LOG = structlog.get_logger(__name__)
_PERSIST_SECONDS = 0.5
_RETRY_SECONDS = 30.0
_MOST_INTERRUPTIONS = 3
_CANCELLED = Ending(JobState.CANCELLED)
_PAUSED = Ending(JobState.QUEUED)
_RESTARTED = Ending(
    JobState.FAILED,
    Failure(
        code="UNAVAILABLE",
        message="the server was stopped while the job ran; start it again",
        reason="SERVER_RESTARTED",
    ),
)
_STAGES = {_PAUSED.state: "waiting for the server to start again"}


@dataclass(frozen=True, slots=True)
class Made:
    """What a job's work made: its name and figures, rows by table and notes for the job."""

    result: str
    metrics: dict[str, float]
    tables: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Commit = Callable[[], Made]
"""Makes the result visible, all or nothing; runs in a thread, cannot be cancelled."""
Work = Callable[[Reporter, Path], Awaitable[Commit]]
"""Fills a staging directory, with progress; may be cancelled at any time."""


@dataclass(frozen=True, slots=True)
class Left:
    """Jobs that a stopped server left behind: `failed` ones, and those to `resume`."""

    failed: tuple[Job, ...]
    resume: tuple[Job, ...]


class Runner:
    """Runs at most `running` jobs of a kind at a time; at most `queued` more may wait.

    Every state is written to the documents at once, progress at most twice a second.
    A job with an order is not ended by a stop of the server: it waits for the next start,
    and its folder of `checkpoints` with it.
    """

    def __init__(
        self,
        documents: Documents,
        blobs: Blobs,
        checkpoints: Checkpoints,
        *,
        running: int,
        queued: int,
        metrics: Metrics,
    ) -> None:
        self._documents, self._blobs, self._metrics = documents, blobs, metrics
        self._checkpoints = checkpoints
        self._running, self._queued = running, queued
        self._places = {kind: asyncio.Semaphore(running) for kind in JobKind}
        self._live: dict[str, LiveJob] = {}
        self._writers: set[asyncio.Task[None]] = set()

    async def recover(self) -> Left:
        """Find the jobs that a stopped server left behind; mark those without order as failed.

        Those with one are to be given to `resume`.
        """
        return await asyncio.to_thread(self._recover)

    async def resume(self, job: Job, work: Work) -> None:
        """Queue the work of a job that `recover` returned, however many wait."""
        live = self._live[job.name] = LiveJob(job)
        await asyncio.to_thread(self._documents.replace, job)
        live.task = asyncio.create_task(self._run(live, work), name=job.name)

    async def fail(self, job: Job, error: Exception) -> None:
        """End a job that `recover` returned but that cannot be resumed."""
        failed = _failed(job, caught(error).failure)
        await asyncio.to_thread(self._documents.replace, failed)
        await asyncio.to_thread(self._checkpoints.drop, job.name)

    async def submit(self, job: Job, work: Work, entry: LedgerEntry | None = None) -> Job:
        """Write the job down, queue its work and return it; ExhaustedError if too many wait."""
        alive = sum(live.job.kind is job.kind for live in self._live.values())
        if alive >= self._running + self._queued:
            self._metrics.rejections.labels("jobs_full").inc()
            raise ExhaustedError(
                f"{alive} jobs of kind {job.kind} wait or work already; ask again later",
                reason="JOBS_FULL",
                retry_after_seconds=_RETRY_SECONDS,
            )
        live = self._live[job.name] = LiveJob(job)
        try:
            await asyncio.to_thread(self._documents.create, job, entry=entry)
        except BaseException:
            del self._live[job.name]
            raise
        live.task = asyncio.create_task(self._run(live, work), name=job.name)
        _LOG.info("job queued", job=job.name, kind=job.kind.value, target=job.target)
        return job

    def live(self, name: str) -> Job | None:
        """Return a job that waits or works, as it is this moment."""
        return self._live[name].job if name in self._live else None

    def alive(self) -> list[Job]:
        """Return all jobs that wait or work."""
        return [live.job for live in self._live.values()]

    def cancel(self, name: str) -> None:
        """Ask a job to stop; nothing happens if it has ended."""
        if name in self._live:
            self._live[name].stop(_CANCELLED)

    def pauses(self, name: str) -> bool:
        """Return True if a job stops with the server only, to go on after its next start."""
        live = self._live.get(name)
        return live is not None and live.stop_as is _PAUSED

    def watch(self, name: str) -> AsyncIterator[Job] | None:
        """Return the states of a job that waits or works; None if it does not."""
        return self._live[name].watch() if name in self._live else None

    async def stop(self) -> None:
        """End all jobs, because the server stops: those with an order until its next start."""
        tasks = [live.task for live in self._live.values() if live.task is not None]
        for live in self._live.values():
            live.stop(_RESTARTED if live.job.order is None else _PAUSED)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, live: LiveJob, work: Work) -> None:
        live.started = True
        kind, asked = live.job.kind, time.monotonic()
        try:
            with self._metrics.jobs.labels(kind.value, "queued").track_inprogress():
                await self._place(live)
        except asyncio.CancelledError:
            await self._end(live, **self._unfinished(live, asyncio.CancelledError()))
            return
        began = time.monotonic()
        self._metrics.job_queue_seconds.labels(kind.value).observe(began - asked)
        try:
            with self._metrics.jobs.labels(kind.value, "running").track_inprogress():
                ending = await self._work(live, work)
        finally:
            self._places[kind].release()
        self._metrics.job_run_seconds.labels(kind.value).observe(time.monotonic() - began)
        await self._end(live, **ending)

    async def _place(self, live: LiveJob) -> None:
        if live.stop_as is not None:  # asked to stop before its first step
            raise asyncio.CancelledError
        await self._places[live.job.kind].acquire()

    async def _work(self, live: LiveJob, work: Work) -> dict[str, Any]:
        """Do the work and commit it; return the fields of the job's end."""
        try:
            began = live.job.start_time or _now()
            await self._update(live, state=JobState.RUNNING, start_time=began, stage="starting")
            with self._blobs.staging() as staging:
                commit = await work(lambda progress: self._progress(live, progress), staging)
                live.ending = True
                made = await asyncio.to_thread(commit)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the job ends with it
            return self._unfinished(live, error)
        return {
            "state": JobState.SUCCEEDED,
            "progress": 1.0,
            "stage": "done",
            "result": made.result,
            "metrics": {**live.job.metrics, **made.metrics},
            "tables": {**live.job.tables, **made.tables},
            "notes": made.notes,
        }

    def _unfinished(self, live: LiveJob, error: BaseException) -> dict[str, Any]:
        live.ending = True
        if isinstance(error, asyncio.CancelledError):
            how = live.stop_as or _CANCELLED
            stage = _STAGES.get(how.state, how.state.value)
            return {"state": how.state, "error": how.error, "stage": stage}
        if isinstance(error, WorkerDiedError):
            self._metrics.worker_deaths.labels("job").inc()
        found = caught(error)
        if found.trace:
            _LOG.error(
                "job broke", job=live.job.name, trace=list(found.trace), **found.failure.metadata
            )
        return {"state": JobState.FAILED, "error": found.failure, "stage": "failed"}

    def _progress(self, live: LiveJob, progress: Progress) -> None:
        """Tell watchers each step; write it down if the last writing is a while ago."""
        update = {
            "progress": min(max(progress.fraction, live.job.progress), 1.0),
            "stage": progress.stage,
            "metrics": {**live.job.metrics, **progress.metrics},
            "tables": {**live.job.tables, **progress.tables},
        }
        live.set(live.job.model_copy(update=update))
        self._gauge(live.job)
        now = time.monotonic()
        if now - live.written >= _PERSIST_SECONDS:
            live.written = now
            writer = asyncio.create_task(self._write(live))
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)

    async def _write(self, live: LiveJob) -> None:
        async with live.writing:
            # A late writer must not put the work's middle over its end.
            if live.job.name in self._live and not live.ending:
                await asyncio.to_thread(self._documents.replace, live.job)

    async def _update(self, live: LiveJob, **changes: Any) -> None:
        live.set(live.job.model_copy(update=changes))
        await self._write(live)

    async def _end(self, live: LiveJob, **ending: Any) -> None:
        live.ending = True
        job = live.job.model_copy(update=ending)
        if job.state.ended:
            job = job.model_copy(update={"end_time": _now()})
        async with live.writing:
            # Written before it is told: who sees the end must find it after a crash too.
            await asyncio.to_thread(self._documents.replace, job)
        if job.state.ended:
            await asyncio.to_thread(self._checkpoints.drop, job.name)
        self._live.pop(job.name)
        live.set(job)
        if not job.state.ended:
            live.leave()
            _LOG.info("job waits for the next start", job=job.name)
            return
        self._metrics.jobs_ended.labels(job.kind.value, job.state.value).inc()
        reason = job.error.reason if job.error else ""
        _LOG.info("job ended", job=job.name, state=job.state.value, reason=reason)

    def _gauge(self, job: Job) -> None:
        for split in ("train", "validation"):
            if (loss := job.metrics.get(f"{split}_loss")) is not None:
                self._metrics.training_loss.labels(split).set(loss)
        speed = job.metrics.get("rows_per_second")
        if speed is not None and job.kind is JobKind.TRAIN:
            self._metrics.training_rows_per_second.set(speed)

    def _recover(self) -> Left:
        failed: list[Job] = []
        resume: list[Job] = []
        for name in list(self._documents.names(Job)):
            job = self._documents.get(Job, name)
            if job.state.ended:
                continue
            # A server that stopped in good order has left no job running.
            crashes = job.interruptions + (job.state is JobState.RUNNING)
            if job.order is None or crashes >= _MOST_INTERRUPTIONS:
                assert _RESTARTED.error is not None
                self._documents.replace(_failed(job, _RESTARTED.error))
                failed.append(job)
                continue
            update = {
                "state": JobState.QUEUED,
                "stage": "resumed after a restart",
                "interruptions": crashes,
            }
            resume.append(job.model_copy(update=update))
        self._checkpoints.sweep([job.name for job in resume])
        return Left(tuple(failed), tuple(sorted(resume, key=lambda job: job.create_time)))


def still_works(name: str) -> FailedPreconditionError:
    """Return the error for deleting a job that has not ended."""
    return FailedPreconditionError(
        f"{name} has not ended; cancel it first", reason="JOB_NOT_ENDED", metadata={"job": name}
    )


def _failed(job: Job, failure: Failure) -> Job:
    update = {"state": JobState.FAILED, "error": failure, "stage": "failed", "end_time": _now()}
    return job.model_copy(update=update)


def _now() -> datetime:
    return datetime.now(UTC)
