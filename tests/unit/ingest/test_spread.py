"""Nested Parquet and Arrow: structs become columns, lists and maps tables with references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.ingest import IngestedTable, ingest

TABLE = pa.table(
    {
        "id": [7, 8, 9],
        "to": pa.array([{"city": "Rom", "at": {"x": 1.5}}, None, {"city": None, "at": None}]),
        "items": pa.array([[{"n": 1, "parts": ["p"]}, {"n": 2, "parts": None}], [], [{"n": 3}]]),
        "tags": pa.array([["a"], None, ["b", "c"]]),
    }
)


def read(folder: Path, table: pa.Table, form: str) -> dict[str, tuple[IngestedTable, Any]]:
    path = folder / "upload"
    if form == "parquet":
        pq.write_table(table, path, row_group_size=2)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    made = ingest(path, file_name="orders.x", table="orders", format=None, out=out)
    return {m.name: (m, pq.read_table(m.path).to_pydict()) for m in made}


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_nested_values_are_spread_with_keys(tmp_path: Path, form: str) -> None:
    made = read(tmp_path, TABLE, form)
    assert {name: rows for name, (_, rows) in made.items()} == {
        "orders": {
            "id": [7, 8, 9],
            "to.at.x": [1.5, None, None],
            "to.city": ["Rom", None, None],
            "orders_id": [1, 2, 3],
        },
        "orders_items": {"n": [1, 2, 3], "orders_items_id": [1, 2, 3], "orders_id": [1, 1, 3]},
        "orders_items_parts": {"value": ["p"], "orders_items_id": [1]},
        "orders_tags": {"value": ["a", "b", "c"], "orders_id": [1, 3, 3]},
    }
    (link,) = made["orders_tags"][0].references
    assert str(link) == "orders_tags(orders_id) -> orders(orders_id)"
    hint = made["orders"][0].hint
    assert hint is not None
    assert hint.primary_key == ("orders_id",)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_every_kind_of_list_is_spread(tmp_path: Path, form: str) -> None:
    table = pa.table(
        {
            "large": pa.array([[1], None, [2]], pa.large_list(pa.int64())),
            "pair": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2)),
            "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.uint64())),
        }
    )
    made = read(tmp_path, table, form)
    assert {name: rows for name, (_, rows) in made.items()} == {
        "orders": {"orders_id": [1, 2, 3]},
        "orders_large": {"value": [1, 2], "orders_id": [1, 3]},
        "orders_pair": {"value": [1, 2, 3, 4], "orders_id": [1, 1, 3, 3]},
        "orders_map": {"key": ["a"], "value": [1], "orders_id": [1]},
    }


def test_generated_keys_avoid_names_that_are_taken(tmp_path: Path) -> None:
    made = read(tmp_path, pa.table({"orders_id": [5], "v": [[1]]}), "parquet")
    assert made["orders"][1] == {"orders_id": [5], "orders_key0": [1]}
    assert made["orders_v"][1] == {"value": [1], "orders_key0": [1]}
