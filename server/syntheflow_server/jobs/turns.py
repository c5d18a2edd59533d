"""Whose turn it is: tasks of many streams, taken one from each in a circle."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Item:
    """One task on its way through the pool; `future` gets its answer."""

    stream: int
    task: Any
    future: asyncio.Future[Any]
    deaths: int = field(default=0)


class Turns:
    """A fair queue: a stream with many waiting tasks does not hold up one with few."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Item]] = {}
        self._filled = asyncio.Event()

    def put(self, item: Item, *, front: bool = False) -> None:
        """Add a task behind those of its stream, or before them."""
        tasks = self._waiting.setdefault(item.stream, deque())
        if front:
            tasks.appendleft(item)
        else:
            tasks.append(item)
        self._filled.set()

    async def get(self) -> Item:
        """Wait for the next task; a cancelled wait loses none."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        stream = next(iter(self._waiting))
        tasks = self._waiting.pop(stream)
        item = tasks.popleft()
        if tasks:
            self._waiting[stream] = tasks  # back to the end of the circle
        return item

    def drain(self) -> list[Item]:
        """Take out all tasks."""
        items = [item for tasks in self._waiting.values() for item in tasks]
        self._waiting.clear()
        return items
