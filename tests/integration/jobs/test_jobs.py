"""Jobs: queue, progress, cancel, death; and the datasets and reports around them."""

from __future__ import annotations

import asyncio
import signal
import time

import psutil
import pyarrow as pa
import pytest

from support.rooms import ended, eventually, upload
from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    ExhaustedError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from syntheflow_server.domain.resources import Job, JobState
from syntheflow_server.store.etag import etag_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
DATASET = "datasets/shop"


def training_processes(rooms) -> list[psutil.Process]:
    """Children of the front that are neither sampling workers nor the resource tracker."""
    return [
        child
        for child in psutil.Process().children()
        if child.pid not in rooms.pool.pids and "spawn_main" in " ".join(child.cmdline())
    ]


async def at_work(rooms, job: Job) -> Job:
    async for state in rooms.service.watch(job.name):
        if state.progress > 0:
            return state
        assert not state.state.ended, state.error
    raise AssertionError("the job ended before it was at work")


@pytest.fixture
def long_fits(monkeypatch):
    monkeypatch.setenv("TINY_FIT_SECONDS", "60")


async def test_a_training_tells_its_progress_and_names_its_model(rooms, monkeypatch):
    monkeypatch.setenv("TINY_FIT_SECONDS", "1.2")
    job = await rooms.service.train(DATASET, model_id="progress", seed=5)
    assert job.state is JobState.QUEUED
    states = [state async for state in rooms.service.watch(job.name)]
    fractions = [state.progress for state in states]
    assert fractions == sorted(fractions)
    assert len(states) > 6
    last = states[-1]
    assert (last.state, last.progress, last.result) == (
        JobState.SUCCEEDED,
        1.0,
        "models/progress",
    )
    assert last.create_time <= last.start_time <= last.end_time
    assert 10 * 2**20 < last.metrics["peak_memory_bytes"] < 2 * 2**30
    assert last.metrics["train_loss"] > 0
    assert await rooms.service.get_job(job.name) == last
    model = await rooms.service.get_model("models/progress")
    assert (model.seed, model.dataset, model.engine) == (5, DATASET, "neural")
    assert model.bytes > 0
    assert [card.table for card in model.tables] == ["sales", "places"]
    assert set(model.versions) >= {"syntheflow", "torch", "python"}


async def test_progress_is_written_down_while_a_job_works(rooms, long_fits):
    job = await rooms.service.train(DATASET)
    await at_work(rooms, job)
    await eventually(lambda: rooms.documents.get(Job, job.name).progress > 0)
    listed = (await rooms.service.list_jobs()).items[0]
    assert (listed.name, listed.state) == (job.name, JobState.RUNNING)
    await rooms.service.cancel(job.name)
    await ended(rooms.service, job)


async def test_a_cancelled_training_ends_at_once_and_leaves_nothing(rooms, long_fits):
    job = await rooms.service.train(DATASET, model_id="never")
    await at_work(rooms, job)
    began = time.monotonic()
    await rooms.service.cancel(job.name)
    last = await ended(rooms.service, job)
    assert time.monotonic() - began < 20  # of 60
    assert (last.state, last.error, last.result) == (JobState.CANCELLED, None, "")
    assert not training_processes(rooms)
    assert not list((rooms.settings.data_dir / "blobs" / ".staging").iterdir())
    with pytest.raises(NotFoundError):
        await rooms.service.get_model("models/never")
    assert (await rooms.service.cancel(job.name)) == last


async def test_a_killed_training_is_a_failed_job_that_says_how_it_died(rooms, long_fits):
    job = await rooms.service.train(DATASET, model_id="never")
    await at_work(rooms, job)
    for process in training_processes(rooms):
        process.send_signal(signal.SIGKILL)
    last = await ended(rooms.service, job)
    assert last.state is JobState.FAILED
    assert last.error is not None
    assert (last.error.code, last.error.reason) == ("INTERNAL", "WORKER_DIED")
    assert "SIGKILL" in last.error.message
    assert rooms.metrics.worker_deaths.labels("job")._value.get() >= 1


async def killed_at_work(rooms, job: Job) -> None:
    async for state in rooms.service.watch(job.name):
        assert not state.state.ended, state.error
        if state.stage.startswith("step"):
            break
    for process in training_processes(rooms):
        process.send_signal(signal.SIGKILL)


