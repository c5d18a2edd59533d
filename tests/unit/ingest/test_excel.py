"""Excel workbooks: sheets become tables with the types that cells have."""

# ruff: noqa: DTZ001 - Excel knows no zones
from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.ingest import IngestedTable, ingest

Sheets = dict[str, list[list[Any]]]


def read(folder: Path, sheets: Sheets) -> dict[str, tuple[IngestedTable, pa.Table]]:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path = folder / "upload"
    book.save(path)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    made = ingest(path, file_name="Sales 2024.xlsx", table="", format=None, out=out)
    return {m.name: (m, pq.read_table(m.path)) for m in made}


def test_cells_keep_their_kinds_and_whole_numbers_are_integers(tmp_path: Path) -> None:
    rows = [
        [],
        ["id", "price", "day", "at", "clock", "span", "ok", "mixed", "gap"],
        [1, 2.5, dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 3, 4), dt.time(5, 6),
         dt.timedelta(hours=30), True, "x", None],
        [],
        [2, 3, None, None, None, None, False, 7, "#N/A"],
    ]  # fmt: skip
    made, table = read(tmp_path, {"Sheet1": rows})["Sales 2024"]
    assert table.to_pydict() == {
        "id": [1, 2],
        "price": [2.5, 3.0],
        "day": [dt.date(2024, 1, 2), None],
        "at": [dt.datetime(2024, 1, 2, 3, 4), None],
        "clock": [dt.time(5, 6), None],
        "span": [dt.timedelta(hours=30), None],
        "ok": [True, False],
        "mixed": ["x", "7"],
        "gap": [None, None],
    }
    assert made.findings[0] == "Excel, sheet 'Sheet1', header in the first filled row"
    assert "column 'mixed': values of several kinds, kept as text" in made.findings


def test_several_sheets_are_several_tables_and_empty_ones_none(tmp_path: Path) -> None:
    made = read(tmp_path, {"people": [["id"], [1]], "notes": [], "Örte": [["id"], [2], [3]]})
    assert {name: table["id"].to_pylist() for name, (_, table) in made.items()} == {
        "people": [1],
        "Örte": [2, 3],
    }


def test_columns_without_a_name_are_kept_only_if_filled(tmp_path: Path) -> None:
    _, table = read(tmp_path, {"s": [["id", None, "v"], [1, "x", "y"]]})["Sales 2024"]
    assert table.schema.names == ["id", "c2", "v"]


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    made, table = read(tmp_path, {"s": [["id", "v"]]})["Sales 2024"]
    assert (made.rows, table.schema.names) == (0, ["id", "v"])


def test_repeated_names_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="columns 1 and 2 have the same name"):
        read(tmp_path, {"good": [["id"], [1]], "bad": [["v", "v"], [1, 2]]})
    assert list((tmp_path / "out").iterdir()) == []


def test_an_empty_workbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no filled sheet"):
        read(tmp_path, {"s": []})


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"PK\x03\x04 and then nothing of a workbook")
    with pytest.raises(InvalidArgumentError, match="damaged"):
        ingest(path, file_name="x.xlsx", table="x", format=None, out=tmp_path)
