"""Imports and exports as jobs: progress, cancel, restarts, and nothing half-made."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from support.rooms import ENGINES, ended, eventually, settings, upload
from syntheflow_server.app import Server, running
from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.resources import Job, JobKind, JobState
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.jobs.requests import GenerationSpec, GivenRows, RowRange
from syntheflow_server.store.sql import SqlDocuments

ALL = {"wanted": Wanted(), "options": ReadOptions()}
SHOP = GenerationSpec(model="models/shop", format="parquet")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that servers may read and write."""
    made: Path = tmp_path_factory.mktemp("outside")
    return made


@pytest.fixture
def place(outside: Path) -> Path:
    """A folder of the test's own in it."""
    return Path(tempfile.mkdtemp(dir=outside))


@pytest.fixture(scope="module")
def slowly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], object]]:
    """Makes each unit of rows of all servers take two seconds, inside the `with` block."""
    manners = tmp_path_factory.mktemp("manners")
    said = manners / "TINY_UNIT_SECONDS"

    @contextmanager
    def slow() -> Iterator[None]:
        said.write_text("2")
        try:
            yield
        finally:
            said.unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINY_MANNERS", str(manners))
        yield slow


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, outside: Path, slowly: object
) -> AsyncIterator[Server]:
    """A server with a model `shop`, for tests that do not stop it."""
    del slowly  # its processes must know of it from the start
    chosen = settings(tmp_path_factory.mktemp("data"), allowed_folders=(outside,))
    async with running(chosen, ENGINES) as server:
        await eventually(lambda: server.readiness.ready)
        tables = {"sales": pa.table({"n": range(5_000)}), "places": pa.table({"p": range(10)})}
        await upload(server.service, "shop", **tables)
        job = await ended(server.service, await server.service.train("datasets/shop"))
        assert job.result == "models/shop", job.error
        yield server


@pytest.fixture
def begin(tmp_path: Path, outside: Path, slowly: object):
    """Starts a server of the test's own; again if need be."""
    del slowly

    def start():
        chosen = settings(tmp_path / "data", allowed_folders=(outside,), max_running_jobs=3)
        return running(chosen, ENGINES)

    return start


async def test_a_folder_becomes_a_dataset(server, place):
    (place / "people.csv").write_text("id;name\n1;Ann\n2;Bo\n", encoding="utf-8")
    pq.write_table(pa.table({"id": [1, 2, 3]}), place / "pets.parquet")
    job = await server.service.import_dataset(f"file://{place}", dataset_id="folder", **ALL)
    assert (job.kind, job.target) == (JobKind.IMPORT, f"file://{place}")
    states = [state async for state in server.service.watch(job.name)]
    last = states[-1]
    assert (last.state, last.result) == (JobState.SUCCEEDED, "datasets/folder"), last.error
    assert last.tables == {"people": 2, "pets": 3}
    assert [s.progress for s in states] == sorted(s.progress for s in states)
    dataset = await server.service.get_dataset("datasets/folder")
    assert {t.name: t.rows for t in dataset.tables} == {"people": 2, "pets": 3}
    with pytest.raises(AlreadyExistsError):
        await server.service.import_dataset(str(place), dataset_id="folder", **ALL)


