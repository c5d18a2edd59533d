"""PostgreSQL in: what it declares, what its values become, one snapshot."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.rental import POSTGRESQL
from support.servers import TestDatabase, address_of
from syntheflow_server.domain.errors import InvalidArgumentError, NotFoundError
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.ingest.databases import read_database
from syntheflow_server.ingest.tables import IngestedTable


def read(database: TestDatabase, out: Path, **wanted: object) -> dict[str, IngestedTable]:
    stages: list[tuple[float, str]] = []
    found = read_database(
        address_of(database), Wanted(**wanted), out, lambda *stage: stages.append(stage)
    )
    assert stages == sorted(stages, key=lambda stage: stage[0])
    return {table.name: table for table in found}


@pytest.fixture(scope="module")
def rental(postgresql, tmp_path_factory):
    with postgresql.new_database() as database:
        database.run(POSTGRESQL)
        yield database


@pytest.fixture(scope="module")
def tables(rental: TestDatabase, tmp_path_factory) -> dict[str, IngestedTable]:
    return read(rental, tmp_path_factory.mktemp("rental"))


def test_tables_come_with_all_rows_and_views_and_partitions_are_no_tables(tables) -> None:
    assert {name: table.rows for name, table in tables.items()} == {
        "language": 2,
        "film": 60,
        "store": 2,
        "staff": 2,
        "payment": 40,
    }
    assert tables["film"].file_name == "public.film"
    assert {table.dialect for table in tables.values()} == {"postgresql"}


def test_keys_and_references_are_the_declared_ones_circles_included(tables) -> None:
    hints = {name: table.hint for name, table in tables.items()}
    assert hints["payment"].primary_key == ("payment_date", "payment_id")
    assert hints["language"].unique_keys == (("name",),)
    assert hints["staff"].unique_keys == (("email",),)
    references = {str(key) for table in tables.values() for key in table.references}
    assert references == {
        "film(language_id) -> language(language_id)",
        "film(original_id) -> film(film_id)",
        "store(manager_id) -> staff(staff_id)",
        "staff(store_id) -> store(store_id)",
        "payment(staff_id) -> staff(staff_id)",
    }


def test_types_stand_in_the_words_of_the_database(tables) -> None:
    film = {column.name: column for column in tables["film"].hint.columns}
    assert {name: column.native_type for name, column in film.items()} == {
        "film_id": "integer",
        "title": "character varying(40)",
        "release year": "year",
        "made": "positive_year",
        "language_id": "integer",
        "original_id": "integer",
        "rental_rate": "numeric(4,2)",
        "rating": "mpaa_rating enum('G', 'PG', 'PG-13', 'R', 'NC-17')",
        "special_features": "text[]",
    }
    assert [name for name, column in film.items() if column.identity] == ["film_id"]
    assert {name for name, column in film.items() if column.nullable} == {
        "release year",
        "original_id",
        "rating",
        "special_features",
    }
    language = {column.name: column for column in tables["language"].hint.columns}
    assert language["language_id"].identity
    assert language["name"].native_type == "character(20)"


def test_checks_are_kept_where_they_mean_something_elsewhere(tables) -> None:
    assert tables["film"].hint.checks == (
        "(rental_rate > (0)::numeric)",
        '(("release year" >= 1901) AND ("release year" <= 2155))',
        '(("made")::integer <> 0)',
        '(("made" >= 1901) AND ("made" <= 2155))',
    )
    told = " ".join(tables["film"].findings)
    assert "a CHECK of title left out: it needs a user's type or function" in told
    assert "a CHECK of rating left out" in told
    assert "column 'fulltext' left out: values of type tsvector" in told
    assert "column 'cover' left out: values of type bytea" in told
    assert "a CHECK left out: it needs a column that is left out" in told


def test_values_are_stored_as_they_mean(tables) -> None:
    film = pq.read_table(tables["film"].path)
    row = film.slice(0, 1).to_pylist()[0]
    assert row["rental_rate"] == Decimal("1.99")
    assert row["rating"] == "PG"
    assert json.loads(row["special_features"]) == ["Trailers", 'Say "it"']
    assert pq.read_table(tables["language"].path)["name"].to_pylist() == ["English", "Deutsch"]
    payment = pq.read_table(tables["payment"].path)
    assert payment.schema.field("payment_date").type == pa.timestamp("us", tz="UTC")
    assert payment["payment_date"][0].as_py() == datetime(2022, 1, 21, 10, tzinfo=UTC)


def test_tables_columns_and_namespaces_are_chosen_by_patterns(rental, tmp_path) -> None:
    found = read(
        rental,
        tmp_path,
        namespace="*",
        tables=("public.st*", "audit.*"),
        exclude=("*.password", "staff.tok*"),
    )
    assert set(found) == {"store", "staff", "audit.entry"}
    assert [c.name for c in found["staff"].hint.columns] == ["staff_id", "store_id", "email"]
    assert "column 'password' left out: it was not wanted" in found["staff"].findings
    entry = found["audit.entry"]
    assert entry.references == (
        ForeignKey(
            child_table="audit.entry",
            child_columns=("staff_id",),
            parent_table="staff",
            parent_columns=("staff_id",),
        ),
    )
    assert entry.hint.unique_keys == (("staff_id", "entry_id"),)


def test_a_reference_to_what_is_not_read_is_left_out_and_told(rental, tmp_path) -> None:
    found = read(rental, tmp_path, tables=("film",), exclude=("film.film_id",))
    film = found["film"]
    assert film.references == ()
    assert film.hint.primary_key == ()
    assert "reference language_id left out: its table is not read" in film.findings
    assert "reference original_id left out: the key's column is not read" in film.findings


def test_what_is_not_there_is_named_with_what_is(rental, tmp_path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'movies'; there are .*film") as told:
        read(rental, tmp_path, tables=("film", "movies"))
    assert told.value.reason == "TABLE_MISSING"
    with pytest.raises(NotFoundError, match="'sales'; it has audit, public"):
        read(rental, tmp_path, namespace="sales")
    assert list(tmp_path.iterdir()) == []


VALUES = """
CREATE TABLE v (
  id integer, free numeric, wide numeric(60,5), whole numeric, bounded numeric(9,3), never numeric,
  d date, t timestamp, z timestamptz, clock time, zoned timetz, span interval, cash money,
  ip inet, doc jsonb, bits bit(4), r int4range, big bigint, f real, yes boolean, o oid);
