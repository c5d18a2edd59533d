"""Requests with an id are done once: a retry gets the first answer, also while it is being made."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from syntheflow_server.domain.errors import ConflictError, InvalidArgumentError, Violation
from syntheflow_server.store.documents import Documents, LedgerEntry

T = TypeVar("T")
Note = Callable[[str], LedgerEntry | None]
"""Makes the ledger entry for an answer's resource name; None if the request has no id."""


class Ledger:
    """Runs each change as a task of its own, so that a caller who leaves does not halve it."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._doing: dict[tuple[str, str], tuple[str, asyncio.Task[Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def once(
        self,
        kind: str,
        request_id: str,
        body: object,
        *,
        act: Callable[[Note], Awaitable[T]],
        again: Callable[[str], Awaitable[T]],
        cancellable: bool = False,
    ) -> T:
        """Do `act`, or return `again(name)` if the request was answered with that name before.

        `body` (fit for JSON) tells requests of one id apart: another body under the
        same id is InvalidArgumentError. `cancellable` work stops with its caller.
        """
        fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

        def note(response: str) -> LedgerEntry | None:
            if not request_id:
                return None
            return LedgerEntry(kind, request_id, fingerprint, response)

        if request_id:
            doing = self._doing.get((kind, request_id))
            if doing is not None:
                _same(doing[0], fingerprint)
                return await _joined(doing[1])
            entry = await asyncio.to_thread(self._documents.answered, kind, request_id)
            if entry is not None:
                _same(entry.fingerprint, fingerprint)
                return await again(entry.response)
            if (kind, request_id) in self._doing:  # begun while the documents were asked
                return await self.once(kind, request_id, body, act=act, again=again)
        task = asyncio.ensure_future(_run(act, note))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if request_id:
            self._doing[kind, request_id] = fingerprint, task
            task.add_done_callback(lambda _: self._doing.pop((kind, request_id)))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if cancellable:
                task.cancel()
                await asyncio.wait({task})
            raise

    async def finish(self) -> None:
        """Wait for all changes that are under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def _run(act: Callable[[Note], Awaitable[T]], note: Note) -> T:
    return await act(note)


async def _joined(task: asyncio.Task[T]) -> T:
    await asyncio.wait({task})
    if task.cancelled():
        raise ConflictError(
            "the first request of this request_id was cancelled; send it again",
            reason="REQUEST_CANCELLED",
        )
    return task.result()


def _same(stored: str, fingerprint: str) -> None:
    if stored != fingerprint:
        rule = "request_id was used for another request; choose a new one"
        raise InvalidArgumentError(
            rule,
            reason="REQUEST_ID_REUSED",
            violations=(Violation(field="request_id", rule=rule),),
        )
