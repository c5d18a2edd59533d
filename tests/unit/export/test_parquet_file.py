"""Parquet files by row group, by file and by folder, with what is known of their tables."""

from __future__ import annotations

import io
import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from support.targets import files_of, target_of
from syntheflow_server.domain.errors import InvalidArgumentError, OutOfRangeError
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.writing import WriteOptions
from syntheflow_server.export import Target, parquet_file, parquet_folders
from syntheflow_server.export.parquet_file import ParquetBook

NUMBERS = pa.table({"n": np.arange(10_000), "k": np.arange(10_000) % 7})


def written(
    options: WriteOptions, work: Path, rows: int = 1000, **tables: pa.Table
) -> dict[str, bytes]:
    target = target_of(options, **{name: table.schema for name, table in tables.items()})
    return files_of("parquet", target, tables, work, rows)


def folder(files: dict[str, bytes], root: Path) -> Path:
    for name, data in files.items():
        path = root / name
        assert path.resolve().is_relative_to(root.resolve())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def read(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "none"])
def test_compression_is_as_asked(compression: str, tmp_path: Path) -> None:
    data = written(WriteOptions(compression=compression), tmp_path, t=NUMBERS)["t.parquet"]
    found = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0).compression
    assert found == compression.upper().replace("NONE", "UNCOMPRESSED")
    assert read(data).equals(NUMBERS)


@pytest.mark.parametrize("rows", [999, 1000, 10_000])
def test_row_groups_have_as_many_rows_as_asked_however_rows_come(rows: int, tmp_path: Path) -> None:
    data = written(WriteOptions(row_group_rows=3000), tmp_path, rows, t=NUMBERS)["t.parquet"]
    facts = pq.ParquetFile(io.BytesIO(data)).metadata
    groups = [facts.row_group(at).num_rows for at in range(facts.num_row_groups)]
    assert groups == [3000, 3000, 3000, 1000]
    assert read(data).equals(NUMBERS)


def test_a_table_goes_on_in_the_next_file_after_so_many_rows(tmp_path: Path) -> None:
    options = WriteOptions(file_rows=4000, row_group_rows=1500)
    files = written(options, tmp_path, 999, t=NUMBERS, full=NUMBERS.slice(0, 8000))
    assert {name: read(data).num_rows for name, data in files.items()} == {
        "t-00001.parquet": 4000,
        "t-00002.parquet": 4000,
        "t-00003.parquet": 2000,
        "full-00001.parquet": 4000,
        "full-00002.parquet": 4000,
    }
    parts = [read(data) for name, data in files.items() if name.startswith("t-")]
    assert pa.concat_tables(parts).equals(NUMBERS)


def test_a_table_without_rows_is_a_file_all_the_same(tmp_path: Path) -> None:
    files = written(WriteOptions(file_rows=10), tmp_path, t=NUMBERS.slice(0, 0))
    assert read(files["t-00001.parquet"]).equals(NUMBERS.slice(0, 0))
    root = folder(
        written(WriteOptions(partition_by=("k",)), tmp_path, t=NUMBERS.slice(0, 0)), tmp_path
    )
    found = ds.dataset(root / "t", partitioning="hive").to_table()
    assert found.equals(NUMBERS.slice(0, 0))


ODD = pa.table(
    {
        "a b/=ü": ["x/y", "é=%", "..", None, "", "x/y", "a b\n"],
        "year": [2024, 2023, 2024, None, 2024, 2024, 2023],
        "v": range(7),
    }
)


def test_folders_bear_the_values_and_come_back(tmp_path: Path) -> None:
    files = written(WriteOptions(partition_by=("a b/=ü", "year")), tmp_path, 3, t=ODD)
    assert "t/a b%2F%3D%C3%BC=x%2Fy/year=2024/part-00001.parquet" in files
    assert len(files) == 6
    root = folder(files, tmp_path)
    found = ds.dataset(root / "t", partitioning="hive").to_table().select(ODD.schema.names)
    # Dataset readers tell columns' types from folders' names: int32 for a year.
    assert found.cast(ODD.schema).sort_by("v").equals(ODD)
    other = duckdb.sql(
        f"SELECT * FROM read_parquet('{root}/t/**/*.parquet', hive_partitioning=true) ORDER BY v"
    ).to_arrow_table()
    assert other["year"].to_pylist() == ODD["year"].to_pylist()
    assert other["v"].to_pylist() == list(range(7))


