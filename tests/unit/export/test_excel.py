"""A workbook holds every table as a sheet that spreadsheets and we ourselves read back."""

# ruff: noqa: DTZ001 - the stored type has no zone
from __future__ import annotations

import datetime as dt
import decimal
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import python_calamine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from support.targets import files_of, target_of
from syntheflow_server.domain.errors import OutOfRangeError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.export import Target
from syntheflow_server.export.excel import ExcelBook
from syntheflow_server.export.excel_package import SheetNames
from syntheflow_server.ingest.excel import read_excel

SAFE = pa.table(
    {
        "whole": pa.array([1, None, 10**15 - 1], pa.int64()),
        "number": pa.array([1.5, None, 5e-324]),
        "truth": pa.array([True, None, False]),
        "text": pa.array([' <a> & "b"\n日本 \x01\r _x0041_x0042_', None, "=1+1"]),
        "day": pa.array([dt.date(2024, 2, 29), None, dt.date(1900, 1, 1)]),
        "clock": pa.array([dt.time(23, 59, 59), None, dt.time(0, 0)], pa.time64("us")),
        "moment": pa.array(
            [dt.datetime(2024, 1, 2, 3, 4, 5), None, dt.datetime(1900, 2, 28, 23)],
            pa.timestamp("us"),
        ),
        "span": pa.array(
            [dt.timedelta(hours=30, seconds=1), None, dt.timedelta(0)], pa.duration("us")
        ),
        "a<b&c": pa.array(["x", "y", "z"]),
    }
)


def workbook(work: Path, rows: int = 1 << 14, **tables: pa.Table) -> bytes:
    target = target_of(**{name: table.schema for name, table in tables.items()})
    files = files_of("excel", target, tables, work, rows)
    assert list(files) == ["made.xlsx"]
    return files["made.xlsx"]


def sheets(data: bytes) -> dict[str, list[list[object]]]:
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def cells(tmp_path: Path, values: pa.Array) -> list[object]:
    """Return what a reader makes of one column."""
    data = workbook(
        tmp_path, t=pa.table({"x": values, "n": pa.array(range(len(values)), pa.int64())})
    )
    return [row[0] for row in sheets(data)["t"][1:]]


def test_we_read_back_what_we_wrote_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "made.xlsx"
    path.write_bytes(workbook(tmp_path, safe=SAFE))
    out = tmp_path / "out"
    out.mkdir()
    (made,) = read_excel(path, file_name="made.xlsx", table="safe", out=out, options=ReadOptions())
    assert pq.read_table(made.path).cast(SAFE.schema).equals(SAFE)


def test_another_reader_sees_the_same_values_and_a_bold_header_in_view(tmp_path: Path) -> None:
    (sheet,) = openpyxl.load_workbook(io.BytesIO(workbook(tmp_path, t=SAFE)))
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == tuple(SAFE.schema.names)
    assert rows[1][:3] == (1, 1.5, True)
    assert rows[1][4:8] == (
        dt.datetime(2024, 2, 29), dt.time(23, 59, 59), dt.datetime(2024, 1, 2, 3, 4, 5),
        dt.timedelta(hours=30, seconds=1),
    )  # fmt: skip
    assert rows[2] == (None,) * 8 + ("y",)
    assert sheet.freeze_panes == "A2"
    assert all(cell.font.b for cell in sheet[1])
    assert not any(cell.font.b for cell in sheet[2])
    assert 8 <= sheet.column_dimensions["A"].width < sheet.column_dimensions["G"].width


def test_text_never_becomes_a_formula(tmp_path: Path) -> None:
    wild = ["=1+1", "+1", "-1", "@x", "=cmd|' /C calc'!A0", "\t=1", "{=1}"]
    data = workbook(tmp_path, t=pa.table({"x": wild, "=n": wild}))
    xml = zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml")
    tags = {element.tag.rpartition("}")[2] for element in etree.fromstring(xml).iter()}
    assert "f" not in tags
    (sheet,) = openpyxl.load_workbook(io.BytesIO(data))
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    # Typed into again, a cell that is formatted as text stays text.
    assert {cell.number_format for row in sheet.iter_rows(min_row=2) for cell in row} == {"@"}


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"))


