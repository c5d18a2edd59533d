"""Nested JSON: objects spread over columns, arrays become tables that refer to their parents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.ingest import IngestedTable, ingest, json_stream

ORDERS = [
    {"id": 7, "to": {"city": "Rom", "at": {"x": 1.5}}, "items": [{"n": 1}, {"n": 2, "g": True}],
     "tags": ["a", "b"]},
    {"id": 8, "to": None, "items": [], "tags": ["c"], "note": "later"},
    {"id": 9, "to": {"city": "Ulm"}, "items": [{"n": 3, "parts": [{"p": "q"}]}]},
]  # fmt: skip


def read(
    folder: Path, text: str, name: str = "orders.json", **options: Any
) -> dict[str, tuple[IngestedTable, pa.Table]]:
    folder.mkdir(exist_ok=True)
    path = folder / "upload"
    path.write_text(text, "utf-8")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    made = ingest(
        path, file_name=name, table="", format=None, out=out, options=ReadOptions(**options)
    )
    assert sorted(out.iterdir()) == sorted(m.path for m in made)
    return {m.name: (m, pq.read_table(m.path)) for m in made}


def rows(made: dict[str, tuple[IngestedTable, pa.Table]]) -> dict[str, dict[str, list[Any]]]:
    return {name: table.to_pydict() for name, (_, table) in made.items()}


@pytest.mark.parametrize("form", ["array", "lines", "flat first"])
def test_objects_become_columns_and_arrays_tables(tmp_path: Path, form: str) -> None:
    text = "\n".join(map(json.dumps, ORDERS)) if form == "lines" else json.dumps(ORDERS)
    made = read(tmp_path, text)
    assert rows(made) == {
        "orders": {
            "id": [7, 8, 9],
            "to.city": ["Rom", None, "Ulm"],
            "to.at.x": [1.5, None, None],
            "note": [None, "later", None],
            "orders_id": [1, 2, 3],
        },
        "orders_items": {
            "n": [1, 2, 3],
            "g": [None, True, None],
            "orders_items_id": [1, 2, 3],
            "orders_id": [1, 1, 3],
        },
        "orders_tags": {"value": ["a", "b", "c"], "orders_id": [1, 1, 2]},
        "orders_items_parts": {"p": ["q"], "orders_items_id": [3]},
    }
    orders, items = made["orders"][0], made["orders_items"][0]
    assert orders.hint is not None
    assert orders.hint.primary_key == ("orders_id",)
    assert [str(r) for r in items.references] == ["orders_items(orders_id) -> orders(orders_id)"]


def test_a_nested_value_late_in_a_flat_file_is_still_spread(tmp_path: Path) -> None:
    records: list[Any] = [{"a": i} for i in range(500)] + [{"a": {"b": 2}}]
    table = read(tmp_path, json.dumps(records))["orders"][1]
    assert table.schema.names == ["a", "a.b"]
    assert table["a"].to_pylist()[-2:] == [499, None]
    assert table["a.b"].to_pylist()[-2:] == [None, 2]


def test_rows_stay_in_order_when_columns_turn_up_late(tmp_path: Path) -> None:
    records = [{"i": i, "at": {f"k{i // 20_000}": i}} for i in range(45_000)]
    table = read(tmp_path, json.dumps(records))["orders"][1]
    assert table.schema.names == ["i", "at.k0", "at.k1", "at.k2"]
    assert table["i"].to_pylist() == list(range(45_000))
    assert table["at.k2"].drop_null().to_pylist() == list(range(40_000, 45_000))


def test_records_are_found_in_an_envelope_and_said(tmp_path: Path) -> None:
    text = json.dumps({"count": 2, "meta": {"page": 1}, "results": [{"id": 1}, {"id": 2}]})
    made = read(tmp_path, text)
    assert rows(made) == {"orders": {"id": [1, 2]}}
    assert made["orders"][0].read_as == {"records": "results"}
    assert "left out beside them: 'count', 'meta'" in made["orders"][0].findings[0]


def test_records_can_be_named(tmp_path: Path) -> None:
    text = json.dumps({"data": [{"rows": [{"id": 1}]}, {"rows": [{"id": 2}]}], "x": [{"y": 1}]})
    assert rows(read(tmp_path, text, records="data.rows")) == {"orders": {"id": [1, 2]}}
    with pytest.raises(InvalidArgumentError, match="no objects"):
        read(tmp_path / "again", text, records="data.cells")


def test_fields_that_lead_to_one_name_are_kept_apart(tmp_path: Path) -> None:
    made = read(tmp_path, json.dumps([{"a.b": 1, "a": {"b": 2}}]))
    assert rows(made) == {"orders": {"a.b": [1], "a.b_2": [2]}}


def test_mixed_arrays_keep_all_of_their_items(tmp_path: Path) -> None:
    made = read(tmp_path, json.dumps([{"v": [1, {"k": "x"}, [2, "y"], None]}]))
    assert rows(made)["orders_v"] == {
        "value": ["1", None, '[2, "y"]', None],
        "k": [None, "x", None, None],
        "orders_id": [1, 1, 1, 1],
    }


def test_what_is_nested_too_deep_is_kept_as_text(tmp_path: Path) -> None:
    deep: Any = {"x": 1}
    for _ in range(40):
        deep = {"d": deep}
    made, table = read(tmp_path, json.dumps([deep]))["orders"]
    (name,) = table.schema.names
    assert name == ".".join("d" * 17)
    assert json.loads(table[name][0].as_py())["d"]["d"]
    assert "nested deeper than is spread, kept as JSON" in " ".join(made.findings)


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"a":' * 100_000, '{"a":' * 100_000])
def test_bottomless_nesting_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        read(tmp_path, text)


def test_too_many_fields_are_refused(tmp_path: Path) -> None:
    text = json.dumps([{"a": {f"k{i}": 1 for i in range(5_000)}}])
    with pytest.raises(InvalidArgumentError) as caught:
        read(tmp_path, text)
    assert caught.value.reason == "TOO_MANY_COLUMNS"


def test_bad_lines_can_be_left_out_and_listed(tmp_path: Path) -> None:
    text = '{"a": 1}\n{"a": \n[]\n{"a": 2}\n'
    made, table = read(tmp_path, text, "orders.jsonl", on_bad_row=OnBadRow.REPORT)["orders"]
    assert table.to_pydict() == {"a": [1, 2]}
    assert made.rejected == 2
    assert "row 2: the line is not one JSON object" in made.findings


@pytest.mark.parametrize("nested", [False, True])
def test_null_values_are_said(tmp_path: Path, nested: bool) -> None:
    records: list[Any] = [{"a": "none"}, {"a": "x"}, {"a": "none", "b": {"c": 1}}]
    table = read(tmp_path, json.dumps(records[: 2 + nested]), null_values=("none",))["orders"][1]
    assert table["a"].to_pylist() == [None, "x", None][: 2 + nested]


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="surrogate"):
        read(tmp_path, '[{"a": {"b": "\\ud800"}}]')


@pytest.mark.parametrize("chunk", [1, 2, 3, 17])
def test_values_are_whole_wherever_the_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    records = [
        {"id": i, "x": {"y": f"é\n{i}", "z": i / 7}, "t": [i, None, True]} for i in range(60)
    ]
    made = rows(read(tmp_path, json.dumps({"n": 12, "rows": records}, indent=1)))
    assert made["orders"]["x.z"] == [i / 7 for i in range(60)]
    assert made["orders_t"]["value"][-3:] == ["59", None, "true"]
