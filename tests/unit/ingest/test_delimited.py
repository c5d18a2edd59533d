"""Delimited text: what people send, and what is understood of it."""

# ruff: noqa: DTZ001 - the stored types have no zone
from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.targets import target_of
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.export.csv_text import CsvEncoder
from syntheflow_server.ingest import IngestedTable, ingest

Read = Callable[..., tuple[IngestedTable, pa.Table]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that ingests the bytes of one CSV file and opens the table."""
    out = tmp_path / "out"
    out.mkdir()

    def call(data: str | bytes, name: str = "things.csv") -> tuple[IngestedTable, pa.Table]:
        path = tmp_path / "upload"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        (made,) = ingest(path, file_name=name, table="", format=None, out=out)
        assert sorted(out.iterdir()) == [made.path], "nothing else is left behind"
        table = pq.read_table(made.path)
        made.path.unlink()
        return made, table

    return call


def column(
    read: Read, *values: str, head: str = "k,v", sep: str = ","
) -> tuple[pa.DataType, list[Any]]:
    """Read one column `v` of texts beside a counter; return its type and values."""
    lines = [head.replace(",", sep)] + [f"{i}{sep}{value}" for i, value in enumerate(values)]
    table = read("\n".join(lines) + "\n")[1]
    return table["v"].type, table["v"].to_pylist()


def refusal(read: Read, data: str | bytes) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        read(data)
    return caught.value


@pytest.mark.parametrize("sep", [",", ";", "\t", "|", "|+|", "||", "~|~", "^|^", "::", "\x1f"])
def test_the_separator_is_found(read: Read, sep: str) -> None:
    lines = [["id", "name", "price"], ["1", "Ann, Bob", "1.5"], ["2", "Cid", "2.25"]]
    lines = [[cell.replace(",", " and") if sep == "," else cell for cell in line] for line in lines]
    _, table = read("\n".join(sep.join(line) for line in lines))
    assert table.schema.names == ["id", "name", "price"]
    assert table["price"].to_pylist() == [1.5, 2.25]


def test_findings_say_how_the_file_was_read(read: Read) -> None:
    made, _ = read("Name;Größe\nJürgen;1,85\nÖmer;1,7\nÄnne;1,62\n".encode("cp1252"))
    assert made.findings == (
        "CSV, separator ';', encoding cp1252, header in line 1",
        "column 'Größe': decimal comma",
    )
    assert (made.name, made.rows, made.file_name) == ("things", 3, "things.csv")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Größe €"),
        ("utf-8-sig", "Größe €"),
        ("utf-16", "Größe 日本"),
        ("utf-16-le", "Größe"),
        ("utf-16-be", "Größe"),
        ("utf-32", "Größe"),
        ("latin-1", "Größe über Café"),
        ("cp1252", "5 € … günstig"),
    ],
)
def test_the_encoding_is_found(read: Read, encoding: str, text: str) -> None:
    body = "".join(f"{i},{text}\r\n" for i in range(20))
    _, table = read(f"id,note\r\n{body}".encode(encoding))
    assert table.schema.names == ["id", "note"]
    assert table["note"].to_pylist() == [text] * 20


def test_other_alphabets_in_old_encodings_are_read(read: Read) -> None:
    names = ["Москва", "Санкт-Петербург", "Новосибирск", "Екатеринбург"] * 5
    data = "город;число\n" + "".join(f"{name};{i}\n" for i, name in enumerate(names))
    made, table = read(data.encode("cp1251"))
    assert table["город"].to_pylist() == names
    assert "encoding cp1251" in made.findings[0]


def test_damaged_utf8_is_refused_with_its_line(read: Read) -> None:
    good = "".join(f"{i},Größe\n" for i in range(50)).encode()
    error = refusal(read, b"id,v\n" + good + b"51,Gr\xf6\xdfe\n" + good)
    assert error.reason == "ENCODING_INVALID"
    assert error.violations[0].row == 52
    assert error.violations[0].table == "things"


def test_binary_files_are_no_text(read: Read) -> None:
    assert "zero bytes" in refusal(read, b"a,b\n1,x\0y\n").message


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_packed_files_are_unpacked(read: Read, pack: str, tmp_path: Path) -> None:
    data = b"id,v\n1,x\n2,y\n"
    packed = gzip.compress(data) if pack == "gzip" else pa.compress(data, "zstd", asbytes=True)
    made, table = read(packed, name="orders.csv.gz" if pack == "gzip" else "orders.csv.zst")
    assert made.name == "orders"
    assert table["v"].to_pylist() == ["x", "y"]
    assert f"unpacked from {pack}" in made.findings[0]


def test_a_cut_off_gzip_is_refused(read: Read) -> None:
    assert "damaged or cut off" in refusal(read, gzip.compress(b"id,v\n" * 100)[:-12]).message


def test_quotes_hold_separators_line_ends_and_quotes(read: Read) -> None:
    _, table = read('id,v\n1,"a, b"\n2,"two\nlines"\n3,"say ""hi"""\n4,5" pipe\n')
    assert table["v"].to_pylist() == ["a, b", "two\nlines", 'say "hi"', '5" pipe']


def test_backslashes_may_escape_quotes(read: Read) -> None:
    _, table = read('id,v\n1,"say \\"hi\\""\n2,"x"\n')
    assert table["v"].to_pylist() == ['say "hi"', "x"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_system(read: Read, end: str) -> None:
    _, table = read(end.join(["id,v", "1,x", "2,y"]) + end)
    assert table["v"].to_pylist() == ["x", "y"]


def test_mixed_line_ends_and_blank_lines_are_mended(read: Read) -> None:
    _, table = read("id,v\r\n1,x\n2,y\r\n\r\n3,z\n\n")
    assert table.to_pydict() == {"id": [1, 2, 3], "v": ["x", "y", "z"]}


def test_a_file_without_header_gets_numbered_columns_and_says_so(read: Read) -> None:
    made, table = read("39, State-gov, 77516\n50, Private, 83311\n38, ?, 215646\n")
    assert table.to_pydict() == {
        "c1": [39, 50, 38],
        "c2": ["State-gov", "Private", None],
        "c3": [77516, 83311, 215646],
    }
    assert "no header, blanks after separators removed" in made.findings[0]
    assert made.findings[1] == "the columns have no names and are called c1, c2 ..."


def test_a_header_of_years_is_a_header(read: Read) -> None:
    _, table = read("country,2001,2002,2003\nA,1,2,3\nB,4,5,6\n")
    assert table.schema.names == ["country", "2001", "2002", "2003"]


def test_columns_without_a_name_are_numbered_or_left_out_if_empty(read: Read) -> None:
    made, table = read("id,,v,\n1,a,x,\n2,b,y,\n")
    assert table.schema.names == ["id", "c2", "v"]
    assert "columns without a name are called c2, c4" in made.findings
    assert "column 'c4': no name and no values, left out" in made.findings


def test_a_single_column_keeps_its_gaps(read: Read) -> None:
    _, table = read("v\n1\n\n3\n")
    assert table["v"].to_pylist() == [1, None, 3]


def test_a_header_alone_is_an_empty_table(read: Read) -> None:
    made, table = read("id,name\n")
    assert made.rows == 0
    assert table.schema == pa.schema([("id", pa.string()), ("name", pa.string())])


@pytest.mark.parametrize("data", ["", "\n\n", "\ufeff"])
def test_a_file_of_nothing_is_refused(read: Read, data: str) -> None:
    assert refusal(read, data).reason == "TABLE_EMPTY"


@pytest.mark.parametrize(("bad", "count"), [("3", "1"), ("3,x,9,9", "4")])
def test_a_ragged_row_is_refused_with_its_place(read: Read, bad: str, count: int) -> None:
    rows = [f"{i},x" for i in range(50)]
    rows[30] = bad
    error = refusal(read, "\n".join(["id,v", *rows]))
    assert error.reason == "ROW_RAGGED"
    assert error.violations[0].row == 32
    assert f"has {count} values where 2 are expected" in error.message


def test_a_header_of_another_width_is_refused(read: Read) -> None:
    error = refusal(read, "a,b\n" + "1,2,3\n" * 5)
    assert (error.reason, error.violations[0].row) == ("ROW_RAGGED", 1)


def test_refusals_never_repeat_values(read: Read) -> None:
    for data in ("id,v\n1,x\n2,secret,secret\n3,x\n4,x\n", 'id,v\n1,x\n2,"secret\n3,x\n'):
        error = refusal(read, data)
        assert "secret" not in error.message + str(error.violations) + str(error.metadata)
        assert error.violations[0].row is not None


def test_columns_of_the_same_name_are_refused(read: Read) -> None:
    error = refusal(read, "id,name,name\n1,a,b\n")
    assert error.reason == "COLUMN_REPEATED"
    assert "columns 2 and 3 have the same name" in error.message


def test_names_that_differ_in_case_are_two_columns(read: Read) -> None:
    _, table = read("a,A\n1,x\n2,y\n")
    assert table.to_pydict() == {"a": [1, 2], "A": ["x", "y"]}


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["1", "-2", "9223372036854775807"], pa.int64(), [1, -2, 2**63 - 1]),
        (["1", "9223372036854775808"], pa.string(), ["1", "9223372036854775808"]),
        (["00123", "04567"], pa.string(), ["00123", "04567"]),
        (["1.5", "2", "-3e5", ".5"], pa.float64(), [1.5, 2.0, -3e5, 0.5]),
        (["1.0", "", "3.0"], pa.int64(), [1, None, 3]),
        (["1.0", "2.0"], pa.float64(), [1.0, 2.0]),
        (["TRUE", "False", "true"], pa.bool_(), [True, False, True]),
        (["yes", "no", "yes"], pa.string(), ["yes", "no", "yes"]),
        (["09:05", "23:59:59.5"], pa.time64("us"), [dt.time(9, 5), dt.time(23, 59, 59, 500_000)]),
        (
            ["23:59:59", "25:10:00"],
            pa.duration("us"),
            [dt.timedelta(seconds=86399), dt.timedelta(hours=25, minutes=10)],
        ),
        (["1,234", "2,345"], pa.string(), ["1,234", "2,345"]),
        (["1,234,567", "890"], pa.int64(), [1234567, 890]),
        (["+1", "+2"], pa.string(), ["+1", "+2"]),
        (["1", "2", "x"], pa.string(), ["1", "2", "x"]),
        ([" 1", "2 "], pa.int64(), [1, 2]),
    ],
)
def test_what_values_mean(
    read: Read, texts: list[str], kind: pa.DataType, values: list[Any]
) -> None:
    assert column(read, *texts, sep="\t") == (kind, values)


