"""Strings made of other columns: an e-mail of first and last name, a full name, a code."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding.sieve import NO_SIEVE, Sieve
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted
from syntheflow_server.engine.relations.sight import Sight

_FEW_ROWS = 30
_LOOK = 60
_AGREE = 0.9
_SHORT = 2
_FEW_VALUES = 10
_REPEATS = 4
_FIRST_NUMBER = 2
_NUMBERS = 40
_ADDRESS = "@"


_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "đ": "d",
     "Đ": "D", "\u0131": "i", "þ": "th", "ð": "d"}
)  # fmt: skip


def _plain(text: str) -> str:
    """Return the text without accents, blanks and signs, in lower case."""
    parts = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(sign for sign in parts if sign.isalnum() and sign.isascii()).lower()


def _ascii(text: str) -> str:
    """Return the text in lower case, its letters without accents, its signs as they are."""
    parts = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return parts.encode("ascii", "ignore").decode().lower()


_SHAPES: dict[str, Callable[[str], str]] = {
    "whole": lambda text: text,
    "lower": str.lower,
    "upper": str.upper,
    "title": str.title,
    "plain": _plain,
    "ascii": _ascii,
    "under": lambda text: text.lower().replace(" ", "_"),
    "dash": lambda text: text.lower().replace(" ", "-"),
    "initial": lambda text: text[:1],
    "small initial": lambda text: text[:1].lower(),
    "big initial": lambda text: text[:1].upper(),
    "two": lambda text: text[:2],
    "three": lambda text: text[:3],
    "big three": lambda text: text[:3].upper(),
}


_LOWER = ("lower", "ascii", "plain")


class Item(NamedTuple):
    """A piece of the string: `place` >= 0 is a needed column in a shape, -1 fixed text, -2 free."""

    place: int
    text: str


_FIXED, _FREE = -1, -2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Composed(Relation):
    """The items one after another; the hidden columns fill the free ones in order.

    A string that the `sieve` holds back, because it may be a real one, gets a number at the
    item `numbered` (in its place if that is free, else before it): 'anna.berg2@...'.
    """

    kind: ClassVar[str] = "composed"
    items: tuple[Item, ...]
    numbered: int = -1
    sieve: Sieve = NO_SIEVE

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        del name
        needs = [given[ref].to_pylist() for ref in self.needs]
        free = [given[Ref(column.name)].to_pylist() for column in self.hidden]
        rows: list[str | None] = []
        for parts, rest in self._rows(needs, free):
            whole = None not in parts and None not in rest
            rows.append(_written(self.items, parts, rest) if whole else None)
        made = pa.array(rows, pa.string())
        if self.numbered < 0:
            return made
        each = list(self._rows(needs, free))
        for number in range(_FIRST_NUMBER, _FIRST_NUMBER + _NUMBERS):
            real = self.sieve.holds(pc.fill_null(made, "")) & made.is_valid().to_numpy(
                zero_copy_only=False
            )
            if not real.any():
                break
            for i in np.flatnonzero(real):
                rows[i] = self._with_number(*each[i], str(number))
            made = pa.array(rows, pa.string())
        return made

    @staticmethod
    def _rows(
        needs: list[list[str]], free: list[list[str]]
    ) -> Iterable[tuple[list[str], list[str]]]:
        """Return for each row what it has of the needed columns, and of the hidden ones."""
        for i in range(len(needs[0])):
            yield [values[i] for values in needs], [values[i] for values in free]

    def _with_number(self, parts: Sequence[str], rest: Sequence[str], number: str) -> str:
        items = list(self.items)
        if items[self.numbered].place != _FREE:
            items.insert(self.numbered, Item(_FIXED, number))
            return _written(items, parts, rest)
        own = list(rest)
        own[sum(item.place == _FREE for item in items[: self.numbered])] = number
        return _written(items, parts, own)

    def guarding(self, hidden: Sequence[pa.Array], rare: Sieve) -> Composed:
        """Return the relation that writes no string which `rare` holds, if a number may be added.

        It may where the free items of real rows, `hidden`, hold numbers or nothing, or in
        front of the sign of an address. Full names have no such place.
        """
        free = [i for i, item in enumerate(self.items) if item.place == _FREE]
        at = -1
        for i, values in zip(free, hidden, strict=True):
            texts = [text for text in values.unique().to_pylist() if text]
            if all(text.isdecimal() for text in texts):
                at = i
        for i, item in enumerate(self.items):
            after_column = i and self.items[i - 1].place >= 0
            if at < 0 and after_column and item.place == _FIXED and item.text[0] == _ADDRESS:
                at = i
        return self if at < 0 else replace(self, numbered=at, sieve=rare)

    def hide(self, given: Given) -> dict[str, pa.Array]:
        """See `Relation.hide`."""
        if not self.hidden:
            return {}
        needs = [given[ref].to_pylist() for ref in self.needs]
        made = given[Ref(self.makes[0])].to_pylist()
        none = [None] * len(self.hidden)
        rows: list[Sequence[str | None]] = []
        for i, text in enumerate(made):
            parts = [values[i] for values in needs]
            whole = text is not None and None not in parts
            rows.append((_read(self.items, parts, text) if whole else None) or none)
        return {
            column.name: pa.array([row[k] for row in rows], pa.string())
            for k, column in enumerate(self.hidden)
        }

    def describe(self) -> str:
        """See `Relation.describe`."""
        return f"{quoted(self.makes)} is written with {quoted(self.needs)}"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        facts = {"items": [list(item) for item in self.items], "numbered": self.numbered}
        return facts, self.sieve.to_arrays("sieve")

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        items = tuple(Item(int(p), str(t)) for p, t in facts["items"])
        sieve = Sieve.from_arrays("sieve", arrays)
        return cls(**common, items=items, numbered=int(facts["numbered"]), sieve=sieve)


def _written(items: Sequence[Item], parts: Sequence[str], rest: Sequence[str]) -> str:
    left = iter(rest)
    return "".join(
        _SHAPES[item.text](parts[item.place])
        if item.place >= 0
        else (item.text if item.place == _FIXED else next(left))
        for item in items
    )


def _read(items: Sequence[Item], parts: Sequence[str], text: str) -> list[str] | None:
    """Return what the free items hold in `text`, None if it is not made so."""
    found: list[str] = []
    at, waiting = 0, False
    for item in items:
        if item.place == _FREE:
            waiting = True
            continue
        piece = _SHAPES[item.text](parts[item.place]) if item.place >= 0 else item.text
        start = text.find(piece, at) if waiting else at
        if start < 0 or text[start : start + len(piece)] != piece:
            return None
        if waiting:
            found.append(text[at:start])
        at, waiting = start + len(piece), False
    if waiting:
        found.append(text[at:])
        at = len(text)
    return found if at == len(text) else None


def splits(relation: Composed) -> bool:
    """Return whether a composed string tells its parts: whole ones with signs between them."""
    items = relation.items
    apart = all(_FIXED in {left.place, right.place} for left, right in pairwise(items))
    parts = [item for item in items if item.place != _FIXED]
    once = len({item.place for item in parts}) == len(parts)
    return apart and once and all(item.text == "whole" and item.place >= 0 for item in parts)


def parts_of(relation: Composed, text: str | None) -> list[str | None]:
    """Return the needed columns' strings that compose `text`, None where it is not made so."""
    pattern = "".join(
        re.escape(item.text) if item.place == _FIXED else f"(?P<p{item.place}>.*?)"
        for item in relation.items
    )
    found = re.fullmatch(pattern, text, re.DOTALL) if text is not None else None
    return [found[f"p{place}"] if found else None for place in range(len(relation.needs))]


