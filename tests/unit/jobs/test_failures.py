from __future__ import annotations

import pytest

from syntheflow_server.domain import errors
from syntheflow_server.domain.errors import (
    InvalidArgumentError,
    SyntheflowError,
    Violation,
    WorkerDiedError,
)
from syntheflow_server.jobs.failures import caught, error_of, failure_of

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SyntheflowError) and kind is not SyntheflowError
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_the_domain_crosses_a_process_boundary_unchanged(kind):
    rule = Violation(field="f", rule="r", table="t", column="c")
    error = kind("words", reason="WHY", violations=(rule,), metadata={"table": "t"})
    back = error_of(caught(error).failure)
    assert type(back) is kind
    assert failure_of(back) == failure_of(error)


def test_an_unknown_error_shows_an_id_and_never_its_words():
    def read() -> None:
        raise ValueError("could not convert 'Mrs Secret' to int64")

    try:
        read()
    except ValueError as error:
        found = caught(error)
    incident = found.failure.metadata["incident"]
    assert incident in found.failure.message
    assert found.failure.code == "INTERNAL"
    assert found.trace[0] == "builtins.ValueError"
    assert any("in read" in line for line in found.trace)
    assert "Secret" not in repr(found)


def test_the_trace_follows_causes_even_in_a_circle():
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert caught(first).trace == ("builtins.ValueError", "builtins.KeyError")


def test_a_known_error_carries_no_trace():
    assert caught(InvalidArgumentError("words", reason="WHY")).trace == ()


def test_lack_of_memory_is_told_as_such():
    assert caught(MemoryError()).failure.reason == "OUT_OF_MEMORY"


def test_a_code_without_a_class_becomes_an_internal_error():
    failure = failure_of(WorkerDiedError("w", reason="X"))
    unknown = errors.Failure(code="NONSENSE", message=failure.message, reason="X")
    assert type(error_of(unknown)) is WorkerDiedError
