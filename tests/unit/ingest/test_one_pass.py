"""Reading a large file in one pass gives what examining all of its rows gives."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.ingest import IngestedTable, delimited, ingest, one_pass

USUAL = {
    "int": [str(n) for n in (0, 7, -12, 4711, 90_000_000_000)],
    "float": ["0.5", "1.25", "-3.75", "10.0", "1e5", "12.", "-0.25", "100"],
    "day": ["2024-02-29", "1999-12-31", "2001-01-01"],
    "moment": ["2024-02-29 10:00:00", "1999-12-31 23:59:59", "2001-01-01 00:00:00"],
    "truth": ["true", "false", "True"],
    "us day": ["1/13/2024", "12/31/1999", "2/3/2001"],
    "word": ["alpha", "beta gamma", "x"],
    "code": ["007", "0815", "42"],
    "wide": ["123456789012345678901", "99999999999999999999"],
    "whole": ["1.0", "2.0", "17.0"],
}
ODD = [
    "", "NA", "NULL", "nan", "?", "-", " ", " 12", "12 ", "+5", "1_000", "0x10", "12.7", "1e3",
    "-0", "-00.5", "00.5", ".5", "-.5", "5.", "inf", "-inf", "1e400", "2024-1-5", "2024-02-30",
    "2024/01/05", "24-01-05", " 024-01-05", "-024-01-05", "2024-01-05T10:00:00",
    "2024-01-05 10:00:00.5", "2024-01-05  1:00:00", "2024-01-05 1 :00:00", "2024-01-05 24:00:00",
    "2024-13-01 00:00:00", "true ", "TRUE", "text", "NA ", " NA", "\u2007", "1,5", "1.234",
    "9" * 25, "\t7", "7\t", "1.5\t", "2024-01-05\t", "1.5\u00a0", "99999999999999999999.5",
    "12345-01-1",
]  # fmt: skip


def read(text: bytes, *, at_once: bool) -> tuple[pa.Table, IngestedTable] | str:
    limits = (
        mock.patch.object(one_pass, "LARGE", 1 if at_once else 1 << 60),
        mock.patch.object(one_pass, "_HEAD", 400),
        mock.patch.object(one_pass, "_SLICE", 60),
    )
    with limits[0], limits[1], limits[2], tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(text)
        try:
            (made,) = ingest(path, file_name="t.csv", table="", format="csv", out=Path(folder))
        except InvalidArgumentError as error:
            return error.message
        left = {entry.name for entry in Path(folder).iterdir()}
        assert left == {"t.csv", "t.parquet"}, "nothing in between is left"
        return pq.read_table(made.path), made


def said(findings: tuple[str, ...]) -> list[str]:
    """Leave out what is counted: how many are missing, or how few do not fit."""
    uncounted = [re.sub(r" \(\d+\)", "", finding) for finding in findings]
    return [finding for finding in uncounted if "kept as text" not in finding]


def csv(cells: list[str]) -> bytes:
    quoted = ['"' + cell.replace('"', '""') + '"' if cell == "" else cell for cell in cells]
    return "".join(["k,v\n", *(f"{at},{cell}\n" for at, cell in enumerate(quoted))]).encode()


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_both_ways_read_the_same(data: st.DataObject) -> None:
    usual = USUAL[data.draw(st.sampled_from(sorted(USUAL)))]
    early = data.draw(st.sampled_from([None, None, "", "NA", "?", *ODD]))
    cells = [usual[at % len(usual)] for at in range(60)]
    if early is not None:
        cells[3] = early
    for place in data.draw(st.lists(st.integers(61, 90), max_size=2, unique=True)):
        cells += [usual[0]] * (place - len(cells)) if place > len(cells) else []
        cells.append(data.draw(st.sampled_from([*ODD, *usual])))
    text = csv(cells)
    quick, whole = read(text, at_once=True), read(text, at_once=False)
    if isinstance(quick, str) or isinstance(whole, str):
        assert quick == whole
        return
    assert quick[0].schema.equals(whole[0].schema)
    assert quick[0].equals(whole[0])
    assert quick[1].read_as == whole[1].read_as
    assert said(quick[1].findings) == said(whole[1].findings)


@pytest.mark.parametrize("kind", sorted(set(USUAL) - {"wide", "whole"}))
def test_usual_values_take_the_short_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(*_: object) -> None:
        raise AssertionError("the long way was taken")

    monkeypatch.setattr(delimited, "_stage", stage)
    cells = (USUAL[kind] * 100)[:100]
    found = read(csv(cells), at_once=True)
    assert not isinstance(found, str)
    assert found[0].num_rows == 100


def test_what_is_not_utf8_beyond_the_sample_is_found_the_long_way() -> None:
    text = csv(["alpha"] * 200) + "200,Zürich\n".encode("cp1252") * 40
    found = read(text, at_once=True)
    assert not isinstance(found, str)
    assert found[0]["v"][-1].as_py() == "Zürich"


def test_a_ragged_row_beyond_the_sample_is_named() -> None:
    found = read(csv(["alpha"] * 200) + b"1,2,3\n", at_once=True)
    assert isinstance(found, str)
    assert "row 202" in found
