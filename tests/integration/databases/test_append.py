"""Rows added by an export to tables that hold rows: keys never meet, references resolve."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from support.rooms import ended, eventually, settings
from support.servers import TestDatabase
from syntheflow_server.app import Server, running
from syntheflow_server.connect.access import Connection, Secret
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.resources import Job, JobState
from syntheflow_server.domain.writing import LoadMode
from syntheflow_server.jobs import growing
from syntheflow_server.jobs.requests import GenerationSpec

SHOP = """
CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  email TEXT NOT NULL,
  country TEXT NOT NULL REFERENCES countries (code)
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  ordered_on DATE NOT NULL
);
CREATE TABLE lines (
  order_id INTEGER NOT NULL REFERENCES orders (id),
  line INTEGER NOT NULL,
  amount NUMERIC(10, 2) NOT NULL,
  PRIMARY KEY (order_id, line)
);
"""
COUNTS = {"countries": 3, "customers": 100, "orders": 300, "lines": 600}
LOST = """
SELECT (SELECT count(*) FROM orders o LEFT JOIN customers c ON c.id = o.customer_id
        WHERE c.id IS NULL),
       (SELECT count(*) FROM lines l LEFT JOIN orders o ON o.id = l.order_id WHERE o.id IS NULL)
"""
Counts = dict[str, int]


def make_shop(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.executescript(SHOP)
        codes = ["DE", "FR", "US"]
        base.executemany("INSERT INTO countries VALUES (?, ?)", [(c, f"Land {c}") for c in codes])
        base.executemany(
            "INSERT INTO customers VALUES (?, ?, ?)",
            [(n, f"person{n}@mail.example", codes[n % 3]) for n in range(1, 101)],
        )
        base.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [(n, 1 + n % 100, f"2024-{1 + n % 12:02}-11") for n in range(1, 301)],
        )
        base.executemany(
            "INSERT INTO lines VALUES (?, ?, ?)",
            [(1 + n % 300, 1 + n // 300, f"{n % 97}.25") for n in range(600)],
        )


class Home:
    """A database to be filled, of either kind."""

    def __init__(self, kind: str, target: str, database: TestDatabase | Path) -> None:
        self.kind, self.target, self._database = kind, target, database

    def rows(self, query: str) -> list[tuple[object, ...]]:
        if isinstance(self._database, TestDatabase):
            return [tuple(row) for row in self._database.rows(query)]
        with closing(sqlite3.connect(self._database)) as base:
            return base.execute(query).fetchall()

    def counts(self) -> Counts:
        return {t: int(str(self.rows(f"SELECT count(*) FROM {t}")[0][0])) for t in COUNTS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("append")
    return made


@pytest.fixture(scope="module")
def filled(postgresql):
    with postgresql.new_database() as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(filled: TestDatabase, folder: Path) -> AsyncIterator[Server]:
    """A server that has learned the shop, its countries kept as they are."""
    make_shop(folder / "shop.sqlite")
    password = Secret(filled.server.password)
    chosen = settings(
        folder / "data",
        allowed_folders=(folder,),
        connections={"made": Connection(url=filled.url, password=password)},
    )
    async with running(chosen) as server:
        service = server.service
        await eventually(lambda: server.readiness.ready, within=60)
        job = await service.import_dataset(
            f"sqlite://{folder}/shop.sqlite",
            dataset_id="shop",
            wanted=Wanted(),
            options=ReadOptions(),
        )
        assert (await ended(service, job)).result == "datasets/shop"
        job = await service.train("datasets/shop", time_limit_seconds=4, keep=("countries",))
        last = await ended(service, job)
        assert last.result == "models/shop", last.error
        yield server


@pytest.fixture(params=["postgresql", "sqlite"], scope="module")
def home(request, filled, folder) -> Home:
    if request.param == "postgresql":
        return Home("postgresql", "made", filled)
    return Home("sqlite", f"sqlite://{folder}/made.sqlite", folder / "made.sqlite")


async def export(server: Server, home: Home, mode: LoadMode, **wishes: object) -> Job:
    spec = GenerationSpec(model="models/shop", **wishes)
    return await ended(server.service, await server.service.export(spec, home.target, mode=mode))


@pytest.mark.asyncio(loop_scope="module")
async def test_rows_are_added_again_and_again(server, home):
    first = await export(server, home, LoadMode.CREATE)
    assert first.state is JobState.SUCCEEDED, first.error
    before = home.counts()
    for _ in range(2):  # with the same seed: left alone, its keys would be those of the first time
        last = await export(server, home, LoadMode.APPEND, scale=0.5)
        assert last.state is JobState.SUCCEEDED, last.error
        after = home.counts()
        assert after["countries"] == 3
        assert after["customers"] == before["customers"] + 50
        assert after["orders"] > before["orders"] + 100
        assert after["lines"] > before["lines"] + 200
        assert home.rows(LOST) == [(0, 0)]
        assert any("countries" in note and "kept as it is" in note for note in last.notes)
        before = after


@pytest.mark.asyncio(loop_scope="module")
async def test_rows_of_one_table_refer_to_those_that_are_there(server, home):
    before = home.counts()
    wish = {"tables": ("orders", "lines"), "rows": {"orders": 40}}
    last = await export(server, home, LoadMode.APPEND, seed=9, **wish)
    assert last.state is JobState.SUCCEEDED, last.error
    after = home.counts()
    assert after["customers"] == before["customers"]
    assert after["orders"] == before["orders"] + 40
    assert home.rows(LOST) == [(0, 0)]


@pytest.mark.asyncio(loop_scope="module")
async def test_too_many_rows_are_refused_before_anything_is_made(server, home, monkeypatch):
    before = home.counts()
    monkeypatch.setattr(growing, "MOST_ROWS", 20)
    last = await export(server, home, LoadMode.APPEND)
    assert last.state is JobState.FAILED
    assert last.error.reason == "EXISTING_TOO_MANY"
    assert "holds" in last.error.message
    assert home.counts() == before
