from __future__ import annotations

import asyncio
from contextlib import aclosing

from syntheflow_server.jobs.readiness import Readiness


async def test_a_watcher_sees_the_value_now_and_every_change():
    readiness = Readiness()
    async with aclosing(readiness.watch()) as values:
        assert await anext(values) is False
        following = asyncio.ensure_future(anext(values))
        await asyncio.sleep(0)
        readiness.set(ready=False, reason="still not")
        await asyncio.sleep(0)
        assert not following.done()
        readiness.set(ready=True)
        assert await following is True
        assert readiness.reason == ""


async def test_a_draining_server_is_never_ready_again():
    readiness = Readiness()
    readiness.set(ready=True)
    readiness.drain()
    readiness.set(ready=True)
    assert (readiness.ready, readiness.draining) == (False, True)
    assert "stopping" in readiness.reason
