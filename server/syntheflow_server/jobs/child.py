"""One spawned process with a pipe: start, talk, notice its death at once, end it.

Never fork: torch and gRPC hold threads. A child dies with the front even if
that is killed: the kernel signals it (PR_SET_PDEATHSIG), and where there is no
such call the closed pipe ends it at its next message.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from syntheflow_server.allocator import keep_freed_memory
from syntheflow_server.domain.errors import WorkerDiedError

_SPAWN = multiprocessing.get_context("spawn")
_GONE = object()
_PR_SET_PDEATHSIG = 1


class Child:
    """A process that runs `entry(pipe, *arguments)`; `entry` is "module:function".

    Must be made and started on the event loop's own thread: the kernel ties the
    death signal to the thread that spawns.
    """

    def __init__(self, entry: str, *arguments: Any, title: str, threads: int) -> None:
        self.title = title
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._pipe, self._far = _SPAWN.Pipe(duplex=True)
        self._process = _SPAWN.Process(
            target=_run,
            args=(self._far, os.getpid(), threads, entry, arguments),
            name=title,
            daemon=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"read {title}", daemon=True)

    def start(self) -> None:
        """Spawn the process and begin to listen to it."""
        self._process.start()
        # The far end must be open in the child only, or its death would not close the pipe.
        self._far.close()
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process.pid is not None
        return self._process.pid

    def send(self, message: Any) -> None:
        """Send a small message; nothing happens if the process is gone."""
        with contextlib.suppress(OSError, ValueError):
            self._pipe.send(message)

    @property
    def dead(self) -> bool:
        """True once the process is known to be gone."""
        return self._gone.is_set()

    @property
    def waiting(self) -> bool:
        """True if a message has come that nobody has received yet."""
        return not self._inbox.empty()

    async def gone(self) -> None:
        """Return when the process is gone."""
        await self._gone.wait()

    async def receive(self) -> Any:
        """Return the next message; WorkerDiedError when the process ended without one."""
        message = await self._inbox.get()
        if message is not _GONE:
            return message
        self._inbox.put_nowait(_GONE)
        raise self._death()

    async def end(self) -> None:
        """Kill the process and return when it is gone, also if this wait is cancelled."""
        self._process.kill()
        joined = asyncio.ensure_future(asyncio.to_thread(self._reader.join))
        try:
            await asyncio.shield(joined)
        except asyncio.CancelledError:
            await joined  # a killed process takes milliseconds
            raise
        finally:
            self._process.close()
            self._pipe.close()

    def _read(self) -> None:
        """Hand messages to the loop; runs in a thread of its own until the process is gone."""
        while True:
            # The sentinel too: a grandchild may hold the pipe open after the child's death.
            ready = wait([self._pipe, self._process.sentinel])
            try:
                if self._pipe not in ready and not self._pipe.poll():
                    break
                message = self._pipe.recv()
            except Exception:  # noqa: BLE001 - a half message of a dying process can raise anything
                break
            self._tell(message)
        self._process.kill()
        self._process.join()
        self._tell(_GONE)

    def _tell(self, message: Any) -> None:
        # The loop may have been closed while this thread waited.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._hear, message)

    def _hear(self, message: Any) -> None:
        if message is _GONE:
            self._gone.set()
        self._inbox.put_nowait(message)

    def _death(self) -> WorkerDiedError:
        code = self._process.exitcode
        how = f"exit status {code}"
        if code is not None and code < 0:
            how = f"signal {signal.Signals(-code).name}"
        hint = "; the machine may be short of memory" if code == -signal.SIGKILL else ""
        return WorkerDiedError(
            f"the worker process for {self.title} died ({how}){hint}",
            reason="WORKER_DIED",
            metadata={"exit": how},
        )


def _run(pipe: Connection, parent: int, threads: int, entry: str, arguments: tuple[Any]) -> None:
    """Be the child: tie its life to the parent's, set its threads, run the entry."""
    _die_with(parent)
    # Both reach whole groups of processes (a terminal's Ctrl-C, a service manager's stop);
    # only the front decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Libraries' warnings are for their programmers, and may quote values.
    warnings.simplefilter("ignore")
    # Read by torch, numpy and OpenMP when they are loaded, which is after this.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    # OpenMP's threads spin at each barrier; on a machine shared with others they would burn
    # the time slice that the one they wait for needs (measured: 190 s instead of 28 s).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    keep_freed_memory()  # batches of rows come and go, a megabyte or more each
    module, _, function = entry.partition(":")
    target: Callable[..., None] = getattr(importlib.import_module(module), function)
    # The pipe's other end is closed: the front is gone, so there is nobody to answer.
    with contextlib.suppress(BrokenPipeError, EOFError):
        target(pipe, *arguments)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def peak_memory_bytes() -> int:
    """Return the largest resident memory of this process so far.

    On Linux from /proc: `getrusage` would also count the parent's pages that the
    process shared in the instant between its making and its own program.
    """
    if sys.platform == "linux":
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - no path to join
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
