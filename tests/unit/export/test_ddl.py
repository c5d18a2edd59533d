"""Tables are made with their keys and constraints, in every database's own words."""

from __future__ import annotations

import sqlite3

import duckdb
import pytest
import sqlglot

from support.shop import LINES, SHOP, column, key
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.ddl import (
    add_constraints,
    column_type,
    create_tables,
    dependency_order,
    fitting_name,
    fix_identities,
    quoted_name,
    references_inside,
)

EACH = pytest.mark.parametrize("dialect", list(Dialect))
READERS = {Dialect.POSTGRESQL: "postgres", Dialect.MSSQL: "tsql"}


def everything(schema: Schema, dialect: Dialect) -> list[str]:
    names = schema.table_names
    return [
        *create_tables(schema, names, dialect),
        *add_constraints(schema, names, dialect),
        *fix_identities(schema, names, dialect),
    ]


def one(dialect: Dialect, *columns: Column, source: str = "", **more: object) -> str:
    table = Table(name="t", columns=columns, **more)  # type: ignore[arg-type]
    return create_tables(Schema(tables=(table,), dialect=source), ("t",), dialect)[0]


@EACH
def test_every_statement_is_read_by_a_parser_of_the_dialect(dialect: Dialect) -> None:
    for statement in everything(SHOP, dialect):
        if "DBCC" in statement or "LIMIT VALUE" in statement:
            continue
        parsed = sqlglot.parse(statement, read=READERS.get(dialect, dialect.value))
        assert len(parsed) == 1
        assert parsed[0] is not None


def test_sqlite_makes_the_tables_with_references_that_hold() -> None:
    connection = sqlite3.connect(":memory:")
    for statement in everything(SHOP, Dialect.SQLITE):
        connection.execute(statement)
    found = connection.execute("SELECT * FROM pragma_foreign_key_list('order')").fetchall()
    assert {(row[2], row[3], row[4]) for row in found} == {
        ("order", "after", "id"),
        (LINES.name, "id", "order"),
        (LINES.name, "top line", "n"),
    }
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("INSERT INTO \"order\" VALUES (1, 'a', 7, NULL)")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.commit()


def test_duckdb_makes_the_tables_without_what_closes_a_circle() -> None:
    connection = duckdb.connect()
    for statement in everything(SHOP, Dialect.DUCKDB):
        connection.execute(statement)
    rows = connection.execute(
        "SELECT table_name, referenced_table FROM duckdb_constraints() "
        "WHERE constraint_type = 'FOREIGN KEY' ORDER BY ALL"
    ).fetchall()
    assert rows == [(LINES.name, "Product"), (LINES.name, "order")]


def test_parents_stand_before_children_and_circles_are_cut_where_a_value_may_be_missing() -> None:
    order = dependency_order(SHOP, SHOP.table_names)
    assert order == ("Product", "order", LINES.name)
    assert dependency_order(SHOP, ("order", LINES.name)) == ("order", LINES.name)


@EACH
def test_tables_that_are_left_out_are_referred_to_by_none(dialect: Dialect) -> None:
    statements = "".join(create_tables(SHOP, ("order",), dialect))
    statements += "".join(add_constraints(SHOP, ("order",), dialect))
    assert "lines" not in statements
    assert "Product" not in statements
    assert ("REFERENCES" in statements) == (dialect is not Dialect.DUCKDB)


def test_references_come_later_where_the_database_can_add_them() -> None:
    for dialect in Dialect:
        added = add_constraints(SHOP, SHOP.table_names, dialect)
        assert len(added) == (0 if references_inside(dialect) else 4)


@pytest.mark.parametrize(
    ("dialect", "quoted"),
    [
        (Dialect.POSTGRESQL, '"a""b`c]d"'),
        (Dialect.SQLITE, '"a""b`c]d"'),
        (Dialect.DUCKDB, '"a""b`c]d"'),
        (Dialect.MYSQL, '`a"b``c]d`'),
        (Dialect.MSSQL, '[a"b`c]]d]'),
    ],
)
def test_names_are_quoted_as_the_database_wants_them(dialect: Dialect, quoted: str) -> None:
    assert quoted_name(dialect, 'a"b`c]d') == quoted
    assert quoted_name(dialect, 'a"b`c]d', "n").endswith(f".{quoted}")


