"""The servers that the other tests here stand on."""

from __future__ import annotations

import pytest

from support.servers import TestDatabase


@pytest.mark.parametrize("kind", ["postgresql_database", "mariadb_database"])
def test_a_database_of_a_real_server_takes_scripts_and_answers(
    kind: str, request: pytest.FixtureRequest
) -> None:
    database: TestDatabase = request.getfixturevalue(kind)

    database.run("CREATE TABLE t (a integer); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);")

    assert database.rows("SELECT a FROM t ORDER BY a") == [(1,), (2,)]
    assert database.server.password not in database.url
