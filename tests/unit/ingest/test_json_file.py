"""JSON and JSON Lines: fields become columns, kinds are JSON's own."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.ingest import IngestedTable, ingest

ROWS = [
    {"Title": "The Land Girls", "Gross": 146083, "Rating": 6.1, "Seen": True, "Day": "2024-01-31"},
    {"Title": 300, "Gross": None, "Rating": 7, "Day": "2024-02-01", "Größe": "x"},
    {"Title": "007", "Gross": 5, "Rating": None, "Seen": False, "Day": None},
]


def read(
    folder: Path, text: str, name: str = "films.json"
) -> dict[str, tuple[IngestedTable, pa.Table]]:
    path = folder / "upload"
    path.write_text(text, "utf-8")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    made = ingest(path, file_name=name, table="", format=None, out=out)
    assert sorted(out.iterdir()) == sorted(m.path for m in made)
    return {m.name: (m, pq.read_table(m.path)) for m in made}


def lines(rows: list[Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps(ROWS), "films.json"),
        (json.dumps(ROWS, indent=2), "films.json"),
        ("\ufeff" + json.dumps(ROWS), "films.json"),
        (lines(ROWS), "films.jsonl"),
        (lines(ROWS) + "\n", "films.ndjson"),
        (lines(ROWS), "films.json"),
    ],
)
def test_objects_become_rows_of_unified_types(tmp_path: Path, text: str, name: str) -> None:
    made, table = read(tmp_path, text, name)["films"]
    assert table.to_pydict() == {
        "Title": ["The Land Girls", "300", "007"],
        "Gross": [146083, None, 5],
        "Rating": [6.1, 7.0, None],
        "Seen": [True, None, False],
        "Day": [dt.date(2024, 1, 31), dt.date(2024, 2, 1), None],
        "Größe": [None, "x", None],
    }
    assert "column 'Title': numbers and texts mixed, kept as text" in made.findings


def test_texts_that_look_like_numbers_or_marks_stay_texts(tmp_path: Path) -> None:
    _, table = read(tmp_path, '[{"zip": "01234", "n": "12"}, {"zip": "NA", "n": "-"}]')["films"]
    assert table.to_pydict() == {"zip": ["01234", "NA"], "n": ["12", "-"]}


def test_large_integers_keep_their_digits(tmp_path: Path) -> None:
    _, table = read(tmp_path, '[{"a": 9007199254740993, "b": 12345678901234567890}]')["films"]
    assert table.to_pydict() == {"a": [9007199254740993], "b": ["12345678901234567890"]}


def test_field_names_may_hold_anything(tmp_path: Path) -> None:
    row = {"a": 1, "A": 2, "b/c": 3, "d~e": 4, "f.g": 5, 'it\'s "h"': 6, " ": 7}
    _, table = read(tmp_path, json.dumps([row]))["films"]
    assert table.to_pylist() == [row]


def test_an_object_of_arrays_is_several_tables(tmp_path: Path) -> None:
    made = read(tmp_path, json.dumps({"films": ROWS, "people": [{"id": 1}, {"id": 2}]}))
    assert {name: table.num_rows for name, (_, table) in made.items()} == {"films": 3, "people": 2}


def test_a_single_object_is_one_row(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": 1,\n "b": "x"}')["films"][1].to_pylist() == [{"a": 1, "b": "x"}]


def refusal(folder: Path, text: str, name: str = "films.json") -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        read(folder, text, name)
    assert list((folder / "out").iterdir()) == []
    assert "secret" not in caught.value.message + str(caught.value.violations)
    return caught.value


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, '{"a": 1}\n{"a": "secret\n{"a": 3}\n', "films.jsonl")
    assert error.violations[0].row == 2


def test_a_broken_array_is_named_by_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[{"a": 1},\n{"a": "secret"},\n{"a": }]')
    assert error.violations[0].row == 3


@pytest.mark.parametrize("text", ["[]", "", "12", '"secret"', "[1, 2]", '{"films": []}'])
def test_files_without_objects_are_refused(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text).code == "INVALID_ARGUMENT"


def test_one_bad_table_of_several_leaves_nothing(tmp_path: Path) -> None:
    text = json.dumps({"good": [{"id": 1}], "bad": [{"id": 1}, "secret"]})
    assert refusal(tmp_path, text).violations[0].table == "bad"
