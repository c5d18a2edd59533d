"""Imports and exports as jobs: progress, cancel, restarts, and nothing half-made."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from support.rooms import ENGINES, ended, eventually, settings, upload
from syntheflow_server.app import running
from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.resources import JobKind, JobState
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.jobs.requests import GenerationSpec, GivenRows, RowRange

ALL = {"wanted": Wanted(), "options": ReadOptions()}
SHOP = GenerationSpec(model="models/shop", format="parquet")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest.fixture
def begin(tmp_path: Path, place: Path):
    """Starts a server that may read and write the folder; again if need be."""

    def start():
        return running(settings(tmp_path / "data", allowed_folders=(place,)), ENGINES)

    return start


async def shop(server) -> None:
    await eventually(lambda: server.readiness.ready)
    tables = {"sales": pa.table({"n": range(5_000)}), "places": pa.table({"p": range(10)})}
    await upload(server.service, "shop", **tables)
    job = await ended(server.service, await server.service.train("datasets/shop"))
    assert job.result == "models/shop", job.error


async def test_a_folder_becomes_a_dataset(begin, place):
    (place / "people.csv").write_text("id;name\n1;Ann\n2;Bo\n", encoding="utf-8")
    pq.write_table(pa.table({"id": [1, 2, 3]}), place / "pets.parquet")
    async with begin() as server:
        job = await server.service.import_dataset(f"file://{place}", dataset_id="shop", **ALL)
        assert (job.kind, job.target) == (JobKind.IMPORT, f"file://{place}")
        states = [state async for state in server.service.watch(job.name)]
        last = states[-1]
        assert (last.state, last.result) == (JobState.SUCCEEDED, "datasets/shop"), last.error
        assert last.tables == {"people": 2, "pets": 3}
        assert [s.progress for s in states] == sorted(s.progress for s in states)
        dataset = await server.service.get_dataset("datasets/shop")
        assert {t.name: t.rows for t in dataset.tables} == {"people": 2, "pets": 3}
        with pytest.raises(AlreadyExistsError):
            await server.service.import_dataset(str(place), dataset_id="shop", **ALL)


async def test_a_file_that_cannot_be_read_leaves_no_dataset(begin, place):
    (place / "good.csv").write_text("id\n1\n", encoding="utf-8")
    (place / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    async with begin() as server:
        job = await server.service.import_dataset(str(place), dataset_id="shop", **ALL)
        last = await ended(server.service, job)
        assert last.state is JobState.FAILED
        assert "bad" in last.error.message
        with pytest.raises(NotFoundError):
            await server.service.get_dataset("datasets/shop")
        # The id is free again.
        wanted = {"wanted": Wanted(tables=("good*",)), "options": ReadOptions()}
        job = await server.service.import_dataset(str(place), dataset_id="shop", **wanted)
        assert (await ended(server.service, job)).result == "datasets/shop"


@pytest.mark.parametrize("text", ["/etc", "sqlite:///etc/passwd", "postgresql://elsewhere/db"])
async def test_a_place_that_is_not_allowed_is_refused_at_once(begin, text):
    async with begin() as server:
        with pytest.raises(FailedPreconditionError) as caught:
            await server.service.import_dataset(text, **ALL)
        assert caught.value.reason == "PLACE_NOT_ALLOWED"
        assert not (await server.service.list_jobs()).items


async def test_what_only_databases_can_do_is_refused_of_a_folder(begin, place):
    wanted = Wanted(exclude=("a",), namespace="b", sample_rows=3)
    async with begin() as server:
        with pytest.raises(InvalidArgumentError) as caught:
            await server.service.import_dataset(str(place), wanted=wanted, options=ReadOptions())
        fields = [violation.field for violation in caught.value.violations]
        assert fields == ["exclude", "namespace", "sample_rows"]


async def test_files_are_written_whole_with_progress(begin, place):
    async with begin() as server:
        await shop(server)
        out = place / "out"
        job = await server.service.export(SHOP, f"file://{out}")
        last = await ended(server.service, job)
        assert (last.state, last.result) == (JobState.SUCCEEDED, f"file://{out}"), last.error
        assert last.tables == {"sales": 5_000, "places": 10}
        assert last.metrics["rows"] == 5_010
        assert "2 files" in last.notes[0]
        assert pq.read_table(out / "sales.parquet").num_rows == 5_000
        again = await ended(server.service, await server.service.export(SHOP, str(out)))
        assert again.state is JobState.FAILED
        assert again.error.reason == "FILE_EXISTS"
        changed = GenerationSpec(model="models/shop", format="csv", rows={"sales": 7})
        job = await server.service.export(changed, str(out), mode=LoadMode.REPLACE)
        assert (await ended(server.service, job)).state is JobState.SUCCEEDED
        assert pc.read_csv(out / "sales.csv").num_rows == 7


async def test_a_cancelled_export_leaves_nothing(begin, place, monkeypatch):
    async with begin() as server:
        await shop(server)
    monkeypatch.setenv("TINY_UNIT_SECONDS", "0.3")
    async with begin() as server:
        await eventually(lambda: server.readiness.ready)
        out = place / "out"
        job = await server.service.export(SHOP, str(out))
        async for state in server.service.watch(job.name):
            if state.metrics.get("rows"):
                await server.service.cancel(job.name)
        assert state.state is JobState.CANCELLED
        assert list(place.rglob("*.parquet")) == []
        assert [p for p in place.rglob("*") if p.is_file()] == []


async def test_an_export_begins_anew_when_the_server_is_back(begin, place, monkeypatch):
    async with begin() as server:
        await shop(server)
    monkeypatch.setenv("TINY_UNIT_SECONDS", "0.3")
    async with begin() as server:
        await eventually(lambda: server.readiness.ready)
        job = await server.service.export(SHOP, str(place / "out"))
        await eventually(lambda: server.runner.live(job.name).metrics.get("rows"))
    monkeypatch.delenv("TINY_UNIT_SECONDS")
    async with begin() as server:
        last = await ended(server.service, await server.service.get_job(job.name))
        assert last.state is JobState.SUCCEEDED, last.error
        assert pq.read_table(place / "out" / "sales.parquet").num_rows == 5_000


async def test_faults_of_an_export_are_told_at_once(begin, place):
    async with begin() as server:
        await shop(server)
        service = server.service
        given = (GivenRows("sales", b"arrow"),)
        inline = GenerationSpec(model="models/shop", completions=given)
        with pytest.raises(InvalidArgumentError, match="must name datasets"):
            await service.export(inline, str(place))
        with pytest.raises(InvalidArgumentError, match="not appended"):
            await service.export(SHOP, str(place), mode=LoadMode.APPEND)
        window = GenerationSpec(model="models/shop", range=RowRange("sales", 0, 3))
        with pytest.raises(InvalidArgumentError, match="window"):
            await service.export(window, f"sqlite://{place}/new.sqlite")
        with pytest.raises(NotFoundError):
            await service.export(GenerationSpec(model="models/none"), str(place))
        with pytest.raises(InvalidArgumentError, match="password"):
            await service.export(SHOP, "postgresql://u:p@h/d")
        assert not [j for j in (await service.list_jobs()).items if j.kind is JobKind.EXPORT]


async def test_an_import_is_cancelled_like_any_job(begin, place):
    (place / "people.csv").write_text("id\n1\n", encoding="utf-8")
    async with begin() as server:
        job = await server.service.import_dataset(str(place), dataset_id="shop", **ALL)
        await server.service.cancel(job.name)
        assert (await ended(server.service, job)).state is JobState.CANCELLED
        await asyncio.sleep(0)
        with pytest.raises(NotFoundError):
            await server.service.get_dataset("datasets/shop")


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as base:
        found = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {t: base.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for (t,) in found}


def make_base(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "CREATE TABLE people (age INTEGER, name VARCHAR(40) NOT NULL);"
            "CREATE TABLE pets (kind TEXT CHECK (kind <> ''));"
        )
        people = [(n % 90, f"n{n % 70}") for n in range(5_000)]
        base.executemany("INSERT INTO people VALUES (?, ?)", people)
        base.executemany("INSERT INTO pets VALUES (?)", [("cat",), ("dog",)] * 25)
        base.commit()


async def test_a_database_comes_as_declared_and_is_filled_on_where_it_was(
    begin, place, monkeypatch
):
    make_base(place / "a.sqlite")
    target = place / "b.sqlite"
    async with begin() as server:
        await eventually(lambda: server.readiness.ready)
        source = f"sqlite://{place}/a.sqlite"
        job = await server.service.import_dataset(source, dataset_id="shop", **ALL)
        last = await ended(server.service, job)
        assert last.tables == {"people": 5_000, "pets": 50}, last.error
        schema = (await server.service.get_dataset("datasets/shop")).data_schema
        assert schema.dialect == "sqlite"
        assert schema.table("people").column("name").native_type == "VARCHAR(40)"
        assert len(schema.table("pets").checks) == 1
        assert (await ended(server.service, await server.service.train("datasets/shop"))).result
    monkeypatch.setenv("TINY_UNIT_SECONDS", "0.3")
    wish = GenerationSpec(model="models/shop")
    async with begin() as server:
        await eventually(lambda: server.readiness.ready)
        # Cancelled, it leaves no table.
        job = await server.service.export(wish, f"sqlite://{target}")
        await eventually(lambda: server.runner.live(job.name).metrics.get("rows"))
        await server.service.cancel(job.name)
        assert (await ended(server.service, job)).state is JobState.CANCELLED
        assert counts(target) == {}
        # Stopped, it goes on after the next start.
        job = await server.service.export(wish, f"sqlite://{target}")
        await eventually(lambda: server.runner.live(job.name).metrics.get("rows"))
    monkeypatch.delenv("TINY_UNIT_SECONDS")
    async with begin() as server:
        last = await ended(server.service, await server.service.get_job(job.name))
        assert (last.state, last.result) == (JobState.SUCCEEDED, f"sqlite://{target}"), last.error
        assert counts(target) == {"people": 5_000, "pets": 50}
        refused = await ended(
            server.service, await server.service.export(wish, f"sqlite://{target}")
        )
        assert refused.state is JobState.FAILED
        assert counts(target) == {"people": 5_000, "pets": 50}
