"""Tells a file's format by its content first, then by its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
from pathlib import Path

import pyarrow as pa

_MAGIC = [
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"FEA1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow"),
    (b"\xd0\xcf\x11\xe0", "excel"),
    (b"SQLite format 3\0", "sqlite"),
    (b"PGDMP", "sql"),
]
_DUCKDB = b"DUCK"
_BY_ENDING = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "csv", ".dat": "csv", ".psv": "csv",
    ".json": "json", ".geojson": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".xlsx": "excel", ".xlsm": "excel", ".xls": "excel", ".xlsb": "excel", ".ods": "excel",
    ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow",
    ".xml": "xml", ".sql": "sql", ".dump": "sql",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".db3": "sqlite",
    ".duckdb": "duckdb", ".ddb": "duckdb", ".zip": "zip",
}  # fmt: skip
PACKINGS = (".gz", ".zst", ".bz2", ".xz")
KNOWN_ENDINGS = frozenset(_BY_ENDING)
"""Endings that tell a format."""
ENDINGS = KNOWN_ENDINGS | frozenset(PACKINGS)
"""Endings that are no part of a table's name."""
_DELIMITED = frozenset({".csv", ".tsv", ".tab", ".psv"})
_SAMPLE = 1 << 16
_SQL = re.compile(
    r"^\s*(?:CREATE\s+(?:TEMP(?:ORARY)?\s+)?TABLE\b|INSERT\s+(?:IGNORE\s+)?INTO\b"
    r"|COPY\s+\S+\s*(?:\([^)]*\))?\s*FROM\s+stdin\b"
    r"|-- (?:PostgreSQL database|MySQL|MariaDB) dump)",
    re.IGNORECASE | re.MULTILINE,
)
_XML = re.compile(r"<(?:\?xml\b|!--|!DOCTYPE\b|[^\W\d][\w.:-]*[\s/>])")
_JSON_ARRAY = re.compile(r"\[\s*\{")
_JSON_OBJECT = re.compile(r"\{\s*(?:\"|\})")


def recognise(path: Path, file_name: str) -> str:
    """Return the format of a file; text of no known name or look is read as CSV."""
    with path.open("rb") as file:
        head = file.read(16)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[8:12] == _DUCKDB:
        return "duckdb"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(path)
    name = Path(file_name.lower())
    if name.suffix in PACKINGS:
        name = Path(name.stem)
    return _by_look(_text_head(path), name.suffix) or _BY_ENDING.get(name.suffix, "csv")


def stem_of(file_name: str) -> str:
    """Return the name without the endings that tell format and packing."""
    stem = file_name
    while (cut := Path(stem)).suffix.lower() in ENDINGS and cut.stem:
        stem = cut.stem
    return stem


def _kind_of_zip(path: Path) -> str:
    """Tell workbooks from archives; a damaged one is told by the workbook's reader."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return "excel"
    if "[Content_Types].xml" in names and any(name.startswith("xl/") for name in names):
        return "excel"
    return "excel" if {"mimetype", "content.xml"} <= names else "zip"


def _by_look(text: str, ending: str) -> str:
    """Return the format that the first characters show, or nothing."""
    start = text.lstrip("\ufeff \t\r\n")
    if ending in _DELIMITED:
        return ""
    if _XML.match(start):
        return "xml"
    if _JSON_ARRAY.match(start):
        return "json"
    if _JSON_OBJECT.match(start):
        # Lines of objects are found by the reader of JSON too.
        return "jsonl" if _BY_ENDING.get(ending) == "jsonl" else "json"
    return "sql" if _SQL.search(text) else ""


def _text_head(path: Path) -> str:
    """Return the first characters, unpacked; nothing where they cannot be told."""
    with path.open("rb") as file:
        raw = file.read(_SAMPLE)
    try:
        if raw.startswith(b"\x1f\x8b"):
            with gzip.open(path) as packed:
                raw = packed.read(_SAMPLE)
        elif raw.startswith(b"BZh"):
            with bz2.open(path) as packed:
                raw = packed.read(_SAMPLE)
        elif raw.startswith(b"\xfd7zXZ\0"):
            with lzma.open(path) as packed:
                raw = packed.read(_SAMPLE)
        elif raw.startswith(b"\x28\xb5\x2f\xfd"):
            with pa.input_stream(str(path), compression="zstd") as packed:
                raw = packed.read(_SAMPLE)
    except (OSError, EOFError, ValueError, lzma.LZMAError):
        return ""
    encoding = "utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    return raw.decode(encoding, errors="replace")