_DAYS = [dt.date(2024, 1, 31), dt.date(2024, 2, 1)]


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%b-%Y", "%b %d %Y",
     "%d/%m/%y", "%B %d, %Y", "%d %b %Y"],
)  # fmt: skip
def test_days_in_common_orders(read: Read, form: str) -> None:
    texts = [day.strftime(form) for day in _DAYS]
    assert column(read, *texts, sep="\t") == (pa.date32(), _DAYS)


@pytest.mark.parametrize(
    ("texts", "moment"),
    [
        (["2024-01-31 05:06:07", "2024-01-31T05:06:07.25"], (5, 6, 7)),
        (["1/31/2024 5:06 PM", "2/1/2024 5:06 AM"], (17, 6)),
        (["31/1/2024 05:06", "1/2/2024 05:06"], (5, 6)),
    ],
)
def test_moments(read: Read, texts: list[str], moment: tuple[int, ...]) -> None:
    kind, values = column(read, *texts)
    assert kind == pa.timestamp("us")
    assert values[0] == dt.datetime(2024, 1, 31, *moment)


def test_moments_with_offsets_are_kept_as_utc(read: Read) -> None:
    kind, values = column(read, "2024-01-31T05:00:00+02:00", "2024-01-31T05:00:00Z")
    assert kind == pa.timestamp("us", tz="UTC")
    assert [value.hour for value in values] == [3, 5]


