"""Jobs that wait or work: their present state, and who watches it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from syntheflow_server.domain.errors import Failure, UnavailableError
from syntheflow_server.domain.resources import Job, JobState

_KEPT = 64


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ends that did not succeed; QUEUED means that it waits for the next start."""

    state: JobState
    error: Failure | None = None


class LiveJob:
    """One job that has not ended; `set` tells all watchers."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.task: asyncio.Task[None] | None = None
        self.stop_as: Ending | None = None
        """How it shall end, once somebody asked it to stop."""
        self.started = False
        self.ending = False
        """True from the point where its end is being written and cannot be stopped any more."""
        self.writing = asyncio.Lock()
        self.written = 0.0
        self._watchers: set[_Watcher] = set()

    def stop(self, ending: Ending) -> None:
        """Ask the job to stop; nothing happens if its end is being written."""
        if self.ending or self.stop_as is not None:
            return
        self.stop_as = ending
        # A task that has not taken its first step would not notice; it looks at stop_as instead.
        if self.started and self.task is not None:
            self.task.cancel()

    def set(self, job: Job) -> None:
        """Put the job's new state in place."""
        self.job = job
        for watcher in self._watchers:
            watcher.see(job)

    def leave(self) -> None:
        """Let watchers go: the job has not ended, but this server tells no more of it."""
        for watcher in self._watchers:
            watcher.leave()

    async def watch(self) -> AsyncIterator[Job]:
        """Yield the state now and every later one, up to and with the last.

        A watcher that falls more than 64 states behind misses the oldest of them.
        UnavailableError if the server stops and the job is to go on after its next start.
        """
        watcher = _Watcher(self.job)
        self._watchers.add(watcher)
        try:
            while True:
                job = await watcher.next()
                yield job
                if job.state.ended:
                    return
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self, job: Job) -> None:
        self._states: deque[Job] = deque([job], maxlen=_KEPT)
        self._more = asyncio.Event()
        self._left = False

    def see(self, job: Job) -> None:
        self._states.append(job)
        self._more.set()

    def leave(self) -> None:
        self._left = True
        self._more.set()

    async def next(self) -> Job:
        while not self._states:
            if self._left:
                raise UnavailableError(
                    "the server is stopping; the job goes on when it starts again",
                    reason="DRAINING",
                    retry_after_seconds=1.0,
                )
            self._more.clear()
            await self._more.wait()
        return self._states.popleft()
