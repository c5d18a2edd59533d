"""Errors as data: how they cross from a worker process and are kept with a job."""

from __future__ import annotations

from dataclasses import dataclass

from syntheflow_server.domain import errors
from syntheflow_server.domain.errors import Failure, SyntheflowError
from syntheflow_server.domain.ids import new_id
from syntheflow_server.telemetry.traces import trace_of

INTERNAL = "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True)
class Caught:
    """A failure and, for unknown ones, where in the code it came from (for the log only)."""

    failure: Failure
    trace: tuple[str, ...] = ()


def caught(error: BaseException) -> Caught:
    """Turn any exception into data that names no private value.

    Errors of the domain keep their words. Of others only an id goes out; their
    own message may quote values, so the log gets the type and the places only.
    """
    if isinstance(error, SyntheflowError):
        return Caught(failure_of(error))
    if isinstance(error, MemoryError):
        return Caught(
            Failure(
                code="RESOURCE_EXHAUSTED",
                message="the machine's memory does not suffice for this work; "
                "use a smaller dataset or a larger machine",
                reason="OUT_OF_MEMORY",
            ),
            trace_of(error),
        )
    incident = new_id()
    failure = Failure(
        code="INTERNAL",
        message=f"internal error {incident}; the server's log has the details under this id",
        reason=INTERNAL,
        metadata={"incident": incident},
    )
    return Caught(failure, trace_of(error))


def failure_of(error: SyntheflowError) -> Failure:
    """Return the data of an error of the domain."""
    return Failure(
        code=error.code,
        message=error.message,
        reason=error.reason,
        metadata=dict(error.metadata),
        violations=error.violations,
    )


def error_of(failure: Failure) -> SyntheflowError:
    """Return the error that `failure` describes, of the class of its code."""
    kind = _CLASSES.get(failure.code, errors.WorkerDiedError)
    return kind(
        failure.message,
        reason=failure.reason,
        violations=failure.violations,
        metadata=dict(failure.metadata),
    )


_CLASSES: dict[str, type[SyntheflowError]] = {
    kind.code: kind
    for kind in (
        errors.InvalidArgumentError,
        errors.NotFoundError,
        errors.AlreadyExistsError,
        errors.FailedPreconditionError,
        errors.OutOfRangeError,
        errors.ConflictError,
        errors.DataLossError,
        errors.ExhaustedError,
        errors.UnavailableError,
        errors.UnsupportedError,
        errors.CancelledError,
        errors.WorkerDiedError,
    )
}
