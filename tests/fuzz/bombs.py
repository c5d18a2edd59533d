"""Small files that would be large: what is packed, nested, wide, or only declared."""

from __future__ import annotations

import functools
import gzip
import struct
import zlib
from collections.abc import Callable

_MEGABYTE = 1 << 20


def _packed(piece: bytes, megabytes: int, head: bytes = b"") -> bytes:
    """Return gzip of `piece` over and over: one packed megabyte, repeated as it is."""
    block = piece * (_MEGABYTE // len(piece))
    return gzip.compress(head, mtime=0) + gzip.compress(block, mtime=0) * megabytes


def _zipped(members: dict[str, tuple[bytes, int]]) -> bytes:
    """Return a zip whose members are a piece and then so many megabytes of blanks.

    Sums of those with blanks are wrong: whoever looks at them has unpacked it all.
    """
    data, index, starts = bytearray(), bytearray(), []
    for name, (piece, megabytes) in members.items():
        packed = _flushed(piece) + b"\x03\0"
        if megabytes:
            packed = packed[:-2] + _flushed(b" " * _MEGABYTE) * megabytes + b"\x03\0"
        size = len(piece) + megabytes * _MEGABYTE
        total = 0 if megabytes else zlib.crc32(piece)
        facts = struct.pack(
            "<HHHHHIIIHH", 20, 0, 8, 0, 0x21, total, len(packed), size, len(name), 0
        )
        starts.append(len(data))
        index += b"PK\1\2\x14\0" + facts + struct.pack("<HHHII", 0, 0, 0, 0, starts[-1])
        index += name.encode()
        data += b"PK\3\4" + facts + name.encode() + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(starts), len(starts), len(index), len(data), 0)
    return bytes(data + index + b"PK\5\6" + end)


@functools.cache
def _flushed(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


_TYPES = b"""<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"""  # noqa: E501
_RELS = b"""<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="%s"/></Relationships>"""  # noqa: E501
_BOOK = b"""<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>"""
_SHEET = b"""<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
%s<sheetData>%s</sheetData></worksheet>"""


def _workbook(sheet: bytes, megabytes: int = 0) -> bytes:
    return _zipped(
        {
            "[Content_Types].xml": (_TYPES, 0),
            "_rels/.rels": (_RELS % (b"officeDocument", b"xl/workbook.xml"), 0),
            "xl/workbook.xml": (_BOOK, 0),
            "xl/_rels/workbook.xml.rels": (_RELS % (b"worksheet", b"worksheets/sheet1.xml"), 0),
            "xl/worksheets/sheet1.xml": (sheet, megabytes),
        }
    )


def _far_cell() -> bytes:
    cells = b'<row r="1"><c r="A1"><v>1</v></c></row>'
    cells += b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    return _workbook(_SHEET % (b'<dimension ref="A1:XFD1048576"/>', cells))


def _ods_repeats() -> bytes:
    cell = (
        b'<table:table-row table:number-rows-repeated="1048576"><table:table-cell '
        b'table:number-columns-repeated="16384" office:value-type="float" office:value="1">'
        b"<text:p>1</text:p></table:table-cell></table:table-row>"
    )
    content = (
        b'<?xml version="1.0"?><office:document-content '
        b'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        b'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
        b'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><office:body>'
        b'<office:spreadsheet><table:table table:name="s">' + cell + b"</table:table>"
        b"</office:spreadsheet></office:body></office:document-content>"
    )
    kind = b"application/vnd.oasis.opendocument.spreadsheet"
    return _zipped({"mimetype": (kind, 0), "content.xml": (content, 0)})


def _laughs() -> bytes:
    entities = "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' if n else '<!ENTITY a0 "ha">' for n in range(12)
    )
    return f"<!DOCTYPE x [{entities}]><x><r>&a11;</r><r>1</r></x>".encode()


BOMBS: dict[str, Callable[[], bytes]] = {
    "one_cell.csv.gz": lambda: _packed(b"a", 40, b"x,y\n1,"),
    "quoted_cell.csv.gz": lambda: _packed(b"a\n", 100, b'x,y\n1,"'),
    "columns.csv": lambda: b",".join(b"c%d" % n for n in range(300_000)) + b"\n1\n",
    "columns_twice.csv": lambda: (b"," * 2_000_000 + b"\n") * 3,
    "no_lines.csv": lambda: b"\r" * (8 * _MEGABYTE),
    "quotes.csv": lambda: b'"' * (8 * _MEGABYTE),
    "deep.json": lambda: b"[" * (4 * _MEGABYTE),
    "deep_objects.json": lambda: b'{"a":' * _MEGABYTE + b"1" + b"}" * _MEGABYTE,
    "deep_rows.jsonl": lambda: (b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n") * 3,
    "keys.json": lambda: b"[{" + b",".join(b'"k%d":1' % n for n in range(200_000)) + b"}]",
    "other_keys.jsonl": lambda: b"".join(b'{"k%d":1}\n' % n for n in range(200_000)),
    "number.json": lambda: b'[{"a":' + b"9" * (8 * _MEGABYTE) + b"}]",
    "text.json.gz": lambda: _packed(b"a", 150, b'[{"a":"'),
    "laughs.xml": _laughs,
    "deep.xml": lambda: b"<a>" * (4 * _MEGABYTE),
    "text.xml.gz": lambda: _packed(b"a", 150, b"<x><r>"),
    "attributes.xml": lambda: (
        b"<x><r " + b" ".join(b'a%d="1"' % n for n in range(200_000)) + b"/><r/></x>"
    ),
    "external.xml": lambda: (
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x><r>&e;</r><r>1</r></x>'
    ),
    "far_cell.xlsx": _far_cell,
    "repeats.ods": _ods_repeats,
    "blanks.xlsx": lambda: _workbook(_SHEET.partition(b"%s<")[0], 3_000),
    "members.zip": lambda: _zipped({f"t{n}.csv": (b"x\n1\n", 0) for n in range(10_000)}),
    "large.zip": lambda: _zipped({"a.csv": (b"x\n1\n", 2_000), "b.csv": (b"x\n1\n", 2_000)}),
    "inside.zip": lambda: _zipped({"a.zip": (_zipped({"b.zip": (_zipped({}), 0)}), 0)}),
    "outside.zip": lambda: _zipped(
        {"../../a.csv": (b"x\n1\n", 0), "/tmp/b.csv": (b"x\n1\n", 0), "c.csv": (b"x\n1\n", 0)}
    ),
    "parentheses.sql": lambda: b"INSERT INTO t VALUES (" + b"(" * 500_000,
    "values.sql": lambda: b"INSERT INTO t VALUES " + b",".join([b"(1,'a')"] * 500_000) + b";",
    "columns.sql": lambda: (
        b"CREATE TABLE t (" + b",".join(b"c%d int" % n for n in range(20_000)) + b");"
    ),
    "text.sql.gz": lambda: _packed(b"a", 150, b"INSERT INTO t VALUES ('"),
}
"""Made when asked for: together they take much memory."""
