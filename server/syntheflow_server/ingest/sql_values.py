"""Values as SQL scripts write them, turned into plain texts."""

from __future__ import annotations

import json
import re

from syntheflow_server.ingest.declared import BINARY

_CAST = re.compile(
    r"(?:try_)?cast\s*\((.*)\bas\b[^()]*(?:\([^)]*\))?\s*\)", re.IGNORECASE | re.DOTALL
)
_COLONS = re.compile(r"(.*?)(?:\s*::\s*[\w\s.\"]+(?:\([^)]*\))?(?:\[\])?)+", re.DOTALL)
_TYPED = re.compile(
    r"(?:date|time|timestamp|datetime|interval|uuid|json|jsonb)\s*('.*')", re.IGNORECASE | re.DOTALL
)
_BY_BYTES = re.compile(
    r"CAST\((?:X'(?P<utf8>[0-9a-f]*)' AS TEXT|0x(?P<utf16>[0-9a-f]*) AS NVARCHAR\(MAX\))\)"
    r"|decode\(from_hex\('(?P<hex>[0-9a-f]*)'\)\)"
)
"""Texts that our own writer gives by their bytes, as programs would change them."""
_REPLACED = re.compile(
    r"replace\((.*),\s*'(\\[nr]\d*)',\s*char\((10|13)\)\)", re.IGNORECASE | re.DOTALL
)
"""Texts of several lines in SQLite's own dump."""
_NUMBER = re.compile(r"[+-]?\s*(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SLASHES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
_MYSQL = {q: re.compile(rf"\\(.)|{q}{q}", re.DOTALL) for q in "'\""}
_COPY = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_COPIED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


_ARRAY = re.compile(
    r"(?P<mark>[{},])|\"(?P<text>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^{},\"]+)", re.DOTALL
)
_ARRAY_BARE = {"boolean": "truth", "bool": "truth"} | dict.fromkeys(
    ("integer", "int", "bigint", "smallint", "real", "double precision", "numeric", "decimal"),
    "number",
)
_FLOAT_DIGITS = 16


class NoValueError(ValueError):
    """What stands there is no plain value."""


def text_of(
    raw: str, families: set[str], *, backslash: bool, binary_floats: bool = False
) -> str | None:
    """Return a value's text, None for NULL; raises NoValueError for other expressions.

    With `binary_floats` a number such as 0.98999999999999999 is the 0.99 that was meant:
    SQLite's own dump writes all digits of its floats.
    """
    first = raw[:1]
    if first == "'":
        return _quoted(raw, families, backslash=backslash)
    if _NUMBER.fullmatch(raw):
        families.add("number")
        plain = raw.replace(" ", "")
        long = binary_floats and len(plain) > _FLOAT_DIGITS and not plain.lstrip("+-").isdigit()
        return repr(float(plain)) if long else plain
    upper = raw.upper()
    if upper in {"NULL", "DEFAULT"}:
        return None
    if upper in {"TRUE", "FALSE"}:
        families.add("truth")
        return raw.lower()
    return _special(raw, families, backslash=backslash)


def _quoted(raw: str, families: set[str], *, backslash: bool) -> str:
    families.add("text")
    quote, body = raw[0], raw[1:-1]
    if backslash and "\\" in body:
        return _MYSQL[quote].sub(lambda m: _SLASHES.get(m[1], m[1]) if m[1] else quote, body)
    return body.replace(quote * 2, quote) if quote * 2 in body else body


def _special(  # noqa: C901, PLR0911 - one answer a kind of literal
    raw: str, families: set[str], *, backslash: bool
) -> str | None:
    if raw[:1] == '"' and backslash:
        return _quoted(raw, families, backslash=True)
    if raw[:2] in {"N'", "n'"} and raw[-1] == "'":
        return _quoted(raw[1:], families, backslash=backslash)
    if raw[:2] in {"E'", "e'"} and raw[-1] == "'":
        return _quoted(raw[1:], families, backslash=True)
    if raw[:2] in {"b'", "B'"} and len(raw) <= 4:
        families.add("number")
        return raw[2:-1] or "0"
    if raw[:2].lower() in {"x'", "b'", "0x"} or raw.startswith("_binary "):
        families.add(BINARY)
        return None
    if raw.startswith("_") and raw.endswith("'"):
        return _quoted(raw[raw.index("'") :], families, backslash=backslash)
    if written := _BY_BYTES.fullmatch(raw):
        families.add("text")
        return _of_bytes(written)
    if written := _REPLACED.fullmatch(raw):
        inner = text_of(written[1].strip(), families, backslash=backslash)
        return None if inner is None else inner.replace(written[2], chr(int(written[3])))
    for pattern in (_CAST, _TYPED, _COLONS):
        match = pattern.fullmatch(raw)
        if match and match[1].strip() != raw:
            return text_of(match[1].strip(), families, backslash=backslash)
    raise NoValueError


def _of_bytes(written: re.Match[str]) -> str:
    digits = written["utf8"] or written["hex"] or written["utf16"] or ""
    try:
        return bytes.fromhex(digits).decode("utf-16-le" if written["utf16"] else "utf-8")
    except ValueError as error:
        raise NoValueError from error


def array_as_json(raw: str, kind: str) -> str:
    """Return an array of PostgreSQL, such as {1,NULL,"a b"}, as JSON; other texts as they are."""
    body = raw[raw.find("=") + 1 :] if raw.startswith("[") else raw
    if not (body.startswith("{") and body.endswith("}")):
        return raw
    bare = _ARRAY_BARE.get(kind.partition("[")[0].partition("(")[0].strip().lower(), "text")
    made: list[str] = []
    for match in _ARRAY.finditer(body):
        if mark := match["mark"]:
            made.append({"{": "[", "}": "]", ",": ","}[mark])
        elif match["text"] is not None:
            made.append(
                json.dumps(
                    re.sub(r"\\(.)", r"\1", match["text"], flags=re.DOTALL), ensure_ascii=False
                )
            )
        elif match["bare"].upper() == "NULL":
            made.append("null")
        elif bare == "truth":
            made.append("true" if match["bare"] == "t" else "false")
        elif bare == "number" and _NUMBER.fullmatch(match["bare"]):
            made.append(match["bare"])
        else:
            made.append(json.dumps(match["bare"], ensure_ascii=False))
    return "".join(made)


def copied_text(raw: str) -> str | None:
    r"""Return a value of a COPY block; `\N` is None."""
    if "\\" not in raw:
        return raw
    return None if raw == "\\N" else _COPY.sub(_uncopied, raw)


def _uncopied(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return chr(int(code, 8) & 0xFF) if code[0] in "01234567" else _COPIED.get(code, code)
