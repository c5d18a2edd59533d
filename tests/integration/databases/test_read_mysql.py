"""MariaDB in: what it declares, what its values become, one snapshot."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.servers import TestDatabase, address_of
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.ingest.databases import read_database
from syntheflow_server.ingest.tables import IngestedTable

CREATE = """
SET sql_mode = '';
CREATE TABLE owner (
  owner_id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email varchar(60) CHARACTER SET utf8mb4 NOT NULL,
  note text, UNIQUE KEY by_email (email), UNIQUE KEY by_start (note(10)));
CREATE TABLE pet (
  pet_id bigint unsigned NOT NULL PRIMARY KEY, owner_id int unsigned NOT NULL,
  kind enum('cat','it''s a dog') NOT NULL, tricks set('sit','roll'),
  weight decimal(5,2) CHECK (weight > 0), ratio float, precise double, huge decimal(65,20),
  vaccinated tinyint(1), legs tinyint(1), flag bit(1), bits bit(10), born date,
  seen datetime(6), stamp timestamp NULL, woken time, slept time(3), year_in year,
  chip json, photo blob, place point, twice decimal(6,2) AS (weight * 2) STORED,
  FOREIGN KEY (owner_id) REFERENCES owner (owner_id), CHECK (born > '1900-01-01' OR born = 0));
CREATE VIEW cats AS SELECT * FROM pet WHERE kind = 'cat';
CREATE TABLE old (id int) ENGINE = MyISAM;
INSERT INTO owner VALUES (1, 'ada@example.org', 'Grüße 🐈'), (7, 'bob@example.org', NULL);
INSERT INTO pet (pet_id, owner_id, kind, tricks, weight, ratio, precise, huge, vaccinated, legs,
  flag, bits, born, seen, stamp, woken, slept, year_in, chip, photo, place) VALUES
  (18446744073709551615, 1, 'cat', 'sit,roll', 4.25, 0.1, 0.1, 12345.5, 1, 4, b'1', b'1000000001',
   '2020-02-29', '2020-02-29 12:00:00.123456', '2020-02-29 12:00:00', '07:30:00', '-26:00:00.5',
   2020, '{"a": 1}', 'x', NULL),
  (2, 7, 'it''s a dog', '', 30, 1.5, 1e300, -1, 0, 3, b'0', b'0', '0000-00-00',
   '2020-00-00 00:00:00', NULL, '23:59:59', '100:00:00', 1999, NULL, NULL, NULL);
"""


def read(database: TestDatabase, out, **wanted: object) -> dict[str, IngestedTable]:
    found = read_database(address_of(database), Wanted(**wanted), out, lambda *_: None)
    return {table.name: table for table in found}


@pytest.fixture
def pets(mariadb_database, tmp_path) -> dict[str, IngestedTable]:
    mariadb_database.run(CREATE)
    return read(mariadb_database, tmp_path)


def test_what_is_declared_is_kept(pets) -> None:
    assert {name: table.rows for name, table in pets.items()} == {"owner": 2, "pet": 2, "old": 0}
    pet, owner = pets["pet"].hint, pets["owner"].hint
    native = {column.name: column.native_type for column in pet.columns}
    assert native["kind"] == "enum('cat','it''s a dog')"
    assert (native["pet_id"], native["chip"]) == ("bigint(20) unsigned", "json")
    assert (pet.primary_key, owner.unique_keys) == (("pet_id",), (("email",),))
    assert [c.name for c in owner.columns if c.identity] == ["owner_id"]
    assert [c.name for c in owner.columns if c.nullable] == ["note"]
    assert [str(key) for key in pets["pet"].references] == ["pet(owner_id) -> owner(owner_id)"]
    assert pet.checks == ("`born` > '1900-01-01' or `born` = 0", "`weight` > 0") or set(
        pet.checks
    ) == {"`born` > '1900-01-01' or `born` = 0", "`weight` > 0"}
    assert pets["pet"].dialect == "mysql"


def test_values_are_stored_as_they_mean(pets) -> None:
    table = pq.read_table(pets["pet"].path)
    first, second = sorted(table.to_pylist(), key=lambda row: row["owner_id"])
    assert first["pet_id"] == 2**64 - 1
    assert (first["kind"], second["kind"]) == ("cat", "it's a dog")
    assert (first["tricks"], second["tricks"]) == ("sit,roll", "")
    assert (first["weight"], first["twice"]) == (Decimal("4.25"), Decimal("8.50"))
    assert first["ratio"] == pytest.approx(0.1, rel=1e-7)
    assert (first["precise"], second["precise"]) == (0.1, 1e300)
    assert first["huge"] == Decimal("12345.5")
    assert (first["vaccinated"], second["vaccinated"]) == (True, False)
    assert (first["legs"], first["flag"], first["bits"]) == (4, True, 513)
    assert (first["born"], second["born"]) == (date(2020, 2, 29), None)
    assert first["seen"] == datetime(2020, 2, 29, 12, 0, 0, 123456)  # noqa: DTZ001
    assert second["seen"] is None
    assert first["stamp"] == datetime(2020, 2, 29, 12, tzinfo=UTC)
    assert (first["woken"], second["woken"]) == (time(7, 30), time(23, 59, 59))
    assert first["slept"] == -timedelta(hours=26, seconds=0.5)
    assert second["slept"] == timedelta(hours=100)
    assert (first["year_in"], first["chip"]) == (2020, '{"a": 1}')
    assert pq.read_table(pets["owner"].path)["note"].to_pylist() == ["Grüße 🐈", None]
    assert table.schema.field("pet_id").type == pa.decimal128(20, 0)


def test_what_is_lost_or_left_out_is_told(pets) -> None:
    told = " ".join(pets["pet"].findings)
    for words in (
        "column 'photo' left out: values of type blob",
        "column 'place' left out: values of type point",
        "column 'born': 1 zero dates read as missing",
        "column 'slept': times beyond a day, stored as durations",
        "column 'twice': computed by the database",
    ):
        assert words in told
    assert "engine MyISAM knows no transactions" in " ".join(pets["old"].findings)
    born = next(c for c in pets["pet"].hint.columns if c.name == "born")
    assert born.nullable


def test_tables_are_read_as_of_one_moment(mariadb_database, tmp_path) -> None:
    mariadb_database.run(
        "CREATE TABLE a (id integer PRIMARY KEY); INSERT INTO a VALUES (1), (2);"
        "CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a (id))"
    )
    written = []

    def write_in_between(fraction: float, stage: str) -> None:
        if not written:
            written.append(stage)
            mariadb_database.run("INSERT INTO a VALUES (11); INSERT INTO b VALUES (1, 11)")

    found = read_database(address_of(mariadb_database), Wanted(), tmp_path, write_in_between)

    assert written
    assert {table.name: table.rows for table in found} == {"a": 2, "b": 0}


def test_a_reading_that_is_cancelled_ends_at_once_and_leaves_nothing(
    mariadb_database, tmp_path
) -> None:
    from syntheflow_server.domain.errors import CancelledError

    mariadb_database.run(
        "CREATE TABLE small (id integer); CREATE TABLE t (id integer);"
        "INSERT INTO t SELECT seq FROM seq_1_to_200000"
    )
    seen = []

    def stop(fraction: float, stage: str) -> None:
        seen.append(stage)
        if stage.startswith("reading t: 1"):
            raise CancelledError("stopped", reason="CANCELLED")

    with pytest.raises(CancelledError):
        read_database(address_of(mariadb_database), Wanted(), tmp_path, stop)
    assert seen[-1] == "reading t: 16,384 rows"
    assert list(tmp_path.iterdir()) == []
