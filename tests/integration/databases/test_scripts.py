"""The programs that come with a database run our scripts, and the rows are the same."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.servers import TestDatabase, demand
from support.shop import NASTY, SHOP, shop_rows
from support.targets import files_of
from syntheflow_server.domain.writing import Dialect, WriteOptions
from syntheflow_server.export import Target
from syntheflow_server.export.ddl import quoted_name


def run_script(database: TestDatabase, file: Path) -> None:
    server = database.server
    at = ["-h", server.host, "-u" if server.dialect == "mysql" else "-U", server.user]
    if server.dialect == "postgresql":
        words = ["psql", *at, "-p", str(server.port), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        words += ["-d", database.name, "-f", str(file)]
    else:
        words = ["mariadb", *at, f"-P{server.port}", "--no-defaults", database.name]
        words.insert(1, words.pop(words.index("--no-defaults")))
    passwords = {"PGPASSWORD": server.password, "MYSQL_PWD": server.password}
    with file.open("rb") as script:
        done = subprocess.run(
            words, stdin=script, capture_output=True, check=False, env={**os.environ, **passwords}
        )
    assert done.returncode == 0, done.stderr.decode()


def shop_script(dialect: Dialect, tmp_path: Path, *, copy: bool = False) -> Path:
    options = WriteOptions(dialect=dialect, copy_rows=copy)
    target = Target(SHOP, SHOP.table_names, "shop", options)
    file = tmp_path / "shop.sql"
    file.write_bytes(files_of("sql", target, shop_rows(), tmp_path, 5)["shop.sql"])
    return file


def expected(kind: Dialect, table: pa.Table) -> list[tuple[Any, ...]]:
    rows = [tuple(row.values()) for row in table.to_pylist()]
    if kind is Dialect.POSTGRESQL:
        return [tuple(_in_postgresql(value) for value in row) for row in rows]
    return [tuple(_in_mysql(value) for value in row) for row in rows]


def _in_postgresql(value: Any) -> Any:
    """Return a value as pg8000 gives it: of spans, whose sign it loses, the size alone."""
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    return abs(value) if isinstance(value, dt.timedelta) else value


def _in_mysql(value: Any) -> Any:
    """Return what pymysql gives for a value: no zones, spans as text, times as spans."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, dt.time):
        return dt.timedelta(
            hours=value.hour,
            minutes=value.minute,
            seconds=value.second,
            microseconds=value.microsecond,
        )
    if isinstance(value, dt.timedelta):
        return {1: "-00:01:00"}.get(value < dt.timedelta(0), "30:00:00.000001")
    return value


@pytest.mark.parametrize(
    ("fixture", "copy"),
    [("postgresql_database", False), ("postgresql_database", True), ("mariadb_database", False)],
)
def test_a_real_server_gives_back_every_row(
    request: pytest.FixtureRequest, fixture: str, copy: bool, tmp_path: Path
) -> None:
    database: TestDatabase = request.getfixturevalue(fixture)
    dialect = Dialect(database.server.dialect)
    run_script(database, shop_script(dialect, tmp_path, copy=copy))
    for name, table in shop_rows().items():
        rows = database.rows(f"SELECT * FROM {quoted_name(dialect, name)}")
        given = expected(dialect, table)
        assert sorted(rows, key=repr) == sorted(given, key=repr)
    product, xmin = quoted_name(dialect, "Product"), quoted_name(dialect, "xmin")
    assert len(database.rows(f"SELECT {xmin} FROM {product}")) == len(NASTY)
    if dialect is Dialect.POSTGRESQL:
        spans = database.rows(f"SELECT DISTINCT extract(epoch FROM span)::text FROM {product}")
        assert set(spans) == {("108000.000001",), ("-60.000000",), (None,)}
    database.run(f"INSERT INTO {quoted_name(dialect, 'order')} (who) VALUES ('next')")
    assert database.rows(f"SELECT id FROM {quoted_name(dialect, 'order')} WHERE who = 'next'") == [
        (4,)
    ]


def test_a_script_that_fails_leaves_nothing_in_postgresql(
    postgresql_database: TestDatabase, tmp_path: Path
) -> None:
    file = shop_script(Dialect.POSTGRESQL, tmp_path)
    text = file.read_text().replace("VALUES\n(1,", "VALUES\n(1,1,", 1)
    file.write_text(text)
    with pytest.raises(AssertionError, match="ERROR"):
        run_script(postgresql_database, file)
    assert postgresql_database.rows(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    ) == [(0,)]


def test_the_program_sqlite3_gives_back_every_text(tmp_path: Path) -> None:
    import sqlite3

    demand("sqlite3", "sqlite3")
    file = shop_script(Dialect.SQLITE, tmp_path)
    with file.open("rb") as script:
        subprocess.run(["sqlite3", "-bail", tmp_path / "shop.db"], stdin=script, check=True)
    connection = sqlite3.connect(tmp_path / "shop.db")
    rows = connection.execute('SELECT text, exact FROM "Product" ORDER BY rowid').fetchall()
    connection.close()
    assert [row[0] for row in rows] == list(NASTY)
    assert decimal.Decimal(rows[0][1]) == shop_rows()["Product"]["exact"][0].as_py()