@given(st.lists(_TEXT | st.from_regex(r"(_?x00[04]1_){1,3}", fullmatch=True), max_size=20))
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_comes_back(tmp_path: Path, values: list[str]) -> None:
    assert cells(tmp_path, pa.array(values, pa.string())) == values


def test_escapes_are_excels_own(tmp_path: Path) -> None:
    data = workbook(tmp_path, t=pa.table({"x": ["\x01", "_x0001_", "a\rb\uffff"]}))
    xml = zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").decode()
    found = re.findall(r"<t[^>]*>([^<]*)</t>", xml)
    assert found == ["x", "_x0001_", "_x005F_x0001_", "a_x000D_b_xFFFF_"]


def test_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    whole = pa.array([10**15 - 1, 10**15, -(10**15), 2**63 - 1, -(2**63), 0, None])
    assert cells(tmp_path, whole) == [
        10**15 - 1, str(10**15), str(-(10**15)), str(2**63 - 1), str(-(2**63)), 0, "",
    ]  # fmt: skip
    exact = pa.array(
        [decimal.Decimal(x) for x in ("12345678901234567.89", "-0.50", "9999999999999.99", "0.00")],
        pa.decimal128(30, 2),
    )
    assert cells(tmp_path, exact) == ["12345678901234567.89", -0.5, 9999999999999.99, 0]
    small = pa.array([decimal.Decimal("-1.23E-14"), decimal.Decimal("1.23E-14")])
    assert cells(tmp_path, small.cast(pa.decimal128(30, 20))) == [-1.23e-14, 1.23e-14]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_floats_come_back_bit_for_bit(tmp_path: Path, values: list[float]) -> None:
    assert cells(tmp_path, pa.array(values)) == values


def test_what_is_no_number_is_an_error_value(tmp_path: Path) -> None:
    data = workbook(tmp_path, t=pa.table({"x": [float("nan"), float("inf"), -float("inf"), 1.0]}))
    (sheet,) = openpyxl.load_workbook(io.BytesIO(data))
    assert [cell.value for cell in sheet["A"][1:]] == ["#NUM!", "#DIV/0!", "#DIV/0!", 1]
    assert [cell.data_type for cell in sheet["A"][1:]] == ["e", "e", "e", "n"]


def test_what_a_spreadsheet_cannot_show_is_text(tmp_path: Path) -> None:
    days = pa.array([dt.date(1899, 12, 31), dt.date(1900, 3, 1), dt.date(9999, 12, 31), None])
    found = cells(tmp_path, days)
    assert found == ["1899-12-31", dt.date(1900, 3, 1), dt.date(9999, 12, 31), ""]
    moments = pa.array([dt.datetime(1754, 8, 30, 22, 43, 41), dt.datetime(2000, 1, 1, 12)])
    assert cells(tmp_path, moments) == ["1754-08-30T22:43:41", dt.datetime(2000, 1, 1, 12)]
    spans = pa.array([-dt.timedelta(minutes=1), dt.timedelta(days=400)], pa.duration("us"))
    assert cells(tmp_path, spans) == ["-00:01:00", dt.timedelta(days=400)]


def test_fractions_of_a_second_are_kept_and_shown(tmp_path: Path) -> None:
    moments = pa.array([dt.datetime(2024, 1, 1, 1, 2, 3, 250_000), dt.datetime(2024, 1, 1)])
    data = workbook(tmp_path, t=pa.table({"x": moments}))
    (sheet,) = openpyxl.load_workbook(io.BytesIO(data))
    assert sheet["A2"].value == dt.datetime(2024, 1, 1, 1, 2, 3, 250_000)
    assert [sheet["A2"].number_format, sheet["A3"].number_format] == [
        "yyyy-mm-dd hh:mm:ss.000", "yyyy-mm-dd hh:mm:ss",
    ]  # fmt: skip


def test_moments_with_a_zone_are_utc_and_say_so(tmp_path: Path) -> None:
    zoned = pa.array(
        [dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)], pa.timestamp("us", tz="Europe/Berlin")
    )
    (sheet,) = openpyxl.load_workbook(io.BytesIO(workbook(tmp_path, t=pa.table({"x": zoned}))))
    assert sheet["A2"].value == dt.datetime(2024, 7, 1, 12)
    assert sheet["A2"].number_format == 'yyyy-mm-dd hh:mm:ss"Z"'


