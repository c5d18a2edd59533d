"""The one error that the client raises, made of what the server tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

UNREACHABLE = "SERVER_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: `field` of the request, and the rule in words."""

    field: str
    rule: str


class SyntheflowError(Exception):
    """Something went wrong; `message` says what, and what to do.

    `code` is a canonical gRPC status name such as NOT_FOUND, `reason` a stable name
    for programs such as SCHEMA_INVALID, `violations` the broken rules one by one,
    `metadata` facts such as table and column.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        reason: str,
        violations: tuple[Violation, ...] = (),
        metadata: dict[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.violations = violations
        self.metadata = metadata or {}
        self.retry_after_seconds = retry_after_seconds


def from_rpc(error: grpc.RpcError, target: str) -> SyntheflowError:
    """Return what the failed call tells, with the details that the server attached."""
    from google.rpc import error_details_pb2 as details
    from grpc_status import rpc_status

    code = error.code().name
    message = error.details() or code
    reason, metadata, violations, delay = "", {}, [], None
    status = rpc_status.from_call(error)
    for packed in status.details if status is not None else ():
        if packed.Is(details.ErrorInfo.DESCRIPTOR):
            info = details.ErrorInfo.FromString(packed.value)
            reason, metadata = info.reason, dict(info.metadata)
        elif packed.Is(details.BadRequest.DESCRIPTOR):
            broken = details.BadRequest.FromString(packed.value).field_violations
            violations += [Violation(field=one.field, rule=one.description) for one in broken]
        elif packed.Is(details.RetryInfo.DESCRIPTOR):
            wait = details.RetryInfo.FromString(packed.value).retry_delay
            delay = wait.seconds + wait.nanos / 1e9
    if not reason:
        message, reason = _of_the_wire(code, message, target)
    return SyntheflowError(
        message,
        code=code,
        reason=reason,
        violations=tuple(violations),
        metadata=metadata,
        retry_after_seconds=delay,
    )


def _of_the_wire(code: str, message: str, target: str) -> tuple[str, str]:
    """Return message and reason of a failure that no syntheflow server explained."""
    if code == "UNAVAILABLE":
        return (
            f"No syntheflow server answers at {target}; start one with: syntheflow serve",
            UNREACHABLE,
        )
    if code == "UNIMPLEMENTED":
        return (
            f"The server at {target} does not know this call; is it of the same version?",
            "CALL_UNKNOWN",
        )
    if code == "DEADLINE_EXCEEDED":
        return f"The server at {target} did not answer in time", "DEADLINE_EXCEEDED"
    return message, code