def find(sample: Sight, free: tuple[str, ...]) -> list[Composed]:
    """Return for each free string of many values the template that other strings fill."""
    if sample.count < _FEW_ROWS:
        return []
    texts = [ref for ref in sample.modelled if sample.column(ref).type == "string"]
    found = []
    for name in free:
        mine = sample.get(Ref(name))
        if sample.column(Ref(name)).type != "string" or len(mine.unique()) < _FEW_VALUES:
            continue
        others = _contained(sample, name, [ref for ref in texts if ref.column != name])
        relation = _template(sample, name, others) if others else None
        if relation is not None:
            found += [each for each in _variants(relation) if _tells(each, sample)]
    return found


def _variants(relation: Composed) -> list[Composed]:
    """Return the template, and such that also fit accents, and numbers against repeats."""
    if relation.hidden:
        return [relation]
    return [_relation(relation.makes[0], relation.needs, i) for i in _forms(relation.items)]


def _forms(items: tuple[Item, ...]) -> list[tuple[Item, ...]]:
    """Return the items, such that also fit accents, and such with something after the columns.

    In few rows 'anna.berg2@...' stands beside 'anna.berg@...'.
    """
    forms = [items]
    forms += [
        tuple(
            Item(item.place, shape) if item.place >= 0 and item.text in _LOWER else item
            for item in items
        )
        for shape in _LOWER[1:]
    ]
    ends = [i for i, item in enumerate(items) if item.place >= 0]
    free = any(item.place == _FREE for item in items)
    if free or not ends or ends[-1] + 1 == len(items):
        return forms
    last = ends[-1] + 1
    return forms + [(*form[:last], Item(_FREE, ""), *form[last:]) for form in forms]


