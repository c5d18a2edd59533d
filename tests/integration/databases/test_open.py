"""Opening databases, and what is told when that fails."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from support.servers import TestDatabase, address_of
from syntheflow_server.connect.databases import database_error, open_database
from syntheflow_server.connect.secret import Secret
from syntheflow_server.domain.errors import FailedPreconditionError, SyntheflowError

SERVERS = pytest.mark.parametrize("kind", ["postgresql_database", "mariadb_database"])


@SERVERS
def test_a_server_s_database_is_reached_by_its_driver_and_by_sqlalchemy(
    kind: str, request: pytest.FixtureRequest
) -> None:
    given: TestDatabase = request.getfixturevalue(kind)

    with open_database(address_of(given)) as database:
        connection = database.connect()
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert tuple(cursor.fetchone()) == (1,)
        connection.close()
        with database.engine.connect() as made:
            assert made.exec_driver_sql("SELECT 2").scalar() == 2
    assert database.name == given.name


@SERVERS
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password": Secret("not-this-one")}, "LOGIN_REFUSED"),
        ({"user": "nobody_known"}, "LOGIN_REFUSED"),
        ({"port": 1}, "DATABASE_UNREACHABLE"),
        ({"name": "not_there"}, "DATABASE_MISSING"),
    ],
)
def test_what_fails_is_told_without_the_password(
    kind: str, wrong: dict[str, object], reason: str, request: pytest.FixtureRequest
) -> None:
    address = address_of(request.getfixturevalue(kind), **wrong)
    ways = ["connect", "connect_columnar"] if kind.startswith("postgresql") else ["connect"]

    for way in ways:
        with pytest.raises(FailedPreconditionError) as told:
            getattr(open_database(address), way)()
        assert told.value.reason == reason, way
        secret = address.password.reveal() if address.password else "?"
        assert secret not in f"{told.value!r} {told.value.metadata} {address!r}"
        assert told.value.__cause__ is None
    assert pickle.loads(pickle.dumps(address)) == address


@SERVERS
def test_a_broken_rule_is_named_and_its_value_is_not(
    kind: str, request: pytest.FixtureRequest
) -> None:
    given: TestDatabase = request.getfixturevalue(kind)
    given.run("CREATE TABLE person (email varchar(40) PRIMARY KEY)")
    given.run("INSERT INTO person VALUES ('ada@example.org')")

    with pytest.raises(Exception, match="ada@example") as raised:
        given.run("INSERT INTO person VALUES ('ada@example.org')")
    told = database_error(raised.value, place=address_of(given).place, doing="load")

    assert told.reason == "UNIQUE_BROKEN"
    assert "ada@" not in str(told)
    assert "cannot load" in told.message


def test_the_extra_with_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "oracledb", None)

    with pytest.raises(FailedPreconditionError, match=r"syntheflow\[server,oracle\]") as told:
        open_database(address_of("oracle://scott@127.0.0.1/XE"))
    assert told.value.reason == "DRIVER_MISSING"


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_a_file_that_is_no_database_is_told(scheme: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("nothing like a database, but long enough to be looked at " * 99)

    with (
        pytest.raises(SyntheflowError) as told,
        open_database(address_of(f"{scheme}://{path}")) as database,
        database.guarded("read"),
    ):
        database.connect().execute("SELECT * FROM t")
    assert told.value.reason == "DATABASE_DAMAGED"
