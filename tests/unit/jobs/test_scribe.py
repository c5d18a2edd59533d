"""A process that takes pieces and gives answers: in order, bounded, its failures told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import psutil
import pytest

from support import tasks
from syntheflow_server.domain.errors import InvalidArgumentError, WorkerDiedError
from syntheflow_server.jobs.scribe import Scribe

MIB = 1 << 20


@asynccontextmanager
async def scribe():
    made = Scribe(f"{tasks.__name__}:echo_desk", title="a test")
    made.start()
    try:
        yield made
    finally:
        await made.end()


async def test_answers_come_in_order_and_all_of_them_by_the_end():
    async with scribe() as desk:
        heard = []
        for number in range(20):
            heard += [a[:2] async for a in desk.take((number, number % 3, 10))]
        heard += [a[:2] async for a in desk.finish((20, 2, 10))]
    assert heard == [(n, turn) for n in range(21) for turn in range(2 if n == 20 else n % 3)]


async def test_a_slow_reader_holds_up_the_process_and_memory_stays_flat():
    async with scribe() as desk:
        child = max(psutil.Process().children(), key=lambda process: process.pid)
        count = 0
        async for _ in desk.finish((0, 60, 4 * MIB)):
            count += 1
            if count == 3:
                await asyncio.sleep(0.5)
                assert desk._child._inbox.qsize() <= 2
                assert child.memory_info().rss < 200 * MIB
        assert count == 60


async def test_large_pieces_and_large_answers_do_not_lock_each_other():
    async with scribe() as desk:
        for number in range(6):
            async for _ in desk.take((number, 2, 5 * MIB)):
                pass
        assert len([a async for a in desk.finish((6, 1, 5 * MIB))]) >= 1


async def test_rows_are_taken_while_the_process_is_busy_up_to_a_bound():
    async with scribe() as desk:
        async for _ in desk.finish((0, 1, 1)):  # it is up
            pass

        async def hand_over() -> None:
            async for _ in desk.take(tasks.Rows(bytes(4 * MIB), 60)):
                pass

        for _ in range(12):
            await hand_over()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hand_over(), 0.3)


async def test_a_refusal_arrives_as_raised():
    async with scribe() as desk:
        with pytest.raises(InvalidArgumentError, match="the rule"):
            async for _ in desk.finish("refuse"):
                pass


async def test_a_death_is_told():
    async with scribe() as desk:
        with pytest.raises(WorkerDiedError, match="a test died"):
            async for _ in desk.finish("die"):
                pass


async def test_an_end_in_the_middle_leaves_no_process():
    async with scribe() as desk:
        pid = desk._child.pid
        async for _ in desk.take((0, 50, MIB)):
            break
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
