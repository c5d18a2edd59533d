"""Small valid files of every format, made here: what the fuzzer begins with."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

CSV = (
    "id,name,born,paid,when,ok\n"
    '1,"Ann, the ""first""",1990-01-02,1234.50,2024-05-06 07:08:09,true\n'
    '2,"two\nlines",1991-12-31,-0.05,2024-05-06T07:08:09.123456,false\n'
    "3,,,,,\n"
    "4,Zoë 漢字,2000-02-29,1e6,2024-02-29 23:59:59,TRUE\n"
)
JSON = {
    "people": [
        {"id": 1, "name": "Ann", "tags": ["a", "b"], "home": {"city": "X", "geo": [1.5, -2e3]}},
        {"id": 2, "name": None, "tags": [], "home": None, "pets": [{"kind": "cat", "age": 3}]},
        {"id": 9007199254740993, "name": "\ud83d\ude00 \u0000 é", "born": "1990-01-02"},
    ],
    "page": {"next": None, "count": 3},
}
XML = """<?xml version="1.0" encoding="UTF-8"?>
<!-- people --><feed xmlns="urn:x" xmlns:y="urn:y">
<person id="1" y:kind="a"><name>Ann &amp; Bob</name><born>1990-01-02</born>
<pet><kind>cat</kind></pet><pet><kind>dog</kind></pet></person>
<person id="2"><name><![CDATA[<two>]]></name><born/></person>
</feed>"""
SQL_POSTGRESQL = """--
-- PostgreSQL database dump
--
SET client_encoding = 'UTF8';
CREATE TABLE public.people (
    id integer NOT NULL, name character varying(20) DEFAULT 'x''y', born date,
    paid numeric(10,2), CONSTRAINT positive CHECK ((paid > (0)::numeric))
);
COPY public.people (id, name, born, paid) FROM stdin;
1\tAnn\\tTab\t1990-01-02\t12.50
2\t\\N\t\\N\t\\N
\\.
CREATE TABLE public.pets (id serial PRIMARY KEY, owner integer);
INSERT INTO public.pets (id, owner) VALUES (1, 1), (2, NULL);
ALTER TABLE ONLY public.people ADD CONSTRAINT people_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pets ADD CONSTRAINT f FOREIGN KEY (owner) REFERENCES public.people(id);
"""
SQL_MYSQL = """-- MySQL dump 10.13
/*!40101 SET NAMES utf8mb4 */;
CREATE TABLE `people` (
  `id` int(11) NOT NULL AUTO_INCREMENT, `name` varchar(20) DEFAULT NULL COMMENT 'it''s',
  `sex` enum('m','f') DEFAULT 'f', PRIMARY KEY (`id`), KEY `n` (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `people` VALUES (1,'Ann \\'x\\' \\n','m'),(2,NULL,'f'),(3,0x41,'m');
"""


def _table(*, nested: bool = False) -> pa.Table:
    table = pa.table(
        {
            "id": pa.array([1, 2, None], pa.int32()),
            "name": pa.array(["Ann", None, "é"]).dictionary_encode(),
            "born": pa.array([date(1990, 1, 2), None, date(1, 1, 1)]),
            "when": pa.array([datetime(2024, 5, 6, 7, 8, 9, 123456), None, None]),  # noqa: DTZ001
            "paid": pa.array([Decimal("1.50"), None, Decimal("-99999.99")], pa.decimal128(7, 2)),
            "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
            "home": pa.array([{"city": "X", "zip": 1}, None, {"city": None, "zip": 2}]),
        }
    )
    return table if nested else table.drop(["tags", "home"])


