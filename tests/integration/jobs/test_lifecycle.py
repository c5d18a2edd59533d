"""Start, stop, crash and start again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pyarrow as pa
import pytest

from support.rooms import ended, eventually, upload
from syntheflow_server.domain.errors import FailedPreconditionError
from syntheflow_server.domain.resources import JobState
from syntheflow_server.jobs.process import run_process


async def test_a_second_server_on_the_same_directory_is_refused(start):
    async with start():
        with pytest.raises(FailedPreconditionError, match=f"process {os.getpid()}"):
            async with start():
                pass


async def test_a_stopped_server_fails_its_jobs_and_says_so(start, monkeypatch):
    monkeypatch.setenv("TINY_FIT_SECONDS", "60")
    async with start() as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        jobs = [await server.service.train("datasets/d") for _ in range(2)]
        async for state in server.service.watch(jobs[0].name):
            if state.progress > 0:
                break
    async with start() as server:
        for job in jobs:
            last = await server.service.get_job(job.name)
            assert last.state is JobState.FAILED
            assert last.error.reason == "SERVER_RESTARTED"


async def test_jobs_that_a_crash_left_running_are_failed_at_the_start(start, monkeypatch):
    monkeypatch.setenv("TINY_FIT_SECONDS", "60")
    async with start() as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        job = await server.service.train("datasets/d")
        async for state in server.service.watch(job.name):
            if state.progress > 0:
                break
        # What a crash leaves: the document as it was, folders without a document, half files.
        left = server.documents.get(type(job), job.name)
        await server.service.cancel(job.name)
        await ended(server.service, job)
        server.documents.replace(left)
        server.blobs.path("models/half").mkdir()
        (server.blobs.path("models/half") / "weights").write_bytes(b"half")
        staging = server.settings.data_dir / "blobs" / ".staging"
        (staging / "upload").mkdir()
        (staging / "upload" / "people.csv").write_text("private")
    async with start() as server:
        last = await server.service.get_job(job.name)
        assert (last.state, last.error.reason) == (JobState.FAILED, "SERVER_RESTARTED")
        assert "start it again" in last.error.message
        assert not server.blobs.path("models/half").exists()
        assert not list(staging.iterdir())
        assert (await server.service.get_dataset("datasets/d")).tables[0].rows == 10


async def test_all_processes_are_gone_when_the_server_has_stopped(start):
    async with start() as server:
        await eventually(lambda: server.pool.warm == 2)
        pids = server.pool.pids
    assert not any(map(psutil.pid_exists, pids))


FRONT = """
import asyncio, sys
from pathlib import Path
from support.rooms import ENGINES, settings, upload, eventually
from syntheflow_server.app import running
import pyarrow as pa
async def main():
    async with running(settings(Path(sys.argv[1])), ENGINES) as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        job = await server.service.train("datasets/d")
        async for state in server.service.watch(job.name):
            if state.progress > 0 and server.pool.warm == 2:
                print("at work", flush=True)
asyncio.run(main())
"""


def test_workers_die_with_a_killed_front(tmp_path):
    environment = {**os.environ, "TINY_FIT_SECONDS": "60", "PYTHONPATH": "tests"}
    with subprocess.Popen(
        [sys.executable, "-c", FRONT, tmp_path / "data"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as front:
        for line in front.stdout:
            if "at work" in line:
                break
        family = psutil.Process(front.pid).children(recursive=True)
        assert len([p for p in family if "spawn_main" in " ".join(p.cmdline())]) >= 3
        front.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


async def test_a_process_that_is_cancelled_is_gone_at_once():
    task = asyncio.create_task(
        run_process("time:sleep", title="sleep", threads=1),
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
