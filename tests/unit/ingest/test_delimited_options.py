"""What may be said of a delimited file's reading, and what is told of it."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from support.reading import read_text, refused
from syntheflow_server.domain.reading import ReadOptions


@pytest.mark.parametrize(
    ("data", "said", "rows"),
    [
        ("a;b\n1,5;x\n", {"separator": ";", "decimal": ","}, [{"a": 1.5, "b": "x"}]),
        ("a<>b\n1<>x\n", {"separator": "<>"}, [{"a": 1, "b": "x"}]),
        ("a//-//b\n1//-//'x//-//y'\n", {"separator": "//-//", "quote": "'"},
         [{"a": 1, "b": "x//-//y"}]),
        ('a,b\n1,"x\n', {"quote": ""}, [{"a": 1, "b": '"x'}]),
        ("a,b\n1,«x,y«\n", {"quote": "«"}, [{"a": 1, "b": "x,y"}]),
        ('a,b\n1,"x^"y"\n', {"escape": "^"}, [{"a": 1, "b": 'x"y'}]),
        ("a,b\n1,x\\,y\n2,\\N\n", {"quote": "", "escape": "\\"},
         [{"a": 1, "b": "x,y"}, {"a": 2, "b": None}]),
        ("a,b\n//no\n1,x\n", {"comment": "//"}, [{"a": 1, "b": "x"}]),
        ("1,x\n2,y\n", {"header": 0, "skip_rows": 1}, [{"c1": 2, "c2": "y"}]),
        ("t\nu,v\na,b\n1,x\n", {"header": 3}, [{"a": 1, "b": "x"}]),
        ("a,b\n,kg\n1,2\n", {"header_rows": 2}, [{"a": 1, "b: kg": 2}]),
        ("a,b\n1.234,1\n", {"decimal": ","}, [{"a": 1234, "b": 1}]),
        ("a,b\n1_234,1\n", {"thousands": "_"}, [{"a": 1234, "b": 1}]),
        ("a;b\n1,234;1\n", {"thousands": ""}, [{"a": "1,234", "b": 1}]),
        ("a,b\n01/02/2024,1\n", {"date_order": "dmy"}, [{"a": dt.date(2024, 2, 1), "b": 1}]),
        ("a,b\n01/02/2024,1\n", {"date_order": "mdy"}, [{"a": dt.date(2024, 1, 2), "b": 1}]),
        ("a,b\n24/01/02,1\n", {"date_order": "ymd"}, [{"a": dt.date(2024, 1, 2), "b": 1}]),
        ("a,b\nno,1\nx,9\n", {"null_values": ["no", "9"]},
         [{"a": None, "b": 1}, {"a": "x", "b": None}]),
        ("a,b\n?,1\nx,NA\ny,3\n", {"null_values": []},
         [{"a": "?", "b": "1"}, {"a": "x", "b": "NA"}, {"a": "y", "b": "3"}]),
        ("a,b\n1,yes\n2,0\n", {"types": {"a": "string", "b": "bool"}},
         [{"a": "1", "b": True}, {"a": "2", "b": False}]),
        ("a,b\n1.5,20240131\n", {"types": {"a": "decimal128(9, 2)", "b": "date32"},
         "date_order": "ymd"}, [{"a": Decimal("1.50"), "b": dt.date(2024, 1, 31)}]),
        ("a,b\n1,2024-01-31\n", {"types": {"a": "float64", "b": "timestamp[us]"}},
         [{"a": 1.0, "b": dt.datetime(2024, 1, 31)}]),  # noqa: DTZ001 - has no zone
    ],
)  # fmt: skip
def test_what_is_said_is_not_guessed(
    data: str, said: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    made, table = read_text(data, **said)
    assert table.to_pylist() == rows
    given_back = ReadOptions.from_texts(made.read_as).model_dump(exclude_none=True)
    expected = ReadOptions.model_validate(said).model_dump(exclude_none=True)
    assert {name: given_back[name] for name in said} == {name: expected[name] for name in said}


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        ({"encoding": "klingon"}, "encoding"),
        ({"encoding": "rot13"}, "encoding"),
        ({"encoding": "hex"}, "encoding"),
        ({"separator": "\n"}, "separator"),
        ({"separator": "|+|", "quote": "|"}, "quote"),
        ({"escape": "\0"}, "escape"),
        ({"decimal": "5"}, "decimal"),
        ({"decimal": ",", "thousands": ","}, "thousands"),
        ({"header": 2, "skip_rows": 2}, "header"),
        ({"header": 0, "header_rows": 2}, "header_rows"),
        ({"types": {"a": "text"}}, "types"),
        ({"types": {"z": "string"}}, "types"),
    ],
)
def test_what_no_file_can_be_read_with_is_refused_by_name(
    said: dict[str, Any], setting: str
) -> None:
    error = refused("a,b\n1,x\n", **said)
    assert error.reason == "READ_OPTION_INVALID"
    assert error.violations[0].field == f"options.{setting}"
    assert f"setting {setting}" in error.message


def test_lines_beyond_the_end_hold_no_table() -> None:
    assert refused("a,b\n1,x\n", header=9).reason == "TABLE_EMPTY"


@pytest.mark.parametrize("encoding", ["utf-16", "ascii", "shift_jis"])
def test_bytes_that_do_not_fit_the_encoding_said_are_refused(encoding: str) -> None:
    assert refused(b"a,b\n1,\xff\xfd\n", encoding=encoding).reason == "ENCODING_INVALID"


def test_the_encoding_said_is_used_even_where_others_fit() -> None:
    assert read_text("a,b\n1,ö\n".encode(), encoding="latin-1")[1]["b"].to_pylist() == ["Ã¶"]


def test_all_settings_used_are_told_and_read_the_same_when_given_back() -> None:
    data = "# by us\nid;wert;tag\n1;1.234,5;01/02/2024\n2;?;31/01/2024\n".encode("utf-16")
    made, table = read_text(data)
    assert made.read_as == {
        "encoding": "utf-16", "separator": ";", "quote": '"', "escape": '"', "comment": "#",
        "header": "2", "header_rows": "1", "skip_rows": "1", "decimal": ",", "thousands": ".",
        "date_order": "dmy", "null_values": '["?"]', "on_bad_row": "fail",
    }  # fmt: skip
    again, same = read_text(data, **ReadOptions.from_texts(made.read_as).said())
    assert same.equals(table)
    assert again.read_as == made.read_as


def test_settings_that_differ_between_columns_are_told_in_findings_alone() -> None:
    made, table = read_text("a;b;c\n1,25;1.25;NA\n2,50;3.75;DE\n3;4;FR\n")
    assert table.to_pylist()[0] == {"a": 1.25, "b": 1.25, "c": "NA"}
    assert "decimal" not in made.read_as
    assert read_text("a;b\n1;NA\nNA;DE\n2;FR\n")[0].read_as.get("null_values") is None


_BAD = 'id,v\n1,a\n2\n3,b\n4,"x"y\n5,c,9\n6,"open\n7,d\n'


def test_the_first_bad_row_refuses_the_file() -> None:
    error = refused(_BAD)
    assert (error.reason, error.violations[0].row) == ("ROW_RAGGED", 3)
    assert "on_bad_row" in error.message


def test_bad_rows_are_skipped_and_counted_by_rule() -> None:
    made, table = read_text(_BAD, on_bad_row="skip")
    assert table.to_pydict() == {"id": [1, 3, 7], "v": ["a", "b", "d"]}
    assert made.rejected == 4
    assert made.findings[1:4] == (
        "2 rows left out: the row has another number of values than the table has columns",
        "1 rows left out: text follows the closing quote of a value",
        "1 rows left out: a quoted value is not closed",
    )
    assert not any("line" in finding for finding in made.findings[1:])


def test_a_report_lists_places_but_no_values() -> None:
    made, _ = read_text(_BAD.replace("c,9", "secret,9"), on_bad_row="report")
    places = [finding for finding in made.findings if finding.startswith("line ")]
    assert [place.split(" left out")[0] for place in places] == [
        "line 3", "line 5", "line 6", "line 7",
    ]  # fmt: skip
    assert "secret" not in json.dumps(made.findings)


def test_a_report_of_many_lists_a_hundred() -> None:
    made, table = read_text("id,v\n" + "1,x\n2\n" * 500, on_bad_row="report")
    assert (made.rejected, table.num_rows) == (500, 500)
    assert sum(finding.startswith("line ") for finding in made.findings) == 100


def test_values_of_another_type_than_said_are_bad_rows() -> None:
    data = 'id,n,d\n1,"a\nb",1/2/2024\n\n2,5,3/4/2024\n3,7,x\n'
    said: dict[str, Any] = {"types": {"n": "int64", "d": "date32"}, "date_order": "dmy"}
    error = refused(data, **said)
    assert error.reason == "VALUE_MISFIT"
    assert (error.violations[0].row, error.violations[0].column) == (2, "n")
    made, table = read_text(data, on_bad_row="report", **said)
    assert table.to_pylist() == [{"id": 2, "n": 5, "d": dt.date(2024, 4, 3)}]
    assert made.rejected == 2
    assert "1 rows left out: a value of column 'n' is no int64" in made.findings
    assert "line 2, column 'n' left out: a value of column 'n' is no int64" in made.findings
    assert any(finding.startswith("line 6, column 'd' left out") for finding in made.findings)


def test_bytes_that_cannot_be_read_cost_their_row() -> None:
    good = "1,Größe\n".encode() * 20
    made, table = read_text(b"id,v\n" + good + b"2,\xf6x\n3,a\0b\n4,d\n", on_bad_row="skip")
    assert (made.rejected, table.num_rows) == (2, 21)
    assert set(table["v"].to_pylist()) == {"Größe", "d"}


def test_a_zero_byte_is_refused_with_its_line() -> None:
    assert refused("id,v\n1,a\n2,b\0c\n").violations[0].row == 3


def test_a_type_said_keeps_the_schema_of_an_empty_table() -> None:
    _, table = read_text("id,v\n", types={"id": "int64"})
    assert table.schema == pa.schema([("id", pa.int64()), ("v", pa.string())])