INSERT INTO v VALUES
  (1, 1.25, 12345.5, 7, 1.5, NULL, 'infinity', '-infinity', 'infinity', '24:00', '12:00+02',
   '1 day 00:00:01.5', 12.34, '10.0.0.1', '{"a": [1]}', '1010', '[1,5)', 9223372036854775807,
   1.5, true, 4294967295),
  (2, 100, 1, 1000000000000, 'NaN', NULL, '2024-02-29', '2024-02-29 12:00:00.123456',
   '2024-02-29 12:00:00+02', '23:59:59.999999', '00:00+00', '-3 months', 0, 'fe80::1', 'null',
   '0000', 'empty', -9223372036854775808, 'NaN', false, 0),
  (3NULLS_20), (4, -0.001NULLS_19);
""".replace("NULLS_20", ", NULL" * 20).replace("NULLS_19", ", NULL" * 19)


def test_every_type_has_its_stored_form(postgresql_database, tmp_path) -> None:
    postgresql_database.run(VALUES)
    found = read(postgresql_database, tmp_path)["v"]
    table = pq.read_table(found.path)

    assert {f.name: str(f.type) for f in table.schema if f.name in {"free", "wide", "whole"}} == {
        "free": "decimal128(6, 3)",
        "wide": "decimal128(10, 5)",
        "whole": "int64",
    }
    first, second, third, fourth = table.to_pylist()
    assert [first["free"], second["free"], fourth["free"]] == [
        Decimal("1.250"),
        Decimal(100),
        Decimal("-0.001"),
    ]
    assert (first["wide"], second["whole"]) == (Decimal("12345.5"), 1_000_000_000_000)
    assert (first["bounded"], second["bounded"]) == (Decimal("1.5"), None)
    assert first["d"] is first["t"] is first["z"] is first["clock"] is None
    assert second["d"] == date(2024, 2, 29)
    assert second["t"] == datetime(2024, 2, 29, 12, 0, 0, 123456)  # noqa: DTZ001
    assert second["z"] == datetime(2024, 2, 29, 10, tzinfo=UTC)
    assert (second["clock"], first["zoned"]) == (time(23, 59, 59, 999999), time(10))
    assert first["span"] == timedelta(days=1, seconds=1.5)
    assert (first["cash"], second["ip"], first["ip"]) == (Decimal("12.34"), "fe80::1", "10.0.0.1")
    assert (first["doc"], second["doc"]) == ('{"a": [1]}', "null")
    assert (first["bits"], first["r"]) == ("1010", "[1,5)")
    assert (first["big"], second["big"]) == (2**63 - 1, -(2**63))
    assert (first["o"], first["yes"], second["f"] != second["f"]) == (2**32 - 1, True, True)
    assert set(third.values()) == {3, None}
    told = " ".join(found.findings)
    for words in (
        "column 'd': 1 infinite dates read as missing",
        "column 't': 1 infinite moments",
        "column 'clock': 1 times of 24:00",
        "column 'bounded': 1 values that are no number",
    ):
        assert words in told


def test_tables_are_read_as_of_one_moment(postgresql_database, tmp_path) -> None:
    postgresql_database.run(
        "CREATE TABLE a (id integer PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 10);"
        "CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a)"
    )
    written = []

    def write_in_between(fraction: float, stage: str) -> None:
        if not written and stage.startswith("reading a"):
            written.append(stage)
            postgresql_database.run("INSERT INTO a VALUES (11); INSERT INTO b VALUES (1, 11)")

    found = read_database(address_of(postgresql_database), Wanted(), tmp_path, write_in_between)

    assert written
    assert {table.name: table.rows for table in found} == {"a": 10, "b": 0}
    assert postgresql_database.rows("SELECT count(*) FROM b") == [(1,)]


def test_what_the_user_may_not_read_is_named(postgresql_database, tmp_path) -> None:
    from syntheflow_server.connect.secret import Secret
    from syntheflow_server.domain.errors import FailedPreconditionError

    postgresql_database.run(
        "CREATE TABLE open (id integer); CREATE TABLE secret (id integer);"
        "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest';"
        "GRANT SELECT ON open TO guest"
    )
    address = address_of(postgresql_database, user="guest", password=Secret("guest"))
    with pytest.raises(FailedPreconditionError, match="table 'secret'") as told:
        read_database(address, Wanted(), tmp_path, lambda *_: None)
    assert told.value.reason == "PERMISSION_MISSING"
    assert list(tmp_path.iterdir()) == []
    read_database(address, Wanted(exclude=("secret",)), tmp_path, lambda *_: None)
    postgresql_database.run("DROP OWNED BY guest; DROP ROLE guest")
