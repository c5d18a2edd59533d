from __future__ import annotations

import asyncio

import pytest

from syntheflow_server.jobs.turns import Item, Turns


def item(stream: int, task: str) -> Item:
    return Item(stream, task, asyncio.get_running_loop().create_future())


async def taken(turns: Turns, count: int) -> list[str]:
    return [(await turns.get()).task for _ in range(count)]


async def test_streams_take_turns_whatever_they_have_waiting():
    turns = Turns()
    for number in range(4):
        turns.put(item(1, f"long {number}"))
    turns.put(item(2, "short 0"))
    turns.put(item(3, "other 0"))
    turns.put(item(3, "other 1"))
    assert await taken(turns, 7) == [
        "long 0",
        "short 0",
        "other 0",
        "long 1",
        "other 1",
        "long 2",
        "long 3",
    ]


async def test_a_task_put_back_comes_before_the_others_of_its_stream():
    turns = Turns()
    turns.put(item(1, "b"))
    turns.put(item(1, "a"), front=True)
    assert await taken(turns, 2) == ["a", "b"]


async def test_a_wait_ends_when_a_task_comes_and_a_cancelled_wait_loses_none():
    turns = Turns()
    given_up = asyncio.create_task(turns.get())
    waiting = asyncio.create_task(turns.get())
    await asyncio.sleep(0)
    given_up.cancel()
    turns.put(item(1, "a"))
    assert (await asyncio.wait_for(waiting, 1)).task == "a"
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_drain_takes_out_everything():
    turns = Turns()
    for stream in (1, 1, 2):
        turns.put(item(stream, "x"))
    assert len(turns.drain()) == 3
    assert turns.drain() == []