def test_a_text_longer_than_a_cell_is_refused_with_its_place(tmp_path: Path) -> None:
    fits = pa.table({"note": ["x" * 32_767, "é" * 32_767, "🙂" * 16_383]})
    assert [len(row[0]) for row in sheets(workbook(tmp_path, t=fits))["t"]] == [
        4, 32_767, 32_767, 16_383,
    ]  # fmt: skip
    for long in ("secret" * 6000, "🙂" * 16_384):
        table = pa.table({"note": ["a"] * 20_000 + [long]})
        with pytest.raises(OutOfRangeError, match="row 20001") as caught:
            workbook(tmp_path, t=table)
        assert caught.value.reason == "CELL_TOO_LARGE"
        (fault,) = caught.value.violations
        assert (fault.table, fault.column, fault.row) == ("t", "note", 20_001)
        assert "secret" not in str(caught.value)


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    schema = pa.schema([(f"c{i}", pa.bool_()) for i in range(16_385)])
    with pytest.raises(OutOfRangeError, match="16384 columns") as caught:
        ExcelBook(target_of(t=schema), tmp_path)
    assert caught.value.reason == "TOO_MANY_COLUMNS"


def test_rows_beyond_a_sheet_go_on_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExcelBook, "most_rows", 101)
    table = pa.table({"n": np.arange(250)})
    found = sheets(workbook(tmp_path, 70, orders=table, other=table.slice(0, 100)))
    assert list(found) == ["orders", "orders (2)", "orders (3)", "other"]
    assert [len(rows) for rows in found.values()] == [101, 101, 51, 101]
    assert [row[0] for n in range(3) for row in list(found.values())[n][1:]] == list(range(250))
    assert all(rows[0] == ["n"] for rows in found.values())


def test_tables_may_alternate(tmp_path: Path) -> None:
    a, b = pa.record_batch({"x": np.arange(1000)}), pa.record_batch({"y": ["t"] * 10})
    book = ExcelBook(target_of(a=a.schema, b=b.schema), tmp_path)
    counted: dict[str, int] = {}
    for _ in range(5):
        for name, batch in (("a", a), ("b", b)):
            for part in book.add(name, batch):
                counted[name] = counted.get(name, 0) + part.rows
    found = sheets(b"".join(part.data for part in book.end()))
    assert counted == {"a": 5000, "b": 50}
    assert [row[0] for row in found["a"][1:]] == list(range(1000)) * 5
    assert found["b"] == [["y"]] + [["t"]] * 50
    assert not list(tmp_path.iterdir()), "nothing stays on disk"


def test_empty_tables_are_sheets_with_a_header(tmp_path: Path) -> None:
    found = sheets(workbook(tmp_path, a=SAFE.slice(0, 0), b=SAFE.slice(0, 0)))
    assert list(found.values()) == [[SAFE.schema.names]] * 2


def test_sheet_names_are_safe_and_unique() -> None:
    names = SheetNames()
    wild = ["History", "a/b:c[d]?*\\", "'x'", "x" * 40, "X" * 41, "", "Ä", "ä", "🙂" * 20, "x\x01"]
    made = [names.name(table) for table in wild]
    assert made[:3] == ["History (2)", "a_b_c_d____", "x"]
    assert made[3:6] == ["x" * 31, "X" * 27 + " (2)", "Sheet"]
    assert len({name.casefold() for name in made}) == len(wild)
    assert all(len(name.encode("utf-16-le")) <= 62 for name in made)
    assert names.name("x", 2) == "x (2)"


def test_odd_table_and_column_names_make_a_sound_workbook(tmp_path: Path) -> None:
    odd = ['a"&<b', "../x", "日本", "c" * 300]
    schemas = [
        Table(name=name, columns=target_of(t=SAFE.schema).table("t").columns) for name in odd
    ]
    target = Target(Schema(tables=tuple(schemas)), tuple(odd), "../set")
    files = files_of("excel", target, dict.fromkeys(odd, SAFE), tmp_path)
    (data,) = files.values()
    assert list(files) == ["%2E.%2Fset.xlsx"]
    assert list(sheets(data)) == ['a"&<b', ".._x", "日本", "c" * 31]
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
