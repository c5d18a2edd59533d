"""`syntheflow clone` from a real PostgreSQL database: its stricter types, keys and rules hold."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pg8000.exceptions
import pytest

from support.cli import COMMAND, clean_environment
from support.servers import PASSWORD, TestDatabase, TestServer

OFFICE = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE "odd; name" ("select" integer PRIMARY KEY, "a ""b" text);
CREATE TABLE nothing (id serial PRIMARY KEY, what text NOT NULL);
CREATE TABLE person (
  id serial PRIMARY KEY, uid uuid NOT NULL UNIQUE, boss_id integer REFERENCES person,
  mood mood, mac macaddr, facts jsonb, numbers integer[],
  email varchar(40) NOT NULL UNIQUE CHECK (email LIKE '%@%'));
CREATE TABLE profile (person_id integer PRIMARY KEY REFERENCES person, score real);
CREATE TABLE seat (person_id integer REFERENCES person, nr integer, since date,
  PRIMARY KEY (person_id, nr));
"""
ROWS = """
INSERT INTO "odd; name" SELECT n, 'x' || n % 3 FROM generate_series(1, 30) n;
INSERT INTO person (uid, boss_id, mood, mac, facts, numbers, email)
  SELECT gen_random_uuid(), nullif(n / 5, 0), (enum_range(NULL::mood))[1 + n % 3],
         ('08:00:2b:01:02:' || lpad(to_hex(n), 2, '0'))::macaddr,
         jsonb_build_object('k', n % 5, 'n', n), ARRAY[n, n % 3], 'user' || n || '@example.org'
    FROM generate_series(1, 120) n;
INSERT INTO profile SELECT n, n / 7.0 FROM generate_series(1, 120, 2) n;
INSERT INTO seat SELECT n, g, date '2024-01-01' + n FROM generate_series(1, 120) n,
  generate_series(1, 2) g;
"""


def clone(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "clone", *words, "--time-limit", "3s"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def office(postgresql_database: TestDatabase) -> TestDatabase:
    postgresql_database.run(OFFICE + ROWS)
    return postgresql_database


@pytest.fixture
def empty(postgresql: TestServer) -> Iterator[TestDatabase]:
    with postgresql.new_database() as database:
        yield database


def test_a_clone_in_postgresql_keeps_types_and_rules_and_can_be_written_to(office, empty, tmp_path):
    ended = clone(tmp_path, office.url_with_password, "--into", empty.url_with_password)
    assert ended.returncode == 0, ended.stderr
    assert PASSWORD not in ended.stdout + ended.stderr
    types = dict(
        empty.rows(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
            "WHERE a.attrelid = 'person'::regclass AND a.attnum > 0"
        )
    )
    assert types["uid"] == "uuid"
    assert types["numbers"] == "integer[]"
    assert types["facts"] == "jsonb"
    # All constraints are declared, so what they say holds: only the counts are asked.
    kinds = "SELECT contype::text, count(*) FROM pg_constraint WHERE conrelid <> 0 AND "
    kinds += "connamespace = 'public'::regnamespace AND convalidated GROUP BY 1 ORDER BY 1"
    assert empty.rows(kinds) == office.rows(kinds)
    for table in ("person", "profile", "seat", "nothing", '"odd; name"'):
        counted = f"SELECT count(*) FROM {table}"
        assert empty.rows(counted) == office.rows(counted)
    labels = {label for (label,) in empty.rows("SELECT DISTINCT mood FROM person")}
    assert labels <= {"sad", "ok", "happy"}
    # The sequences go on behind the rows, and NOT NULL of a table without rows is there.
    empty.run("INSERT INTO person (uid, email) VALUES (gen_random_uuid(), 'new@example.org')")
    empty.run("INSERT INTO nothing (what) VALUES ('first')")
    with pytest.raises(pg8000.exceptions.DatabaseError):
        empty.run("INSERT INTO nothing (what) VALUES (NULL)")


def test_a_refused_password_is_told_without_it_and_leaves_nothing(office, tmp_path):
    wrong = office.url.replace("@", ":wrong-Zq7@", 1)
    ended = clone(tmp_path, wrong, "--into", "./out")
    assert ended.returncode == 1
    assert "the database refused user or password" in ended.stderr
    assert "wrong-Zq7" not in ended.stdout + ended.stderr
    assert not (tmp_path / "out").exists()