def _contained(sample: Sight, name: str, others: Sequence[Ref]) -> list[Ref]:
    """Return the columns that may be pieces; none unless one is in most strings as a whole."""
    texts = [_plain(text or "") for text in sample.get(Ref(name)).slice(0, _LOOK).to_pylist()]
    whole, first = [], []
    for ref in others:
        values = [_plain(text or "") for text in sample.get(ref).slice(0, _LOOK).to_pylist()]
        if len(set(values)) < _FEW_VALUES:
            continue
        pairs = [(v, t) for v, t in zip(values, texts, strict=True) if v and t]
        if sum(len(v) > _SHORT and v in t for v, t in pairs) > len(texts) / 2:
            whole.append(ref)
        elif sum(t.startswith(v[0]) for v, t in pairs) > _AGREE * len(texts):
            first.append(ref)
    return whole + first if whole else []


def _tells(relation: Composed, sample: Sight) -> bool:
    """Return True if the free pieces hold few values: the columns must make up the rest."""
    given = {ref: sample.get(ref) for ref in (*relation.needs, Ref(relation.makes[0]))}
    hidden = relation.hide(given).values()
    return all(len(values.unique()) <= len(values) / _REPEATS for values in hidden)


def _template(sample: Sight, name: str, others: Sequence[Ref]) -> Composed | None:
    """Return the template on which nearly all looked-at rows agree."""
    columns = {ref: sample.get(ref).slice(0, 10 * _LOOK).to_pylist() for ref in others}
    texts = sample.get(Ref(name)).slice(0, 10 * _LOOK).to_pylist()
    seen: Counter[tuple[tuple[int, str], ...]] = Counter()
    looked = [i for i, text in enumerate(texts) if text][:_LOOK]
    rows = [[columns[ref][i] for ref in others] for i in looked]
    for i, row in zip(looked, rows, strict=True):
        seen[_parse(texts[i], row)] += 1
    for parsed, _ in seen.most_common(3):
        used = sorted({place for place, _ in parsed if place >= 0})
        if not used:
            continue
        items = tuple(
            Item(used.index(place), text) if place >= 0 else Item(place, text)
            for place, text in _opened(parsed, [texts[i] for i in looked], rows)
        )
        parts = [[row[place] for place in used] for row in rows]
        whole = [None not in part for part in parts]
        if sum(whole) < _FEW_ROWS // 2:
            continue
        for form in _forms(items):
            fits = sum(
                _read(form, part, texts[i]) is not None
                for i, part, ok in zip(looked, parts, whole, strict=True)
                if ok
            )
            if fits >= _AGREE * len(looked):
                return _relation(name, [others[place] for place in used], form)
    return None


def _parse(text: str, row: Sequence[str | None]) -> tuple[tuple[int, str], ...]:
    """Return the text as columns in shapes, longest first, and what is between as it is."""
    options = []
    for place, value in enumerate(row):
        if value:
            for rank, (shape, make) in enumerate(_SHAPES.items()):
                made = make(value)
                if made:
                    options.append((-len(made), rank, place, shape, made))
    options.sort()
    found: list[tuple[int, str]] = []
    at, rest = 0, ""
    used: set[int] = set()
    while at < len(text):
        for _, _, place, shape, made in options:
            short = len(made) <= _SHORT and (rest or at)
            if place not in used and not short and text.startswith(made, at):
                if rest:
                    found.append((_FIXED, rest))
                found.append((place, shape))
                used.add(place)
                at, rest = at + len(made), ""
                break
        else:
            rest += text[at]
            at += 1
    if rest:
        found.append((_FIXED, rest))
    return tuple(found)


def _opened(
    parsed: tuple[tuple[int, str], ...], texts: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> tuple[tuple[int, str], ...]:
    """Return the template with the fixed pieces that vary between rows made free."""
    varied: list[tuple[int, str]] = []
    for i, item in enumerate(parsed):
        if item[0] >= 0 or i == 0:
            varied.append(item)
            continue
        share = sum(item[1] in text for text in texts) / len(texts)
        varied.append(item if share >= _AGREE or not rows else (_FREE, ""))
    return tuple(varied)


def _relation(name: str, needs: Sequence[Ref], items: tuple[Item, ...]) -> Composed:
    free = sum(item.place == _FREE for item in items)
    hidden = tuple(
        Column(name=f"{name} part {i + 1}", type="string", semantic_type=SemanticType.CATEGORY)
        for i in range(free)
    )
    return Composed(makes=(name,), needs=tuple(needs), hidden=hidden, items=items)
