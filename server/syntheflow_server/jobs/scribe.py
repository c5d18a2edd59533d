"""A process of its own that takes rows, a piece at a time, and gives back what it makes of them.

For work that one object does from the first row to the last: a workbook, a database's
transaction. The front hands over pieces faster than they are written only up to a
bound, and takes answers only as fast as its own reader does, so that memory stays flat.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from syntheflow_server.jobs.child import Child
from syntheflow_server.jobs.failures import Caught, caught, error_of
from syntheflow_server.jobs.process import log_unknown

AHEAD = 64
"""Commands that may wait for the process or be under way in it."""
AHEAD_BYTES = 48 << 20
"""Bytes of rows that these may hold; a database takes blocks of several megabytes at once,
and the next ones must be ready when it has taken one."""


class Desk(Protocol):
    """What works in the process; made there by a function that a Scribe names."""

    def do(self, command: Any) -> Iterator[Any]:
        """Do one command; yield what is to be told."""
        ...

    def close(self) -> None:
        """Let go of everything; what is not finished is undone."""
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any


class _Taken:
    """Sent to the process: the front has taken an answer."""


class _Leave:
    """Sent to the process: no more is wanted."""


class _Done:
    """Sent to the front: a command has been done."""


class Scribe:
    """The front's hand on a spawned process that runs the desk `make(*arguments)`.

    `make` is "module:function". Errors of the desk arrive as they were raised, of any
    command before; WorkerDiedError if the process dies. Make it on the event loop.
    """

    def __init__(self, make: str, *arguments: Any, title: str) -> None:
        self._child = Child(
            "syntheflow_server.jobs.scribe:serve", make, arguments, title=title, threads=1
        )
        self._title = title
        self._open: deque[int] = deque()
        """Bytes of each command that is not done."""
        self._open_bytes = 0
        self._started = False
        # A thread of its own: a full pipe must not hold up others, and messages must not mix.
        self._sender = ThreadPoolExecutor(1, thread_name_prefix=f"send {title}")

    def start(self) -> None:
        """Spawn the process; it gets ready while the front does other things."""
        self._child.start()
        self._started = True

    async def take(self, command: Any) -> AsyncIterator[Any]:
        """Hand over a command; yield what was answered so far.

        Waits only while too many commands are open.
        """
        await self._hand_over(command)
        while self._full or self._child.waiting:
            message = await self._next()
            if isinstance(message, _Answer):
                yield message.value

    async def finish(self, command: Any) -> AsyncIterator[Any]:
        """Hand over a command and yield all answers to it and to those before."""
        await self._hand_over(command)
        while self._open:
            message = await self._next()
            if isinstance(message, _Answer):
                yield message.value

    async def leave(self, seconds: float) -> None:
        """Let the desk undo what it has not finished, at most so long, then end the process."""
        if self._started and not self._child.dead:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._send(_Leave())
                    await self._child.gone()
        await self.end()

    async def end(self) -> None:
        """Kill the process; what it had not finished is lost."""
        if self._started:
            await self._child.end()
        self._sender.shutdown(wait=False)

    @property
    def _full(self) -> bool:
        return len(self._open) > AHEAD or (len(self._open) > 1 and self._open_bytes > AHEAD_BYTES)

    async def _hand_over(self, command: Any) -> None:
        size = len(getattr(command, "data", b""))
        self._open.append(size)
        self._open_bytes += size
        await self._send(command)

    async def _send(self, message: Any) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._sender, self._child.send, message)

    async def _next(self) -> Any:
        message = await self._child.receive()
        if isinstance(message, Caught):
            log_unknown(message, self._title)
            raise error_of(message.failure)
        if isinstance(message, _Done):
            self._open_bytes -= self._open.popleft()
        else:
            await self._send(_Taken())
        return message


class _Inbox:
    """What the front has sent, read by a thread: it can send more while the desk works."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._commands: deque[Any] = deque()
        self._left = False
        threading.Thread(target=self._read, name="read commands", daemon=True).start()

    def _read(self) -> None:
        while not self._left:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                message = _Leave()
            # At once, however many commands came before: none of them is wanted any more.
            self._left = isinstance(message, _Leave)
            self._messages.put(message)

    def command(self) -> Any:
        """Return the next command; EOFError when the front wants no more."""
        message = self._commands.popleft() if self._commands else self._messages.get()
        if self._left:
            raise EOFError
        return message

    def wait_taken(self) -> None:
        """Return when the front has taken an answer; commands that come are kept."""
        while not isinstance(message := self._messages.get(), _Taken):
            if self._left:
                raise EOFError
            self._commands.append(message)


def serve(pipe: Connection, make: str, arguments: tuple[Any, ...]) -> None:
    """Be the process: make the desk, then do one command after the other."""
    module, _, function = make.partition(":")
    try:
        build: Callable[..., Desk] = getattr(importlib.import_module(module), function)
        desk = build(*arguments)
        inbox = _Inbox(pipe)
        try:
            while True:
                command = inbox.command()
                waits = False
                for value in desk.do(command):
                    # One answer is made ahead, no more: the reader sets the pace.
                    if waits:
                        inbox.wait_taken()
                    pipe.send(_Answer(value))
                    waits = True
                if waits:
                    inbox.wait_taken()
                pipe.send(_Done())
        finally:
            desk.close()
    except (EOFError, BrokenPipeError):
        return  # the front is gone, or wants no more, and with it whoever wanted this
    except Exception as error:  # noqa: BLE001 - every failure must cross as data
        pipe.send(caught(error))
