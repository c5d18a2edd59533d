"""XML: records are found, spread over columns and tables, and bombs refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.targets import files_of, target_of
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest import IngestedTable, ingest

SHOP = """<?xml version="1.0" encoding="{encoding}"?>
<shop xmlns="urn:shop" xmlns:m="urn:money">
  <name>Örtchen</name>
  <order id="007" day="2024-01-31"><to><city>Köln</city></to>
    <m:price currency="EUR">1.5</m:price><note/>
    <item n="1">nut</item><item n="2">bolt</item></order>
  <order id="008" day="2024-02-01"><to><city>Rom &amp; Ulm</city><zip>01234</zip></to>
    <m:price currency="EUR">2</m:price><note>late</note></order>
  <order id="009" day="2024-02-03"><item n="3">pin</item></order>
</shop>"""


def read(folder: Path, data: str | bytes, **options: Any) -> dict[str, IngestedTable]:
    folder.mkdir(exist_ok=True)
    path = folder / "upload"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    made = ingest(
        path, file_name="shop.xml", table="", format=None, out=out, options=ReadOptions(**options)
    )
    assert sorted(out.iterdir()) == sorted(m.path for m in made)
    return {m.name: m for m in made}


def rows(made: dict[str, IngestedTable]) -> dict[str, dict[str, list[Any]]]:
    return {name: pq.read_table(m.path).to_pydict() for name, m in made.items()}


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16"])
def test_repeated_elements_are_records(tmp_path: Path, encoding: str) -> None:
    made = read(tmp_path, SHOP.format(encoding=encoding).encode(encoding))
    assert rows(made) == {
        "shop": {
            "id": ["007", "008", "009"],
            "day": [dt.date(2024, 1, 31), dt.date(2024, 2, 1), dt.date(2024, 2, 3)],
            "to.city": ["Köln", "Rom & Ulm", None],
            "price.currency": ["EUR", "EUR", None],
            "price": [1.5, 2.0, None],
            "note": [None, "late", None],
            "to.zip": [None, "01234", None],
            "shop_id": [1, 2, 3],
        },
        "shop_item": {"n": [1, 2, 3], "value": ["nut", "bolt", "pin"], "shop_id": [1, 1, 3]},
    }
    assert made["shop"].read_as == {"records": "/shop/order"}
    assert "left out beside the records: /shop/name" in made["shop"].findings
    assert [str(r) for r in made["shop_item"].references] == ["shop_item(shop_id) -> shop(shop_id)"]


def test_boxes_of_records_are_tables_even_with_one_record(tmp_path: Path) -> None:
    text = "<db><as><a id='1'/><a id='2'/></as><bs><b id='3'/></bs></db>"
    assert rows(read(tmp_path, text)) == {"a": {"id": [1, 2]}, "b": {"id": [3]}}


def test_records_can_be_named(tmp_path: Path) -> None:
    text = "<db><as><a id='1'><c v='x'/></a><a id='2'><c v='y'/></a></as></db>"
    assert rows(read(tmp_path, text, records="c")) == {"shop": {"v": ["x", "y"]}}
    assert rows(read(tmp_path / "again", text, records="/db/as/a"))["shop"]["c.v"] == ["x", "y"]
    with pytest.raises(InvalidArgumentError, match="no element is at the path"):
        read(tmp_path, text, records="/c")


def test_a_document_without_repetition_is_one_row(tmp_path: Path) -> None:
    text = "<a x='1'><b>2</b><c><d>3</d></c></a>"
    assert rows(read(tmp_path, text)) == {"shop": {"x": [1], "b": [2], "c.d": [3]}}


def test_names_that_meet_are_kept_apart(tmp_path: Path) -> None:
    text = (
        '<r xmlns:p="urn:p" xmlns:x="http://www.w3.org/2001/XMLSchema-instance">'
        '<e id="1"><id>2</id><v>3</v><p:v>4</p:v><n x:nil="true"/></e><e/></r>'
    )
    assert rows(read(tmp_path, text)) == {
        "shop": {"@id": [1, None], "id": [2, None], "v": [3, None], "p_v": [4, None],
                 "n": [None, None]}
    }  # fmt: skip


BOMB = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {n} "{f"&{m};" * 10}">' for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)
OUTSIDE = '<!DOCTYPE r [<!ENTITY i SYSTEM "file:///etc/passwd">'


@pytest.mark.parametrize("start", [BOMB, OUTSIDE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("body", ["<e>&i;</e>", "<e v='&i;'/>"])
def test_entities_are_refused(tmp_path: Path, start: str, encoding: str, body: str) -> None:
    if start == OUTSIDE and "v=" in body:
        body = "<e/>"
    text = f'<?xml version="1.0" encoding="{encoding}"?>{start}]><r>{body}{body}</r>'
    with pytest.raises(InvalidArgumentError):
        read(tmp_path, text.encode(encoding))


def test_an_outside_document_type_is_not_fetched(tmp_path: Path) -> None:
    text = '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd"><r><e v="1"/><e v="2"/></r>'
    assert rows(read(tmp_path, text)) == {"shop": {"v": [1, 2]}}


@pytest.mark.parametrize(
    "text",
    [
        "<a>" * 100_000,
        "<r>" + "".join(f"<e{i}/>" for i in range(30_000)) + "</r>",
        "<r><e>" + "x" * (1 << 25) + "</e><e/></r>",
        "<r><e v='1'/><e>",
        "<html><body><p>1</p><p>2</p></body></html>",
    ],
    ids=["deep", "wide", "giant", "cut", "web page"],
)
def test_hostile_or_broken_documents_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        read(tmp_path, text)


def test_our_own_files_give_back_names_and_texts_to_the_letter(tmp_path: Path) -> None:
    texts = [" blanks ", "\x01_x0041_", "line\r\nend", "", None, "<&>"]
    name = 'a/b "c"'
    table = pa.table({name: pa.array(texts), "_x_": pa.array(range(6))})
    files = files_of("xml", target_of(None, t=table.schema), {"t": table}, tmp_path)
    made = read(tmp_path, files["t.xml"])
    assert rows(made) == {"shop": {name: texts, "_x_": list(range(6))}}


def test_one_row_of_our_own_is_a_record(tmp_path: Path) -> None:
    table = pa.table({"x": [5]})
    files = files_of("xml", target_of(None, t=table.schema), {"t": table}, tmp_path)
    assert rows(read(tmp_path, files["t.xml"])) == {"shop": {"x": [5]}}