def test_rows_of_a_folder_keep_their_order(tmp_path: Path) -> None:
    files = written(WriteOptions(partition_by=("k",), row_group_rows=100), tmp_path, t=NUMBERS)
    for value in range(7):
        rows = read(files[f"t/k={value}/part-00001.parquet"])
        assert rows["n"].to_pylist() == list(range(value, 10_000, 7))


def test_tables_without_the_column_are_not_cut(tmp_path: Path) -> None:
    other = pa.table({"x": ["a"]})
    files = written(WriteOptions(partition_by=("k",)), tmp_path, t=NUMBERS, other=other)
    assert read(files["other.parquet"]).equals(other)
    assert "t.parquet" not in files


def test_columns_to_cut_at_must_exist_and_leave_one(tmp_path: Path) -> None:
    for by, rule in ((("nope",), "'nope', which no table has"), (("n", "k"), "one must stay")):
        with pytest.raises(InvalidArgumentError, match=rule) as caught:
            ParquetBook(target_of(WriteOptions(partition_by=by), t=NUMBERS.schema), tmp_path)
        assert caught.value.reason == "PARTITION_INVALID"


def test_folders_too_many_too_long_or_misread_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_folders, "MOST_FOLDERS", 100)
    long = pa.table({"n": ["secret" * 50], "k": [1]})
    word = pa.table({"n": ["__HIVE_DEFAULT_PARTITION__"], "k": [1]})
    for table, rule in (
        (NUMBERS, "more than 100 folders"),
        (long, "too long for a folder"),
        (word, "the word for a missing value"),
    ):
        with pytest.raises(OutOfRangeError, match=rule) as caught:
            written(WriteOptions(partition_by=("n",)), tmp_path, t=table)
        assert caught.value.reason == "PARTITIONS_UNFIT"
        assert "secret" not in str(caught.value)


def test_open_files_and_waiting_rows_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_file, "_MOST_OPEN", 3)
    monkeypatch.setattr(parquet_file, "_WAITING_BYTES", 20_000)
    monkeypatch.setattr(parquet_file, "_HEAP_ROWS", 500)
    target = target_of(WriteOptions(partition_by=("k",), row_group_rows=2000), t=NUMBERS.schema)
    book = ParquetBook(target, tmp_path)
    files: dict[str, bytes] = {}
    counted = 0
    for batch in NUMBERS.to_batches(500):
        for part in book.add("t", batch):
            files[part.file] = files.get(part.file, b"") + part.data
            counted += part.rows
        kept = book._tables["t"]
        assert isinstance(kept, parquet_file._Partitioned)
        held = list(kept._files.values())
        assert sum(one.is_open for one in held) <= 3
        assert sum(one.waiting_bytes for one in held) == kept._waiting <= 20_000
    for part in book.end():
        files[part.file] = files.get(part.file, b"") + part.data
        counted += part.rows
    assert counted == NUMBERS.num_rows
    assert len(files) > 7
    parts = ds.dataset(folder(files, tmp_path) / "t", partitioning="hive").to_table()
    assert parts.cast(NUMBERS.schema).sort_by("n").equals(NUMBERS)


def test_files_tell_keys_references_and_types(tmp_path: Path) -> None:
    whole = Column(
        name="id", type="int64", semantic_type=SemanticType.IDENTIFIER, native_type="smallint"
    )
    schema = Schema(
        tables=(
            Table(name="a", columns=(whole,), primary_key=("id",)),
            Table(name="b", columns=(whole,), unique_keys=(("id",),)),
        ),
        foreign_keys=(
            ForeignKey(
                child_table="b", child_columns=("id",), parent_table="a", parent_columns=("id",)
            ),
        ),
        dialect="postgresql",
    )
    rows = pa.table({"id": [1, 2]})
    target = Target(schema, ("a", "b"))
    files = files_of("parquet", target, {"a": rows, "b": rows}, tmp_path)
    found = pq.read_schema(io.BytesIO(files["b.parquet"]))
    assert json.loads(found.metadata[b"syntheflow"]) == {
        "table": "b",
        "primary_key": [],
        "unique_keys": [["id"]],
        "foreign_keys": [{"child_columns": ["id"], "parent_table": "a", "parent_columns": ["id"]}],
        "dialect": "postgresql",
    }
    assert found.field("id").metadata[b"native_type"] == b"smallint"
    assert read(files["a.parquet"]).equals(rows)
