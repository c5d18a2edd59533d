"""What the databases' own programs dump reads as the database itself does."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support.rental import POSTGRESQL
from support.servers import TestDatabase, address_of, demand
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.ingest import IngestedTable, ingest
from syntheflow_server.ingest.databases import read_database

SHOP = """
CREATE TABLE land (code char(2) NOT NULL, name varchar(40), PRIMARY KEY (code), UNIQUE (name));
CREATE TABLE buyer (id int NOT NULL AUTO_INCREMENT, land char(2), credit decimal(10,2) NOT NULL,
  seen datetime(6), born date, open time, ok tinyint(1) NOT NULL, big bigint unsigned, share double,
  note longtext, picture blob, PRIMARY KEY (id), FOREIGN KEY (land) REFERENCES land (code));
INSERT INTO land VALUES ('DE', 'it''s; "D"'), ('FR', NULL), ('X', 'a\\\\b\\n(c), ');
INSERT INTO buyer (land, credit, seen, born, open, ok, big, share, note, picture) VALUES
  ('DE', 1.50, '2024-01-02 03:04:05.5', '1990-01-02', '23:59:59', 1, 18446744073709551615, 0.1,
   'a\\tb', 0x00ff27),
  (NULL, -2, NULL, NULL, NULL, 0, 1, NULL, '', NULL),
  ('FR', 3, '2024-01-02', '1990-01-02', '00:00:01', 0, NULL, 1e300, 'NULL', '');
