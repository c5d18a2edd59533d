"""Parquet and Arrow files: every type becomes one of the few that are stored, or is refused."""

# ruff: noqa: DTZ001 - the stored types have no zone
from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.ingest import IngestedTable, columnar, ingest
from syntheflow_server.schema import infer
from syntheflow_server.store.tables import open_tables


def write(path: Path, table: pa.Table, form: str) -> None:
    if form == "parquet":
        pq.write_table(table, path)
        return
    make = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
    with make(path, table.schema) as writer:
        writer.write_table(table)


def read(folder: Path, table: pa.Table, form: str = "stream") -> tuple[IngestedTable, pa.Table]:
    path = folder / "upload"
    write(path, table, form)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (made,) = ingest(path, file_name="t.data", table="t", format=None, out=out)
    back = pq.read_table(made.path)
    assert made.rows == back.num_rows
    return made, back


@pytest.mark.parametrize("form", ["parquet", "stream", "file"])
def test_each_container_is_known_by_its_content(tmp_path: Path, form: str) -> None:
    table = pa.table({"n": pa.array(range(200_000)), "x": ["é"] * 200_000})
    made, back = read(tmp_path, table, form)
    assert back.equals(table)
    assert made.findings == ({"parquet": "Parquet"}.get(form, f"Arrow {form}"),)
    assert pq.ParquetFile(made.path).metadata.row_group(0).num_rows == 131_072


_DAY = dt.date(2024, 2, 29)
_MOMENT = dt.datetime(2024, 2, 29, 1, 2, 3)
CASES: list[tuple[pa.Array, pa.DataType, Any]] = [
    *[(pa.array([1, None], t), pa.int64(), 1) for t in (pa.int8(), pa.uint32(), pa.uint64())],
    (pa.array([2**64 - 1, None], pa.uint64()), pa.decimal128(20, 0), decimal.Decimal(2**64 - 1)),
    (pa.array([0.5, None], pa.float32()), pa.float64(), 0.5),
    (pa.array([0.5, None], pa.float16()), pa.float64(), 0.5),
    (pa.array(["a", None], pa.large_string()), pa.string(), "a"),
    (pa.array(["a", None], pa.string_view()), pa.string(), "a"),
    (pa.array(["a", None]).dictionary_encode(), pa.string(), "a"),
    (pa.array([7, None]).dictionary_encode(), pa.int64(), 7),
    (pa.RunEndEncodedArray.from_arrays([1, 2], pa.array(["a", None])), pa.string(), "a"),
    (pa.array([None, None], pa.null()), pa.string(), None),
    (pa.array([_DAY, None], pa.date64()), pa.date32(), _DAY),
    (pa.array([_MOMENT, None], pa.timestamp("s")), pa.timestamp("us"), _MOMENT),
    (pa.array([_MOMENT, None], pa.timestamp("ns")), pa.timestamp("us"), _MOMENT),
    (pa.array([dt.time(1), None], pa.time32("s")), pa.time64("us"), dt.time(1)),
    (pa.array([dt.timedelta(1), None], pa.duration("ms")), pa.duration("us"), dt.timedelta(1)),
    (pa.array([decimal.Decimal(1)], pa.decimal256(20, 2)), pa.decimal128(20, 2), 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "stored", "first"), CASES, ids=lambda x: str(getattr(x, "type", ""))
)
def test_types_become_canonical(
    tmp_path: Path, values: pa.Array, stored: pa.DataType, first: Any
) -> None:
    _, back = read(tmp_path, pa.table({"v": values}))
    assert back["v"].type == stored
    assert back["v"][0].as_py() == first
    assert back["v"].null_count == values.null_count or len(values) == 2


def test_every_stored_type_is_one_that_schemas_name(tmp_path: Path) -> None:
    table = pa.table({f"c{i}": values[:1] for i, (values, _, _) in enumerate(CASES)})
    made, back = read(tmp_path, table)
    schema = infer(open_tables(made.path.parent), {"t": back.schema}, None)
    assert [arrow_type(column.type) for column in schema.tables[0].columns] == back.schema.types


def test_zones_are_kept(tmp_path: Path) -> None:
    moment = dt.datetime(2024, 7, 1, tzinfo=dt.UTC)
    values = pa.array([moment], pa.timestamp("ms", tz="America/New_York"))
    _, back = read(tmp_path, pa.table({"v": values}))
    assert back["v"].type == pa.timestamp("us", tz="America/New_York")
    assert back["v"][0].as_py() == moment


