"""Loading into real databases of four kinds: modes, keys, counters, failures, going on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from support.loading import KINDS, Home, home_of, load, loader_of, people
from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from syntheflow_server.domain.writing import LoadMode


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return home_of(request.param, request, tmp_path)


def test_tables_are_made_with_all_values_keys_and_references(home: Home) -> None:
    tables = people(300, 900)
    loaded = load(home, tables)
    assert loaded.rows == {"visit": 900, "person": 300}
    assert home.tables() == {"visit", "person"}
    found = home.rows("SELECT id, name, code, weight FROM person ORDER BY id")
    assert found == [tuple(row.values()) for row in tables["person"].to_pylist()]
    visits = home.rows("SELECT id, person_id, day, cost FROM visit ORDER BY id")
    expected = tables["visit"].to_pylist()
    assert [row[:2] for row in visits] == [(r["id"], r["person_id"]) for r in expected]
    assert [str(row[2]) for row in visits] == [str(r["day"]) for r in expected]
    assert [float(row[3]) for row in visits] == [float(r["cost"]) for r in expected]


def test_references_and_keys_are_enforced_afterwards(home: Home) -> None:
    load(home, people(3, 6))
    for broken in (
        "INSERT INTO person (id, code) VALUES (3, 'x')",
        "INSERT INTO person (id, code) VALUES (9, 'c1')",
        "INSERT INTO visit (id, person_id) VALUES (9, 77)",
    ):
        statements = [broken]
        if home.dialect == "sqlite":
            statements.insert(0, "PRAGMA foreign_keys = on")
        with pytest.raises(Exception, match=r"(?i)unique|duplicate|foreign key"):
            home.run(*statements)


def test_the_next_row_of_an_application_gets_a_number_of_its_own(home: Home) -> None:
    if home.dialect == "duckdb":
        home.run("CREATE SEQUENCE numbers", "CREATE TABLE person (id BIGINT PRIMARY KEY "
                 "DEFAULT nextval('numbers'), name VARCHAR, code VARCHAR UNIQUE, weight DOUBLE)",
                 "CREATE TABLE visit (id BIGINT PRIMARY KEY, person_id BIGINT REFERENCES "
                 "person (id), day DATE, cost DECIMAL(8, 2))")  # fmt: skip
        load(home, people(30, 6), LoadMode.APPEND)
    else:
        load(home, people(30, 6))
    home.run("INSERT INTO person (code) VALUES ('new')")
    assert home.rows("SELECT id FROM person WHERE code = 'new'") == [(31,)]


def test_create_refuses_tables_that_exist_and_changes_nothing(home: Home) -> None:
    home.run("CREATE TABLE person (a integer)")
    with pytest.raises(AlreadyExistsError, match="'person'") as told:
        loader_of(home, LoadMode.CREATE).begin()
    assert told.value.reason == "TARGET_TABLE_EXISTS"
    assert home.tables() == {"person"}


@pytest.mark.parametrize("mode", [LoadMode.APPEND, LoadMode.TRUNCATE])
def test_append_and_truncate_need_tables_that_exist(home: Home, mode: LoadMode) -> None:
    with pytest.raises(FailedPreconditionError, match="'visit', 'person'") as told:
        loader_of(home, mode).begin()
    assert told.value.reason == "TARGET_TABLE_MISSING"


def test_append_keeps_the_rows_that_are_there(home: Home) -> None:
    load(home, people(10, 20))
    load(home, people(5, 30, first=100), LoadMode.APPEND)
    assert (home.count("person"), home.count("visit")) == (15, 50)


def test_append_refuses_keys_that_are_there_and_adds_nothing(home: Home) -> None:
    load(home, people(10, 20))
    with pytest.raises(FailedPreconditionError, match="truncate or replace") as told:
        load(home, people(5, 30, first=8), LoadMode.APPEND)
    assert told.value.reason == "KEYS_MEET"
    assert told.value.violations[0].table in {"person", "visit"}
    assert (home.count("person"), home.count("visit")) == (10, 20)


def test_truncate_keeps_the_tables_and_none_of_the_rows(home: Home) -> None:
    load(home, people(10, 20))
    view = "CREATE VIEW heavy AS SELECT id FROM person WHERE weight > 1"
    home.run(view)
    load(home, people(4, 8), LoadMode.TRUNCATE)
    assert (home.count("person"), home.count("visit")) == (4, 8)
    assert home.count("heavy") == 1


def test_replace_makes_the_tables_anew(home: Home) -> None:
    home.run("CREATE TABLE visit (a integer)", "INSERT INTO visit VALUES (1)")
    load(home, people(4, 8), LoadMode.REPLACE)
    assert (home.count("person"), home.count("visit")) == (4, 8)
    load(home, people(5, 5), LoadMode.REPLACE)
    assert (home.count("person"), home.count("visit")) == (5, 5)
    assert home.tables() == {"visit", "person"}


@pytest.mark.parametrize("mode", list(LoadMode))
def test_rows_without_their_parent_are_named_and_nothing_stays(home: Home, mode: LoadMode) -> None:
    if mode is not LoadMode.CREATE:
        load(home, people(2, 4))
    tables = people(40, 80, first=10)
    tables["person"] = tables["person"].slice(0, 39)
    with pytest.raises(FailedPreconditionError) as told:
        load(home, tables, mode)
    assert told.value.reason == "REFERENCE_BROKEN"
    assert "visit" in told.value.message
    if mode is LoadMode.CREATE:
        assert home.tables() == set()
    else:
        assert (home.count("person"), home.count("visit")) == (2, 4)


def test_an_aborted_load_leaves_nothing(home: Home) -> None:
    loader = loader_of(home, LoadMode.CREATE)
    loader.begin()
    loader.write("person", 0, people(5, 5)["person"].to_batches()[0])
    loader.abort()
    assert home.tables() == set()


def test_columns_may_stand_in_another_order_with_others_between(home: Home) -> None:
    home.run(
        "CREATE TABLE person (seen integer DEFAULT 7, weight double precision, "
        "Code varchar(30) UNIQUE, note varchar(9), name varchar(90), id bigint PRIMARY KEY)",
        "CREATE TABLE visit (cost decimal(8, 2), day date, person_id integer, "
        "id integer PRIMARY KEY)",
    )
    load(home, people(3, 3), LoadMode.APPEND)
    found = home.rows("SELECT seen, code, note, id FROM person ORDER BY id")
    assert found == [(7, f"c{at}", None, at) for at in (1, 2, 3)]


def test_a_column_that_is_missing_or_must_be_filled_is_named(home: Home) -> None:
    home.run(
        "CREATE TABLE person (id bigint PRIMARY KEY, name varchar(90), code varchar(30), "
        "must varchar(3) NOT NULL)",
        "CREATE TABLE visit (id bigint, person_id bigint, day date, cost decimal(8, 2))",
    )
    with pytest.raises(FailedPreconditionError) as told:
        loader_of(home, LoadMode.APPEND).begin()
    assert told.value.reason == "TARGET_TABLE_UNFIT"
    assert [(v.table, v.column) for v in told.value.violations] == [
        ("person", "weight"),
        ("person", "must"),
    ]


NARROW = (
    "CREATE TABLE person (id bigint PRIMARY KEY, name varchar(4){name}, code varchar({code}), "
    "weight double precision)"
)
VISITS = "CREATE TABLE visit (id bigint, person_id bigint, day date, cost decimal({cost}))"


def test_texts_are_cut_to_the_length_of_their_column_and_told(home: Home) -> None:
    home.run(NARROW.format(name="", code=9), VISITS.format(cost="8, 2"))
    loaded = load(home, people(120, 5), LoadMode.APPEND)
    names = [name for (name,) in home.rows("SELECT name FROM person ORDER BY id")]
    sent = people(120, 5)["person"]["name"].to_pylist()
    if home.dialect in {"sqlite", "duckdb"}:
        # A declared length means nothing there.
        assert (names, loaded.notes) == (sent, ())
        return
    assert names == [name and name[:4] for name in sent]
    (note,) = loaded.notes
    missing = sent.count(None)
    assert note.startswith(f"column 'name' of table 'person': {120 - missing} texts were cut to 4")


def test_texts_that_were_cut_before_a_break_are_told_too(home: Home, monkeypatch) -> None:
    monkeypatch.setattr("syntheflow_server.export.databases.loader.BLOCK_ROWS", 1)
    home.run(NARROW.format(name="", code=9), VISITS.format(cost="8, 2"))
    (batch,) = people(10, 1)["person"].to_batches()
    first = loader_of(home, LoadMode.APPEND, load="jobs/7")
    first.begin()
    first.write("person", 0, batch.slice(0, 3))
    first.write("person", 3, batch.slice(3, 3))
    first.abort()
    second = loader_of(home, LoadMode.APPEND, load="jobs/7")
    assert second.begin() == {"visit": 0, "person": 6}
    notes = second.finish().notes
    assert [": 6 texts" in note for note in notes] == (
        [] if home.dialect in {"sqlite", "duckdb"} else [True]
    )


@pytest.mark.parametrize(("unique", "column"), [("", "code"), (" UNIQUE", "name")])
def test_a_key_that_is_too_long_is_named_by_row_without_its_value(
    home: Home, unique: str, column: str
) -> None:
    if home.dialect in {"sqlite", "duckdb"}:
        return
    home.run(NARROW.format(name=unique, code=9 if unique else 3), VISITS.format(cost="8, 2"))
    with pytest.raises(InvalidArgumentError, match="keys and references are not cut") as told:
        load(home, people(120, 5), LoadMode.APPEND)
    (violation,) = told.value.violations
    row = 0 if unique else 99
    assert (violation.table, violation.column, violation.row) == ("person", column, row)
    assert "c100" not in told.value.message
    assert home.count("person") == 0


def test_a_decimal_beyond_its_digits_is_named(home: Home) -> None:
    home.run(NARROW.format(name="", code=9), VISITS.format(cost="3, 1"))
    if home.dialect == "sqlite":
        # Digits mean nothing there.
        load(home, people(120, 120), LoadMode.APPEND)
        assert home.rows("SELECT max(cost) FROM visit") == [(119.25,)]
        return
    with pytest.raises(InvalidArgumentError) as told:
        load(home, people(120, 120), LoadMode.APPEND)
    (violation,) = told.value.violations
    assert (violation.table, violation.column, violation.row) == ("visit", "cost", 100)
    assert "100.25" not in f"{told.value.message} {told.value.violations}"
    assert home.count("visit") == 0


def test_a_number_that_is_too_large_is_named(home: Home) -> None:
    home.run(
        "CREATE TABLE person (id smallint PRIMARY KEY, name varchar(90), code varchar(30), "
        "weight double precision)",
        "CREATE TABLE visit (id bigint, person_id bigint, day date, cost decimal(8, 2))",
    )
    if home.dialect == "sqlite":
        return
    with pytest.raises(InvalidArgumentError) as told:
        load(home, people(3, 3, first=32_766), LoadMode.APPEND)
    (violation,) = told.value.violations
    assert (violation.table, violation.column, violation.row) == ("person", "id", 2)
    assert "32768" not in str(told.value.violations)
    assert home.count("person") == 0


def test_a_missing_value_where_none_may_be_is_named(home: Home) -> None:
    load(home, people(2, 2))
    tables = people(3, 3, first=10)
    holes = pa.array([10, None, 11], pa.int64())
    tables["visit"] = tables["visit"].set_column(1, "person_id", holes)
    with pytest.raises(InvalidArgumentError, match="takes no NULL") as told:
        load(home, tables, LoadMode.APPEND)
    assert told.value.violations[0].row == 1
    assert (home.count("person"), home.count("visit")) == (2, 2)


@pytest.mark.parametrize("mode", list(LoadMode))
def test_a_named_load_goes_on_where_it_broke(home: Home, mode: LoadMode, monkeypatch) -> None:
    if mode is not LoadMode.CREATE:
        load(home, people(2, 4))
    monkeypatch.setattr("syntheflow_server.export.databases.loader.BLOCK_ROWS", 50)
    tables = people(100, 200, first=10)
    first = loader_of(home, mode, load="jobs/7")
    assert first.begin() == {"visit": 0, "person": 0}
    first.write("visit", 0, tables["visit"].slice(0, 120).combine_chunks().to_batches()[0])
    first.write("person", 0, tables["person"].slice(0, 20).combine_chunks().to_batches()[0])
    first.abort()

    second = loader_of(home, mode, load="jobs/7")
    assert second.begin() == {"visit": 120, "person": 0}
    second.write("visit", 60, tables["visit"].slice(60).combine_chunks().to_batches()[0])
    second.write("person", 0, tables["person"].combine_chunks().to_batches()[0])
    assert second.finish().rows == {"visit": 200, "person": 100}

    more = {"append": (2, 4)}.get(mode.value, (0, 0))
    assert (home.count("person"), home.count("visit")) == (100 + more[0], 200 + more[1])
    assert home.tables() == {"person", "visit"}
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        home.run(
            *["PRAGMA foreign_keys = on"] * (home.dialect == "sqlite"),
            "INSERT INTO visit (id, person_id) VALUES (9999, 7777)",
        )


def test_a_discarded_load_leaves_nothing(home: Home, monkeypatch) -> None:
    monkeypatch.setattr("syntheflow_server.export.databases.loader.BLOCK_ROWS", 50)
    first = loader_of(home, LoadMode.CREATE, load="jobs/7")
    first.begin()
    first.write("visit", 0, people(5, 120)["visit"].to_batches()[0])
    first.abort()
    assert "visit" in home.tables()
    loader_of(home, LoadMode.CREATE, load="jobs/7").discard()
    assert home.tables() == set()
