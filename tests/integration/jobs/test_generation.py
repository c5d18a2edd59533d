"""Streams over the warm pool: in order, the same for all, resilient, and no faster than read."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import time
from contextlib import aclosing

import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from support.rooms import arrow, ended, eventually, streamed, upload
from syntheflow_server.domain.errors import (
    ExhaustedError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    UnavailableError,
    WorkerDiedError,
)
from syntheflow_server.jobs.requests import GenerationSpec, RowRange

pytestmark = pytest.mark.asyncio(loop_scope="module")


def spec(**changes) -> GenerationSpec:
    return GenerationSpec("models/shop", **{"seed": 3, **changes})


@pytest.fixture
def slow_units(rooms, monkeypatch):
    """Workers that take their time; the environment reaches only workers spawned after it."""
    monkeypatch.setenv("TINY_UNIT_SECONDS", "0.05")
    return respawned(rooms)


async def respawned(rooms) -> None:
    """Replace both workers, so that they see the environment of now."""
    await eventually(lambda: rooms.pool.warm == 2)
    old = rooms.pool.pids
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: rooms.pool.warm == 2 and not set(old) & set(rooms.pool.pids))


async def test_all_tables_come_whole_and_in_order(rooms):
    rows = {}
    async for chunk in rooms.service.generate(spec()):
        assert chunk.first_row == rows.get(chunk.table, 0)
        assert len(chunk.data) <= 3.5 * 2**20
        rows[chunk.table] = chunk.first_row + chunk.row_count
    assert rows == {"sales": 5_000, "places": 10}


async def test_the_bytes_do_not_depend_on_the_number_of_workers(rooms, start):
    expected = await streamed(rooms.service, spec(rows={"sales": 20_000}))
    async with start(workers=1) as other:
        model = await rooms.service.get_model("models/shop")
        other.blobs.path("models/shop").symlink_to(rooms.blobs.path("models/shop").absolute())
        other.documents.create(model)
        assert await streamed(other.service, spec(rows={"sales": 20_000})) == expected


async def test_a_stream_of_one_table_equals_its_part_of_the_whole(rooms):
    whole = await streamed(rooms.service, spec())
    assert await streamed(rooms.service, spec(tables=("places",))) == {"places": whole["places"]}


@pytest.mark.parametrize(("first", "count"), [(0, 1), (999, 2), (1_500, 2_000), (4_999, 1)])
async def test_a_window_holds_exactly_its_rows(rooms, first, count):
    whole = arrow((await streamed(rooms.service, spec()))["sales"])
    window = spec(range=RowRange("sales", first, count))
    part = arrow((await streamed(rooms.service, window))["sales"])
    assert part.equals(whole.slice(first, count))


async def test_a_window_without_a_count_goes_to_the_tables_end(rooms):
    whole = arrow((await streamed(rooms.service, spec()))["sales"])
    for first in (4_000, 5_000):
        window = spec(range=RowRange("sales", first, 0))
        assert arrow((await streamed(rooms.service, window))["sales"]).equals(whole.slice(first))


async def test_a_window_beyond_the_end_is_out_of_range(rooms):
    for window in (RowRange("sales", 5_001, 0), RowRange("sales", 4_999, 2)):
        with pytest.raises(OutOfRangeError):
            await streamed(rooms.service, spec(range=window))


async def test_every_format_holds_the_same_rows(rooms):
    made = {
        form: (await streamed(rooms.service, spec(format=form)))["sales"]
        for form in ("arrow", "csv", "json", "jsonl", "parquet")
    }
    expected = arrow(made["arrow"])
    assert expected.num_rows == 5_000
    assert pq.read_table(io.BytesIO(made["parquet"])).equals(expected)
    assert pa.csv.read_csv(io.BytesIO(made["csv"])).equals(expected)
    assert json.loads(made["json"]) == expected.to_pylist()
    assert [json.loads(line) for line in made["jsonl"].splitlines()] == expected.to_pylist()


async def test_a_table_without_rows_is_still_a_whole_file(rooms):
    made = {}
    for form in ("arrow", "csv", "json", "jsonl", "parquet"):
        nothing = spec(rows={"sales": 0}, tables=("sales",), format=form)
        made[form] = (await streamed(rooms.service, nothing)).get("sales", b"")
    assert arrow(made["arrow"]).num_rows == 0
    assert pq.read_table(io.BytesIO(made["parquet"])).num_rows == 0
    assert json.loads(made["json"]) == []
    assert made["csv"].split() == [b"n,name"]
    assert made["jsonl"] == b""


async def test_rows_are_counted_in_every_format(rooms):
    for form in ("arrow", "parquet", "json"):
        before = rooms.metrics.rows.labels(form)._value.get()
        await streamed(rooms.service, spec(format=form))
        assert rooms.metrics.rows.labels(form)._value.get() - before == 5_010


async def test_a_killed_worker_costs_no_row(rooms, slow_units):
    await slow_units
    wanted = spec(rows={"sales": 20_000}, tables=("sales",))
    expected = await streamed(rooms.service, wanted)
    parts = []
    async for chunk in rooms.service.generate(wanted):
        if chunk.first_row in {2_000, 9_000}:
            os.kill(rooms.pool.pids[0], signal.SIGKILL)
            await eventually(lambda: rooms.pool.warm >= 1)
        parts.append(chunk.data)
    assert b"".join(parts) == expected["sales"]
    await eventually(lambda: rooms.pool.warm == 2)


async def test_an_idle_worker_that_dies_is_replaced(rooms):
    await respawned(rooms)
    assert arrow((await streamed(rooms.service, spec()))["places"]).num_rows == 10


async def test_a_unit_that_kills_its_worker_once_is_made_again(rooms, monkeypatch, tmp_path):
    expected = await streamed(rooms.service, spec())
    monkeypatch.setenv("TINY_DEATHS", str(tmp_path))
    await respawned(rooms)
    (tmp_path / "2").write_text("1")
    assert await streamed(rooms.service, spec()) == expected


async def test_a_unit_that_kills_two_workers_ends_the_stream_with_an_error(
    rooms, monkeypatch, tmp_path
):
    monkeypatch.setenv("TINY_DEATHS", str(tmp_path))
    await respawned(rooms)
    (tmp_path / "2").write_text("2")
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        await streamed(rooms.service, spec())
    await eventually(lambda: rooms.pool.warm == 2)
    assert len(await streamed(rooms.service, spec())) == 2


async def test_a_slow_reader_moves_the_window_no_further_than_it_reads(rooms):
    unit_bytes: list[int] = []
    endless = spec(rows={"sales": 10**9}, tables=("sales",))
    front = psutil.Process()
    async with aclosing(rooms.service.generate(endless)) as stream:
        async for chunk in stream:
            if chunk.row_count:
                unit_bytes.append(len(chunk.data))
            if len(unit_bytes) == 5:
                break
        await asyncio.sleep(0.3)  # the window fills
        memory = front.memory_info().rss
        orders = next(rooms.pool._orders)
        await asyncio.sleep(1)
        assert next(rooms.pool._orders) == orders + 1, "units were ordered while nobody read"
        assert orders < 10_000_000
        assert front.memory_info().rss - memory < 8 * 2**20


async def test_the_time_of_slow_readers_is_counted(rooms):
    before = rooms.metrics.stall_seconds._value.get()
    async for _ in rooms.service.generate(spec(tables=("places",))):
        await asyncio.sleep(0.05)
    assert rooms.metrics.stall_seconds._value.get() - before >= 0.1


async def test_a_stream_that_is_left_stops_its_units(rooms):
    endless = spec(rows={"sales": 10**9}, tables=("sales",))
    async with aclosing(rooms.service.generate(endless)) as stream:
        async for chunk in stream:
            if chunk.row_count:
                break
    orders = next(rooms.pool._orders)
    await asyncio.sleep(0.3)
    assert next(rooms.pool._orders) == orders + 1
    assert rooms.metrics.active_streams._value.get() == 0


async def test_a_cancelled_wait_for_a_plan_stops_the_planning(rooms, monkeypatch):
    await streamed(rooms.service, spec())  # its plan is there from now on
    monkeypatch.setenv("TINY_PLAN_SECONDS", "60")
    await respawned(rooms)
    tasks = [asyncio.create_task(streamed(rooms.service, spec(seed=99))) for _ in range(2)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    monkeypatch.delenv("TINY_PLAN_SECONDS")
    # Cached plans need no planning; both workers must be free at once to serve them.
    began = time.monotonic()
    await asyncio.gather(*(streamed(rooms.service, spec()) for _ in range(2)))
    assert time.monotonic() - began < 20
    await respawned(rooms)


async def test_equal_requests_share_one_plan(rooms):
    wanted = spec(seed=1234)
    results = await asyncio.gather(*(streamed(rooms.service, wanted) for _ in range(4)))
    assert all(result == results[0] for result in results)
    files = list((rooms.settings.data_dir / "plans").iterdir())
    assert len(files) <= rooms.settings.cached_plans
    for seed in range(20):
        await streamed(rooms.service, spec(seed=seed, tables=("places",)))
    assert len(list((rooms.settings.data_dir / "plans").iterdir())) == rooms.settings.cached_plans


async def test_a_short_stream_does_not_wait_for_a_long_one(rooms, slow_units):
    await slow_units
    long = asyncio.create_task(
        streamed(rooms.service, spec(rows={"sales": 10**9}, tables=("sales",)))
    )
    await asyncio.sleep(0.3)
    orders = next(rooms.pool._orders)
    await streamed(rooms.service, spec(tables=("places",), seed=77))
    # Plan, selection and unit of the short one; each waits for its turn once at most.
    assert next(rooms.pool._orders) - orders < 20
    assert not long.done()
    long.cancel()
    await asyncio.gather(long, return_exceptions=True)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scale": 0.0}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"tables": ("none",)}, "tables"),
        ({"rows": {"none": 1}}, "rows"),
        ({"rows": {"sales": -1}}, "rows"),
        ({"rows": {"sales": 10**13}}, "rows"),
        ({"range": RowRange("none", 0, 1)}, "range"),
        ({"range": RowRange("sales", -1, 1)}, "range.start_row"),
        ({"range": RowRange("sales", 0, 1), "tables": ("sales",)}, "tables"),
        ({"format": "odt"}, "format"),
    ],
)
async def test_what_is_wrong_in_a_request_is_named(rooms, changes, field):
    with pytest.raises(InvalidArgumentError) as caught:
        await streamed(rooms.service, spec(**changes))
    assert caught.value.violations[0].field == field


async def test_an_unknown_model_is_not_found(rooms):
    with pytest.raises(NotFoundError):
        await streamed(rooms.service, GenerationSpec("models/none"))


async def test_a_model_is_not_deleted_under_a_stream(rooms):
    async with aclosing(rooms.service.generate(spec())) as stream:
        await anext(stream)
        with pytest.raises(FailedPreconditionError):
            await rooms.service.delete_model("models/shop")
    assert (await rooms.service.get_model("models/shop")).name == "models/shop"


async def test_too_many_streams_are_told_to_come_again(start, monkeypatch):
    async with start(max_active_streams=1, max_queued_streams=1, workers=1) as server:
        service = server.service
        await upload(service, "d", t=pa.table({"n": range(10)}))
        assert (await ended(service, await service.train("datasets/d"))).result == "models/d"
        small = GenerationSpec("models/d")
        async with aclosing(service.generate(small)) as active:
            await anext(active)
            waiting = asyncio.create_task(streamed(service, small))
            await eventually(lambda: server.metrics.queued_streams._value.get() == 1)
            with pytest.raises(ExhaustedError) as caught:
                await streamed(service, small)
            assert caught.value.retry_after_seconds > 0
            assert server.metrics.rejections.labels("streams_full")._value.get() == 1
        assert arrow((await waiting)["t"]).num_rows == 10
        await server.drain()
        with pytest.raises(UnavailableError):
            await streamed(service, small)
