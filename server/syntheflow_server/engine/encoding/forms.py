"""Strings that must keep a form: UUIDs, addresses, JSON, arrays, labels of a list.

A database refuses a text that is no value of the column's own type. What is composed is
looked at here, and made anew where it does not fit.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.chances import Stream

_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_HEX = np.array(list("0123456789abcdef"))
_UUID_LETTERS = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"
_LABELS = re.compile(r"(?:.*\s)?(?:enum|set)\s*\((.*)\)", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_BITS = re.compile(r"bit(?: varying)?\((\d+)\)")
_WHOLE = {
    "smallint": 15, "int2": 15, "integer": 31, "int4": 31, "int": 31, "bigint": 63, "int8": 63,
}  # fmt: skip
_NUMBERS = ("numeric", "decimal", "double", "real", "float")
_TEXTS = ("text", "varchar", "character varying", "citext")
_WORDS = {
    "uuid": "uuid", "uniqueidentifier": "uuid", "macaddr": "macaddr", "inet": "inet",
    "cidr": "cidr", "json": "json", "jsonb": "json", "xml": "xml",
}  # fmt: skip
_PLAIN = {"json": "{}", "array": "[]", "xml": "<empty/>"}


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of strings; `detail` are the labels, the type of elements or the number of bits."""

    kind: str
    detail: tuple[str, ...] = ()

    @property
    def free(self) -> bool:
        """Whether any string of the form is as good as another: none is composed."""
        return self.kind in {"uuid", "labels"}

    def fits(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Return for each string [n] whether it is of the form."""
        if self.kind == "uuid":
            return _matching(texts, f"(?i){_UUID}")
        if self.kind == "macaddr":
            return _matching(texts, "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$")
        if self.kind == "bits":
            least = self.detail[0] if self.detail[1] == "all" else "0"
            return _matching(texts, f"^[01]{{{least},{self.detail[0]}}}$")
        test = self._test()
        return np.array([test(text) for text in texts.to_pylist()], np.bool_)

    def fresh(self, stream: Stream) -> pa.Array:
        """Return a string of the form for each row of the stream."""
        if self.kind == "uuid":
            return _spelt(_UUID_LETTERS, stream)
        if self.kind == "macaddr":
            return _spelt("02:xx:xx:xx:xx:xx", stream)
        if self.kind == "bits":
            return _spelt("b" * int(self.detail[0]), stream)
        if self.kind in {"inet", "cidr"}:
            octets = [pa.array((stream.take() * 256).astype(np.int64)) for _ in range(3)]
            parts = [octet.cast(pa.string()) for octet in octets]
            return pc.binary_join_element_wise("10", *parts, ".")
        words = self.detail if self.kind == "labels" else (_PLAIN[self.kind],)
        index = (stream.take() * len(words)).astype(np.int64)
        return pa.array(words, pa.string()).take(pa.array(index))

    def to_json(self) -> list[Any]:
        """Return the parts for an artefact."""
        return [self.kind, list(self.detail)]

    @classmethod
    def from_json(cls, value: Sequence[Any] | None) -> Form | None:
        """Build what `to_json` gave; None for None."""
        return None if value is None else cls(value[0], tuple(value[1]))

    def _test(self) -> Callable[[str], bool]:
        if self.kind == "labels":
            return set(self.detail).__contains__
        if self.kind == "inet":
            return _is_made_by(ipaddress.ip_interface)
        if self.kind == "cidr":
            return _is_made_by(ipaddress.ip_network)
        if self.kind == "xml":
            return _is_xml
        if self.kind == "json":
            return lambda text: _json(text) is not _NOTHING
        return lambda text: _is_array(text, self.detail[0])


def form_of(native: str, texts: Sequence[str]) -> Form | None:
    """Return the form that values of the `native` type have, as do all `texts`; None if any goes.

    UUIDs are known without a type.
    """
    form = _declared(native)
    sample = pa.array(texts, pa.string())
    if form is None and len(texts):
        form = Form("uuid")
    return form if form is not None and bool(form.fits(sample).all()) else None


def _declared(native: str) -> Form | None:
    word = native.strip()
    if found := _LABELS.fullmatch(word):
        labels = tuple(text.replace("''", "'") for text in _LABEL.findall(found[1]))
        return Form("labels", labels) if labels else None
    word = word.lower()
    if word.endswith("[]"):
        return Form("array", (word.removesuffix("[]"),))
    if found := _BITS.fullmatch(word):
        return Form("bits", (found[1], "most" if "varying" in word else "all"))
    return Form(_WORDS[word]) if word in _WORDS else None


def _matching(texts: pa.Array, pattern: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(
        zero_copy_only=False
    )
    return found.astype(np.bool_)


def _spelt(letters: str, stream: Stream) -> pa.Array:
    """Return `letters` with x, y and b replaced by hexadecimal digits, 8 to b, and bits."""
    sizes = {"x": (0, 16), "y": (8, 4), "b": (0, 2)}
    signs = np.empty((len(stream), len(letters)), "<U1")
    for place, letter in enumerate(letters):
        if letter in sizes:
            first, many = sizes[letter]
            signs[:, place] = _HEX[first + (stream.take() * many).astype(np.int64)]
        else:
            signs[:, place] = letter
    return pa.array(signs.view(f"<U{len(letters)}")[:, 0].tolist(), pa.string())


def _is_made_by(make: Callable[[str], object]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            make(text)
        except ValueError:
            return False
        return True

    return test


_NOTHING = object()


def _refused(_: str) -> object:
    raise ValueError


def _json(text: str) -> object:
    """Return the value of a JSON text; _NOTHING if it is none, or holds escapes by number."""
    try:
        return _NOTHING if "\\u" in text else json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return _NOTHING


def _is_array(text: str, element: str) -> bool:
    values = _json(text)
    return isinstance(values, list) and all(
        value is None or _is_element(value, element) for value in values
    )


def _is_element(value: object, kind: str) -> bool:
    if kind in _WHOLE:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return abs(value) < 1 << _WHOLE[kind]
    if kind.startswith(_NUMBERS):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    if not kind.startswith(_TEXTS) or not isinstance(value, str):
        return False
    most = re.search(r"\((\d+)\)$", kind)
    return most is None or len(value) <= int(most[1])


def _is_xml(text: str) -> bool:
    try:
        expat.ParserCreate().Parse(f"<x>{text}</x>", True)  # noqa: FBT003 - it has no name
    except expat.ExpatError:
        return False
    return "<!" not in text
