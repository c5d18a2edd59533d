from __future__ import annotations

import pytest

from support import tasks
from syntheflow_server.domain.errors import InvalidArgumentError, WorkerDiedError
from syntheflow_server.jobs.process import run_process

TASKS = tasks.__name__


async def run(task: str, *arguments, **changes):
    return await run_process(
        f"{TASKS}:{task}", *arguments, **{"title": "a test", "threads": 1, **changes}
    )


async def test_a_result_and_its_progress_come_back():
    seen = []
    outcome = await run("double", 21, on_progress=seen.append)
    assert outcome.value == 42
    assert [progress.stage for progress in seen] == ["doubling"]
    assert outcome.peak_memory_bytes > 5 * 2**20


async def test_peak_memory_is_that_of_the_process_itself():
    ballast = bytearray(300 * 2**20)
    assert (await run("double", 1)).peak_memory_bytes < 150 * 2**20
    assert (await run("hold", 200 * 2**20)).peak_memory_bytes > 200 * 2**20
    del ballast


async def test_an_error_of_the_domain_arrives_as_raised():
    with pytest.raises(InvalidArgumentError, match="the rule") as caught:
        await run("refuse")
    assert caught.value.violations[0].column == "c"


async def test_another_error_arrives_without_its_words():
    with pytest.raises(WorkerDiedError, match="internal error") as caught:
        await run("leak")
    assert "Secret" not in str(caught.value)


async def test_a_result_that_cannot_cross_is_an_error_and_no_hang():
    with pytest.raises(WorkerDiedError, match="internal error"):
        await run("unpicklable")


@pytest.mark.parametrize(("how", "words"), [("kill", "SIGKILL"), ("leave", "exit status 7")])
async def test_a_death_is_told_with_its_kind(how, words):
    with pytest.raises(WorkerDiedError, match=words):
        await run(how)


async def test_threads_and_signals_are_set_before_the_task_runs():
    threads, ignores_stop = (await run("manners", threads=3)).value
    assert threads == "3"
    assert ignores_stop
