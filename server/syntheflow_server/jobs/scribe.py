"""A process of its own that takes rows, a piece at a time, and gives back what it makes of them.

For work that one object does from the first row to the last: a workbook, a database's
transaction. The front hands over pieces faster than they are written only up to a
bound, and takes answers only as fast as its own reader does, so that memory stays flat.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from syntheflow_server.jobs.child import Child
from syntheflow_server.jobs.failures import Caught, caught, error_of
from syntheflow_server.jobs.process import log_unknown

AHEAD = 3
"""Commands that may wait for the process or be under way in it."""


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
        self._open = 0
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
        await self._send(command)
        self._open += 1
        while self._open > AHEAD or self._child.waiting:
            message = await self._next()
            if isinstance(message, _Answer):
                yield message.value

    async def finish(self, command: Any) -> AsyncIterator[Any]:
        """Hand over a command and yield all answers to it and to those before."""
        await self._send(command)
        self._open += 1
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

    async def _send(self, message: Any) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._sender, self._child.send, message)

    async def _next(self) -> Any:
        message = await self._child.receive()
        if isinstance(message, Caught):
            log_unknown(message, self._title)
            raise error_of(message.failure)
        if isinstance(message, _Done):
            self._open -= 1
        else:
            await self._send(_Taken())
        return message


def serve(pipe: Connection, make: str, arguments: tuple[Any, ...]) -> None:
    """Be the process: make the desk, then do one command after the other."""
    commands: deque[Any] = deque()
    module, _, function = make.partition(":")
    try:
        build: Callable[..., Desk] = getattr(importlib.import_module(module), function)
        desk = build(*arguments)
        try:
            while True:
                command = commands.popleft() if commands else pipe.recv()
                if isinstance(command, _Leave):
                    return
                taken = True
                for value in desk.do(command):
                    # One answer is made ahead, no more: the reader sets the pace.
                    while not taken:
                        taken = _is_taken(pipe, commands)
                    pipe.send(_Answer(value))
                    taken = False
                while not taken:
                    taken = _is_taken(pipe, commands)
                pipe.send(_Done())
        finally:
            desk.close()
    except (EOFError, BrokenPipeError):
        return  # the front is gone, and with it whoever wanted this
    except Exception as error:  # noqa: BLE001 - every failure must cross as data
        pipe.send(caught(error))


def _is_taken(pipe: Connection, commands: deque[Any]) -> bool:
    """Wait for a message; a command that comes before its turn is kept for later."""
    message = pipe.recv()
    if isinstance(message, _Taken):
        return True
    if isinstance(message, _Leave):
        raise EOFError  # noqa: TRY004 - as if the front were gone, which ends all work alike
    commands.append(message)
    return False
