"""Given rows get the types of the model's table, or are refused without telling a value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from support import scripted
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Column, SemanticType, Table
from syntheflow_server.jobs import seeds
from syntheflow_server.jobs.seeds import Seeds, StoredRows, stored_rows

TABLE = Table(
    name="people",
    columns=(
        Column(name="age", type="int64", semantic_type=SemanticType.INTEGER),
        Column(name="born", type="date32", semantic_type=SemanticType.DATE),
        Column(name="pay", type="decimal128(8, 2)", semantic_type=SemanticType.NUMBER),
        Column(name="sex", type="string", semantic_type=SemanticType.CATEGORY, nullable=False),
    ),
)


def ipc(rows: pa.Table, *, file: bool = False) -> bytes:
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_file if file else pa.ipc.new_stream)(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def refused(source: bytes, *, fill_missing: bool = False) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as seen:
        Seeds(TABLE, source, fill_missing).read()
    assert seen.value.violations[0].table == "people"
    return seen.value


@pytest.mark.parametrize("file", [False, True])
def test_rows_are_cast_to_the_models_types(file):
    given = pa.table(
        {
            "sex": pa.array(["f", "m"]).dictionary_encode(),
            "age": pa.array(["31", None]),
            "born": pa.array(["2001-02-03", "1999-12-31"]),
            "pay": pa.array([Decimal("12.5"), None]),
        }
    )
    rows = Seeds(TABLE, ipc(given, file=file), False).read()
    assert rows.column_names == ["sex", "age", "born", "pay"]
    assert all(rows.schema.field(c.name).type == c.arrow for c in TABLE.columns)
    assert rows.to_pylist()[0] == {
        "sex": "f",
        "age": 31,
        "born": dt.date(2001, 2, 3),
        "pay": Decimal("12.50"),
    }


def test_a_value_that_does_not_fit_is_not_told():
    error = refused(ipc(pa.table({"age": ["Mrs Secret"]})))
    assert "'age'" in error.message
    assert "int64" in error.message
    assert "Secret" not in str(error) + repr(error.violations)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_unknown_and_repeated_columns_are_named():
    assert "'height'" in refused(ipc(pa.table({"height": [1]}))).message
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["age", "age"])
    assert "twice" in refused(ipc(twice)).message


def test_rows_without_columns_and_bytes_without_rows_are_refused():
    assert "no column" in refused(ipc(pa.table({}))).message
    whole = ipc(pa.table({"age": range(1_000)}))
    for broken in (b"no Arrow", whole[:300], b"ARROW1" + whole):
        assert "Arrow IPC" in refused(broken).message


def test_missing_cells_of_a_column_that_never_misses_are_refused_unless_they_are_filled():
    given = ipc(pa.table({"sex": ["f", None]}))
    assert "1 given cells" in refused(given).message
    assert Seeds(TABLE, given, True).read()["sex"].null_count == 1


def test_too_many_rows_are_refused_before_they_take_memory(monkeypatch):
    monkeypatch.setattr(seeds, "MOST_ROWS", 9)
    assert "at most 9 rows" in refused(ipc(pa.table({"age": pa.nulls(10)}))).message


def test_a_dataset_gives_its_table_of_that_name_or_its_only_one(tmp_path):
    one, two = scripted.dataset(data_schema=scripted.one_table()), scripted.dataset()
    assert stored_rows(one, "k", tmp_path, "cars").table.name == "people"
    assert stored_rows(two, "k", tmp_path, "pets").table.name == "pets"
    with pytest.raises(InvalidArgumentError, match="people, pets"):
        stored_rows(two, "k", tmp_path, "cars")


def test_the_key_tells_other_rows_apart():
    stored = StoredRows("datasets/a", "1", None, TABLE)
    later = StoredRows("datasets/a", "2", None, TABLE)
    keys = {Seeds(TABLE, source, False).key for source in (b"a", b"b", stored, later)}
    assert len(keys) == 4
