"""Text files as plain UTF-8: unpacks gzip and Zstandard, finds and changes the encoding."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from syntheflow_server.ingest.encodings import likeliest_encoding
from syntheflow_server.ingest.tables import bad_file

_CHUNK = 1 << 22
_SAMPLE = 1 << 18
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


@dataclass(frozen=True, slots=True)
class PlainText:
    """A UTF-8 file without byte order mark needs, and how it was come by."""

    path: Path
    encoding: str
    packed: str = ""


def plain_text(path: Path, *, table: str, work: Path) -> PlainText:
    """Return the text of `path` as UTF-8, in place if it is that already.

    Raises InvalidArgumentError naming the line if bytes do not fit the encoding found.
    """
    with path.open("rb") as file:
        head = file.read(4)
    packed = next((kind for magic, kind in _PACKED.items() if head.startswith(magic)), "")
    if packed:
        path = _unpacked(path, packed, table, work / "unpacked")
    encoding = _marked_encoding(path)
    if encoding == "utf-8-sig":
        _check_utf8(path, table)
        return PlainText(path, "utf-8 with byte order mark", packed)
    if not encoding:
        encoding = _zero_pattern(path, table) or _unmarked_encoding(path, table)
    if encoding != "utf-8":
        path = _recoded(path, encoding, table, work / "recoded")
    return PlainText(path, encoding, packed)


def with_unix_lines(path: Path, work: Path) -> Path:
    """Return a copy of `path` whose lines all end with LF alone."""
    target = work / "lines"
    with path.open(encoding="utf-8") as source, target.open("w", encoding="utf-8") as file:
        while part := source.read(_CHUNK):
            file.write(part)
    return target


def _unpacked(path: Path, packed: str, table: str, target: Path) -> Path:
    try:
        with pa.input_stream(str(path), compression=packed) as source, target.open("wb") as file:
            while part := source.read(_CHUNK):
                file.write(part)
    except (OSError, pa.ArrowInvalid) as error:
        raise bad_file(table, f"the {packed} file is damaged or cut off; send it again") from error
    return target


def _marked_encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    return next((name for mark, name in _MARKS if head.startswith(mark)), "")


def _zero_pattern(path: Path, table: str) -> str:
    """Tell UTF-16 without a mark by its zero bytes; text of other encodings has none."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    zeros = sample.count(0)
    if not zeros:
        return ""
    if sample[1::2].count(0) > 0.4 * len(sample) / 2 and sample[::2].count(0) < zeros / 10:
        return "utf-16-le"
    if sample[::2].count(0) > 0.4 * len(sample) / 2 and sample[1::2].count(0) < zeros / 10:
        return "utf-16-be"
    raise bad_file(table, "the file holds zero bytes, so it is not text; name its format")


def _unmarked_encoding(path: Path, table: str) -> str:
    fault = _first_fault(path)
    if fault is None:
        return "utf-8"
    with path.open("rb") as file:
        file.seek(max(0, fault - _SAMPLE))
        sample = file.read(2 * _SAMPLE)
    wrong, right = _utf8_balance(sample)
    if right > 4 * wrong:
        raise _undecodable(table, "utf-8", _line_of(path, fault))
    return likeliest_encoding(sample)


def _utf8_balance(sample: bytes) -> tuple[int, int]:
    """Return how many sequences of `sample` are wrong and right UTF-8 beyond ASCII."""
    text = sample.decode("utf-8", errors="replace")
    wrong = text.count("\ufffd")
    return wrong, len(re.findall(r"[^\x00-\x7f]", text)) - wrong


def _check_utf8(path: Path, table: str) -> None:
    fault = _first_fault(path)
    if fault is not None:
        raise _undecodable(table, "utf-8", _line_of(path, fault))


def _first_fault(path: Path) -> int | None:
    """Return the offset of the first byte that is not UTF-8, or None."""
    offset = 0
    rest = b""
    for part, last in _parts(path):
        data = rest + part
        try:
            _, used = codecs.utf_8_decode(data, "strict", last)
        except UnicodeDecodeError as error:
            return offset + error.start
        offset += used
        rest = data[used:]
    return None


def _recoded(path: Path, encoding: str, table: str, target: Path) -> Path:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with target.open("w", encoding="utf-8", newline="") as file:
        for part, last in _parts(path):
            try:
                text = decoder.decode(part, last)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, errors="replace")
                raise _undecodable(table, encoding, line + before.count("\n")) from error
            line += text.count("\n")
            file.write(text)
    return target


def _parts(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield the file's bytes in parts, and whether each is the last."""
    with path.open("rb") as file:
        part = file.read(_CHUNK)
        while following := file.read(_CHUNK):
            yield part, False
            part = following
        yield part, True


def _line_of(path: Path, offset: int) -> int:
    line, seen = 1, 0
    for part, _ in _parts(path):
        line += part.count(b"\n", 0, max(0, offset - seen))
        seen += len(part)
        if seen >= offset:
            break
    return line


def _undecodable(table: str, encoding: str, line: int) -> Exception:
    return bad_file(
        table,
        f"a byte does not fit the encoding {encoding}; save the file as UTF-8",
        row=line,
        reason="ENCODING_INVALID",
    )
