"""What PostgreSQL's own types, keys, triggers and sequences ask of a load."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from support.loading import Home, home_of, load, loader_of, people
from support.shop import column
from syntheflow_server.domain.errors import FailedPreconditionError, InvalidArgumentError
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.writing import LoadMode


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return home_of("postgresql", request, tmp_path)


def schema_of(name: str, types: dict[str, str]) -> Schema:
    columns = tuple(
        Column(name=each, type=kind, semantic_type=SemanticType.TEXT)
        for each, kind in types.items()
    )
    return Schema(tables=(Table(name=name, columns=columns),))


# Column: type in the database, stored type, value, what the database has as text then.
NATIVE = {
    "small": ("smallint", "int64", -7, "-7"),
    "whole": ("integer", "float64", 2.0, "2"),
    "single": ("real", "float64", 0.1, "0.1"),
    "exact": ("numeric(6, 2)", "float64", 1.239, "1.24"),
    "free": ("numeric", "float64", 0.1, "0.1"),
    "counted": ("numeric", "int64", 9_007_199_254_740_993, "9007199254740993"),
    "mood": ("mood", "string", "so so", "so so"),
    "short": ("shorty", "string", "abc", "abc"),
    "padded": ("character(5)", "string", "ab", "ab"),
    "who": ("uuid", "string", str(uuid.UUID(int=7 << 80)), str(uuid.UUID(int=7 << 80))),
    "tree": ("jsonb", "string", '{"a": [1, "ü"]}', '{"a": [1, "ü"]}'),
    "leaf": ("json", "string", '{"a":1}', '{"a":1}'),
    "list": ("integer[]", "string", "[1, null, 3]", "{1,NULL,3}"),
    "tags": ("text[]", "string", '{a,"b c"}', '{a,"b c"}'),
    "place": ("inet", "string", "10.0.0.7", "10.0.0.7/32"),
    "during": ("int4range", "string", "[1,5)", "[1,5)"),
    "span": ("interval", "duration[us]", 90_000_000, "00:01:30"),
    "often": ("interval", "string", "1 mon", "1 mon"),
    "clock": ("time", "time64[us]", 3_600_000_001, "01:00:00.000001"),
    "zoned": ("timestamptz", "timestamp[us, tz=UTC]", 1, "1970-01-01 00:00:00.000001+00"),
    "plain": ("timestamp", "date32", 1, "1970-01-02 00:00:00"),
    "code": ("varchar(9)", "int64", 12, "12"),
    "truth": ("boolean", "int64", 1, "true"),
    "given": ("bytea", "string", "\\x00ff", "\\x00ff"),
    "price": ("money", "string", "12.50", "$12.50"),
}


def test_every_type_of_a_column_takes_its_values(home: Home) -> None:
    columns = ", ".join(f"{name} {native}" for name, (native, *_) in NATIVE.items())
    home.run(
        "CREATE TYPE mood AS ENUM ('so so', 'fine')",
        "CREATE DOMAIN shorty AS varchar(3) CHECK (value <> 'bad')",
        f"CREATE TABLE things ({columns})",
    )
    schema = schema_of("things", {name: kind for name, (_, kind, *_) in NATIVE.items()})
    rows = pa.table(
        [
            pa.array([value, None], field.type)
            for (_, _, value, _), field in zip(NATIVE.values(), schema.tables[0].arrow, strict=True)
        ],
        names=list(NATIVE),
    )
    load(home, {"things": rows}, LoadMode.APPEND, schema)
    texts = ", ".join(f"{name}::text" for name in NATIVE)
    first, second = home.rows(f"SELECT {texts} FROM things ORDER BY small")
    assert dict(zip(NATIVE, first, strict=True)) == {n: v[3] for n, v in NATIVE.items()}
    assert set(second) == {None}


@pytest.mark.parametrize(
    ("native", "bad", "error"),
    [
        ("uuid", "no uuid", InvalidArgumentError),
        ("mood", "gloomy secret", InvalidArgumentError),
        ("shorty", "bad", FailedPreconditionError),
        ("jsonb", "{secret", InvalidArgumentError),
        ("inet", "secret", FailedPreconditionError),
        ("integer[]", "[secret]", FailedPreconditionError),
        ("text", "a\0secret", InvalidArgumentError),
    ],
)
def test_what_does_not_fit_a_type_is_told_without_its_value(
    home: Home, native: str, bad: str, error: type[Exception]
) -> None:
    home.run(
        "CREATE TYPE mood AS ENUM ('so so', 'fine')",
        "CREATE DOMAIN shorty AS varchar(3) CHECK (value <> 'bad')",
        f"CREATE TABLE things (a {native})",
    )
    rows = pa.table({"a": pa.array([None] * 4 + [bad], pa.string())})
    with pytest.raises(error) as told:
        load(home, {"things": rows}, LoadMode.APPEND, schema_of("things", {"a": "string"}))
    assert "things" in told.value.message
    assert bad not in f"{told.value.message} {told.value.violations} {told.value.metadata}"
    if error is InvalidArgumentError:
        assert told.value.violations[0].row == 4
    assert told.value.__cause__ is None
    assert home.count("things") == 0


def test_a_table_made_with_the_lengths_of_its_source_takes_longer_texts(home: Home) -> None:
    column = Column(
        name="a", type="string", semantic_type=SemanticType.TEXT, native_type="character(2)"
    )
    schema = Schema(tables=(Table(name="things", columns=(column,)),), dialect="postgresql")
    loaded = load(home, {"things": pa.table({"a": ["üüü", None, "x"]})}, schema=schema)
    assert home.rows("SELECT a FROM things ORDER BY a NULLS FIRST") == [(None,), ("x ",), ("üü",)]
    (note,) = loaded.notes
    assert note.startswith("column 'a' of table 'things': 1 text was cut to 2 characters")


def test_columns_that_only_the_database_joins_are_not_cut(home: Home) -> None:
    home.run(
        "CREATE TABLE kinds (a varchar(2) PRIMARY KEY)",
        "INSERT INTO kinds VALUES ('ab')",
        "CREATE TABLE things (a varchar(2) REFERENCES kinds)",
    )
    rows = {"things": pa.table({"a": ["ab", "abc"]})}
    with pytest.raises(InvalidArgumentError, match="references are not cut"):
        load(home, rows, LoadMode.APPEND, schema_of("things", {"a": "string"}))
    assert home.count("things") == 0


def test_serial_and_identity_columns_go_on_behind_the_rows(home: Home) -> None:
    home.run(
        "CREATE SEQUENCE numbers INCREMENT 10",
        "CREATE TABLE things (a serial, b integer GENERATED ALWAYS AS IDENTITY, "
        "c bigint DEFAULT nextval('numbers'), d integer GENERATED ALWAYS AS (a + 1) STORED)",
        "INSERT INTO things (c) SELECT 500 FROM generate_series(1, 90)",
    )
    schema = Schema(tables=(Table(name="things", columns=tuple(map(column, "abcd"))),))
    rows = pa.table({name: pa.array([41, 77], pa.int64()) for name in "abcd"})
    load(home, {"things": rows}, LoadMode.APPEND, schema)
    home.run("INSERT INTO things DEFAULT VALUES")
    found = home.rows("SELECT a, b, c, d FROM things WHERE c <> 500 ORDER BY a")
    # Two sequences were behind the rows already: they do not go back. The third is moved.
    assert found == [(41, 41, 41, 42), (77, 77, 77, 78), (91, 91, 510, 92)]


def test_triggers_of_a_table_run_and_keys_of_every_kind_are_back(home: Home) -> None:
    load(home, people(3, 6))
    home.run(
        "ALTER TABLE visit ADD COLUMN seen timestamptz, ADD COLUMN stamp text",
        "ALTER TABLE person ADD CONSTRAINT heavy CHECK (weight > 0)",
        "COMMENT ON CONSTRAINT visit_person_id_fkey ON visit IS 'who''s there'",
        "CREATE INDEX by_day ON visit (day) WHERE day IS NOT NULL",
        "ALTER TABLE visit ADD CONSTRAINT late UNIQUE (day, id) DEFERRABLE INITIALLY DEFERRED",
        "CREATE FUNCTION stamped() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN NEW.stamp := 'set'; RETURN NEW; END$$",
        "CREATE TRIGGER stamps BEFORE INSERT ON visit FOR EACH ROW EXECUTE FUNCTION stamped()",
    )
    query = (
        "SELECT conname, concat(pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')) "
        "FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace UNION ALL "
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
    )
    before = home.rows(query)
    for mode in (LoadMode.TRUNCATE, LoadMode.APPEND):
        first = 1 if mode is LoadMode.TRUNCATE else 100
        load(home, people(5, 10, first=first), mode)
        assert home.rows(query) == before
    assert home.rows("SELECT DISTINCT stamp FROM visit") == [("set",)]


def test_a_broken_check_is_named_and_truncated_rows_are_back(home: Home) -> None:
    load(home, people(3, 6))
    home.run("ALTER TABLE person ADD CONSTRAINT light CHECK (weight < 5)")
    with pytest.raises(FailedPreconditionError, match="check constraint 'light' of table 'person'"):
        load(home, people(30, 6), LoadMode.TRUNCATE)
    assert home.count("person") == 3


def test_tables_that_others_need_are_not_replaced(home: Home) -> None:
    load(home, people(3, 6))
    home.run("CREATE VIEW heavy AS SELECT id FROM person")
    with pytest.raises(FailedPreconditionError, match="Something outside") as told:
        load(home, people(3, 6), LoadMode.REPLACE)
    assert told.value.reason == "TABLE_NEEDED_ELSEWHERE"
    assert home.count("heavy") == 3


def test_keys_that_the_table_does_not_forbid_are_compared(home: Home) -> None:
    home.run(
        "CREATE TABLE person (id bigint, name text, code text, weight double precision)",
        "CREATE TABLE visit (id bigint, person_id bigint, day date, cost numeric)",
        "INSERT INTO person VALUES (2, 'x', 'y', 1)",
    )
    with pytest.raises(FailedPreconditionError) as told:
        load(home, people(3, 6), LoadMode.APPEND)
    assert told.value.reason == "KEYS_MEET"
    assert home.count("person") == 1


def test_another_namespace_is_loaded_beside_the_default_one(home: Home) -> None:
    home.run("CREATE SCHEMA other")
    loader = loader_of(home, LoadMode.CREATE, namespace="other")
    loader.begin()
    loader.write("person", 0, people(5, 5)["person"].to_batches()[0])
    assert loader.finish().rows == {"visit": 0, "person": 5}
    assert home.tables() == set()
    assert home.rows("SELECT count(*) FROM other.person") == [(5,)]


def test_every_key_and_odd_name_of_a_schema_is_there_afterwards(
    request: pytest.FixtureRequest, tmp_path
) -> None:
    from support.shop import LINES, ORDER, PRODUCT, SHOP

    for kind in ("postgresql", "mariadb", "sqlite"):
        home = home_of(kind, request, tmp_path)
        rows = {
            LINES.name: {LINES.column_names[0]: [1, 1], "n": [1, 2], "sku": ["a", None]},
            "order": {"id": [1, 2], "who": ["x", "X"], "after": [2, 1], "top line": [2, None]},
            "Product": {"sku": ["a", "A"]},
        }
        tables = {
            table.name: pa.table(
                [
                    pa.array(rows[table.name].get(field.name, [None, None]), field.type)
                    for field in table.arrow
                ],
                names=table.column_names,
            )
            for table in (LINES, ORDER, PRODUCT)
        }
        assert load(home, tables, schema=SHOP).rows == dict.fromkeys(tables, 2)
        assert home.count(LINES.name) == 2
