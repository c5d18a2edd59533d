"""Every format gives back what it was given, in pieces that fit a message."""

# ruff: noqa: DTZ001 - the stored type has no zone
from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.targets import files_of, target_of
from syntheflow_server.domain.errors import InvalidArgumentError, OutOfRangeError
from syntheflow_server.domain.writing import WriteOptions
from syntheflow_server.export import (
    BOOKS,
    ENCODERS,
    TARGET_PIECE,
    Encoder,
    check_format,
    split,
)
from syntheflow_server.export.parquet_file import ParquetBook

_ZONE = dt.UTC
EVERYTHING = pa.table(
    {
        "whole": pa.array([1, None, -(2**63)], pa.int64()),
        "number": pa.array([1.5, None, 1e300], pa.float64()),
        "truth": pa.array([True, None, False]),
        "text": pa.array(['a "quoted", word\r\nand 日本 \\ \x01', None, ""]),
        "day": pa.array([dt.date(2024, 2, 29), None, dt.date(1899, 12, 31)]),
        "clock": pa.array([dt.time(23, 59, 59, 5), None, dt.time(0, 0)], pa.time64("us")),
        "moment": pa.array(
            [dt.datetime(2024, 1, 2, 3, 4, 5, 6), None, dt.datetime(1969, 12, 31, 23, 0)],
            pa.timestamp("us"),
        ),
        "zoned": pa.array(
            [dt.datetime(2024, 7, 1, 12, 0, tzinfo=_ZONE), None, None],
            pa.timestamp("us", tz="Europe/Berlin"),
        ),
        "span": pa.array(
            [dt.timedelta(hours=30, microseconds=1), None, -dt.timedelta(minutes=1)],
            pa.duration("us"),
        ),
        "exact": pa.array(
            [decimal.Decimal("12345678901234567890.12"), None, decimal.Decimal("-0.50")],
            pa.decimal128(30, 2),
        ),
        'a,b"c': pa.array(["x", "y", "z"]),
    }
)


FORMATS = ["arrow", "csv", "json", "jsonl", "parquet"]


def encoder(name: str, schema: pa.Schema) -> Encoder:
    return ENCODERS[name](target_of(t=schema), "t")


def encoded(name: str, table: pa.Table, rows: int = 1 << 14) -> bytes:
    with tempfile.TemporaryDirectory() as work:
        files = files_of(name, target_of(t=table.schema), {"t": table}, Path(work), rows)
    assert list(files) == [f"t.{name}"]
    return files[f"t.{name}"]


def read_json(data: bytes, *, lines: bool) -> list[dict[str, object]]:
    text = data.decode()
    loads = json.JSONDecoder(parse_float=decimal.Decimal).decode
    return [loads(line) for line in text.splitlines()] if lines else loads(text)


def test_arrow_pieces_are_one_ipc_stream() -> None:
    assert pa.ipc.open_stream(encoded("arrow", EVERYTHING)).read_all().equals(EVERYTHING)


def test_parquet_gives_back_every_type() -> None:
    assert pq.read_table(io.BytesIO(encoded("parquet", EVERYTHING))).equals(EVERYTHING)


def test_csv_is_rfc_4180_with_missing_apart_from_empty() -> None:
    text = encoded("csv", EVERYTHING).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert rows[0] == EVERYTHING.schema.names
    assert rows[1] == [
        "1", "1.5", "true", 'a "quoted", word\r\nand 日本 \\ \x01', "2024-02-29",
        "23:59:59.000005", "2024-01-02T03:04:05.000006", "2024-07-01T12:00:00Z",
        "30:00:00.000001", "12345678901234567890.12", "x",
    ]  # fmt: skip
    assert rows[2] == [""] * 10 + ["y"]
    assert rows[3][4:9] == ["1899-12-31", "00:00:00", "1969-12-31T23:00:00", "", "-00:01:00"]
    assert text.endswith("\r\n")
    assert ',false,"",1899-12-31' in text, "an empty string is quoted, a missing one is not"


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_holds_every_type_exactly(name: str) -> None:
    rows = read_json(encoded(name, EVERYTHING), lines=name == "jsonl")
    assert list(rows[0]) == EVERYTHING.schema.names
    assert rows[0]["text"] == 'a "quoted", word\r\nand 日本 \\ \x01'
    assert rows[0]["exact"] == decimal.Decimal("12345678901234567890.12")
    assert rows[0]["zoned"] == "2024-07-01T12:00:00Z"
    assert rows[0]["truth"] is True
    assert rows[2]["whole"] == -(2**63)
    assert rows[2]["text"] == ""
    assert all(value is None for value in list(rows[1].values())[:-1])