def _parquet(*, nested: bool = False, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(_table(nested=nested), sink, **options)
    return sink.getvalue()


def _arrow(new: Callable[..., pa.ipc.RecordBatchStreamWriter]) -> bytes:
    sink = io.BytesIO()
    with new(sink, _table().schema) as writer:
        writer.write_table(_table())
    return sink.getvalue()


def _xlsx() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "people"
    sheet.append(["id", "name", "born", "paid", "ok", "sum"])
    sheet.append([1, "Ann", date(1990, 1, 2), 12.5, True, "=A2+1"])
    sheet.append([2, None, datetime(2024, 5, 6, 7, 8), -1e300, False, None])  # noqa: DTZ001
    sheet.merge_cells("A5:C5")
    other = book.create_sheet("pets & co")
    other.append(["kind"])
    other.append(["cat"])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _ods() -> bytes:
    book = OpenDocumentSpreadsheet()
    table = Table(name="people")
    for values in (("id", "name"), ("1", "Ann"), ("2", "Bob")):
        row = TableRow()
        for value in values:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=value))
            row.addElement(cell)
        table.addElement(row)
    book.spreadsheet.addElement(table)
    sink = io.BytesIO()
    book.write(sink)
    return sink.getvalue()


_TABLES = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(20), paid DECIMAL(10,2), born DATE)",
    "CREATE TABLE pets (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES people(id), data BLOB)",
    "INSERT INTO people VALUES (1, 'Ann', 12.5, '1990-01-02'), (2, NULL, NULL, NULL)",
    "INSERT INTO pets VALUES (1, 1, NULL), (2, 2, NULL)",
)


def _sqlite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA page_size = 512")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("CREATE VIEW v AS SELECT name FROM people")
        connection.commit()
        connection.close()
        return path.read_bytes()


def _duckdb() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.duckdb"
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{path}' AS x (BLOCK_SIZE 16384)")
            connection.execute("USE x")
            for statement in _TABLES:
                connection.execute(statement)
        return path.read_bytes()


def _zip(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def seeds() -> dict[str, bytes]:
    """Return valid files by name; the ending tells the format."""
    text = CSV.encode()
    lines = "".join(json.dumps(item) + "\n" for item in JSON["people"]).encode()
    german = "Nr;Betrag;Datum\n1;1.234,50 €;31.12.1999\n2;-0,05 €;01.02.2000\n"
    return {
        "plain.csv": text,
        "german.csv": german.encode("cp1252", "replace"),
        "tabs.tsv": text.replace(b",", b"\t"),
        "wide.txt": ("\ufeff" + CSV).encode("utf-16-le"),
        "marked.csv": b"\xef\xbb\xbf# comment\n\n" + text,
        "columns.dat": b"id   name  paid\n1    Ann   1.5\n2    Bob   2.5\n",
        "ragged.csv": b"a,b,c\n1,2\n1,2,3,4\n\n'x','y\n",
        "plain.csv.gz": gzip.compress(text, mtime=0),
        "plain.csv.bz2": bz2.compress(text),
        "plain.csv.xz": lzma.compress(text),
        "plain.csv.zst": pa.compress(text, "zstd", asbytes=True),
        "nested.json": json.dumps(JSON).encode(),
        "list.json": json.dumps(JSON["people"]).encode(),
        "columns.json": b'{"id": [1, 2], "name": ["a", null]}',
        "lines.jsonl": lines,
        "feed.xml": XML.encode(),
        "postgresql.sql": SQL_POSTGRESQL.encode(),
        "mysql.sql": SQL_MYSQL.encode(),
        "plain.parquet": _parquet(compression="snappy"),
        "pages.parquet": _parquet(compression="none", use_dictionary=False, data_page_size=16),
        "nested.parquet": _parquet(nested=True),
        "zstd.parquet": _parquet(compression="zstd", data_page_version="2.0"),
        "file.arrow": _arrow(pa.ipc.new_file),
        "stream.arrows": _arrow(pa.ipc.new_stream),
        "book.xlsx": _xlsx(),
        "book.ods": _ods(),
        "small.sqlite": _sqlite(),
        "small.duckdb": _duckdb(),
        "many.zip": _zip({"people.csv": text, "sub/pets.jsonl": lines, "a.json": b'[{"x": 1}]'}),
    }
