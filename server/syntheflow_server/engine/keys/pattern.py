"""Keys that are text: fresh values of the same shapes as the real ones.

A shape is a sequence of runs of upper-case letters, lower-case letters, digits and
other characters, each with its length. Runs that never change stay as they are; the
others are filled by counting in their alphabet, so that rows never meet. Where a shape
has room enough, each row has several places, and takes the first that is nobody's.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import RARE_ROWS
from syntheflow_server.engine.encoding.forms import form_of
from syntheflow_server.engine.encoding.sieve import NO_SIEVE, Sieve
from syntheflow_server.engine.keys.base import KeyMaker, RowNumbers
from syntheflow_server.engine.keys.permute import mix, permute

_MOST_SHAPES = 64
_MOST_VALUES = 50_000
_RUNS = re.compile(r"[A-Z]+|[a-z]+|[0-9]+|[^A-Za-z0-9]+")
_FULL = {"A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "a": "abcdefghijklmnopqrstuvwxyz", "9": "0123456789"}
_HELD = 3
_MOST_PLACES = 1 << 61
_CHOICES = (16, 8, 4)
_ROOM = 4
_MARKS = "-_~.#+:"

Segment = tuple[str, int]
"""Either (alphabet, length) of a filled run, or (text, 0) of a fixed one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PatternKey(KeyMaker):
    """Fills shapes; `turns[i % len]` says which shape row i takes, in the real shares.

    A row of shape s has `choices[s]` places, all its own; the first is taken whose text
    does not fall on a set bit of `sieve`, as every real key does.
    """

    kind: ClassVar[str] = "pattern"
    shapes: tuple[tuple[Segment, ...], ...]
    turns: tuple[int, ...]
    mark: str
    choices: tuple[int, ...] = ()
    sieve: Sieve = NO_SIEVE

    @classmethod
    def fit(cls, column: str, values: Sequence[str], needed: int = RARE_ROWS) -> Self:
        """Return the maker for the distinct `values`.

        A run that is the same in all keys stays only if there are `needed` of them.
        """
        # NUL ends a string of numpy's and of many readers: no key is told apart by it.
        sample = [v.replace("\0", "") for v in values[:: max(1, len(values) // _MOST_VALUES)]]
        sample = sample or ["A"]
        split = [_RUNS.findall(value) for value in sample]
        masks = Counter(tuple((_kind(run), len(run)) for run in runs) for runs in split)
        common = masks.most_common(_MOST_SHAPES)
        texts: dict[tuple[str, ...], list[Counter[str]]] = {}
        letters: dict[tuple[str, ...], list[set[str]]] = {}
        for runs in split:
            kinds = tuple(_kind(run) for run in runs)
            counts = texts.setdefault(kinds, [Counter() for _ in runs])
            sets = letters.setdefault(kinds, [set() for _ in runs])
            for i, run in enumerate(runs):
                counts[i][run] += 1
                sets[i].update(run)
        shapes = [_shape(mask, texts, letters, needed) for mask, _ in common]
        if form_of("", sample) is not None:
            # Each run of letters is nearly a shape of its own, and none tells of the others.
            shapes, common = [_uuid(sample[0])], [((), len(sample))]
        turns = _turns([count for _, count in common])
        seen = set().union(*(set(value) for value in sample))
        mark = next((m for m in _MARKS if m not in seen), "\u00b7")
        share = len(values) / len(sample) if values else 1.0
        rooms = [_room(shape) for shape in shapes]
        choices = tuple(
            _choices(room, count * share) for room, (_, count) in zip(rooms, common, strict=True)
        )
        sieve = Sieve.of(list(values) if max(choices) > 1 else [])
        return cls(
            columns=(column,),
            shapes=tuple(shapes),
            turns=turns,
            mark=mark,
            choices=choices,
            sieve=sieve,
        )

    @cached_property
    def _capacities(self) -> tuple[int, ...]:
        return tuple(_room(shape) for shape in self.shapes)

    def make(self, rows: RowNumbers, seed: int) -> dict[str, pa.Array]:
        """See `KeyMaker.make`; beyond a shape's places a mark and a counter are appended."""
        turns = np.asarray(self.turns)
        within = np.zeros(len(turns), np.int64)
        shares = np.bincount(turns, minlength=len(self.shapes))
        for number in range(len(self.shapes)):
            mine = turns == number
            within[mine] = np.arange(mine.sum())
        turn = rows % len(turns)
        chosen = turns[turn]
        count = (rows // len(turns)) * shares[chosen] + within[turn]
        texts = np.empty(len(rows), object)
        for shape in np.unique(chosen).tolist():
            mine = np.flatnonzero(chosen == shape)
            texts[mine] = self._fill(shape, count[mine], seed)
        return {self.columns[0]: pa.array(texts, pa.string())}

    def _fill(self, shape: int, count: RowNumbers, seed: int) -> npt.NDArray[np.object_]:
        places = self._capacities[shape]
        choices = self.choices[shape] if self.choices else 1
        room, key = places // choices, seed * 131 + shape
        result = self._spell(shape, permute(count % room, places, key), seed)
        for choice in range(1, choices):
            again = np.flatnonzero(self.sieve.holds(pa.array(result, pa.string())))
            if not len(again):
                break
            other = permute(count[again] % room + choice * room, places, key)
            result[again] = self._spell(shape, other, seed)
        for i in np.flatnonzero(count >= room):
            result[i] += f"{self.mark}{count[i] // room}"
        return result

    def _spell(self, shape: int, place: RowNumbers, seed: int) -> npt.NDArray[np.object_]:
        """Return the texts at places of a shape."""
        places, count = self._capacities[shape], place
        parts: list[npt.NDArray[Any]] = []
        noise, left = place.astype(np.uint64), places
        for text, length in reversed(self.shapes[shape]):
            if not length:
                parts.append(np.full(len(count), text))
                continue
            letters = np.array(list(text))
            digits = np.empty((len(count), length), letters.dtype)
            for at in range(length - 1, -1, -1):
                if left < len(letters):  # all places told apart: the rest may be anything
                    place = (mix(noise, seed + at) >> np.uint64(2)).astype(np.int64)
                    left = _MOST_PLACES
                digits[:, at] = letters[place % len(letters)]
                place, left = place // len(letters), left // len(letters)
            parts.append(np.ascontiguousarray(digits).view(f"<U{length}")[:, 0])
        result = parts[-1]
        for part in reversed(parts[:-1]):
            result = np.strings.add(result, part)
        return result.astype(object)

    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """See `KeyMaker.to_state`."""
        names = ("columns", "shapes", "turns", "mark", "choices")
        return {name: getattr(self, name) for name in names}, self.sieve.to_arrays("sieve")

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `KeyMaker.from_state`."""
        return cls(
            columns=tuple(facts["columns"]),
            choices=tuple(facts["choices"]),
            sieve=Sieve.from_arrays("sieve", arrays),
            shapes=tuple(
                tuple((text, length) for text, length in shape) for shape in facts["shapes"]
            ),
            turns=tuple(facts["turns"]),
            mark=facts["mark"],
        )


def _kind(run: str) -> str:
    first = run[0]
    if first in _FULL["A"]:
        return "A"
    if first in _FULL["a"]:
        return "a"
    if first in _FULL["9"]:
        return "9"
    return run


def _shape(
    mask: tuple[Segment, ...],
    texts: Mapping[tuple[str, ...], list[Counter[str]]],
    letters: Mapping[tuple[str, ...], list[set[str]]],
    needed: int,
) -> tuple[Segment, ...]:
    kinds = tuple(kind for kind, _ in mask)
    segments: list[Segment] = []
    for i, (kind, length) in enumerate(mask):
        if kind not in _FULL:
            segments.append((kind, 0))
            continue
        counts = texts[kinds][i]
        text, held = counts.most_common(1)[0]
        if len(counts) == 1 and held >= needed and len(text) == length:
            segments.append((text, 0))
            continue
        seen = letters[kinds][i]
        hexadecimal = len(seen) >= _HELD and kind != "9" and max(seen).lower() <= "f"
        alphabet = "".join(c for c in _FULL[kind] if c.lower() <= "f") if hexadecimal else ""
        segments.append((alphabet or _FULL[kind], length))
    return tuple(segments) or (("", 0),)


def _uuid(text: str) -> tuple[Segment, ...]:
    """Return the shape of UUIDs written like `text`."""
    digits = "0123456789ABCDEF" if text.upper() == text else "0123456789abcdef"
    runs = [(digits, length) for length in (8, 4, 3, 3, 12)]
    marks = [("-", 0), ("-4", 0), ("-a", 0), ("-", 0)]
    if digits.isupper():
        marks[2] = ("-A", 0)
    return (runs[0], *(part for pair in zip(marks, runs[1:], strict=True) for part in pair))


def _room(shape: Sequence[Segment]) -> int:
    places = 1
    for text, length in shape:
        places = min(places * len(text) ** length, _MOST_PLACES) if length else places
    return places


def _choices(room: int, keys: float) -> int:
    """Return how many places a row may choose from: many, or one where keys lie dense."""
    return next((own for own in _CHOICES if room // own >= _ROOM * keys), 1)


def _turns(counts: Sequence[int]) -> tuple[int, ...]:
    """Return up to 64 turns that hold the shapes about as often as `counts`, well mixed."""
    total = sum(counts)
    owed: defaultdict[int, float] = defaultdict(float)
    turns = []
    for _ in range(_MOST_SHAPES):
        for shape, count in enumerate(counts):
            owed[shape] += count / total
        shape = max(owed, key=lambda s: (owed[s], -s))
        owed[shape] -= 1
        turns.append(shape)
    return tuple(turns)
