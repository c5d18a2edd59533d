"""Imports and exports of a real PostgreSQL server as jobs: what stays of them, and no password."""

from __future__ import annotations

from pathlib import Path

from support.rooms import ENGINES, ended, eventually, settings
from support.servers import TestDatabase
from syntheflow_server.app import running
from syntheflow_server.connect.access import Connection, Secret
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.resources import JobState
from syntheflow_server.jobs.requests import GenerationSpec

SHOP = """
CREATE TABLE people (age integer, name varchar(40) NOT NULL);
CREATE TABLE pets (kind text);
INSERT INTO people SELECT n % 90, 'n' || n % 70 FROM generate_series(1, 4000) n;
INSERT INTO pets SELECT 'cat' FROM generate_series(1, 50);
"""
ALL = {"wanted": Wanted(), "options": ReadOptions()}
WISH = GenerationSpec(model="models/shop")


def at(folder: Path, real: TestDatabase, made: TestDatabase):
    """Starts a server that knows both databases by name; again if need be."""
    password = Secret(real.server.password)
    connections = {
        "real": Connection(url=real.url, password=password, read_only=True),
        "made": Connection(url=made.url, password=password),
    }
    return running(settings(folder, connections=connections), ENGINES)


def rows(database: TestDatabase) -> list[tuple[object, ...]]:
    query = "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM pets)"
    return [tuple(row) for row in database.rows(query)]


async def test_a_database_is_read_and_another_one_filled(
    postgresql, postgresql_database, tmp_path, monkeypatch, capfd
):
    postgresql_database.run(SHOP)
    with postgresql.new_database() as made:
        data = tmp_path / "data"
        async with at(data, postgresql_database, made) as server:
            service = server.service
            await eventually(lambda: server.readiness.ready)
            job = await service.import_dataset("real", dataset_id="shop", **ALL)
            last = await ended(service, job)
            assert (last.result, last.target) == ("datasets/shop", postgresql_database.url), (
                last.error
            )
            schema = (await service.get_dataset("datasets/shop")).data_schema
            assert schema.table("people").column("name").native_type == "character varying(40)"
            assert (await ended(service, await service.train("datasets/shop"))).result
        monkeypatch.setenv("TINY_UNIT_SECONDS", "0.3")
        async with at(data, postgresql_database, made) as server:
            service = server.service
            await eventually(lambda: server.readiness.ready)
            job = await service.export(WISH, "made")
            await eventually(lambda: server.runner.live(job.name).metrics.get("rows"))
            await service.cancel(job.name)
            assert (await ended(service, job)).state is JobState.CANCELLED
            tables = made.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            assert list(tables) == []
            job = await service.export(WISH, "made")
            await eventually(lambda: server.runner.live(job.name).metrics.get("rows"))
        monkeypatch.delenv("TINY_UNIT_SECONDS")
        async with at(data, postgresql_database, made) as server:
            last = await ended(server.service, await server.service.get_job(job.name))
            assert (last.state, last.result) == (JobState.SUCCEEDED, made.url), last.error
            assert rows(made) == [(4_000, 50)]
        kept = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
        told = "".join(capfd.readouterr())
        assert postgresql.password.encode() not in kept
        assert postgresql.password not in told
