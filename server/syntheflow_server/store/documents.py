"""The interface of the metadata store; `memory.py` and `sql.py` implement it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidArgumentError,
    Violation,
)
from syntheflow_server.domain.resources import Dataset, Job, Model, Report, Resource

R = TypeVar("R", bound=Resource)

KIND_OF: dict[type[Resource], str] = {
    Dataset: "datasets",
    Model: "models",
    Job: "jobs",
    Report: "reports",
}
LEDGER_TIME = timedelta(hours=24)
DEFAULT_PAGE, LARGEST_PAGE = 50, 1_000


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list, newest first; `next_page_token` is empty on the last."""

    items: tuple[R, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A request that was answered: the same `kind` and `request_id` get `response` again.

    `fingerprint` is a digest of the request's body, to notice another body under
    the same id. Kept for 24 hours.
    """

    kind: str
    request_id: str
    fingerprint: str
    response: str


class Documents(Protocol):
    """Metadata of all resources; every change and its ledger entry are one transaction."""

    def create(self, resource: Resource, *, entry: LedgerEntry | None = None) -> None:
        """Insert; AlreadyExistsError if the name is taken."""

    def get(self, kind: type[R], name: str) -> R:
        """Return the resource; NotFoundError if there is none."""

    def list(self, kind: type[R], page_size: int = 0, page_token: str = "") -> Page[R]:
        """Return a page, newest first; InvalidArgumentError if the token is not one of ours."""

    def replace(
        self, resource: Resource, *, etag: str = "", entry: LedgerEntry | None = None
    ) -> None:
        """Put `resource` in the place of the one of its name.

        NotFoundError if there is none; ConflictError if `etag` is given and the
        stored one differs.
        """

    def delete(self, name: str, *, entry: LedgerEntry | None = None) -> None:
        """Remove; NotFoundError if there is none."""

    def names(self, kind: type[Resource]) -> Iterator[str]:
        """Yield all names of a kind, newest first."""

    def answered(self, kind: str, request_id: str) -> LedgerEntry | None:
        """Return the entry of a request of the last 24 hours, if there is one."""

    def check(self) -> None:
        """Raise whatever keeps the store from working."""

    def close(self) -> None:
        """Give back files and connections."""


def checked_page_size(size: int) -> int:
    """Return the entries of a page: 0 means 50, above 1,000 means 1,000."""
    if size < 0:
        rule = "page_size must not be negative"
        raise InvalidArgumentError(
            rule, reason="PAGE_SIZE_INVALID", violations=(Violation(field="page_size", rule=rule),)
        )
    return min(size or DEFAULT_PAGE, LARGEST_PAGE)


def token_of(kind: str, sequence: int) -> str:
    """Return the opaque token of the page that follows the entry `sequence`."""
    text = json.dumps([kind, sequence], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def sequence_of(kind: str, token: str) -> int:
    """Return the sequence number in a token of this `kind`; InvalidArgumentError if damaged."""
    try:
        padded = token + "=" * (-len(token) % 4)
        found, sequence = json.loads(base64.b64decode(padded.encode(), b"-_", validate=True))
        if found == kind and isinstance(sequence, int):
            return sequence
    except (binascii.Error, ValueError, TypeError):
        pass
    rule = "page_token must be the next_page_token of the same list"
    raise InvalidArgumentError(
        rule, reason="PAGE_TOKEN_INVALID", violations=(Violation(field="page_token", rule=rule),)
    )


def taken(name: str) -> AlreadyExistsError:
    """Return the error for a name that is in use."""
    return AlreadyExistsError(
        f"{name} exists already; choose another id or delete it first",
        reason="ALREADY_EXISTS",
        metadata={"resource": name},
    )


def changed(name: str) -> ConflictError:
    """Return the error for an etag that is no longer the stored one."""
    return ConflictError(
        f"{name} has changed since its etag was read; read it again and repeat the change",
        reason="ETAG_MISMATCH",
        metadata={"resource": name},
    )
