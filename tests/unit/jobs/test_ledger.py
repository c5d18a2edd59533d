from __future__ import annotations

import asyncio

import pytest

from syntheflow_server.domain.errors import ConflictError, InvalidArgumentError
from syntheflow_server.domain.resources import Job
from syntheflow_server.jobs.ledger import Ledger
from syntheflow_server.store.memory import MemoryDocuments


@pytest.fixture
def documents():
    return MemoryDocuments()


def job(name: str) -> Job:
    return Job.model_validate(
        {"name": name, "create_time": "2026-01-01T00:00:00Z", "kind": "train", "target": "d"}
    )


class Verb:
    """Makes a document a call; counts its calls."""

    def __init__(self, documents, delay: float = 0.0) -> None:
        self.documents, self.delay, self.calls = documents, delay, 0

    async def act(self, note):
        self.calls += 1
        name = f"jobs/{self.calls}"
        await asyncio.sleep(self.delay)
        self.documents.create(job(name), entry=note(name))
        return name

    async def again(self, name):
        return name


async def test_without_an_id_every_request_is_done(documents):
    verb, ledger = Verb(documents), Ledger(documents)
    for _ in range(2):
        await ledger.once("v", "", {}, act=verb.act, again=verb.again)
    assert verb.calls == 2


async def test_a_retry_gets_the_first_answer_also_from_a_new_ledger(documents):
    verb = Verb(documents)
    for _ in range(2):
        ledger = Ledger(documents)
        assert await ledger.once("v", "r", [1], act=verb.act, again=verb.again) == "jobs/1"
    assert verb.calls == 1


async def test_retries_at_the_same_time_are_done_once(documents):
    verb, ledger = Verb(documents, 0.02), Ledger(documents)
    answers = await asyncio.gather(
        *(ledger.once("v", "r", [1], act=verb.act, again=verb.again) for _ in range(5))
    )
    assert answers == ["jobs/1"] * 5
    assert verb.calls == 1


async def test_another_body_under_the_same_id_is_refused(documents):
    verb, ledger = Verb(documents, 0.02), Ledger(documents)
    first = asyncio.create_task(ledger.once("v", "r", [1], act=verb.act, again=verb.again))
    await asyncio.sleep(0.01)
    for _ in range(2):
        with pytest.raises(InvalidArgumentError):
            await ledger.once("v", "r", [2], act=verb.act, again=verb.again)
        await first


async def test_a_request_that_failed_may_be_tried_again(documents):
    ledger = Ledger(documents)

    async def fail(_note):
        raise ConflictError("no", reason="NO")

    verb = Verb(documents)
    with pytest.raises(ConflictError):
        await ledger.once("v", "r", [1], act=fail, again=verb.again)
    assert await ledger.once("v", "r", [1], act=verb.act, again=verb.again) == "jobs/1"


async def test_a_caller_that_leaves_does_not_halve_a_change(documents):
    verb, ledger = Verb(documents, 0.02), Ledger(documents)
    caller = asyncio.create_task(ledger.once("v", "r", [1], act=verb.act, again=verb.again))
    await asyncio.sleep(0.01)
    caller.cancel()
    await ledger.finish()
    assert documents.get(Job, "jobs/1")
    assert await ledger.once("v", "r", [1], act=verb.act, again=verb.again) == "jobs/1"


async def test_cancellable_work_stops_with_its_caller_and_others_are_told(documents):
    verb, ledger = Verb(documents, 5), Ledger(documents)

    def begin():
        return asyncio.create_task(
            ledger.once("v", "r", [1], act=verb.act, again=verb.again, cancellable=True)
        )

    first = begin()
    await asyncio.sleep(0.01)
    second = begin()
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(ConflictError):
        await second
    assert list(documents.names(Job)) == []
