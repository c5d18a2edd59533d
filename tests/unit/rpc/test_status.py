"""Every error becomes a status with ErrorInfo, small enough to travel."""

from __future__ import annotations

import pytest
from google.rpc import code_pb2, error_details_pb2

from syntheflow_server.domain import errors
from syntheflow_server.domain.errors import SyntheflowError, Violation
from syntheflow_server.rpc.status import status_of_error

CLASSES = [
    kind for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SyntheflowError) and kind is not SyntheflowError
]  # fmt: skip


def detail(status, kind):
    found = [d for d in status.details if d.Is(kind.DESCRIPTOR)]
    assert len(found) <= 1
    return kind.FromString(found[0].value) if found else None


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_domain_error_has_its_code_and_error_info(kind):
    status = status_of_error(kind("What to do.", reason="WHY", metadata={"table": "people"}))
    assert code_pb2.Code.Name(status.code) == kind.code
    assert status.message == "What to do."
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (info.domain, info.reason, dict(info.metadata)) == (
        "syntheflow",
        "WHY",
        {"table": "people"},
    )


def test_broken_rules_become_a_bad_request():
    error = errors.InvalidArgumentError(
        "No.", reason="R", violations=(Violation("seed", "seed must not be negative"),)
    )
    found = detail(status_of_error(error), error_details_pb2.BadRequest)
    assert [(v.field, v.description) for v in found.field_violations] == [
        ("seed", "seed must not be negative")
    ]


def test_a_missing_resource_is_named():
    found = detail(
        status_of_error(errors.NotFoundError.of("models/hr")), error_details_pb2.ResourceInfo
    )
    assert (found.resource_type, found.resource_name) == ("syntheflow.v1.Model", "models/hr")


def test_exhaustion_says_when_to_ask_again():
    error = errors.ExhaustedError("Full.", reason="FULL", retry_after_seconds=1.5)
    found = detail(status_of_error(error), error_details_pb2.RetryInfo)
    assert (found.retry_delay.seconds, found.retry_delay.nanos) == (1, 500_000_000)


def test_a_failed_precondition_names_its_subject():
    error = errors.FailedPreconditionError(
        "A job reads it.", reason="IN_USE", metadata={"resource": "datasets/hr"}
    )
    found = detail(status_of_error(error), error_details_pb2.PreconditionFailure)
    assert [(v.type, v.subject) for v in found.violations] == [("IN_USE", "datasets/hr")]


def test_a_thousand_long_violations_still_fit_the_trailer_and_are_counted():
    violations = tuple(Violation(f"f{n}" * 99, "ü" * 999) for n in range(1_000))
    facts = {f"k{n}": "v" * 999 for n in range(99)}
    error = errors.InvalidArgumentError(
        "ü" * 9_000, reason="R", violations=violations, metadata=facts
    )
    status = status_of_error(error)
    on_the_wire = 3 * len(status.message.encode()) + 4 * status.ByteSize() // 3
    assert on_the_wire < 8_000
    told = detail(status, error_details_pb2.BadRequest).field_violations
    assert told[-1].description == f"and {1_000 - (len(told) - 1)} more"