def test_day_and_month_are_never_guessed_without_evidence(read: Read) -> None:
    assert column(read, "01/02/2024", "03/04/2024")[0] == pa.string()
    assert column(read, "01/01/2024", "01/02/2024", "01/03/2024") == (
        pa.date32(), [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 3, 1)],
    )  # fmt: skip
    made, table = read("a,b\n01/02/2024,31/01/2024\n03/04/2024,01/02/2024\n")
    assert table["a"].to_pylist() == [dt.date(2024, 2, 1), dt.date(2024, 4, 3)]
    assert "column 'a': dates as day/month/year" in made.findings


def test_days_that_do_not_exist_stay_text(read: Read) -> None:
    assert column(read, "2024-02-30", "2024-01-01")[0] == pa.string()


@pytest.mark.parametrize("mark", ["NA", "N/A", "NULL", "null", "\\N", "?", "-", "nan", ""])
def test_each_spelling_of_nothing_leaves_numbers_numbers(read: Read, mark: str) -> None:
    assert column(read, "1", mark, "3") == (pa.int64(), [1, None, 3])


def test_marks_in_text_count_where_they_are_clearly_marks(read: Read) -> None:
    made, table = read("job,state,sign,code\nClerk,Ohio,+,NA\n?,NULL,-,DE\nCook,Iowa,?,FR\n")
    assert table["job"].to_pylist() == ["Clerk", None, "Cook"]
    assert table["state"].to_pylist() == ["Ohio", None, "Iowa"]
    assert table["sign"].to_pylist() == ["+", "-", "?"], "signs among signs are values"
    assert table["code"].to_pylist() == ["NA", "DE", "FR"], "Namibia is a country"
    assert "column 'job': '?' (1) read as missing" in made.findings


