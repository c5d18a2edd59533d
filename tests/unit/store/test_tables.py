from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntheflow_server.domain.errors import DataLossError, InvalidArgumentError
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.store.tables import file_of, open_tables, table_of


def schema(**types: str) -> Schema:
    columns = tuple(
        Column(name=name, type=kind, semantic_type=SemanticType.CATEGORY)
        for name, kind in types.items()
    )
    return Schema(tables=(Table(name="t", columns=columns),))


def write(tmp_path, **columns) -> None:
    pq.write_table(pa.table(columns), tmp_path / file_of("t"))


def test_columns_are_read_one_by_one(tmp_path):
    write(tmp_path, a=[1, 2], b=["x", None])
    table = open_tables(tmp_path)["t"]
    assert table.num_rows == 2
    assert table.column("b").to_pylist() == ["x", None]
    with pytest.raises(KeyError):
        table.column("c")


def test_a_dot_in_a_column_name_is_just_a_dot(tmp_path):
    write(tmp_path, **{"a": [1], "a.b": ["x"], "a.b.c": [2.5]})
    table = open_tables(tmp_path)["t"]
    assert [table.column(n).to_pylist() for n in ("a", "a.b", "a.b.c")] == [[1], ["x"], [2.5]]


def test_values_are_cast_to_the_types_of_the_schema(tmp_path):
    write(tmp_path, a=["1", None], d=["2024-02-03", "2024-02-04"])
    table = open_tables(tmp_path, schema(a="int64", d="date32"))["t"]
    assert table.column("a").to_pylist() == [1, None]
    assert table.column("d").to_pylist()[0] == date(2024, 2, 3)


def test_values_that_do_not_fit_name_the_column_and_never_the_value(tmp_path):
    write(tmp_path, a=["1", "Mrs Secret"])
    table = open_tables(tmp_path, schema(a="int64"))["t"]
    with pytest.raises(InvalidArgumentError) as caught:
        table.column("a")
    assert "'a'" in caught.value.message
    assert "Secret" not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


def test_a_damaged_or_missing_file_is_data_loss(tmp_path):
    (tmp_path / file_of("t")).write_bytes(b"not parquet")
    with pytest.raises(DataLossError):
        open_tables(tmp_path)
    (tmp_path / file_of("t")).unlink()
    with pytest.raises(DataLossError):
        open_tables(tmp_path, schema(a="int64"))


def test_columns_come_in_the_types_of_the_schema_whatever_their_order(tmp_path):
    write(tmp_path, b=["x"], a=["7"])
    wanted = schema(a="int64", b="string")
    table = open_tables(tmp_path, wanted)["t"]
    columns = {name: table.column(name) for name in wanted.tables[0].column_names}
    made = pa.table(columns)
    assert made.schema == wanted.tables[0].arrow
    assert made.to_pylist() == [{"a": 7, "b": "x"}]


@given(st.text(min_size=1))
def test_any_table_name_makes_a_safe_file_name_and_comes_back(name):
    file = file_of(name)
    assert "/" not in file
    assert file not in {".", ".."}
    from pathlib import Path

    assert table_of(Path(file)) == name


def test_parts_are_row_groups_and_make_up_the_column(tmp_path):
    table = pa.table({"a": range(10), "b": [str(i) for i in range(10)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4)
    stored = open_tables(tmp_path)["t"]
    assert stored.parts == (range(4), range(4, 8), range(8, 10))
    read = [stored.part("b", number).to_pylist() for number in range(3)]
    assert read == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
    with pytest.raises(KeyError):
        stored.part("c", 0)