@pytest.mark.parametrize(
    ("dialect", "names"),
    [
        (Dialect.POSTGRESQL, ["ctid", "é" * 40, "é" * 40 + "x", "a\0b", "", "_ctid"]),
        (Dialect.MYSQL, ["trailing ", "😀", "😁", "x" * 70, "trailing_"]),
        (Dialect.ORACLE, ['say "x"', "ROWID", "say _x_"]),
        (Dialect.SQLITE, ["sqlite_x", "\0"]),
    ],
)
def test_names_that_a_database_cannot_have_change_and_stay_apart(
    dialect: Dialect, names: list[str]
) -> None:
    fit = [fitting_name(dialect, name) for name in names]
    assert len(set(fit)) == len(names)
    assert all(fit)
    assert max(len(name.encode()) for name in fit) <= 128
    assert [fitting_name(dialect, name) for name in fit] == fit, "a fitting name is kept"


def test_names_that_fall_together_are_refused() -> None:
    columns = (column("a"), column("A"))
    assert '"A" bigint' in one(Dialect.POSTGRESQL, *columns)
    with pytest.raises(InvalidArgumentError, match="'a' and 'A' are one name") as caught:
        one(Dialect.MYSQL, *columns)
    assert caught.value.reason == "NAMES_COLLIDE"
    assert caught.value.violations[0].table == "t"


def test_native_types_are_kept_in_the_database_that_they_come_from() -> None:
    native = column("x", "string", native="CHARACTER VARYING(40)")
    assert column_type(native, Dialect.POSTGRESQL, "postgresql") == "CHARACTER VARYING(40)"
    assert column_type(native, Dialect.MYSQL, "postgresql") == "VARCHAR(40)"
    assert column_type(native, Dialect.MSSQL, "postgresql") == "NVARCHAR(40)"
    assert column_type(column("x", native="int unsigned"), Dialect.MYSQL, "mysql") == "int unsigned"
    chosen = column("x", "string", native="enum('a','it''s')")
    assert column_type(chosen, Dialect.MYSQL, "mysql") == "enum('a','it''s')"
    collated = column("x", "string", native='VARCHAR(9) COLLATE "utf8mb4_general_ci"')
    assert column_type(collated, Dialect.MYSQL, "mysql") == "VARCHAR(9)"


@pytest.mark.parametrize(
    "native", ["mpaa_rating", "text[]", "tsvector", "integer", "text); DROP TABLE t; --"]
)
def test_types_of_the_user_or_for_other_values_are_not_kept(native: str) -> None:
    made = column_type(column("x", "string", native=native), Dialect.POSTGRESQL, "postgresql")
    assert made == "text"


def test_free_text_is_not_put_into_types_of_one_shape() -> None:
    own, free = SemanticType.CODE, SemanticType.TEXT
    for native, means, made in (
        ("uuid", own, "uuid"),
        ("uuid", free, "uuid"),  # made-up UUIDs are UUIDs in any case
        ("timetz", own, "timetz"),
        ("timetz", free, "text"),
    ):
        shaped = column("x", "string", native=native, means=means)
        assert column_type(shaped, Dialect.POSTGRESQL, "postgresql") == made


def test_decimals_keep_their_digits_or_become_text() -> None:
    wide = column("x", "decimal128(38, 35)")
    assert column_type(wide, Dialect.MSSQL) == "DECIMAL(38, 35)"
    assert column_type(wide, Dialect.MYSQL) == "VARCHAR(80)"
    assert column_type(column("x", "decimal128(5, -2)"), Dialect.DUCKDB) == "DECIMAL(7, 0)"
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t (x {column_type(wide, Dialect.SQLITE)})")
    connection.execute("INSERT INTO t VALUES ('123.12345678901234567890123456789012345')")
    assert connection.execute("SELECT x FROM t").fetchone() == (
        "123.12345678901234567890123456789012345",
    )


