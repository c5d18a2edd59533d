"""A script of SQL makes the very same rows in another database, whatever their texts hold."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from support.shop import LINES, NASTY, SHOP, shop_rows
from support.targets import files_of, target_of
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.writing import Dialect, WriteOptions
from syntheflow_server.export import TARGET_PIECE, Target
from syntheflow_server.export.sql_script import SqlEncoder

TEXTS = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=20)
NOWHERE = Path()


def script(dialect: Dialect, target: Target, tables: dict[str, pa.Table], rows: int = 7) -> str:
    files = files_of("sql", target, tables, NOWHERE, rows)
    assert list(files) == [f"{target.name}.sql"]
    return files[f"{target.name}.sql"].decode()


def shop_script(dialect: Dialect, **options: bool) -> str:
    made = WriteOptions(dialect=dialect, **options)
    target = Target(SHOP, SHOP.table_names, "the shop", made)
    # Children first: a stream's order is not the keys' order.
    return script(dialect, target, {LINES.name: shop_rows()[LINES.name], **shop_rows()})


def one_column(dialect: Dialect, values: pa.Array) -> str:
    table = pa.table({"n": pa.array(range(len(values)), pa.int64()), "x": values})
    return script(dialect, target_of(WriteOptions(dialect=dialect), t=table.schema), {"t": table})


def in_sqlite(text: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(text)
    assert not connection.in_transaction
    return connection


def in_duckdb(text: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(text)
    return connection


def test_sqlite_holds_every_row_and_reference() -> None:
    connection = in_sqlite(shop_script(Dialect.SQLITE))
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    rows = connection.execute('SELECT * FROM "Product" ORDER BY rowid').fetchall()
    wanted = shop_rows()["Product"]
    assert [row[4] for row in rows] == list(NASTY)
    assert [row[1] for row in rows] == wanted["whole"].to_pylist()
    assert [row[2] for row in rows] == wanted["float"].to_pylist()
    assert rows[0][5:12] == (
        "2024-02-29", "23:59:59.000005", "2024-01-02 03:04:05.000006", "2024-07-01 12:00:00Z",
        "30:00:00.000001", -0.5, "1234567890123456789012345678.91",
    )  # fmt: skip


def test_duckdb_holds_every_row_and_reference() -> None:
    connection = in_duckdb(shop_script(Dialect.DUCKDB))
    for name, wanted in shop_rows().items():
        found = connection.sql(f"SELECT * FROM {quoted(name)} ORDER BY rowid").to_arrow_table()
        for field, column in zip(wanted.schema, found.columns, strict=True):
            if pa.types.is_duration(field.type):
                continue  # intervals of Arrow have months
            assert column.cast(field.type).to_pylist() == wanted[field.name].to_pylist()
    spans = connection.execute('SELECT span FROM "Product" ORDER BY rowid').fetchall()
    assert [row[0] for row in spans] == shop_rows()["Product"]["span"].to_pylist()
    assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (3,)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@settings(deadline=None, max_examples=60)
@given(TEXTS)
@example(["a\0b\r\n", "x\nGO", "$(x)", "GO", "\r:exit", "\n!!ls", "'"])
def test_any_text_survives_sqlite(values: list[str | None]) -> None:
    connection = in_sqlite(one_column(Dialect.SQLITE, pa.array(values, pa.string())))
    assert [row[0] for row in connection.execute("SELECT x FROM t ORDER BY n")] == values


@settings(deadline=None, max_examples=60)
@given(TEXTS)
@example(["a\0b\r\n", "x\nGO", "$(x)", "GO", "\r:exit", "\n!!ls", "'"])
def test_any_text_survives_duckdb(values: list[str | None]) -> None:
    connection = in_duckdb(one_column(Dialect.DUCKDB, pa.array(values, pa.string())))
    assert [row[0] for row in connection.execute("SELECT x FROM t ORDER BY n").fetchall()] == values


@settings(deadline=None, max_examples=60)
@given(TEXTS)
@example(["a\0b\r\n", "x\nGO", "$(x)", "GO", "\r:exit", "\n!!ls", "'"])
def test_any_text_survives_sql_server_as_a_parser_reads_it(values: list[str | None]) -> None:
    text = one_column(Dialect.MSSQL, pa.array(values, pa.string()))
    found: list[str | None] = []
    for batch in re.split(r"(?m)^GO\n", text):
        if (start := batch.find("INSERT INTO [t]")) >= 0:
            (statement,) = sqlglot.parse(batch[start:], read="tsql")
            rows = statement.expression.expressions
            found += [_value(row.expressions[1]) for row in rows]
    assert found == values
    assert "$(" not in text, "sqlcmd would put a variable there"


def _value(node: exp.Expression) -> str | None:
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Cast):
        digits = (
            f"{int(node.this.this):x}" if not isinstance(node.this.this, str) else node.this.this
        )
        return bytes.fromhex(digits).decode("utf-16-le")
    assert isinstance(node, exp.National)
    return str(node.this)


def test_scripts_for_sql_server_keep_its_limits() -> None:
    table = pa.table({"n": pa.array(np.arange(2500)), "x": ["some text"] * 2500})
    target = target_of(WriteOptions(dialect=Dialect.MSSQL), t=table.schema)
    text = script(Dialect.MSSQL, target, {"t": table}, rows=1 << 14)
    inserts = [part for part in text.split("GO\n") if "INSERT" in part]
    assert [part.count("N'some text'") for part in inserts] == [1000, 1000, 500]
    assert all(part.startswith("IF @@TRANCOUNT = 0 SET NOEXEC ON;\n") for part in inserts)
    assert text.index("BEGIN TRANSACTION") < text.index("CREATE TABLE")
    assert text.endswith("COMMIT TRANSACTION;\nGO\nSET NOEXEC OFF;\nGO\n")


def test_sql_server_takes_numbers_of_identity_columns_one_table_at_a_time() -> None:
    text = shop_script(Dialect.MSSQL)
    assert text.count("SET IDENTITY_INSERT [order] ON;") == 1
    assert text.count("SET IDENTITY_INSERT [order] OFF;") == 1
    assert "IDENTITY_INSERT [Product]" not in text


def test_a_script_is_one_transaction_and_ends_with_references() -> None:
    text = shop_script(Dialect.POSTGRESQL)
    assert text.index("BEGIN;") < text.index("CREATE TABLE") < text.index("INSERT INTO")
    assert text.rindex("INSERT INTO") < text.index("FOREIGN KEY") < text.index("setval")
    assert text.endswith("COMMIT;\n")


def test_what_is_no_number_is_null_where_there_is_no_word_for_it() -> None:
    values = pa.array([float("nan"), float("inf"), float("-inf"), 2.0, None])
    written = "(0,'NaN'),\n(1,'Infinity'),\n(2,'-Infinity'),\n(3,2.0),\n(4,NULL);"
    assert written in one_column(Dialect.POSTGRESQL, values)
    rows = in_sqlite(one_column(Dialect.SQLITE, values)).execute("SELECT x FROM t").fetchall()
    assert rows == [(None,), (float("inf"),), (float("-inf"),), (2.0,), (None,)]
    for dialect in (Dialect.MYSQL, Dialect.MSSQL):
        assert one_column(dialect, values).count("NULL)") == 4


def test_postgresql_has_no_word_for_nul_and_the_error_names_the_column() -> None:
    for copy in (True, False):
        table = pa.table({"x": ["a\0secret"]})
        options = WriteOptions(copy_rows=copy)
        with pytest.raises(InvalidArgumentError, match="table 't', column 'x'") as caught:
            script(Dialect.POSTGRESQL, target_of(options, t=table.schema), {"t": table})
        assert caught.value.reason == "TEXT_HAS_NUL"
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("dialect", "copy"), [(Dialect.ORACLE, False), (Dialect.MYSQL, True), (Dialect.SQLITE, True)]
)
def test_what_no_script_can_hold_is_refused_before_the_first_row(
    dialect: Dialect, copy: bool
) -> None:
    target = target_of(
        WriteOptions(dialect=dialect, copy_rows=copy), t=pa.schema([("x", pa.int64())])
    )
    with pytest.raises(InvalidArgumentError) as caught:
        list(SqlEncoder.opening(target))
    assert caught.value.reason == "DIALECT_NOT_SUPPORTED"


@pytest.mark.parametrize("copy", [True, False])
def test_pieces_are_whole_statements_near_the_target(copy: bool) -> None:
    batch = pa.record_batch({"n": np.arange(100_000), "x": ["some text"] * 100_000})
    target = target_of(WriteOptions(copy_rows=copy), t=batch.schema)
    pieces = list(SqlEncoder(target, "t").pieces(batch, first=True))
    assert sum(piece.rows for piece in pieces) == 100_000
    assert max(len(piece.data) for piece in pieces) <= TARGET_PIECE * 1.01
    for piece in pieces:
        assert piece.data.startswith(b"COPY" if copy else b"INSERT")
        assert piece.data.endswith(b"\n\\.\n" if copy else b");\n")
        assert piece.data.count(b"some text") == piece.rows
