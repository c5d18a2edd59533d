"""Excel workbooks: sheets become tables with the types that cells have."""

# ruff: noqa: DTZ001 - Excel knows no zones
from __future__ import annotations

import datetime as dt
import io
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest import IngestedTable, excel_bounds, ingest

Sheets = dict[str, list[list[Any]]]


def read(
    folder: Path, sheets: Sheets, merged: tuple[str, ...] = (), /, **options: Any
) -> dict[str, tuple[IngestedTable, pa.Table]]:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for cells in merged:
            sheet.merge_cells(cells)
    book.save(folder / "upload")
    return load(folder, **options)


def load(folder: Path, **options: Any) -> dict[str, tuple[IngestedTable, pa.Table]]:
    path = folder / "upload"
    out = folder / "out"
    out.mkdir(exist_ok=True)
    made = ingest(
        path,
        file_name="Sales 2024.xlsx",
        table="",
        format=None,
        out=out,
        options=ReadOptions(**options),
    )
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
    assert made.findings[0] == "Excel, sheet 'Sheet1', header in row 2"
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


def test_titles_above_the_table_are_passed(tmp_path: Path) -> None:
    rows = [["Sales of the year"], ["as of", dt.date(2024, 1, 1)], [], ["id", "v", "w", "x"]]
    made, table = read(tmp_path, {"s": [*rows, [1, "a", "b", None]]}, ("A1:D1",))["Sales 2024"]
    assert table.to_pylist() == [{"id": 1, "v": "a", "w": "b", "x": None}]
    assert ReadOptions.from_texts(made.read_as) == ReadOptions(sheets=("s",), header=4)


def test_merged_headers_name_every_column_below_them(tmp_path: Path) -> None:
    rows = [
        ["Report", None, None, None, None],
        ["Region", "2023", None, "2024", None],
        [None, "Sales", "Cost", "Sales", "Cost"],
        ["North", 1, 2, 3, 4],
    ]
    merged = ("A1:E1", "A2:A3", "B2:C2", "D2:E2")
    made, table = read(tmp_path, {"s": rows}, merged)["Sales 2024"]
    assert table.to_pylist() == [
        {"Region": "North", "2023.Sales": 1, "2023.Cost": 2, "2024.Sales": 3, "2024.Cost": 4}
    ]
    assert "header in rows 2 to 3" in made.findings[0]


def test_sheets_header_and_nulls_can_be_said(tmp_path: Path) -> None:
    sheets: Sheets = {"a": [["x"], [1]], "b": [["skip", "me"], ["id", "v"], ["k", "none"]]}
    made = read(tmp_path, sheets, sheets=("b",), header=2, null_values=("none",))
    assert made["Sales 2024"][1].to_pylist() == [{"id": "k", "v": None}]
    made["Sales 2024"][0].path.unlink()
    made = read(tmp_path, {"b": [["k", 1], ["l", 2]]}, header=0, sheets=("b",))
    assert made["Sales 2024"][1].to_pydict() == {"c1": ["k", "l"], "c2": [1, 2]}
    with pytest.raises(InvalidArgumentError, match="no sheet 'z'"):
        read(tmp_path, sheets, sheets=("z",))


def test_tables_away_from_the_corner_are_found(tmp_path: Path) -> None:
    rows = [[], [None, None, "id", "v"], [None, None, 1, "x"]]
    assert read(tmp_path, {"s": rows})["Sales 2024"][1].to_pylist() == [{"id": 1, "v": "x"}]


def test_open_documents_are_read_with_repeated_cells(tmp_path: Path) -> None:
    book = OpenDocumentSpreadsheet()
    for name in ("one", "two"):
        sheet = Table(name=name)
        for cells in (["id", "day", "v"], [7, dt.date(2024, 1, 2), "x"]):
            row = TableRow(numberrowsrepeated=1 if "id" in cells else 3)
            for cell in cells:
                row.addElement(ods_cell(cell))
            sheet.addElement(row)
        book.spreadsheet.addElement(sheet)
    book.save(str(tmp_path / "upload"))
    made = load(tmp_path)
    assert set(made) == {"one", "two"}
    assert made["two"][1].to_pydict() == {
        "id": [7] * 3,
        "day": [dt.date(2024, 1, 2)] * 3,
        "v": ["x"] * 3,
    }


def ods_cell(value: Any) -> TableCell:
    if isinstance(value, dt.date):
        return TableCell(valuetype="date", datevalue=value.isoformat())
    if isinstance(value, int):
        return TableCell(valuetype="float", value=value)
    cell = TableCell(valuetype="string")
    cell.addElement(P(text=value))
    return cell


def far_apart() -> bytes:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "id", 1
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def repeated(*, across: int, down: int) -> bytes:
    book = OpenDocumentSpreadsheet()
    sheet = Table(name="s")
    row = TableRow(numberrowsrepeated=down)
    row.addElement(TableCell(valuetype="float", value=1, numbercolumnsrepeated=across))
    sheet.addElement(row)
    book.spreadsheet.addElement(sheet)
    data = io.BytesIO()
    book.write(data)
    return data.getvalue()


@pytest.mark.parametrize(
    "make",
    [far_apart, lambda: repeated(across=16_384, down=1_048_576)],
    ids=["far apart", "repeated"],
)
def test_workbooks_that_would_not_fit_into_memory_are_refused(tmp_path: Path, make: Any) -> None:
    (tmp_path / "upload").write_bytes(make())
    with pytest.raises(InvalidArgumentError) as caught:
        load(tmp_path)
    assert caught.value.reason == "WORKBOOK_TOO_LARGE"


def test_texts_count_as_often_as_cells_show_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel_bounds, "_TEXT_LIMIT", 1_100_000)
    write_shared(tmp_path / "upload", ["x" * 1_000] * 1_000 + ["y" * 30_000])
    made, _ = load(tmp_path)["Sales 2024"]
    assert made.rows == 1_001
    made.path.unlink()
    write_shared(tmp_path / "upload", ["x" * 1_000] * 1_200)
    with pytest.raises(InvalidArgumentError, match="repeated in many cells"):
        load(tmp_path)


def write_shared(path: Path, texts: list[str]) -> None:
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_column(0, 0, ["v", *texts])
