"""Awkward files as they are met: titles, second headers, units, any grouping of numbers."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import lzma
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from support.reading import read_text, refused
from syntheflow_server.ingest import unpack


def column(*texts: str) -> tuple[pa.DataType, list[Any]]:
    """Read one column of texts between tabs."""
    lines = ["k\tv", *(f"{i}\t{text}" for i, text in enumerate(texts))]
    values = read_text("\n".join(lines) + "\n")[1]["v"]
    return values.type, values.to_pylist()


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["12.5 kg", "3 kg", ""], pa.float64(), [12.5, 3.0, None]),
        (["12kg", "3kg"], pa.int64(), [12, 3]),
        (["$1,200.00", "$5.50", "-$7"], pa.float64(), [1200.0, 5.5, -7.0]),
        (["$1,200", "$950"], pa.int64(), [1200, 950]),
        (["1.200 €", "950 €"], pa.int64(), [1200, 950]),
        (["€1.200,50", "€3,00"], pa.float64(), [1200.5, 3.0]),
        (["CHF 1'200.50", "CHF 3.00"], pa.float64(), [1200.5, 3.0]),
        (["45%", "0.5%"], pa.float64(), [45.0, 0.5]),
        (["4 stars", "5 stars"], pa.int64(), [4, 5]),
        (["80 km/h", "100 km/h"], pa.int64(), [80, 100]),
        (["(1,200,000)", "300", "(5)"], pa.int64(), [-1200000, 300, -5]),
        (["($1.50)", "$2.00"], pa.float64(), [-1.5, 2.0]),
        (["1'000", "2'500'000"], pa.int64(), [1000, 2500000]),
        (["1\u202f000,5", "20"], pa.float64(), [1000.5, 20.0]),
        (["1 234 567", "8"], pa.int64(), [1234567, 8]),
        (["5:06 PM", "12:00 am"], pa.time64("us"), [dt.time(17, 6), dt.time(0)]),
        (["1", "#DIV/0!", "(null)"], pa.int64(), [1, None, None]),
    ],
)
def test_numbers_as_people_write_them(
    texts: list[str], kind: pa.DataType, values: list[Any]
) -> None:
    assert column(*texts) == (kind, values)


@pytest.mark.parametrize(
    "texts",
    [
        ["A12", "A15"], ["12B", "13B"], ["1234 AB", "1235 AB"], ["007 kg", "012 kg"],
        ["12 kg", "500 g"], ["12 kg", "13"], ["(1)", "(2)"], ["v1", "v2"], ["1 234", "5 678"],
        ["12-3", "13-4"], ["0171 5550", "0171 5551"],
    ],
)  # fmt: skip
def test_codes_and_mixed_units_stay_text(texts: list[str]) -> None:
    assert column(*texts) == (pa.string(), texts)


def test_a_unit_that_a_late_value_lacks_leaves_text() -> None:
    texts = [f"{i} kg" for i in range(3_000)] + ["many"]
    assert column(*texts) == (pa.string(), texts)


def test_findings_name_the_unit() -> None:
    made, _ = read_text("id,w\n1,12.5 kg\n2,3 kg\n")
    assert "column 'w': every value carries 'kg', read as the number beside it" in made.findings


def test_the_decimal_sign_of_one_column_decides_for_others() -> None:
    _, german = read_text("a;b\n3,14;1.234\n2,5;2.500\n")
    assert german["b"].to_pylist() == [1234, 2500]
    _, english = read_text('a,b\n3.14,"1,234"\n2.5,"2,500"\n')
    assert english["b"].to_pylist() == [1234, 2500]


def test_durations_in_one_column_leave_times_of_day_in_another() -> None:
    _, table = read_text("took,at\n24:10:00,23:59:59.000005\n08:05:00,08:00:00\n")
    assert table["took"].to_pylist()[0] == dt.timedelta(hours=24, minutes=10)
    assert table["at"].to_pylist() == [dt.time(23, 59, 59, 5), dt.time(8)]


def test_a_second_header_row_names_the_parts_of_merged_names() -> None:
    made, table = read_text(
        "id,Seen?,Which films?,,Rank,,Sex\n"
        ",Response,One,Two,One,Two,Response\n"
        "1,Yes,One,,2,1,Male\n2,No,,Two,1,2,\n3,Yes,One,Two,1,2,Female\n"
    )
    assert table.schema.names == [
        "id", "Seen?", "Which films?: One", "Which films?: Two", "Rank: One", "Rank: Two", "Sex",
    ]  # fmt: skip
    assert table["id"].to_pylist() == [1, 2, 3]
    assert table["Rank: One"].to_pylist() == [2, 1, 1]
    assert "header of 2 rows from line 1" in made.findings[0]


def test_a_row_of_units_below_the_header_is_part_of_it() -> None:
    _, table = read_text("name,w,h\n,kg,cm\na,1,2\nb,3,4\nc,5,6\n")
    assert table.schema.names == ["name", "w: kg", "h: cm"]
    assert table.num_rows == 3


@pytest.mark.parametrize(
    "data",
    [
        "name,,city\nAnn,Smith,Paris\nBob,Jones,Rome\nCid,Kay,Oslo\n",
        "id,,v\n1,a,x\n2,b,y\n3,c,z\n",
        "id,n,m\na,x,y\nb,2,3\nc,4,5\n",
    ],
)
def test_first_rows_of_text_are_no_second_header(data: str) -> None:
    assert read_text(data)[1].num_rows == 3


@pytest.mark.parametrize("title", ["Report of 2024\nmade by us\n\n", "# a\n# b, c\n"])
def test_titles_before_the_table_are_left_out_and_said(title: str) -> None:
    made, table = read_text(f"{title}id,name,v\n1,a,2\n2,b,3\n")
    assert table.to_pydict() == {"id": [1, 2], "name": ["a", "b"], "v": [2, 3]}
    assert "lines before it left out" in made.findings[0]


def test_remarks_between_rows_are_left_out_and_counted() -> None:
    made, table = read_text("id,name\n1,a\n# not a row\n2,b\n")
    assert table["id"].to_pylist() == [1, 2]
    assert "1 comment lines left out" in made.findings


def test_values_that_begin_with_a_hash_are_values() -> None:
    _, table = read_text("color,n\n#ff0000,1\n#00ff00,2\n")
    assert table["color"].to_pylist() == ["#ff0000", "#00ff00"]


@pytest.mark.parametrize("data", ["a,b\n1,2,\n3,4,\n", "a,b,\n1,2\n3,4\n", "a,b,\n1,2,\n3,4,\n"])
def test_separators_at_the_end_of_lines_make_no_column(data: str) -> None:
    assert read_text(data)[1].to_pydict() == {"a": [1, 3], "b": [2, 4]}


def test_single_quotes_quote_where_all_values_that_begin_so_end_so() -> None:
    _, table = read_text("a,b\n'x,1','y'\n'z','it''s'\n")
    assert table.to_pydict() == {"a": ["x,1", "z"], "b": ["y", "it's"]}
    _, table = read_text("a,b\n'tis,x\nz,y\n")
    assert table["a"].to_pylist() == ["'tis", "z"]


def test_backslashes_that_escape_no_quote_are_kept() -> None:
    _, table = read_text('a,b\n"x\\"y","C:\\temp"\n"q",r\n')
    assert table.to_pydict() == {"a": ['x"y', "q"], "b": ["C:\\temp", "r"]}


def test_line_ends_inside_values_are_kept_where_others_are_mixed() -> None:
    _, table = read_text('id,v\r\n1,"a\r\nb"\n2,"c\nd"\r\n3,"e\rf"\n')
    assert table["v"].to_pylist() == ["a\r\nb", "c\nd", "e\rf"]


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, gzip.compress])
def test_packed_files_of_several_parts_are_one_text(pack: Callable[[bytes], bytes]) -> None:
    _, table = read_text(pack(b"id,v\n1,x\n") + pack(b"2,y\n"))
    assert table["id"].to_pylist() == [1, 2]


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_packed_files_that_are_cut_off_are_refused(pack: Callable[[bytes], bytes]) -> None:
    assert "damaged or cut off" in refused(pack(b"id,v\n" * 99)[:-9]).message


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, gzip.compress])
def test_a_decompression_bomb_is_refused(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 1 << 22)
    assert refused(pack(b"0" * (1 << 25))).reason == "FILE_TOO_LARGE"


def test_a_giant_cell_is_refused_or_costs_its_row() -> None:
    data = b'id,v\n1,x\n2,"' + b"x" * (17 << 20) + b'"\n3,y\n'
    error = refused(data)
    assert (error.reason, error.violations[0].row) == ("ROW_UNREADABLE", 3)
    made, table = read_text(data, on_bad_row="skip")
    assert (made.rejected, table["id"].to_pylist()) == (1, [1, 3])


def test_too_many_columns_are_refused() -> None:
    assert refused("a," * 30_000 + "\n").reason == "TOO_MANY_COLUMNS"
    assert "longer than 16 MiB" in refused(b"," * (17 << 20)).message


def test_a_quote_that_is_never_closed_is_refused_where_it_begins() -> None:
    error = refused('id,v\n1,x\n2,"' + "y\n" * 300_000)
    assert (error.reason, error.violations[0].row) == ("ROW_UNREADABLE", 3)


def test_a_table_of_many_columns_keeps_them_all() -> None:
    names = [f"n{i}" for i in range(300)]
    rows = [[str(row * i) for i in range(300)] for row in range(3)]
    _, table = read_text("\n".join(",".join(row) for row in [names, *rows]))
    assert table.schema.names == names
    assert table["n299"].to_pylist() == [0, 299, 598]


def test_files_of_old_systems_may_hold_line_feeds_in_values() -> None:
    _, table = read_text('id,v\r1,"a\nb\nc\nd"\r2,x\r')
    assert table.to_pydict() == {"id": [1, 2], "v": ["a\nb\nc\nd", "x"]}


@pytest.mark.parametrize("gap", ["", "NA"])
def test_times_with_fractions_are_times_of_day_unless_one_is_beyond_a_day(gap: str) -> None:
    texts = ["23:59:59.000005", "00:00:00", gap, "01:02:03"]
    assert column(*texts) == (
        pa.time64("us"),
        [dt.time(23, 59, 59, 5), dt.time(0), None, dt.time(1, 2, 3)],
    )
    kind, values = column(*texts, "24:00:00.5")
    assert kind == pa.duration("us")
    assert values[-1] == dt.timedelta(days=1, seconds=0.5)


def test_decimals_are_floats_unless_they_are_said_to_be_decimals() -> None:
    text = "k,price\n1,12.50\n2,3.00\n"
    assert read_text(text)[1]["price"].type == pa.float64()
    said = read_text(text, types={"price": "decimal128(9, 2)"})[1]["price"]
    assert said.type == pa.decimal128(9, 2)
    assert [str(value) for value in said.to_pylist()] == ["12.50", "3.00"]


@pytest.mark.parametrize("data", ['a,b\n1,2\n""\n', 'a,b\r\n1,2\r\n""\r\n', 'a,b\n1,2\n""'])
def test_a_row_of_one_empty_text_in_quotes_is_too_short(data: str) -> None:
    error = refused(data)
    assert error.reason == "ROW_RAGGED"
    assert error.violations[0].row == 3


def test_a_zero_byte_far_behind_other_letters_is_refused_where_it_stands() -> None:
    rows = "".join(f"{i},Größe\n" for i in range(400_000))
    error = refused("k,v\n" + rows + "400000,x\0y\n")
    assert error.violations[0].row == 400_002
    assert "zero bytes" in error.message
