"""XML is valid against its own schema, and gives back whatever texts and names there were."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from support.shop import LINES, SHOP, shop_rows
from support.targets import files_of, target_of
from syntheflow_server.domain.escapes import ESCAPES_MARK, element_name, unescaped
from syntheflow_server.export import Target

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
ANY = st.text(st.characters(exclude_categories=["Cs"]))
NOWHERE = Path()


def read(files: dict[str, bytes], stem: str) -> tuple[list[str], list[list[str | None]]]:
    """Return names and texts of a table's file, which is checked against its schema."""
    root = etree.fromstring(files[f"{stem}.xml"])
    etree.XMLSchema(etree.fromstring(files[f"{stem}.xsd"])).assertValid(root)
    assert root.tag == element_name(stem)
    rows = [[None if cell.get(NIL) else unescaped(cell.text or "") for cell in row] for row in root]
    assert all(cell.get(NIL) in {None, "true"} for row in root for cell in row)
    names = [unescaped(cell.tag) for cell in root[0]] if len(root) else []
    return names, rows


def one(table: pa.Table, name: str = "t") -> dict[str, bytes]:
    return files_of("xml", target_of(None, **{name: table.schema}), {name: table}, NOWHERE, 7)


def test_every_type_is_valid_and_every_row_comes_back() -> None:
    files = files_of("xml", Target(SHOP, SHOP.table_names), shop_rows(), NOWHERE, 5)
    assert len(files) == 6
    names, rows = read(files, "Product")
    wanted = shop_rows()["Product"]
    assert names == wanted.schema.names
    assert [row[4] for row in rows] == wanted["text"].to_pylist()
    assert [row[3] for row in rows[:3]] == ["true", "false", None]
    assert [row[2] and float(row[2]) for row in rows] == wanted["float"].to_pylist()
    assert rows[0][5:] == [
        "2024-02-29", "23:59:59.000005", "2024-01-02T03:04:05.000006", "2024-07-01T12:00:00Z",
        "30:00:00.000001", "-0.50", "1234567890123456789012345678.91", None,
    ]  # fmt: skip


def test_the_schema_knows_the_key() -> None:
    files = files_of("xml", Target(SHOP, ("order",)), {"order": shop_rows()["order"]}, NOWHERE)
    schema = etree.XMLSchema(etree.fromstring(files["order.xsd"]))
    twice = files["order.xml"].replace(b"<id>2</id>", b"<id>1</id>")
    assert not schema.validate(etree.fromstring(twice))
    missing = files["order.xml"].replace(b"<id>2</id>", b'<id xsi:nil="true"/>')
    assert b"nil" in missing
    wrong = etree.fromstring(missing.replace(b"xmlns:xsi", b"xmlns:xsi"))
    assert not schema.validate(wrong)


def test_files_name_their_schema_and_say_that_they_use_escapes() -> None:
    files = files_of("xml", Target(SHOP, (LINES.name,)), {}, NOWHERE)
    (xml,) = (name for name in files if name.endswith(".xml"))
    text = files[xml].decode()
    assert text.splitlines()[1] == ESCAPES_MARK
    assert 'noNamespaceSchemaLocation="order%27s%20%2522lines' in text


def test_an_empty_table_is_a_whole_file() -> None:
    files = one(pa.table({"x": pa.array([], pa.int64())}))
    assert read(files, "t") == ([], [])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | ANY, max_size=20))
@example(
    ["_x0041_x0042_", "_x005F_", "_x0001_\x01", "\ufffe\uffff", "a\r\nb\rc", "]]>", "&amp;", " "]
)
def test_any_text_survives(values: list[str | None]) -> None:
    table = pa.table(
        {"n": pa.array(range(len(values)), pa.int64()), "x": pa.array(values, pa.string())}
    )
    assert [row[1] for row in read(one(table), "t")[1]] == values


@settings(deadline=None, max_examples=60)
@given(st.lists(ANY, min_size=1, max_size=8, unique=True))
@example(
    ["", "_x_", "xml", "XMLdata", "a:b", "1", "-", "_x0041_", "a b", "é", "日本", "😀", "\x00"]
)
def test_any_names_survive_as_elements_that_validate(names: list[str]) -> None:
    table = pa.table([pa.array([1])] * len(names), names=names)
    assert read(one(table), "t") == (names, [["1"] * len(names)])


def test_any_table_has_a_root() -> None:
    files = one(pa.table({"x": [1]}), "2nd <table>")
    root = etree.fromstring(files["2nd %3Ctable%3E.xml"])
    assert unescaped(root.tag) == "2nd <table>"


def test_what_is_no_number_has_its_words() -> None:
    table = pa.table({"x": pa.array([math.nan, math.inf, -math.inf, 1e300, None])})
    assert [row[0] for row in read(one(table), "t")[1]] == ["NaN", "INF", "-INF", "1e+300", None]


@pytest.mark.parametrize("text", ["_x110000_", "_xD800_", "_x00110000_", "_x41_", "x", "_x"])
def test_what_is_no_escape_stays(text: str) -> None:
    assert unescaped(text) == text
