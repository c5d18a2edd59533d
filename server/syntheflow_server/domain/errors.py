"""Errors of the domain: what went wrong, where, and what to do about it.

One class per kind that a caller must tell apart; `rpc` turns each into a gRPC
status in one place. Messages name tables, columns and rules, never values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of a request or of data."""

    field: str
    rule: str
    table: str = ""
    column: str = ""
    row: int | None = None


class SyntheflowError(Exception):
    """Base of all errors that callers are meant to see.

    `reason` is a stable name in capitals for programs; `metadata` carries bounded
    facts such as table and column.
    """

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        violations: tuple[Violation, ...] = (),
        metadata: dict[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.violations = violations
        self.metadata = metadata or {}
        self.retry_after_seconds = retry_after_seconds


class InvalidArgumentError(SyntheflowError):
    """The request or its data break a rule, whatever the server's state."""

    code = "INVALID_ARGUMENT"


class NotFoundError(SyntheflowError):
    """The named resource does not exist."""

    code = "NOT_FOUND"

    @classmethod
    def of(cls, name: str) -> NotFoundError:
        """Return the error for the resource `name`."""
        return cls(f"{name} does not exist", reason="NOT_FOUND", metadata={"resource": name})


class AlreadyExistsError(SyntheflowError):
    """A resource of that name exists."""

    code = "ALREADY_EXISTS"


class FailedPreconditionError(SyntheflowError):
    """The server's state forbids it now; retrying alone does not help."""

    code = "FAILED_PRECONDITION"


class OutOfRangeError(SyntheflowError):
    """Rows beyond the end of a table."""

    code = "OUT_OF_RANGE"


class ConflictError(SyntheflowError):
    """Somebody else changed the resource in between."""

    code = "ABORTED"


class DataLossError(SyntheflowError):
    """What arrived or was stored is damaged."""

    code = "DATA_LOSS"


class ExhaustedError(SyntheflowError):
    """All places are taken; retry after `retry_after_seconds`."""

    code = "RESOURCE_EXHAUSTED"


class UnavailableError(SyntheflowError):
    """The server is starting or stopping; retry after `retry_after_seconds`, maybe elsewhere."""

    code = "UNAVAILABLE"


class UnsupportedError(SyntheflowError):
    """A real shape of data that this version refuses rather than get wrong."""

    code = "UNIMPLEMENTED"


class CancelledError(SyntheflowError):
    """The caller asked to stop."""

    code = "CANCELLED"


class WorkerDiedError(SyntheflowError):
    """A worker process ended without an answer."""

    code = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as data: what crosses a process boundary and is kept with a job."""

    code: str
    message: str
    reason: str
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