def test_json_has_no_word_for_what_is_no_number() -> None:
    table = pa.table({"x": pa.array([float("nan"), float("inf"), float("-inf"), 2.0])})
    assert json.loads(encoded("json", table)) == [{"x": None}] * 3 + [{"x": 2.0}]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40))
def test_floats_come_back_bit_for_bit_and_look_like_floats(values: list[float]) -> None:
    table = pa.table({"x": pa.array(values, pa.float64())})
    rows = json.loads(encoded("json", table))
    assert [row["x"] for row in rows] == values
    assert all(isinstance(row["x"], float) for row in rows)


_TEXTS = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=30)


@settings(deadline=None, max_examples=60)
@given(_TEXTS)
def test_any_text_survives_json_and_csv(values: list[str | None]) -> None:
    table = pa.table(
        {"k": pa.array(range(len(values)), pa.int64()), "x": pa.array(values, pa.string())}
    )
    assert [row["x"] for row in json.loads(encoded("json", table))] == values
    lines = encoded("jsonl", table).decode().split("\n")[:-1]
    assert [json.loads(line)["x"] for line in lines] == values
    if not any("\0" in (value or "") for value in values):
        assert csv_texts(table, safe=False) == [value or "" for value in values]
        undone = [re.sub(r"^'(?='*[=@\t\r+-])", "", text) for text in csv_texts(table, safe=True)]
        assert undone == [value or "" for value in values]


def csv_texts(table: pa.Table, *, safe: bool) -> list[str]:
    """Return the last column of the table's CSV, as the standard library reads it."""
    target = target_of(WriteOptions(escape_formulas=safe), t=table.schema)
    data = files_of("csv", target, {"t": table}, Path())["t.csv"]
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    return [row[-1] if row else "" for row in rows[1:]]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "=cmd|' /C calc'!A0", "@SUM(A1)", "\tx", "\r=x", "+SUM(A1)", "-2+cmd|' /C calc'!A0",
     "'=1", "''@x", "-A1", "+"*2 + "x"],
)  # fmt: skip
def test_no_text_begins_like_a_formula_in_csv(text: str) -> None:
    table = pa.table({"x": [text, "plain", None]})
    assert csv_texts(table, safe=True) == ["'" + text, "plain", ""]
    assert csv_texts(table, safe=False) == [text, "plain", ""]


@pytest.mark.parametrize(
    "text",
    ["+49 (30) 123-456/7", "-5", "-1.5e-3", "-", "--", "+1,000.00", "'x", "' =", "a=b", " =x"],
)
def test_numbers_phones_and_plain_words_are_left_as_they_are_in_csv(text: str) -> None:
    assert csv_texts(pa.table({"x": [text]}), safe=True) == [text]


def test_names_of_columns_are_no_formulas_either() -> None:
    header = encoded("csv", pa.table({"=1": [1], "-x": [-1], "-1": [1.0]})).decode().split("\r\n")
    assert header[:2] == ["'=1,'-x,-1", "1,-1,1.0"]


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_table_is_a_whole_file(name: str) -> None:
    data = encoded(name, EVERYTHING.slice(0, 0))
    if name == "arrow":
        assert pa.ipc.open_stream(data).read_all().equals(EVERYTHING.slice(0, 0))
    elif name == "parquet":
        assert pq.read_table(io.BytesIO(data)).equals(EVERYTHING.slice(0, 0))
    elif name == "csv":
        assert data.count(b"\r\n") == 1
    else:
        assert data == {"json": b"[\n]\n", "jsonl": b""}[name]


@pytest.mark.parametrize("name", FORMATS[:4])
def test_an_empty_slice_adds_nothing(name: str) -> None:
    # A slice of no rows of a text column would serialise its parent's whole offsets.
    batch = pa.record_batch({"x": ["text"] * 100_000}).slice(5, 0)
    assert list(encoder(name, batch.schema).batch(batch, first=False)) == []


