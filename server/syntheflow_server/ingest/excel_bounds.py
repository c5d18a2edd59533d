"""How large a workbook is when unpacked, found without unpacking it into memory.

The library that reads workbooks keeps each sheet as a full grid of cells: two cells far
apart, or a cell that is repeated, would take all memory. So grids are measured first.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from lxml import etree

from syntheflow_server.ingest.tables import bad_file

CELL_LIMIT = 1 << 25
"""Cells of one sheet's grid."""
_UNPACKED_LIMIT = 1 << 31
_TEXT_LIMIT = 1 << 30
_CHUNK = 1 << 22
_TAIL = 256
_ROW = re.compile(rb"<(?:\w+:)?row [^>]*?\br=\"(\d+)\"")
_CELL = re.compile(rb"\br=\"([A-Z]{1,3})\d+\"")
_WIDE = re.compile(rb"\br=\"([A-Z]{2,3})\d+\"")
_USED = re.compile(rb"\bt=\"s\"[^>]*>\s*<(?:\w+:)?v>(\d{1,9})<")
_SHARED = re.compile(rb"\bt=\"s\"")
_STRING = re.compile(rb"<(?:\w+:)?si\b.*?</(?:\w+:)?si>", re.DOTALL)
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


def check_bounds(path: Path, table: str) -> None:
    """Raise InvalidArgumentError if the workbook would not fit into memory."""
    if not zipfile.is_zipfile(path):
        return  # the old format holds no more than its bytes: 65,536 rows of 256 cells a sheet
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if sum(entry.file_size for entry in archive.infolist()) > _UNPACKED_LIMIT:
                rule = f"the workbook unpacks to more than {_UNPACKED_LIMIT >> 30} GiB; send CSV"
                raise _too_large(table, rule)
            if "content.xml" in names:
                with archive.open("content.xml") as file:
                    _check_ods(file, table)
            elif any(name.endswith("workbook.bin") for name in names):
                rule = "binary workbooks (.xlsb) are not read; save the workbook as .xlsx"
                raise bad_file(table, rule, reason="FORMAT_UNKNOWN")
            else:
                _check_xlsx(archive, table)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise bad_file(table, "the workbook is damaged; save it again and send that") from error
    except etree.XMLSyntaxError as error:
        raise bad_file(table, "the workbook is damaged; save it again and send that") from error


def _too_large(table: str, rule: str) -> Exception:
    return bad_file(table, rule, reason="WORKBOOK_TOO_LARGE")


def _check_xlsx(archive: zipfile.ZipFile, table: str) -> None:
    lengths: list[int] = []
    for name in archive.namelist():
        if name.lower().endswith("sharedstrings.xml"):
            with archive.open(name) as file:
                lengths = [len(part) for part in _pieces(file, table)]
    for name in archive.namelist():
        if re.fullmatch(r"(?i).*worksheets/[^/]+\.xml", name):
            with archive.open(name) as file:
                shared = _check_grid(file, table)
            # Few workbooks need the exact sum: each text as often as cells show it.
            if shared * max(lengths, default=0) > _TEXT_LIMIT:
                with archive.open(name) as file:
                    _check_texts(file, np.array(lengths), table)


def _check_grid(file: IO[bytes], table: str) -> int:
    """Check the sheet's grid; return how many of its cells hold shared texts."""
    rows = width = shared = 0
    for part in _parts(file):
        rows = max(rows, *(int(n) for n in _ROW.findall(part)), 0)
        if width < 26:
            width = max(width, 26 if _CELL.search(part) else 0)
        width = max(width, *(_number(letters) for letters in set(_WIDE.findall(part))), 0)
        shared += len(_SHARED.findall(part))
        if rows * width > CELL_LIMIT:
            rule = (
                f"a sheet's grid has more than {CELL_LIMIT:,} cells from its first to its last; "
                "remove what stands far from the table, or send CSV"
            )
            raise _too_large(table, rule)
    return shared


def _check_texts(file: IO[bytes], lengths: npt.NDArray[np.int64], table: str) -> None:
    total = 0
    for part in _parts(file):
        used = np.array([int(n) for n in _USED.findall(part)], dtype=np.int64)
        total += int(lengths[used[used < len(lengths)]].sum())
        if total > _TEXT_LIMIT:
            rule = "texts of a sheet, each repeated in many cells, are too large; send CSV"
            raise _too_large(table, rule)


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    """Yield parts that overlap a little, so that no cell's address is cut."""
    tail = b""
    while part := file.read(_CHUNK):
        yield tail + part
        tail = part[-_TAIL:]


def _pieces(file: IO[bytes], table: str) -> Iterator[bytes]:
    """Yield each shared string with its marks."""
    rest = b""
    while part := file.read(_CHUNK):
        rest += part
        end = 0
        for match in _STRING.finditer(rest):
            end = match.end()
            yield match[0]
        rest = rest[end:]
        if len(rest) > 4 * _CHUNK:
            raise _too_large(table, "a text of the workbook is larger than 16 MiB")


def _check_ods(file: IO[bytes], table: str) -> None:
    """Count cells with repetitions; empty ones at the end of rows and sheets are free."""
    cells = rows = width = height = waiting = 0
    filled = False
    tags = [f"{_TABLE}table-cell", f"{_TABLE}table-row", f"{_TABLE}table"]
    for _, element in etree.iterparse(
        file, events=("end",), tag=tags, resolve_entities=False, no_network=True, huge_tree=False
    ):
        kind = element.tag.removeprefix(_TABLE)
        if kind == "table-cell":
            count = _repeated(element, "number-columns-repeated")
            if len(element) or len(element.attrib) > (count > 1) + _has_style(element):
                cells += waiting + count
                waiting, filled = 0, True
            else:
                waiting += count
        elif kind == "table-row":
            rows += _repeated(element, "number-rows-repeated")
            if filled:
                height, width = rows, max(width, cells)
            cells, waiting, filled = 0, 0, False
        else:
            rows = height = width = 0
        if height * max(width, cells) > CELL_LIMIT or cells > CELL_LIMIT:
            rule = f"a sheet has more than {CELL_LIMIT:,} cells, with repeated ones; send CSV"
            raise _too_large(table, rule)
        if kind != "table-cell":
            element.clear()
            parent = element.getparent()
            while parent is not None and element.getprevious() is not None:
                del parent[0]


def _repeated(element: etree._Element, name: str) -> int:
    text = element.get(f"{_TABLE}{name}", "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _has_style(element: etree._Element) -> bool:
    return element.get(f"{_TABLE}style-name") is not None
