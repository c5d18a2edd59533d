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
from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    UnavailableError,
)
from syntheflow_server.domain.resources import Job, JobState
from syntheflow_server.jobs.process import run_process
from syntheflow_server.store.sql import SqlDocuments


async def test_a_second_server_on_the_same_directory_is_refused(start):
    async with start():
        with pytest.raises(FailedPreconditionError, match=f"process {os.getpid()}"):
            async with start():
                pass


async def begun(server, dataset: str = "d", **settings) -> Job:
    """A training that is at work."""
    job = await server.service.train(f"datasets/{dataset}", **settings)
    async for state in server.service.watch(job.name):
        if state.progress > 0:
            return state
    raise AssertionError("the job ended before it was at work")


async def test_a_stopped_server_fails_what_it_cannot_resume_and_says_so(start, monkeypatch):
    async with start() as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        await ended(server.service, await server.service.train("datasets/d"))
        # Both wait for the same place, so that one is queued.
        jobs = [await server.service.validate("models/d") for _ in range(2)]
    async with start() as server:
        for job in jobs:
            last = await server.service.get_job(job.name)
            assert last.state is JobState.FAILED
            assert last.error.reason == "SERVER_RESTARTED"


async def test_trainings_go_on_when_their_stopped_server_starts_again(start, monkeypatch):
    monkeypatch.setenv("TINY_FIT_SECONDS", "60")
    monkeypatch.setenv("TINY_CHECKPOINTS", "1")
    async with start() as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        jobs = [await begun(server, model_id="first"), await server.service.train("datasets/d")]
        watched = server.service.watch(jobs[0].name)
        await anext(watched)
        await server.service.finish()
        with pytest.raises(UnavailableError, match="goes on"):
            async for _ in watched:
                pass
        for job in jobs:
            paused = await server.service.get_job(job.name)
            assert (paused.state, paused.end_time) == (JobState.QUEUED, None)
    monkeypatch.setenv("TINY_FIT_SECONDS", "0")
    async with start() as server:
        for job, begins in zip(jobs, (2, 1), strict=True):
            last = await ended(server.service, job)
            assert last.state is JobState.SUCCEEDED, last.error
            assert last.interruptions == 0
            model = await server.service.get_model(last.result)
            assert model.tables[0].epochs == begins
        assert last.result == "models/d"
        first = await server.service.get_job(jobs[0].name)
        assert first.start_time == jobs[0].start_time
        assert not list((server.settings.data_dir / "checkpoints").iterdir())


async def test_a_resumed_training_still_holds_what_it_reads_and_makes(start, monkeypatch):
    monkeypatch.setenv("TINY_FIT_SECONDS", "60")
    async with start() as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        job = await begun(server)
    async with start() as server:
        with pytest.raises(FailedPreconditionError):
            await server.service.delete_dataset("datasets/d")
        with pytest.raises(AlreadyExistsError):
            await server.service.train("datasets/d", model_id="d")
        await server.service.cancel(job.name)
        assert (await ended(server.service, job)).state is JobState.CANCELLED


async def test_a_training_whose_server_keeps_crashing_is_given_up(start, monkeypatch):
    monkeypatch.setenv("TINY_FIT_SECONDS", "60")
    async with start() as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        job = await begun(server)
        folder = server.settings.data_dir / "checkpoints" / "left-by-another"
        folder.mkdir()
    for crash in range(1, 4):
        async with start() as server:
            assert not folder.exists()
            live = await server.service.get_job(job.name)
            assert (live.state.ended, live.interruptions) == (False, crash - 1)
        async with start() as server:  # stopped in good order: no crash
            paused = await server.service.get_job(job.name)
            assert paused.interruptions == crash - 1
        crashed = paused.model_copy(update={"state": JobState.RUNNING})
        store = SqlDocuments.in_file(server.settings.data_dir / "metadata.sqlite")
        store.replace(crashed)
        store.close()
    async with start() as server:
        last = await server.service.get_job(job.name)
        assert (last.state, last.error.reason) == (JobState.FAILED, "SERVER_RESTARTED")
        assert await server.service.delete_dataset("datasets/d") is None


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
        server.documents.replace(left.model_copy(update={"order": None}))
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