@pytest.mark.parametrize("name", ["arrow", "csv", "json", "jsonl"])
def test_large_batches_are_cut_at_rows_into_pieces_near_the_target(name: str) -> None:
    batch = pa.record_batch({"n": np.arange(200_000), "x": ["some text"] * 200_000})
    pieces = list(encoder(name, batch.schema).pieces(batch, first=True))
    sizes = [len(piece.data) for piece in pieces]
    assert sum(piece.rows for piece in pieces) == 200_000
    assert max(sizes) <= TARGET_PIECE * 1.01
    assert min(sizes[:-1]) > TARGET_PIECE / 2
    if name != "arrow":
        assert sum(piece.data.count(b"some text") for piece in pieces) == 200_000
        assert all(piece.data.count(b"some text") == piece.rows for piece in pieces)


def uneven() -> pa.RecordBatch:
    return pa.record_batch(
        {"x": ["a"] * 1000 + ["b" * 3_000_000] + ["c"] * 1000 + ["d" * 3_000_000]}
    )


@pytest.mark.parametrize("name", FORMATS)
def test_rows_of_uneven_size_never_exceed_a_message(name: str) -> None:
    table = pa.Table.from_batches([uneven()])
    data = encoded(name, table)
    if name == "arrow":
        assert pa.ipc.open_stream(data).read_all().equals(table)
    elif name == "csv":
        assert data.count(b"\r\n") == 2003
    elif name == "json":
        assert [len(row["x"]) for row in json.loads(data)] == [
            len(x) for x in uneven()["x"].to_pylist()
        ]


@pytest.mark.parametrize("name", ["arrow", "csv", "json", "jsonl"])
def test_a_row_beyond_any_message_is_refused(name: str) -> None:
    batch = pa.record_batch({"x": ["secret" * 1_000_000]})
    with pytest.raises(OutOfRangeError) as caught:
        list(encoder(name, batch.schema).batch(batch, first=True))
    assert caught.value.reason == "ROW_TOO_LARGE"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", FORMATS[:4])
def test_bytes_depend_on_the_rows_alone(name: str) -> None:
    whole = pa.record_batch({"n": np.arange(1000), "x": [f"v{i}" for i in range(1000)]})
    cut = whole.slice(300, 400)
    copied = pa.RecordBatch.from_pylist(cut.to_pylist(), schema=cut.schema)
    made = encoder(name, whole.schema)
    assert list(made.batch(cut, first=False)) == list(made.batch(copied, first=False))


def test_json_begins_with_a_comma_only_after_the_first_row() -> None:
    table = pa.table({"x": [1, 2, 3]})
    assert json.loads(encoded("json", table, rows=1)) == [{"x": 1}, {"x": 2}, {"x": 3}]


def test_parquet_collects_small_batches_into_row_groups() -> None:
    table = pa.table({"n": np.arange(300_000)})
    file = pq.ParquetFile(io.BytesIO(encoded("parquet", table, rows=16_384)))
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [131_072, 131_072, 37_856]


def test_parquet_counts_the_rows_that_are_complete(tmp_path: Path) -> None:
    batch = pa.record_batch({"n": np.arange(100_000)})
    made = ParquetBook(target_of(t=batch.schema), tmp_path)
    assert list(made.add("t", batch)) == []
    assert sum(part.rows for part in made.add("t", batch)) == 131_072
    assert sum(part.rows for part in made.end()) == 200_000 - 131_072


def test_a_batch_of_another_schema_is_refused() -> None:
    batch = pa.record_batch({"x": [1]})
    for name in FORMATS[:4]:
        with pytest.raises(ValueError, match="schema"):
            list(encoder(name, pa.schema([("y", pa.int64())])).batch(batch, first=True))


def test_an_unknown_format_is_named_with_the_known_ones() -> None:
    known = ", ".join([*ENCODERS, *BOOKS])
    with pytest.raises(InvalidArgumentError, match=known) as caught:
        check_format("odd")
    assert caught.value.reason == "FORMAT_UNKNOWN"


def test_split_gives_all_bytes_in_parts() -> None:
    data = bytes(range(256)) * 10_000
    parts: Iterable[bytes] = list(split(data))
    assert b"".join(parts) == data
    assert [len(part) for part in parts] == [
        TARGET_PIECE,
        TARGET_PIECE,
        2_560_000 - 2 * TARGET_PIECE,
    ]
    assert list(split(b"")) == []
