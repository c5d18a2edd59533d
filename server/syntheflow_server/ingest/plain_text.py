"""Text files as plain UTF-8: unpacks them, finds and changes the encoding."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from syntheflow_server.ingest.encodings import likeliest_encoding
from syntheflow_server.ingest.tables import bad_file
from syntheflow_server.ingest.unpack import packing, unpack

_CHUNK = 1 << 22
_SAMPLE = 1 << 18
# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_UTF8 = frozenset({"utf-8", "utf-8-sig"})


@dataclass(frozen=True, slots=True)
class PlainText:
    """A UTF-8 file, perhaps with a byte order mark, and how it was come by.

    `encoding` is Python's name of what the file is in, `packed` how it was packed;
    `damaged` says that it holds zero characters.
    """

    path: Path
    encoding: str
    packed: str = ""
    damaged: bool = False


def plain_text(
    path: Path, *, table: str, work: Path, encoding: str | None = None, lenient: bool = False
) -> PlainText:
    """Return the text of `path` as UTF-8, in place if it is that already.

    `encoding` is not guessed if it is said. Raises InvalidArgumentError naming the line if
    bytes do not fit it, or are zero; if `lenient`, such bytes become zero characters.
    """
    packed = packing(path)
    if packed:
        path = unpack(path, packed, table, work / "unpacked")
    if encoding is not None:
        chosen = _said(path, encoding, table)
    else:
        chosen = _marked_encoding(path) or _zero_pattern(path)
    seen = _scan(path) if chosen in {"", *_UTF8} else None
    if not chosen and seen is not None:
        chosen = _guessed(path, seen.fault, table, lenient=lenient)
    if seen is None or chosen not in _UTF8:
        path = _recoded(path, chosen, table, work / "recoded", lenient=lenient)
        seen = _scan(path)
    elif seen.fault is not None:
        if not lenient:
            raise _undecodable(table, "utf-8", _line_of(path, seen.fault))
        path = _recoded(path, chosen, table, work / "recoded", lenient=True)
        seen = _scan(path)
    if seen.zero is not None and not lenient:
        rule = "the text holds zero bytes; if it is no other format, save it without them"
        raise bad_file(table, rule, row=_line_of(path, seen.zero))
    return PlainText(path, chosen, packed, damaged=seen.zero is not None)


def _said(path: Path, encoding: str, table: str) -> str:
    """Return the encoding that is said, by the name that tells of a mark at the beginning."""
    name = codecs.lookup(encoding).name
    marked = _marked_encoding(path)
    if name in _UTF8:
        return "utf-8-sig" if marked == "utf-8-sig" else "utf-8"
    # Python reads the mark only where the order of bytes is left open.
    if marked in {"utf-16", "utf-32"} and name.startswith(marked):
        return marked
    if name in {"utf-16", "utf-32"}:
        pattern = _zero_pattern(path)
        if not pattern.startswith(name):
            rule = f"the file has no byte order mark; say {name}-le or {name}-be as encoding"
            raise bad_file(table, rule, reason="ENCODING_INVALID")
        return pattern
    return name


def _marked_encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    return next((name for mark, name in _MARKS if head.startswith(mark)), "")


def _zero_pattern(path: Path) -> str:
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
    return ""


def _guessed(path: Path, fault: int | None, table: str, *, lenient: bool) -> str:
    """Return the likeliest encoding of a file that is UTF-8 up to `fault`."""
    if fault is None:
        return "utf-8"
    with path.open("rb") as file:
        file.seek(max(0, fault - _SAMPLE))
        sample = file.read(2 * _SAMPLE)
    wrong, right = _utf8_balance(sample)
    if right > 4 * wrong:
        if lenient:
            return "utf-8"
        raise _undecodable(table, "utf-8", _line_of(path, fault))
    return likeliest_encoding(sample)


def _utf8_balance(sample: bytes) -> tuple[int, int]:
    """Return how many sequences of `sample` are wrong and right UTF-8 beyond ASCII."""
    text = sample.decode("utf-8", errors="replace")
    wrong = text.count("\ufffd")
    return wrong, len(re.findall(r"[^\x00-\x7f]", text)) - wrong


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where the first byte is that is not UTF-8, and the first zero byte before it."""

    fault: int | None
    zero: int | None


def _scan(path: Path) -> _Seen:
    """Read the file once as UTF-8, up to what is none."""
    offset, rest = 0, b""
    zero: int | None = None
    for part, last in _parts(path):
        if zero is None and (at := part.find(b"\0")) >= 0:
            zero = offset + len(rest) + at
        if not rest and part.isascii():
            offset += len(part)
            continue
        data = rest + part
        try:
            _, used = codecs.utf_8_decode(data, "strict", last)
        except UnicodeDecodeError as error:
            return _Seen(offset + error.start, zero)
        offset += used
        rest = data[used:]
    return _Seen(None, zero)


def _zeroed(error: UnicodeError) -> tuple[str, int]:
    """Put a zero character for bytes that cannot be read; rows that hold one are left out."""
    assert isinstance(error, UnicodeDecodeError)
    return "\0", error.end


codecs.register_error("syntheflow-zero", _zeroed)


def _recoded(path: Path, encoding: str, table: str, target: Path, *, lenient: bool) -> Path:
    errors = "syntheflow-zero" if lenient else "strict"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
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
