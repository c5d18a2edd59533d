"""Changes files at random: bytes, blocks, words of the formats, and what is packed inside."""

from __future__ import annotations

import gzip
import io
import random
import struct
import warnings
import zipfile
import zlib

_LARGEST = 1 << 18
_WORDS = {
    "csv": [b",", b";", b"\t", b'"', b'""', b"\n", b"\r\n", b"\r", b"'", b"\\", b"#", b"\0", b"NaN",
            b"1e999", b"-", b"99999999999999999999", b"9999-99-99", b"0001-01-01", b"24:00:00",
            b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"1.234,5", b"1,234.5", b"%",
            b"null", b"true", b"\x1a", b"\xe2\x80\xa8", b"=1+1", b"0x1F", b"1_000", b"inf"],
    "json": [b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\u0000", b"\\ud800", b"null",
             b"1e999", b"-0", b"NaN", b"Infinity", b"[[[[[[[[", b'{"a":' * 20,
             b"99999999999999999999", b'"":', b"\xff", b"true", b"1.0000000000000000000001",
             b"//", b"/*"],
    "xml": [b"<", b">", b"/>", b"</", b"&", b"&#0;", b"&#xD800;", b"&amp;", b"<![CDATA[", b"]]>",
            b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"<!--", b"-->", b"<?xml?>", b"xmlns=''",
            b"<a>" * 30, b'<!DOCTYPE x SYSTEM "file:///etc/passwd">', b"\xff", b"\0",
            b"encoding='x'"],
    "sql": [b"'", b"''", b"\\'", b'"', b"`", b"--", b"/*", b"*/", b";", b"(", b")", b",", b"NULL",
            b"$$", b"$a$", b"\\.", b"\\N", b"\t", b"\n", b"CREATE TABLE", b"INSERT INTO", b"VALUES",
            b"COPY x FROM stdin;\n", b"PRIMARY KEY", b"REFERENCES", b"E'", b"0x", b"((((((((",
            b"\0", b"DELIMITER //", b"1e999", b"UNION SELECT", b"\xff"],
}  # fmt: skip
_NUMBERS = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62)


def family(name: str) -> str:
    """Return whose words fit the file `name`."""
    for ending, kind in (("json", "json"), ("xml", "xml"), ("sql", "sql"), ("xlsx", "xml"),
                         ("ods", "xml")):  # fmt: skip
        if ending in name:
            return kind
    return "csv"


def mutated(data: bytes, name: str, rng: random.Random, others: list[bytes]) -> bytes:
    """Return `data` changed in a few places; `others` are files to take pieces from."""
    if rng.random() < 0.7:
        inner = _inside_zip(data, name, rng, others) or _inside_gzip(data, name, rng, others)
        if inner:
            return inner
    changed = bytearray(data)
    for _ in range(1 << rng.choice((0, 0, 1, 2, 3, 5))):
        _change(changed, _WORDS[family(name)], rng, others)
    return bytes(changed[: max(_LARGEST, len(data))])


def _change(data: bytearray, words: list[bytes], rng: random.Random, others: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    span = min(len(data) - at, rng.choice((1, 1, 2, 4, 16, 64, 512)))
    kind = rng.randrange(10)
    if kind == 0 and data:
        data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        data[min(at, len(data) - 1)] = rng.randrange(256)
    elif kind == 2:
        del data[at : at + span]
    elif kind == 3:
        data[at:at] = data[at : at + span] * rng.choice((1, 1, 2, 8, 64))
    elif kind in {4, 5}:
        data[at : at + rng.choice((0, span))] = rng.choice(words)
    elif kind == 6:
        number = rng.choice(_NUMBERS) + rng.choice((0, 0, 1, -1))
        width, order = rng.choice((1, 2, 4, 8)), rng.choice(("<", ">"))
        raw = struct.pack(f"{order}Q", number % (1 << 64))
        data[at : at + width] = raw[:width] if order == "<" else raw[-width:]
    elif kind == 7 and others:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        data[at : at + rng.choice((0, span))] = other[start : start + rng.choice((8, 64, 1024))]
    elif kind == 8 and rng.random() < 0.3:
        del data[at:]
    else:
        there = rng.randrange(len(data) + 1)
        block = bytes(data[at : at + span])
        data[there : there + len(block)] = block


def _inside_zip(data: bytes, name: str, rng: random.Random, others: list[bytes]) -> bytes | None:
    if not data.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()
                       if info.file_size < _LARGEST]  # fmt: skip
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, EOFError,
            ValueError, UnicodeDecodeError, struct.error):  # fmt: skip
        return None
    if not members:
        return None
    number = rng.randrange(len(members))
    inner, content = members[number]
    kind = rng.randrange(8)
    if kind == 0:
        del members[number]
    elif kind == 1:
        members.append((rng.choice(("../x.csv", "/etc/x.csv", "a/" * 99, "x.zip", inner)), content))
    else:
        plain = inner if "." in inner and "xml" not in inner else name
        members[number] = (inner, mutated(content, plain, rng, others))
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for inner, content in members:
            archive.writestr(inner, content)
    return sink.getvalue()


def _inside_gzip(data: bytes, name: str, rng: random.Random, others: list[bytes]) -> bytes | None:
    if not data.startswith(b"\x1f\x8b"):
        return None
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None
    return gzip.compress(mutated(plain, name.removesuffix(".gz"), rng, others), mtime=0)
