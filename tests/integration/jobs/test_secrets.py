"""No password appears in jobs, errors, logs or anything kept, whether things go well or not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from support.rooms import ENGINES, ended, eventually, settings
from support.s3 import SECRET, Store, connection_to
from support.servers import PASSWORD, TestDatabase
from syntheflow_server.app import running
from syntheflow_server.connect.access import Connection
from syntheflow_server.domain.errors import SyntheflowError
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.resources import JobState
from syntheflow_server.jobs.requests import GenerationSpec
from syntheflow_server.telemetry.logs import configure_logs

_WRONG = "wrong-password-4Kd"
_TYPED = "typed-password-8Lm"
_SECRETS = (PASSWORD, SECRET, _WRONG, _TYPED)


@pytest.fixture
def _logs_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def _kept(folder: Path) -> list[str]:
    """Files below `folder` that hold one of the secrets, in their names or in themselves."""
    words = [secret.encode() for secret in _SECRETS]
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and any(word in path.read_bytes() or word in str(path).encode() for word in words)
    ]


@pytest.mark.usefixtures("_logs_restored")
async def test_no_password_is_shown_or_kept(
    tmp_path: Path,
    s3: Store,
    postgresql_database: TestDatabase,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logs("json", "debug")  # every line of every library, as one who looks for a fault
    postgresql_database.run(
        "CREATE TABLE people (id int PRIMARY KEY, name text); "
        "INSERT INTO people SELECT n, 'name ' || n FROM generate_series(1, 200) n;"
    )
    url = postgresql_database.url
    connections = {
        "good": Connection(url=url, password=PASSWORD),
        "wrong": Connection(url=url.replace("@", "2@"), password=_WRONG),
        "store": connection_to(s3, "out"),
        "gone": connection_to(Store(s3.port, "no-such-bucket"), "out"),
    }
    told: list[str] = []
    chosen = settings(tmp_path / "data", connections=connections)
    async with running(chosen, ENGINES) as server:
        service = server.service
        await eventually(lambda: server.readiness.ready)

        async def done(job, state: JobState) -> None:
            async for seen in service.watch(job.name):
                told.append(seen.model_dump_json() + repr(seen))
            assert seen.state is state, seen.error

        reading = {"wanted": Wanted(), "options": ReadOptions()}
        await done(await service.import_dataset("good", dataset_id="shop", **reading), _DONE)
        await done(await service.import_dataset("wrong", dataset_id="no", **reading), _FAILED)
        await ended(service, await service.train("datasets/shop"))
        spec = GenerationSpec(model="models/shop", format="csv", rows={"people": 50})
        await done(await service.export(spec, "store"), _DONE)
        await done(await service.export(spec, "gone"), _FAILED)
        typed = f"postgresql://ann:{_TYPED}@127.0.0.1/x"
        for begin in (service.import_dataset(typed, **reading), service.export(spec, typed)):
            with pytest.raises(SyntheflowError) as refused:
                await begin
            assert refused.value.reason == "PASSWORD_IN_URL"
            told.append(f"{refused.value!r} {refused.value.violations} {refused.value.metadata}")
        told.append(repr(server.settings) + server.settings.model_dump_json())
        assert s3.keys() == {"out/people.csv": len(s3.read("out/people.csv"))}
        told.append(s3.read("out/people.csv").decode())
        told.append(repr((await service.get_dataset("datasets/shop")).model_dump()))
    logged = "".join(capfd.readouterr())
    assert "debug" in logged, "there are logs to look at"
    told.append(logged)
    assert not [secret for secret in _SECRETS for text in told if secret in text]
    assert _kept(tmp_path) == []
    assert any((tmp_path / "data").rglob("*.parquet")), "something was kept to look at"


_DONE, _FAILED = JobState.SUCCEEDED, JobState.FAILED
