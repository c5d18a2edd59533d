"""The one place where errors become google.rpc.Status.

ErrorInfo is always there (domain `syntheflow`); BadRequest, ResourceInfo,
PreconditionFailure and RetryInfo where they fit. Reference: AIP-193.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from syntheflow_server.domain.errors import Failure, SyntheflowError, Violation

DOMAIN = "syntheflow"
# gRPC sends a status as trailing metadata, of which stock clients accept 8 KiB in all;
# the message travels twice, once percent-encoded, the details in base64.
_MESSAGE_BYTES = 700
_VIOLATIONS_BYTES = 1_600
_METADATA_BYTES = 600
_TYPES = {
    "datasets": "syntheflow.v1.Dataset",
    "models": "syntheflow.v1.Model",
    "jobs": "syntheflow.v1.Job",
    "reports": "syntheflow.v1.Report",
}


def status_of_error(error: SyntheflowError) -> status_pb2.Status:
    """Return the status that tells a domain error."""
    failure = Failure(
        code=error.code,
        message=error.message,
        reason=error.reason,
        metadata=error.metadata,
        violations=error.violations,
    )
    return status_of_failure(failure, retry_after_seconds=error.retry_after_seconds)


def status_of_failure(
    failure: Failure, *, retry_after_seconds: float | None = None
) -> status_pb2.Status:
    """Return the status that tells a failure, also one that is kept with a job."""
    message = _cut(failure.message, _MESSAGE_BYTES)
    status = status_pb2.Status(code=code_pb2.Code.Value(failure.code), message=message)
    info = error_details_pb2.ErrorInfo(reason=failure.reason, domain=DOMAIN)
    for key, value in failure.metadata.items():
        if info.ByteSize() < _METADATA_BYTES:
            info.metadata[key] = _cut(value, 200)
    for detail in (info, *_details(failure, message, retry_after_seconds)):
        status.details.add().Pack(detail)
    return status


def _details(failure: Failure, message: str, retry_after: float | None) -> Iterator[Message]:
    if failure.violations:
        yield _bad_request(failure.violations)
    resource = failure.metadata.get("resource", "")
    if failure.code == "FAILED_PRECONDITION":
        violation = error_details_pb2.PreconditionFailure.Violation(
            type=failure.reason, subject=resource, description=message
        )
        yield error_details_pb2.PreconditionFailure(violations=[violation])
    if resource:
        yield error_details_pb2.ResourceInfo(
            resource_type=_TYPES.get(resource.partition("/")[0], ""),
            resource_name=resource,
            description=message,
        )
    if retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(retry_after * 1e9))
        yield error_details_pb2.RetryInfo(retry_delay=delay)


def _bad_request(violations: Iterable[Violation]) -> error_details_pb2.BadRequest:
    """Return as many violations as fit, and how many more there are."""
    request = error_details_pb2.BadRequest()
    left_out = 0
    for violation in violations:
        if request.ByteSize() > _VIOLATIONS_BYTES:
            left_out += 1
            continue
        request.field_violations.add(
            field=_cut(violation.field, 200), description=_cut(violation.rule, 400)
        )
    if left_out:
        request.field_violations.add(field="", description=f"and {left_out} more")
    return request


def _cut(text: str, size: int) -> str:
    """Return `text`, shortened to about `size` bytes of UTF-8."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= size else raw[: size - 3].decode("utf-8", "ignore") + "..."