def test_lost_nanoseconds_are_told(tmp_path: Path) -> None:
    made, back = read(tmp_path, pa.table({"v": pa.array([1999], pa.timestamp("ns"))}))
    assert back["v"].cast(pa.int64()).to_pylist() == [1]
    assert "column 'v': nanoseconds cut to microseconds" in made.findings


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), "nested values"),
        (pa.array([b"x"]), "type binary"),
        (pa.array([b"xx"], pa.binary(2)), "type fixed_size_binary"),
        (pa.array([decimal.Decimal(1)], pa.decimal256(60, 2)), "more than 38 digits"),
        (pa.array([2**62], pa.timestamp("s")), "does not fit the stored type"),
        (pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")),
         "damaged"),
    ],
)  # fmt: skip
def test_what_is_no_plain_value_is_refused_by_column(
    tmp_path: Path, values: pa.Array, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read(tmp_path, pa.table({"id": [1], "v": values}))
    assert problem in caught.value.message
    assert (caught.value.violations[0].table, caught.value.violations[0].column) == ("t", "v")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("form", ["parquet", "stream", "file"])
def test_a_cut_off_file_is_refused_and_leaves_nothing(tmp_path: Path, form: str) -> None:
    path = tmp_path / "upload"
    write(path, pa.table({"n": range(100_000)}), form)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InvalidArgumentError, match="damaged"):
        ingest(path, file_name="t", table="t", format=None, out=out)
    assert list(out.iterdir()) == []


def test_repeated_column_names_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    with pytest.raises(InvalidArgumentError, match="same name"):
        read(tmp_path, table)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "表" * 100])
def test_impossible_table_names_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "upload"
    write(path, pa.table({"n": [1]}), "parquet")
    with pytest.raises(InvalidArgumentError) as caught:
        ingest(path, file_name="", table=name, format=None, out=tmp_path)
    assert caught.value.reason == "TABLE_NAME_INVALID"


def test_a_table_is_never_overwritten(tmp_path: Path) -> None:
    read(tmp_path, pa.table({"n": [1]}))
    with pytest.raises(InvalidArgumentError) as caught:
        read(tmp_path, pa.table({"n": [2]}))
    assert caught.value.reason == "TABLE_REPEATED"


def test_names_with_slashes_and_dots_make_one_file(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    write(path, pa.table({"n": [1]}), "parquet")
    out = tmp_path / "out"
    out.mkdir()
    (made,) = ingest(path, file_name="x", table="../a/b", format=None, out=out)
    assert made.path.parent == out
    assert set(open_tables(out)) == {"../a/b"}


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        ingest(tmp_path, file_name="x", table="x", format="sas", out=tmp_path)
    assert caught.value.reason == "FORMAT_UNKNOWN"


def test_decimals_of_hundreds_keep_their_values(tmp_path: Path) -> None:
    values = pa.array([decimal.Decimal("12e2"), None], pa.decimal128(5, -2))
    path = tmp_path / "t.arrow"
    with pa.ipc.new_file(path, pa.schema([("x", values.type)])) as writer:
        writer.write_batch(pa.record_batch([values], names=["x"]))
    (made,) = ingest(path, file_name="t.arrow", table="", format=None, out=tmp_path)
    assert pq.read_table(made.path)["x"].to_pylist() == values.to_pylist()


@pytest.mark.parametrize("form", ["parquet", "stream"])
def test_rows_packed_into_next_to_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    # Pages of our own writer are small; others' may hold all rows.
    monkeypatch.setattr(columnar, "_CELLS_RATIO", 100)
    path = tmp_path / "upload"
    rows = 2_000_000
    batch = pa.record_batch({f"c{i}": pa.array([0] * rows, pa.int8()) for i in range(4)})
    if form == "parquet":
        with pq.ParquetWriter(path, batch.schema, compression="zstd") as writer:
            for _ in range(10):
                writer.write_batch(batch, row_group_size=rows)
    else:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(path, batch.schema, options=options) as writer:
            for _ in range(10):
                writer.write_batch(batch)
    assert path.stat().st_size < 400_000
    with pytest.raises(InvalidArgumentError) as caught:
        ingest(path, file_name="t.data", table="t", format=None, out=tmp_path)
    assert caught.value.reason == "FILE_TOO_LARGE"
    assert list(tmp_path.iterdir()) == [path]