async def test_a_killed_training_goes_on_from_its_checkpoint_once(rooms, long_fits, monkeypatch):
    monkeypatch.setenv("TINY_CHECKPOINTS", "1")
    job = await rooms.service.train(DATASET, model_id="resumed")
    await at_work(rooms, job)
    monkeypatch.setenv("TINY_FIT_SECONDS", "0")
    await killed_at_work(rooms, job)
    last = await ended(rooms.service, job)
    assert (last.state, last.result) == (JobState.SUCCEEDED, "models/resumed")
    assert (await rooms.service.get_model("models/resumed")).tables[0].epochs == 2
    assert not list((rooms.settings.data_dir / "checkpoints").iterdir())


async def test_a_training_whose_checkpoint_is_of_no_use_begins_anew(rooms, long_fits, monkeypatch):
    monkeypatch.setenv("TINY_CHECKPOINTS", "1")
    job = await rooms.service.train(DATASET, model_id="anew")
    await at_work(rooms, job)
    (rooms.settings.data_dir / "checkpoints" / job.name[5:] / "begun").write_text("-1")
    monkeypatch.setenv("TINY_FIT_SECONDS", "0")
    await killed_at_work(rooms, job)
    assert (await ended(rooms.service, job)).error is None
    assert (await rooms.service.get_model("models/anew")).tables[0].epochs == 1


async def test_a_training_that_dies_twice_has_failed(rooms, long_fits, monkeypatch):
    monkeypatch.setenv("TINY_CHECKPOINTS", "1")
    job = await rooms.service.train(DATASET, model_id="never")
    await killed_at_work(rooms, job)
    async for state in rooms.service.watch(job.name):
        if "resumed" in state.stage:
            break
    await killed_at_work(rooms, job)
    last = await ended(rooms.service, job)
    assert (last.state, last.error.reason) == (JobState.FAILED, "WORKER_DIED")
    assert not list((rooms.settings.data_dir / "checkpoints").iterdir())


async def test_a_model_says_how_it_was_trained(rooms):
    job = await rooms.service.train(
        DATASET, model_id="private", rare_holders=5, epsilon=2.0, delta=1e-6, time_limit_seconds=60
    )
    await ended(rooms.service, job)
    model = await rooms.service.get_model("models/private")
    assert model.settings == {
        "seed": "0",
        "holdout_share": "0.1",
        "time_limit": "60s",
        "rare_holders": "5",
        "privacy.epsilon": "2.0",
        "privacy.delta": "1e-06",
    }
    assert model.tables[0].privacy[0].epsilon == 2.0
    assert model.base_model == ""


async def test_a_training_may_start_from_an_earlier_model_of_the_same_tables(rooms, long_fits):
    job = await rooms.service.train(DATASET, model_id="later", base_model="models/shop")
    with pytest.raises(FailedPreconditionError):
        await rooms.service.delete_model("models/shop")
    await rooms.service.cancel(job.name)
    await ended(rooms.service, job)


async def test_a_model_names_the_one_that_it_started_from(rooms):
    job = await rooms.service.train(DATASET, model_id="later", base_model="models/shop")
    assert (await ended(rooms.service, job)).error is None
    later = await rooms.service.get_model("models/later")
    assert later.base_model == "models/shop"
    assert later.tables[0].stopped == "knew 5000 rows"


async def test_a_base_that_does_not_fit_is_refused_with_table_and_column(rooms):
    await upload(rooms.service, "other", sales=pa.table({"n": ["a", "b"], "more": [1, 2]}))
    with pytest.raises(InvalidArgumentError) as caught:
        await rooms.service.train("datasets/other", base_model="models/shop")
    named = {(fault.table, fault.column) for fault in caught.value.violations}
    assert named == {("places", ""), ("sales", "n"), ("sales", "name"), ("sales", "more")}
    with pytest.raises(InvalidArgumentError, match="cannot go with privacy"):
        await rooms.service.train(DATASET, base_model="models/shop", epsilon=1.0)
    with pytest.raises(NotFoundError):
        await rooms.service.train(DATASET, base_model="models/none")


