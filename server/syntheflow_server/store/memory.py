"""Documents in memory, for tests and trials; gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

from syntheflow_server.domain.errors import NotFoundError
from syntheflow_server.domain.resources import Resource
from syntheflow_server.store.documents import (
    KIND_OF,
    LEDGER_TIME,
    LedgerEntry,
    Page,
    R,
    changed,
    checked_page_size,
    sequence_of,
    taken,
    token_of,
)
from syntheflow_server.store.etag import etag_of


class MemoryDocuments:
    """Documents in dictionaries under one lock; resources are kept as JSON, as elsewhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._bodies: dict[str, tuple[int, str]] = {}
        self._ledger: dict[tuple[str, str], tuple[datetime, LedgerEntry]] = {}

    def create(self, resource: Resource, *, entry: LedgerEntry | None = None) -> None:
        """Insert; AlreadyExistsError if the name is taken."""
        with self._lock:
            if resource.name in self._bodies:
                raise taken(resource.name)
            self._bodies[resource.name] = next(self._numbers), resource.model_dump_json()
            self._note(entry)

    def get(self, kind: type[R], name: str) -> R:
        """Return the resource; NotFoundError if there is none."""
        with self._lock:
            return self._read(kind, name)

    def list(self, kind: type[R], page_size: int = 0, page_token: str = "") -> Page[R]:
        """Return a page, newest first; InvalidArgumentError if the token is not one of ours."""
        size, folder = checked_page_size(page_size), KIND_OF[kind]
        below = sequence_of(folder, page_token) if page_token else None
        with self._lock:
            rows = sorted(
                (
                    (number, body)
                    for name, (number, body) in self._bodies.items()
                    if name.startswith(f"{folder}/") and (below is None or number < below)
                ),
                reverse=True,
            )
        items = tuple(kind.model_validate_json(body) for _, body in rows[:size])
        return Page(items, token_of(folder, rows[size - 1][0]) if len(rows) > size else "")

    def replace(
        self, resource: Resource, *, etag: str = "", entry: LedgerEntry | None = None
    ) -> None:
        """Put `resource` in the place of the one of its name."""
        with self._lock:
            stored = self._read(type(resource), resource.name)
            if etag and etag != etag_of(stored):
                raise changed(resource.name)
            number, _ = self._bodies[resource.name]
            self._bodies[resource.name] = number, resource.model_dump_json()
            self._note(entry)

    def delete(self, name: str, *, entry: LedgerEntry | None = None) -> None:
        """Remove; NotFoundError if there is none."""
        with self._lock:
            if self._bodies.pop(name, None) is None:
                raise NotFoundError.of(name)
            self._note(entry)

    def names(self, kind: type[Resource]) -> Iterator[str]:
        """Yield all names of a kind, newest first."""
        prefix = f"{KIND_OF[kind]}/"
        with self._lock:
            rows = [(row[0], name) for name, row in self._bodies.items() if name.startswith(prefix)]
        yield from (name for _, name in sorted(rows, reverse=True))

    def answered(self, kind: str, request_id: str) -> LedgerEntry | None:
        """Return the entry of a request of the last 24 hours, if there is one."""
        with self._lock:
            made, entry = self._ledger.get((kind, request_id), (None, None))
        return entry if made is not None and datetime.now(UTC) - made < LEDGER_TIME else None

    def check(self) -> None:
        """Memory always works."""

    def close(self) -> None:
        """Nothing to give back."""

    def _read(self, kind: type[R], name: str) -> R:
        if name not in self._bodies or not name.startswith(f"{KIND_OF[kind]}/"):
            raise NotFoundError.of(name)
        return kind.model_validate_json(self._bodies[name][1])

    def _note(self, entry: LedgerEntry | None) -> None:
        now = datetime.now(UTC)
        for key in [k for k, (made, _) in self._ledger.items() if now - made >= LEDGER_TIME]:
            del self._ledger[key]
        if entry is not None:
            self._ledger[entry.kind, entry.request_id] = now, entry
