"""Run one function in a process of its own, with progress, and kill it when cancelled."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import structlog

from syntheflow_server.jobs.child import Child, peak_memory_bytes
from syntheflow_server.jobs.failures import Caught, caught, error_of

_LOG = structlog.get_logger(__name__)
_REPORT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is: `fraction` 0..1, what it does, figures, and rows by table."""

    fraction: float
    stage: str
    metrics: dict[str, float]
    tables: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task returned, and the most memory that its process held."""

    value: Any
    peak_memory_bytes: int


Reporter = Callable[[Progress], None]


async def run_process(
    task: str,
    *arguments: Any,
    title: str,
    threads: int,
    on_progress: Reporter | None = None,
) -> Outcome:
    """Run `task` ("module:function") as `function(report, *arguments)` in a spawned process.

    Arguments and result must pickle. Errors of the domain arrive as they were
    raised; others as 'internal error' with an id. Raises WorkerDiedError if the
    process dies. If this coroutine is cancelled the process is killed first.
    """
    child = Child(
        "syntheflow_server.jobs.process:serve", task, arguments, title=title, threads=threads
    )
    child.start()
    try:
        while True:
            message = await child.receive()
            if isinstance(message, Outcome):
                return message
            if isinstance(message, Caught):
                log_unknown(message, title)
                raise error_of(message.failure)
            if on_progress is not None:
                on_progress(message)
    finally:
        await child.end()


def log_unknown(message: Caught, title: str) -> None:
    """Log where an unexpected failure came from, under the id that the caller got."""
    if message.trace:
        incident = message.failure.metadata.get("incident", "")
        _LOG.error("worker failed", work=title, incident=incident, trace=list(message.trace))


def serve(pipe: Connection, task: str, arguments: tuple[Any, ...]) -> None:
    """Be the process: run the task and send progress, then its outcome or its failure."""
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT_SECONDS:
            last = now
            pipe.send(progress)

    try:
        module, _, function = task.partition(":")
        value = getattr(importlib.import_module(module), function)(report, *arguments)
        pipe.send(Outcome(value, peak_memory_bytes()))
    except Exception as error:  # noqa: BLE001 - every failure must cross as data
        pipe.send(caught(error))