async def test_a_waiting_job_can_be_cancelled_before_it_starts(rooms, long_fits):
    first = await rooms.service.train(DATASET)
    second = await rooms.service.train(DATASET)
    assert {job.state for job in (first, second)} == {JobState.QUEUED}
    await rooms.service.cancel(second.name)
    assert (await ended(rooms.service, second)).state is JobState.CANCELLED
    await rooms.service.cancel(first.name)
    assert (await ended(rooms.service, first)).state is JobState.CANCELLED


async def test_one_training_works_at_a_time_and_the_next_follows(rooms, long_fits, monkeypatch):
    first = await rooms.service.train(DATASET)
    await at_work(rooms, first)
    monkeypatch.setenv("TINY_FIT_SECONDS", "0")
    second = await rooms.service.train(DATASET, model_id="second")
    await asyncio.sleep(0.3)
    assert (await rooms.service.get_job(second.name)).state is JobState.QUEUED
    assert rooms.metrics.jobs.labels("train", "queued")._value.get() == 1
    await rooms.service.cancel(first.name)
    assert (await ended(rooms.service, second)).state is JobState.SUCCEEDED


async def test_too_many_jobs_are_told_to_come_again(start, long_fits):
    async with start(max_queued_jobs=1, workers=1) as server:
        await upload(server.service, "d", t=pa.table({"n": range(10)}))
        jobs = [await server.service.train("datasets/d") for _ in range(2)]
        with pytest.raises(ExhaustedError) as caught:
            await server.service.train("datasets/d")
        assert caught.value.retry_after_seconds > 0
        assert len((await server.service.list_jobs()).items) == 2
        for job in jobs:
            await server.service.cancel(job.name)


async def test_a_model_without_an_id_is_called_after_its_dataset_and_numbered(rooms, long_fits):
    jobs = [await rooms.service.train(DATASET) for _ in range(2)]
    made = [rooms.service._claims._claims[job.name].makes for job in jobs]
    assert len(set(made)) == 2
    assert all(name.startswith("models/shop-") for name in made)
    with pytest.raises(AlreadyExistsError):
        await rooms.service.train(DATASET, model_id=made[0].removeprefix("models/"))
    with pytest.raises(AlreadyExistsError):
        await rooms.service.train(DATASET, model_id="shop")
    for job in jobs:
        await rooms.service.cancel(job.name)
        await ended(rooms.service, job)


async def test_what_a_job_reads_is_not_deleted_under_it(rooms, long_fits):
    job = await rooms.service.train(DATASET)
    with pytest.raises(FailedPreconditionError) as caught:
        await rooms.service.delete_dataset(DATASET)
    assert caught.value.metadata["job"] == job.name
    with pytest.raises(FailedPreconditionError):
        await rooms.service.delete_job(job.name)
    await rooms.service.cancel(job.name)
    await ended(rooms.service, job)
    await rooms.service.delete_job(job.name)
    with pytest.raises(NotFoundError):
        await rooms.service.get_job(job.name)


async def test_a_retried_request_gets_the_first_answer(rooms, monkeypatch):
    both = await asyncio.gather(
        *(rooms.service.train(DATASET, model_id="once", request_id="r1") for _ in range(2))
    )
    assert both[0].name == both[1].name
    last = await ended(rooms.service, both[0])
    assert last.result == "models/once"
    assert await rooms.service.train(DATASET, model_id="once", request_id="r1") == last
    with pytest.raises(InvalidArgumentError) as caught:
        await rooms.service.train(DATASET, model_id="twice", request_id="r1")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    for _ in range(2):
        await rooms.service.delete_model("models/once", request_id="r2")
    with pytest.raises(NotFoundError):
        await rooms.service.delete_model("models/once", request_id="r3")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"engine": "magic"}, "engine"),
        ({"holdout_share": 0.6}, "holdout_share"),
        ({"time_limit_seconds": 0.0}, "time_limit"),
        ({"rare_holders": 0}, "rare_holders"),
        ({"epsilon": 0.0}, "privacy.epsilon"),
        ({"epsilon": 1.0, "delta": 1.0}, "privacy.delta"),
        ({"delta": 1e-6}, "privacy.delta"),
        ({"model_id": "No Such Id"}, "model_id"),
    ],
)
async def test_what_is_wrong_in_a_training_is_named(rooms, changes, field):
    with pytest.raises(InvalidArgumentError) as caught:
        await rooms.service.train(DATASET, **changes)
    assert caught.value.violations[0].field == field


