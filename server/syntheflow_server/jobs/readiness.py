"""Whether the server can serve, as one value that health checks watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Readiness:
    """True only while the store works, the pool is warm and no drain has begun.

    `reason` says in plain words why not. Lives on one event loop.
    """

    def __init__(self) -> None:
        self._ready = False
        self._reason = "the server is starting"
        self._draining = False
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """True if new work is welcome."""
        return self._ready

    @property
    def reason(self) -> str:
        """Why not ready; empty if ready."""
        return self._reason

    @property
    def draining(self) -> bool:
        """True once the server began to stop; never goes back."""
        return self._draining

    def set(self, *, ready: bool, reason: str = "") -> None:
        """Say how it stands; without effect once draining."""
        if not self._draining:
            self._tell(ready=ready, reason=reason)

    def drain(self) -> None:
        """Say that the server is stopping."""
        self._draining = True
        self._tell(ready=False, reason="the server is stopping")

    async def watch(self) -> AsyncIterator[bool]:
        """Yield the value now and at every change, for ever."""
        last: bool | None = None
        while True:
            changed = self._changed
            if self._ready != last:
                last = self._ready
                yield last
                continue
            await changed.wait()

    def _tell(self, *, ready: bool, reason: str) -> None:
        self._ready, self._reason = ready, "" if ready else reason
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