async def test_a_file_that_cannot_be_read_leaves_no_dataset(server, place):
    (place / "good.csv").write_text("id\n1\n", encoding="utf-8")
    (place / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    job = await server.service.import_dataset(str(place), dataset_id="broken", **ALL)
    last = await ended(server.service, job)
    assert last.state is JobState.FAILED
    assert "bad" in last.error.message
    with pytest.raises(NotFoundError):
        await server.service.get_dataset("datasets/broken")
    # The id is free again.
    wanted = {"wanted": Wanted(tables=("good*",)), "options": ReadOptions()}
    job = await server.service.import_dataset(str(place), dataset_id="broken", **wanted)
    assert (await ended(server.service, job)).result == "datasets/broken"


@pytest.mark.parametrize("text", ["/etc", "sqlite:///etc/passwd", "postgresql://elsewhere/db"])
async def test_a_place_that_is_not_allowed_is_refused_at_once(server, text):
    before = list(server.documents.names(Job))
    with pytest.raises(FailedPreconditionError) as caught:
        await server.service.import_dataset(text, **ALL)
    assert caught.value.reason == "PLACE_NOT_ALLOWED"
    assert list(server.documents.names(Job)) == before


async def test_what_only_databases_can_do_is_refused_of_a_folder(server, place):
    wanted = Wanted(exclude=("a",), namespace="b", sample_rows=3)
    with pytest.raises(InvalidArgumentError) as caught:
        await server.service.import_dataset(str(place), wanted=wanted, options=ReadOptions())
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["exclude", "namespace", "sample_rows"]


async def test_files_are_written_whole_with_progress(server, place):
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


async def test_a_cancelled_export_leaves_nothing(server, place, slowly):
    with slowly():
        job = await server.service.export(SHOP, str(place / "out"))
        async for state in server.service.watch(job.name):
            if state.metrics.get("rows"):
                await server.service.cancel(job.name)
    assert state.state is JobState.CANCELLED
    assert [p for p in place.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
async def test_a_cancelled_or_failed_export_leaves_no_new_database_file(
    server, place, slowly, kind
):
    wish, target = GenerationSpec(model="models/shop"), f"{kind}://{place}/new.{kind}"
    with slowly():
        job = await server.service.export(wish, target)
        await eventually(lambda: server.runner.live(job.name).metrics.get("rows"))
        await server.service.cancel(job.name)
        assert (await ended(server.service, job)).state is JobState.CANCELLED
    assert list(place.iterdir()) == []
    job = await ended(
        server.service, await server.service.export(wish, target, mode=LoadMode.APPEND)
    )
    assert job.state is JobState.FAILED
    assert list(place.iterdir()) == []


async def test_faults_of_an_export_are_told_at_once(server, place):
    service, before = server.service, list(server.documents.names(Job))
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
    assert list(server.documents.names(Job)) == before


async def test_an_import_is_cancelled_like_any_job(server, place):
    (place / "people.csv").write_text("id\n1\n", encoding="utf-8")
    job = await server.service.import_dataset(str(place), dataset_id="late", **ALL)
    await server.service.cancel(job.name)
    assert (await ended(server.service, job)).state is JobState.CANCELLED
    await asyncio.sleep(0)
    with pytest.raises(NotFoundError):
        await server.service.get_dataset("datasets/late")


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


async def test_exports_go_on_begin_anew_or_are_given_up_when_the_server_is_back(
    begin, place, slowly
):
    make_base(place / "a.sqlite")
    wish = GenerationSpec(model="models/shop")
    targets = [f"sqlite://{place}/b.sqlite", f"sqlite://{place}/lost.sqlite"]
    async with begin() as server:
        service = server.service
        await eventually(lambda: server.readiness.ready)
        source = f"sqlite://{place}/a.sqlite"
        job = await service.import_dataset(source, dataset_id="shop", **ALL)
        last = await ended(service, job)
        assert last.tables == {"people": 5_000, "pets": 50}, last.error
        schema = (await service.get_dataset("datasets/shop")).data_schema
        assert schema.dialect == "sqlite"
        assert schema.table("people").column("name").native_type == "VARCHAR(40)"
        assert len(schema.table("pets").checks) == 1
        assert (await ended(service, await service.train("datasets/shop"))).result
        with slowly():
            base, lost = [await service.export(wish, target) for target in targets]
            files = await service.export(SHOP, str(place / "out"))
            for job in (base, lost, files):
                await eventually(lambda job=job: server.runner.live(job.name).metrics.get("rows"))
            await service.finish()
    assert counts(place / "lost.sqlite")["people"] < 5_000
    crash_again(server.settings.data_dir, lost.name)
    async with begin() as server:
        service = server.service
        given_up = await service.get_job(lost.name)
        assert (given_up.state, given_up.error.reason) == (JobState.FAILED, "SERVER_RESTARTED")
        assert not (place / "lost.sqlite").exists()
        last = await ended(service, await service.get_job(files.name))
        assert last.state is JobState.SUCCEEDED, last.error
        assert pq.read_table(place / "out" / "people.parquet").num_rows == 5_000
        last = await ended(service, await service.get_job(base.name))
        assert (last.state, last.result) == (JobState.SUCCEEDED, targets[0]), last.error
        full = {"people": 5_000, "pets": 50}
        assert counts(place / "b.sqlite") == full
        refused = await ended(service, await service.export(wish, targets[0]))
        assert refused.state is JobState.FAILED
        assert counts(place / "b.sqlite") == full


def crash_again(data: Path, name: str) -> None:
    """Leave a job as a server does that crashes for the third time."""
    store = SqlDocuments.in_file(data / "metadata.sqlite")
    left = {"state": JobState.RUNNING, "interruptions": 2}
    store.replace(store.get(Job, name).model_copy(update=left))
    store.close()