async def test_a_model_whose_dataset_is_gone_cannot_be_validated(rooms):
    data = pa.table({"n": range(20)})
    await upload(rooms.service, "brief", t=data)
    assert (await ended(rooms.service, await rooms.service.train("datasets/brief"))).result
    await rooms.service.delete_dataset("datasets/brief")
    with pytest.raises(FailedPreconditionError):
        await rooms.service.validate("models/brief")
    await upload(rooms.service, "brief", t=data)  # another one of the same name is not the same
    with pytest.raises(FailedPreconditionError):
        await rooms.service.validate("models/brief")


async def test_an_upload_is_all_or_nothing(rooms):
    dataset = await upload(rooms.service, "people", t=pa.table({"n": range(30)}))
    assert [(t.name, t.rows, t.file_name) for t in dataset.tables] == [("t", 30, "t.parquet")]
    with pytest.raises(AlreadyExistsError):
        await upload(rooms.service, "people", t=pa.table({"n": range(30)}))
    with pytest.raises(AlreadyExistsError):
        await rooms.service.precheck_upload("people", "")
    with pytest.raises(InvalidArgumentError):
        await upload(rooms.service, "empty")
    with pytest.raises(NotFoundError):
        await rooms.service.get_dataset("datasets/empty")
    assert not list((rooms.settings.data_dir / "blobs" / ".staging").iterdir())


async def test_an_upload_whose_caller_leaves_leaves_nothing(rooms):
    task = asyncio.create_task(upload(rooms.service, "left", t=pa.table({"n": range(30)})))
    await eventually(lambda: training_processes(rooms))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not training_processes(rooms)
    assert not list((rooms.settings.data_dir / "blobs" / ".staging").iterdir())
    assert not rooms.blobs.path("datasets/left").exists()


async def test_a_retried_upload_gets_the_first_dataset(rooms):
    table = pa.table({"n": range(30)})
    first = await upload(rooms.service, "", "u1", t=table)
    assert await upload(rooms.service, "", "u1", t=table) == first
    with pytest.raises(InvalidArgumentError):
        await upload(rooms.service, "", "u1", t=pa.table({"n": range(31)}))


async def test_a_schema_is_edited_against_its_etag(rooms):
    dataset = await upload(rooms.service, "edited", t=pa.table({"a": ["1", "2"], "b": [1, 2]}))
    table = dataset.data_schema.tables[0]
    column = table.columns[0].model_copy(update={"type": "int64"})
    new = table.model_copy(update={"columns": (column, table.columns[1])})
    schema = dataset.data_schema.model_copy(update={"tables": (new,)})
    edited = await rooms.service.update_schema(dataset.name, schema, etag_of(dataset))
    assert edited.data_schema == schema
    assert edited.update_time > dataset.update_time
    assert rooms.blobs.tables(edited)["t"].column("a").to_pylist() == [1, 2]
    with pytest.raises(ConflictError):
        await rooms.service.update_schema(dataset.name, schema, etag_of(dataset))
    less = table.model_copy(update={"columns": table.columns[:1]})
    with pytest.raises(InvalidArgumentError) as caught:
        await rooms.service.update_schema(
            dataset.name, schema.model_copy(update={"tables": (less,)})
        )
    assert (caught.value.violations[0].table, caught.value.violations[0].column) == ("t", "b")


async def test_watching_an_ended_job_yields_its_last_state_once(rooms):
    job = await ended(rooms.service, await rooms.service.train(DATASET))
    assert [state async for state in rooms.service.watch(job.name)] == [job]


async def test_unknown_names_are_not_found_and_bad_names_are_invalid(rooms):
    with pytest.raises(NotFoundError):
        await rooms.service.cancel("jobs/none")
    with pytest.raises(NotFoundError):
        await rooms.service.train("datasets/none")
    with pytest.raises(InvalidArgumentError):
        await rooms.service.get_dataset("models/shop")