"""


def dumped(database: TestDatabase, file: Path, *words: str) -> Path:
    server = database.server
    at = ["-h", server.host, "-u" if server.dialect == "mysql" else "-U", server.user]
    if server.dialect == "mysql":
        command = ["mariadb-dump", "--no-defaults", *at, f"-P{server.port}"]
    else:
        command = ["pg_dump", *at, "-p", str(server.port)]
    demand(command[0], "mariadb-client" if server.dialect == "mysql" else "postgresql-client")
    passwords = {"PGPASSWORD": server.password, "MYSQL_PWD": server.password}
    with file.open("wb") as script:
        subprocess.run(
            [*command, *words, database.name],
            stdout=script,
            check=True,
            env={**os.environ, **passwords},
        )
    return file


def read(file: Path, **options: Any) -> dict[str, IngestedTable]:
    out = file.with_suffix(".out")
    out.mkdir()
    made = ingest(
        file, file_name=file.name, table="x", format=None, out=out, options=ReadOptions(**options)
    )
    return {table.name: table for table in made}


def assert_same(dump: dict[str, IngestedTable], database: dict[str, IngestedTable]) -> None:
    assert set(dump) == set(database)
    for name, table in dump.items():
        other = database[name]
        rows, others = (pq.read_table(t.path) for t in (table, other))
        assert rows.schema.equals(others.schema), name
        assert sorted(map(repr, rows.to_pylist())) == sorted(map(repr, others.to_pylist()))
        assert table.hint is not None
        assert other.hint is not None
        assert table.hint.columns == other.hint.columns
        assert table.hint.primary_key == other.hint.primary_key
        assert set(table.hint.unique_keys) == set(other.hint.unique_keys)
        assert sorted(table.hint.checks) == sorted(other.hint.checks)
        assert set(table.references) == set(other.references)
        assert table.dialect == other.dialect


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "database"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("words", [(), ("--inserts",), ("--column-inserts", "--rows-per-insert=7")])
def test_a_dump_of_postgresql_reads_as_the_database(
    postgresql_database: TestDatabase, tmp_path: Path, home: Path, words: tuple[str, ...]
) -> None:
    more = """
    CREATE TABLE span (id int PRIMARY KEY, length interval, seen timestamptz, numbers int[]);
    INSERT INTO span VALUES (1, '1 year 2 mons -3 days 04:05:06.7', 'infinity', '{1,NULL,{}}'),
      (2, '-00:00:00.000001', '2024-01-02', '{}'), (3, '-1 mon +2 days -04:05', NULL, NULL),
      (4, '1000:00:00', '1970-01-01 00:00:00.5+03', '{-5}');"""
    postgresql_database.run(POSTGRESQL + more.replace("{1,NULL,{}}", "{1,NULL,7}"))
    made = read(dumped(postgresql_database, tmp_path / "dump.sql", *words))
    wanted = Wanted(namespace="public")
    found = read_database(address_of(postgresql_database), wanted, home, lambda *_: None)
    entry = made.pop("entry")
    assert entry.rows == 10
    assert [str(r) for r in entry.references] == ["entry(staff_id) -> staff(staff_id)"]
    assert_same(made, {table.name: table for table in found})


@pytest.mark.parametrize(
    "words",
    [(), ("--skip-extended-insert",), ("--hex-blob", "--skip-quote-names", "--skip-add-locks")],
)
def test_a_dump_of_mariadb_reads_as_the_database(
    mariadb_database: TestDatabase, tmp_path: Path, home: Path, words: tuple[str, ...]
) -> None:
    mariadb_database.run(SHOP)
    made = read(dumped(mariadb_database, tmp_path / "dump.sql", *words))
    found = read_database(address_of(mariadb_database), Wanted(), home, lambda *_: None)
    assert_same(made, {table.name: table for table in found})


def test_rows_without_their_definition_are_refused(
    mariadb_database: TestDatabase, tmp_path: Path
) -> None:
    mariadb_database.run(SHOP)
    file = dumped(mariadb_database, tmp_path / "dump.sql", "--no-create-info")
    with pytest.raises(InvalidArgumentError, match="dump the tables' definitions too"):
        read(file)
    file = dumped(mariadb_database, tmp_path / "b.sql", "--no-create-info", "--complete-insert")
    assert read(file)["land"].rows == 3


def test_tables_of_one_name_in_two_schemas_are_told_apart(
    postgresql_database: TestDatabase, tmp_path: Path
) -> None:
    postgresql_database.run("""
    CREATE SCHEMA old; CREATE TABLE buyer (id int PRIMARY KEY);
    CREATE TABLE old.buyer (id int PRIMARY KEY, now int REFERENCES public.buyer);
    CREATE TABLE old.note (buyer int REFERENCES old.buyer);
    INSERT INTO buyer VALUES (1); INSERT INTO old.buyer VALUES (7, 1), (8, 1);
    INSERT INTO old.note VALUES (8);""")
    file = dumped(postgresql_database, tmp_path / "dump.sql")
    made = read(file)
    assert {name: table.rows for name, table in made.items()} == {
        "public.buyer": 1,
        "old.buyer": 2,
        "note": 1,
    }
    assert [str(r) for r in made["note"].references] == ["note(buyer) -> old.buyer(id)"]
    assert [str(r) for r in made["old.buyer"].references] == ["old.buyer(now) -> public.buyer(id)"]
    shutil.rmtree(file.with_suffix(".out"))
    assert set(read(file, tables=("old.*",))) == {"buyer", "note"}


def test_a_dump_of_sqlite_reads_with_its_rows_and_keys(tmp_path: Path) -> None:
    demand("sqlite3", "sqlite3")
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript("""
    CREATE TABLE land (code TEXT PRIMARY KEY, name TEXT UNIQUE);
    CREATE TABLE buyer (id INTEGER PRIMARY KEY AUTOINCREMENT, land TEXT REFERENCES land,
      share REAL, picture BLOB);
    INSERT INTO land VALUES ('DE', 'it''s' || char(10) || ';'), ('FR', NULL);
    INSERT INTO buyer (land, share, picture) VALUES ('DE', 0.1, x'00'), (NULL, 1e300, NULL);""")
    connection.close()
    file = tmp_path / "dump.sql"
    with file.open("wb") as script:
        subprocess.run(["sqlite3", tmp_path / "shop.db", ".dump"], stdout=script, check=True)
    made = read(file)
    assert set(made) == {"land", "buyer"}
    assert pq.read_table(made["land"].path)["name"].to_pylist() == ["it's\n;", None]
    assert pq.read_table(made["buyer"].path)["share"].to_pylist() == [0.1, 1e300]
    assert [str(r) for r in made["buyer"].references] == ["buyer(land) -> land(code)"]
