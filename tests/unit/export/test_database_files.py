"""A database file holds all tables with their keys, and only rows whose references hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.shop import LINES, SHOP, column, key
from support.targets import files_of, target_of
from syntheflow_server.domain.errors import FailedPreconditionError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.export import BOOKS, Target
from syntheflow_server.export.database_file import kept_references
from syntheflow_server.ingest.ingest import ingest
from unit.export.test_export import EVERYTHING

FORMATS = ["sqlite", "duckdb"]
Query = Callable[[str], list[tuple[Any, ...]]]


def written(form: str, target: Target, tables: dict[str, pa.Table], work: Path) -> Path:
    (work / "book").mkdir()
    files = files_of(form, target, tables, work / "book", rows=7)
    assert list(files) == [f"{target.name}.{form}"]
    assert not list((work / "book").iterdir()), "nothing stays on disk"
    path = work / f"{target.name}.{form}"
    path.write_bytes(files[path.name])
    return path


@pytest.fixture
def open_file() -> Iterator[Callable[[Path], Query]]:
    """Return a function that opens a file and gives a function that asks it."""
    opened: list[Any] = []

    def open_(path: Path) -> Query:
        base = sqlite3.connect(path) if path.suffix == ".sqlite" else duckdb.connect(str(path))
        opened.append(base)
        return lambda query: base.execute(query).fetchall()

    yield open_
    for base in opened:
        base.close()


@pytest.mark.parametrize("form", FORMATS)
def test_we_read_back_every_type_that_the_database_has(form: str, tmp_path: Path) -> None:
    path = written(form, target_of(t=EVERYTHING.schema), {"t": EVERYTHING}, tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (made,) = ingest(
        path, file_name=path.name, table="", format=None, out=out, options=ReadOptions()
    )
    found = pq.read_table(made.path)
    assert made.name == "t"
    assert found.schema.names == EVERYTHING.schema.names
    for name in EVERYTHING.schema.names:
        kind = EVERYTHING.schema.field(name).type
        if pa.types.is_duration(kind) and pa.types.is_string(found[name].type):
            # Neither database has a type for durations that its reader knows as one.
            assert found[name].to_pylist() == ["30:00:00.000001", None, "-00:01:00"]
        else:
            assert found[name].cast(kind).equals(EVERYTHING[name]), name


def test_another_reader_of_sqlite_sees_plain_numbers_and_texts(
    tmp_path: Path, open_file: Callable[[Path], Query]
) -> None:
    path = written("sqlite", target_of(t=EVERYTHING.schema), {"t": EVERYTHING}, tmp_path)
    ask = open_file(path)
    assert ask("SELECT * FROM t")[0] == (
        1, 1.5, 1, 'a "quoted", word\r\nand 日本 \\ \x01', "2024-02-29", "23:59:59.000005",
        "2024-01-02 03:04:05.000006", "2024-07-01 12:00:00Z", "30:00:00.000001",
        "12345678901234567890.12", "x",
    )  # fmt: skip
    assert ask("SELECT * FROM t")[1] == (None,) * 10 + ("y",)
    assert ask("SELECT date(moment, '+1 day'), strftime('%H', zoned), julianday(day) FROM t")[
        0
    ] == ("2024-01-03", "12", 2460369.5)
    assert ask("PRAGMA integrity_check") == [("ok",)]


def test_another_reader_of_duckdb_sees_its_own_types(
    tmp_path: Path, open_file: Callable[[Path], Query]
) -> None:
    path = written("duckdb", target_of(t=EVERYTHING.schema), {"t": EVERYTHING}, tmp_path)
    ask = open_file(path)
    types = [row[0] for row in ask("SELECT data_type FROM duckdb_columns() WHERE table_name='t'")]
    assert types == [
        "BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "DATE", "TIME", "TIMESTAMP",
        "TIMESTAMP WITH TIME ZONE", "INTERVAL", "DECIMAL(30,2)", "VARCHAR",
    ]  # fmt: skip
    assert ask("SELECT whole, moment::VARCHAR, span::VARCHAR, exact::VARCHAR FROM t") == [
        (1, "2024-01-02 03:04:05.000006", "30:00:00.000001", "12345678901234567890.12"),
        (None, None, None, None),
        (-(2**63), "1969-12-31 23:00:00", "-00:01:00", "-0.50"),
    ]


_CELLS = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
)


@pytest.mark.parametrize("form", FORMATS)
@given(rows=st.lists(_CELLS, max_size=20))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_value_comes_back(
    form: str, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]
) -> None:
    schema = pa.schema([("s", pa.string()), ("i", pa.int64()), ("f", pa.float64())])
    columns = [pa.array([row[at] for row in rows], schema.types[at]) for at in range(3)]
    table = pa.Table.from_arrays(columns, schema=schema)
    path = written(form, target_of(t=schema), {"t": table}, tmp_path_factory.mktemp("any"))
    connect = sqlite3.connect if form == "sqlite" else duckdb.connect
    with closing(connect(str(path))) as base:
        assert base.execute("SELECT s, i, f FROM t").fetchall() == rows


@pytest.mark.parametrize("form", FORMATS)
def test_decimals_that_end_before_the_point_are_whole_numbers(
    form: str, tmp_path: Path, open_file: Callable[[Path], Query]
) -> None:
    table = pa.table({"x": pa.array(["12000", None]).cast(pa.decimal128(7, 0))})
    coarse = pa.table({"x": table["x"].cast(pa.decimal128(4, -3))})
    ask = open_file(written(form, target_of(t=coarse.schema), {"t": coarse}, tmp_path))
    assert ask("SELECT x FROM t") == [(12000,), (None,)]


def test_not_a_number_is_missing_in_sqlite(
    tmp_path: Path, open_file: Callable[[Path], Query]
) -> None:
    table = pa.table({"x": [float("nan"), float("inf"), 1.0]})
    ask = open_file(written("sqlite", target_of(t=table.schema), {"t": table}, tmp_path))
    assert ask("SELECT x FROM t") == [(None,), (float("inf"),), (1.0,)]


def shop_rows() -> dict[str, pa.Table]:
    """Return rows of the shop: orders point at earlier ones and at lines, lines at orders."""
    arrow = {table.name: table.arrow for table in SHOP.tables}
    odd = LINES.name
    rows = {
        "order": [
            {"id": n, "who": f"w{n}", "after": n - 1 or None, "top line": n % 2}
            for n in range(1, 30)
        ],
        odd: [
            {"order": n, "n": line, "sku": f"s{line}", 'a"b`c]d': "x", "é" * 70: True}
            for n in range(1, 30)
            for line in (0, 1)
        ],
        "Product": [{"sku": f"s{n}", "whole": n} for n in range(2)],
    }
    return {
        name: pa.Table.from_pylist(
            [{field: row.get(field) for field in arrow[name].names} for row in rows[name]],
            schema=arrow[name],
        )
        for name in rows
    }


@pytest.mark.parametrize("form", FORMATS)
def test_keys_circles_and_odd_names_stand_whatever_the_order_of_rows(
    form: str, tmp_path: Path, open_file: Callable[[Path], Query]
) -> None:
    tables = shop_rows()
    ask = open_file(written(form, Target(SHOP, SHOP.table_names, "shop"), tables, tmp_path))
    joined = """SELECT count(*) FROM "order's ""lines"" `x` [y]" AS l
                JOIN "order" AS o ON l."order" = o.id JOIN "Product" AS p USING (sku)"""
    assert ask(joined) == [(58,)]
    if form == "sqlite":
        assert ask("PRAGMA foreign_key_check") == []
        assert len(ask('PRAGMA foreign_key_list("order")')) == 3
        assert ask("""SELECT count(*) FROM pragma_table_info('Product') WHERE pk > 0""") == [(1,)]
    else:
        found = ask(
            "SELECT constraint_type FROM duckdb_constraints() WHERE NOT constraint_text='' "
        )
        kinds = [row[0] for row in found]
        assert kinds.count("PRIMARY KEY") == 3
        assert kinds.count("FOREIGN KEY") >= 2


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("child", ["order", LINES.name])
def test_a_row_without_its_parent_breaks_the_file(form: str, child: str, tmp_path: Path) -> None:
    tables = shop_rows()
    changed = {"order": "after", LINES.name: "sku"}[child]
    lost = pa.scalar(77, pa.int64()) if child == "order" else pa.scalar("secret")
    at = tables[child].schema.get_field_index(changed)
    last = pa.concat_arrays(
        [tables[child][changed].combine_chunks()[:-1], pa.array([lost.as_py()], lost.type)]
    )
    tables[child] = tables[child].set_column(at, changed, last)
    with pytest.raises(FailedPreconditionError, match="refers to a row") as caught:
        written(form, Target(SHOP, SHOP.table_names, "shop"), tables, tmp_path)
    assert caught.value.reason == "REFERENCE_BROKEN"
    assert changed in str(caught.value) or form == "duckdb"
    assert "secret" not in str(caught.value)
    assert "77" not in str(caught.value)


KEYED = Schema(
    tables=(
        Table(
            name="t",
            columns=(
                column("id", nullable=False),
                column("code", "string", nullable=False),
                column("n", "int64"),
            ),
            primary_key=("id",),
            unique_keys=(("code", "n"),),
        ),
    )
)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((3, "b", 1), "UNIQUE_BROKEN"),
        ((99, "secret", 1), "UNIQUE_BROKEN"),
        ((99, None, 1), "NULL_REFUSED"),
    ],
)
def test_a_row_that_breaks_a_key_is_named_and_its_values_are_not(
    form: str, row: tuple[Any, ...], reason: str, tmp_path: Path
) -> None:
    rows = [(n, "secret" if n == 4 else "a", 1 if n == 4 else n) for n in range(20)] + [row]
    table = pa.Table.from_arrays(
        [pa.array(values) for values in zip(*rows, strict=True)], schema=KEYED.table("t").arrow
    )
    with pytest.raises(FailedPreconditionError, match="'t'") as caught:
        written(form, Target(KEYED, ("t",), "keyed"), {"t": table}, tmp_path)
    assert caught.value.reason == reason
    assert "secret" not in str(caught.value)
    if form == "sqlite":
        assert caught.value.violations[0].row == 21


@pytest.mark.parametrize("form", FORMATS)
def test_a_child_can_go_without_its_parent_table(
    form: str, tmp_path: Path, open_file: Callable[[Path], Query]
) -> None:
    schema = Schema(
        tables=(
            Table(name="p", columns=(column("id"),), primary_key=("id",)),
            Table(name="c", columns=(column("p"),)),
        ),
        foreign_keys=(key("c", "p", "p", "id"),),
    )
    target = Target(schema, ("c",), "made")
    assert kept_references(target, "c") == []
    ask = open_file(written(form, target, {"c": pa.table({"p": [1, 2]})}, tmp_path))
    assert ask("SELECT sum(p) FROM c") == [(3,)]


@pytest.mark.parametrize("form", FORMATS)
def test_empty_tables_and_columns_are_there(
    form: str, tmp_path: Path, open_file: Callable[[Path], Query]
) -> None:
    nulls = pa.Table.from_arrays(
        [pa.nulls(5, field.type) for field in EVERYTHING.schema], schema=EVERYTHING.schema
    )
    target = target_of(none=EVERYTHING.schema, nulls=EVERYTHING.schema)
    tables = {"none": EVERYTHING.slice(0, 0), "nulls": nulls}
    ask = open_file(written(form, target, tables, tmp_path))
    assert ask("SELECT count(*) FROM none") == [(0,)]
    assert ask("SELECT DISTINCT * FROM nulls") == [(None,) * 11]


@pytest.mark.parametrize("form", FORMATS)
def test_rows_are_told_as_they_come(form: str, tmp_path: Path) -> None:
    batch = pa.record_batch({"id": [1, 2, 3]})
    book = BOOKS[form](target_of(a=batch.schema, b=batch.schema), tmp_path)
    parts = [part for name in "abab" for part in book.add(name, batch)]
    assert [(part.table, part.rows, part.data) for part in parts] == [
        ("a", 3, b""), ("b", 3, b""), ("a", 3, b""), ("b", 3, b""),
    ]  # fmt: skip
    assert sum(len(part.data) for part in book.end()) > 0