def test_texts_of_a_key_share_its_room_and_their_references_have_the_same_type() -> None:
    code = [column(name, "string", nullable=False) for name in "abcd"]
    parent = Table(name="p", columns=tuple(code), primary_key=("a", "b", "c", "d"))
    child = Table(name="c", columns=(*code, column("note", "string")))
    schema = Schema(tables=(parent, child), foreign_keys=(key("c", "a,b,c,d", "p", "a,b,c,d"),))
    for dialect, kind in ((Dialect.MYSQL, "VARCHAR(175)"), (Dialect.MSSQL, "NVARCHAR(100)")):
        first, second = create_tables(schema, ("p", "c"), dialect)
        assert first.count(kind) == second.count(kind) == 4
    assert "`note` LONGTEXT" in create_tables(schema, ("p", "c"), Dialect.MYSQL)[1]


def test_a_reference_has_the_type_of_what_it_points_at() -> None:
    parent = Table(name="p", columns=(column("id", native="integer"),), primary_key=("id",))
    child = Table(name="c", columns=(column("p"),))
    schema = Schema(
        tables=(parent, child), foreign_keys=(key("c", "p", "p", "id"),), dialect="mssql"
    )
    schema = schema.model_copy(update={"dialect": "postgresql"})
    assert '"p" integer' in create_tables(schema, ("p", "c"), Dialect.POSTGRESQL)[1]


@EACH
def test_what_references_point_at_is_unique(dialect: Dialect) -> None:
    parent = Table(name="p", columns=(column("id"), column("code")), primary_key=("id",))
    child = Table(name="c", columns=(column("code"),))
    schema = Schema(tables=(parent, child), foreign_keys=(key("c", "code", "p", "code"),))
    made = create_tables(schema, ("p", "c"), dialect)[0]
    assert f"UNIQUE ({quoted_name(dialect, 'code')})" in made


def test_unique_keys_of_sql_server_allow_many_missing_values() -> None:
    table = Table(name="t", columns=(column("x"),), unique_keys=(("x",),))
    made = create_tables(Schema(tables=(table,)), ("t",), Dialect.MSSQL)
    assert "UNIQUE" not in made[0]
    assert made[1] == "CREATE UNIQUE INDEX [t key 1] ON [t] ([x]) WHERE [x] IS NOT NULL"


def test_checks_are_kept_in_their_own_dialect_only() -> None:
    made = one(Dialect.POSTGRESQL, column("n"), source="postgresql", checks=("((n > 0))",))
    assert "CHECK (((n > 0)))" in made
    assert "CHECK" not in one(Dialect.MYSQL, column("n"), source="postgresql", checks=("n > 0",))


@pytest.mark.parametrize(
    "text", ["n > 0); DROP TABLE t; --", "n > 0 -- x", "n > 0; SELECT 1", "(n > 0", "", "n > 'a"]
)
def test_a_check_that_is_more_than_a_condition_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not a single condition") as caught:
        one(Dialect.POSTGRESQL, column("n"), source="postgresql", checks=(text,))
    assert caught.value.reason == "CHECK_UNREADABLE"


def test_the_database_numbers_identity_columns() -> None:
    number = column("id", identity=True, nullable=False)
    words = {
        Dialect.POSTGRESQL: "GENERATED BY DEFAULT AS IDENTITY",
        Dialect.MYSQL: "AUTO_INCREMENT",
        Dialect.MSSQL: "IDENTITY(1,1)",
        Dialect.ORACLE: "GENERATED BY DEFAULT AS IDENTITY",
    }
    for dialect in Dialect:
        made = one(dialect, number, primary_key=("id",))
        assert words.get(dialect, "PRIMARY KEY") in made
    assert "AUTO_INCREMENT" not in one(Dialect.MYSQL, number), "MySQL wants a key for it"
