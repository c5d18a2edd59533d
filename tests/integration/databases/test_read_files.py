"""SQLite and DuckDB files in: keys as declared, types as all rows say, one snapshot."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.servers import address_of
from syntheflow_server.domain.errors import SyntheflowError
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.domain.schema import SemanticType
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases import read_database, read_database_file

SQLITE = """
CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT UNIQUE, born DATE CHECK (born > '1800'));
CREATE TABLE album (
  title VARCHAR(40) NOT NULL, artist REFERENCES Artist, number INT, price NUMERIC(8,2),
  sold NUMERIC, live BOOLEAN, at DATETIME, length TIME, cover BLOB, mixed INTEGER, odd DATE,
  wide NUMERIC(6,1), empty INTEGER, loud BOOLEAN, twice GENERATED ALWAYS AS (number * 2),
  PRIMARY KEY (artist, number));
CREATE VIEW cheap AS SELECT * FROM album WHERE price < 5;
CREATE VIRTUAL TABLE search USING fts5(body);
CREATE UNIQUE INDEX some ON album (title) WHERE live;
INSERT INTO artist VALUES (1, 'Ada', '1815-12-10'), (2, 'Bob', NULL);
INSERT INTO album VALUES
  ('one', 1, 1, 9.99, 3, 1, '2024-02-29 12:00:00', '00:03:20', x'00', 7, '2024-02-29', 1.25,
   NULL, 2),
  ('two', 1, 2, 5, 2.5, 0, '2024-02-29T13:30', '01:00:00.5', NULL, 'x', '2024-02-30', 3, NULL, 0),
  ('three', 2, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""


@pytest.fixture
def music(tmp_path: Path) -> Path:
    path = tmp_path / "music.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SQLITE)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_a_sqlite_file_gives_tables_with_their_keys(music, out) -> None:
    found = {t.name: t for t in read_database_file(music, Dialect.SQLITE, Wanted(), out)}

    assert {name: table.rows for name, table in found.items()} == {"artist": 2, "album": 3}
    artist, album = found["artist"].hint, found["album"].hint
    assert (artist.primary_key, album.primary_key) == (("id",), ("artist", "number"))
    assert (artist.unique_keys, album.unique_keys) == ((("name",),), ())
    assert artist.checks == ("born > '1800'",)
    assert [str(key) for key in found["album"].references] == ["album(artist) -> artist(id)"]
    assert [c.name for c in artist.columns if c.identity] == ["id"]
    native = {c.name: c.native_type for c in album.columns}
    assert (native["title"], native["price"], native["artist"]) == (
        "VARCHAR(40)",
        "NUMERIC(8,2)",
        "",
    )


def test_types_of_a_sqlite_file_are_what_all_values_are(music, out) -> None:
    found = {t.name: t for t in read_database_file(music, Dialect.SQLITE, Wanted(), out)}

    table = pq.read_table(found["album"].path)
    assert table.slice(0, 2).to_pylist() == [
        {
            "title": "one",
            "artist": 1,
            "number": 1,
            "price": Decimal("9.99"),
            "sold": 3.0,
            "live": True,
            "at": datetime(2024, 2, 29, 12),  # noqa: DTZ001
            "length": time(0, 3, 20),
            "mixed": "7",
            "odd": "2024-02-29",
            "wide": 1.25,
            "empty": None,
            "loud": 2,
            "twice": 2,
        },
        {
            "title": "two",
            "artist": 1,
            "number": 2,
            "price": Decimal("5.00"),
            "sold": 2.5,
            "live": False,
            "at": datetime(2024, 2, 29, 13, 30),  # noqa: DTZ001
            "length": time(1, 0, 0, 500_000),
            "mixed": "x",
            "odd": "2024-02-30",
            "wide": 3.0,
            "empty": None,
            "loud": 0,
            "twice": 4,
        },
    ]
    assert table.schema.field("empty").type == pa.int64()
    assert pq.read_table(found["artist"].path)["born"].to_pylist() == [date(1815, 12, 10), None]
    told = " ".join(found["album"].findings)
    assert "column 'cover' left out: values of type blob" in told
    assert "column 'mixed': 1 numbers among texts, read as text" in told


def test_a_sqlite_file_is_read_as_of_one_moment_and_not_changed(music, out) -> None:
    with closing(sqlite3.connect(music)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        written = []

        def write_in_between(fraction: float, stage: str) -> None:
            if not written:
                written.append(stage)
                connection.execute("INSERT INTO artist VALUES (9, 'New', NULL)")
                connection.execute("INSERT INTO album (title, artist, number) VALUES ('n', 9, 1)")
                connection.commit()

        found = read_database(address_of(f"sqlite://{music}"), Wanted(), out, write_in_between)

    assert written
    assert {table.name: table.rows for table in found} == {"artist": 2, "album": 3}


DUCKDB = """
CREATE SEQUENCE numbers;
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE person (
  id INTEGER PRIMARY KEY DEFAULT nextval('numbers'), mood mood NOT NULL,
  money DECIMAL(10,2) CHECK (money > 0), huge HUGEINT, wide UBIGINT, photo BLOB, list INTEGER[],
  seen TIMESTAMP, day DATE, span INTERVAL, uid UUID, UNIQUE (mood, money));
CREATE TABLE visit (person INTEGER REFERENCES person (id), note VARCHAR);
CREATE VIEW glad AS FROM person WHERE mood = 'glad';
CREATE SCHEMA other; CREATE TABLE other.thing (a INTEGER);
INSERT INTO person VALUES
  (1, 'glad', 1.5, 7, 18446744073709551615, 'x', [1, 2], '2024-02-29 12:00', '2024-02-29',
   INTERVAL '1 day', '00000000-0000-0000-0000-000000000001'),
  (2, 'sad', 2, 8, 1, NULL, NULL, 'infinity', '-infinity', NULL, NULL);
INSERT INTO visit VALUES (1, 'hello'), (1, NULL);
"""


def test_a_duckdb_file_gives_tables_with_keys_and_plain_values(tmp_path, out) -> None:
    path = tmp_path / "people.duckdb"
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute(DUCKDB)

    found = {t.name: t for t in read_database_file(path, Dialect.DUCKDB, Wanted(), out)}

    assert {name: table.rows for name, table in found.items()} == {"person": 2, "visit": 2}
    hint = found["person"].hint
    assert (hint.primary_key, hint.unique_keys) == (("id",), (("mood", "money"),))
    assert hint.checks == ("(money > 0)",)
    assert [c.name for c in hint.columns if c.identity] == ["id"]
    assert {c.name: c.semantic_type for c in hint.columns}["mood"] is SemanticType.CATEGORY
    assert [str(key) for key in found["visit"].references] == ["visit(person) -> person(id)"]
    assert pq.read_table(found["person"].path).slice(0, 1).to_pylist() == [
        {
            "id": 1,
            "mood": "glad",
            "money": Decimal("1.50"),
            "huge": 7,
            "wide": Decimal(2**64 - 1),
            "list": "[1,2]",
            "seen": datetime(2024, 2, 29, 12),  # noqa: DTZ001
            "day": date(2024, 2, 29),
            "span": timedelta(days=1),
            "uid": "00000000-0000-0000-0000-000000000001",
        }
    ]
    told = " ".join(found["person"].findings)
    assert "column 'seen': 1 infinite moments read as missing" in told
    assert "column 'day': 1 infinite dates read as missing" in told
    assert "column 'photo' left out: values of type BLOB" in told


@pytest.mark.parametrize("dialect", [Dialect.SQLITE, Dialect.DUCKDB])
def test_files_are_sampled_too(dialect: Dialect, tmp_path, out) -> None:
    path = tmp_path / "many"
    rows = "VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < 2000"
    statements = (
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent)",
        f"INSERT INTO parent WITH RECURSIVE s (n) AS ({rows}) SELECT n FROM s",
        "INSERT INTO child SELECT id, id FROM parent UNION ALL SELECT id + 5000, id FROM parent",
    )
    opened = sqlite3.connect(path) if dialect is Dialect.SQLITE else duckdb.connect(str(path))
    with closing(opened) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()

    found = {t.name: t for t in read_database_file(path, dialect, Wanted(sample_rows=600), out)}

    parents = set(pq.read_table(found["parent"].path)["id"].to_pylist())
    children = pq.read_table(found["child"].path)["parent"].to_pylist()
    assert 120 < len(parents) < 290
    assert len(children) == 2 * len(parents)
    assert set(children) == parents


def test_a_damaged_file_is_told_and_leaves_nothing(music, out) -> None:
    data = bytearray(music.read_bytes())
    data[4096:8192] = b"\x55" * 4096
    music.write_bytes(bytes(data))

    with pytest.raises(SyntheflowError, match="damaged"):
        read_database_file(music, Dialect.SQLITE, Wanted(), out)
    assert list(out.iterdir()) == []


def test_a_giant_value_is_refused_before_it_fills_the_memory(tmp_path, out) -> None:
    path = tmp_path / "giant.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.execute("INSERT INTO t VALUES (replace(hex(zeroblob(40000000)), '0', 'x'))")
        connection.commit()

    with pytest.raises(SyntheflowError, match="table 't'") as told:
        read_database_file(path, Dialect.SQLITE, Wanted(), out)
    assert told.value.reason == "VALUE_REFUSED"
    assert list(out.iterdir()) == []