def test_a_quoted_empty_text_is_not_missing(read: Read) -> None:
    _, table = read('id,v\n1,""\n2,\n3,x\n')
    assert table["v"].to_pylist() == ["", None, "x"]


def test_a_late_misfit_changes_the_type_not_the_rows(read: Read) -> None:
    rows = [f"{i},{i}" for i in range(5_000)] + ["5000,oops"]
    made, table = read("\n".join(["id,v", *rows]))
    assert table["v"].type == pa.string()
    assert table["v"][4999].as_py() == "4999"
    assert "column 'v': kept as text: 1 values do not fit int64" in made.findings


def test_rows_keep_their_order_in_files_of_many_groups(read: Read) -> None:
    count = 300_000
    made, table = read("id,v\n" + "".join(f"{i},{i % 7}\n" for i in range(count)))
    assert made.rows == count
    assert table["id"].to_pylist() == list(range(count))


def test_our_own_csv_comes_back(read: Read) -> None:
    table = pa.table(
        {
            "n": pa.array([1, None, 3], pa.int64()),
            "x": pa.array([1.0, 2.5, None], pa.float64()),
            "t": pa.array(['a "b", c\nd', "", None]),
            "d": pa.array([dt.date(2024, 2, 29), None, dt.date(1999, 1, 1)]),
            "m": pa.array([dt.datetime(2024, 1, 1, 5), None, None], pa.timestamp("us")),
            "b": pa.array([True, False, None]),
            "s": pa.array([dt.timedelta(hours=30), None, None], pa.duration("us")),
        }
    )
    made = CsvEncoder(target_of(t=table.schema), "t")
    (batch,) = table.to_batches()
    _, back = read(made.begin() + b"".join(made.batch(batch, first=True)) + made.end())
    assert back.equals(table)


def test_glob_characters_in_folders_mean_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a[1]*?"
    folder.mkdir()
    path = folder / "x.csv"
    path.write_text("id,v\n1,x\n")
    (made,) = ingest(path, file_name="x.csv", table="", format="csv", out=folder)
    assert pq.ParquetFile(made.path).read().to_pydict() == {"id": [1], "v": ["x"]}
