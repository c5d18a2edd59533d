"""Patterned strings: fixed signs with slots between them, as in 'AAA-999'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import Arrays
from syntheflow_server.engine.encoding.chances import Stream
from syntheflow_server.engine.encoding.letters import LetterModel, PlaceModel, length_chances
from syntheflow_server.engine.encoding.slots import (
    WORD_KINDS,
    Piece,
    Slot,
    Whose,
    WordSlot,
    fit_slot,
    pieces,
)

__all__ = [
    "Group",
    "Template",
    "letters_of",
    "pieces",
    "plain_word",
    "template_groups",
    "templates_from",
    "templates_to_arrays",
]

_LEARNED_WORDS = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A sequence of fixed signs (str) and slots, and its usual length."""

    shapes: tuple[str, ...]
    slots: tuple[str | Slot, ...]
    length: float

    def write(self, letters: LetterModel, stream: Stream) -> pa.Array:
        """Return a string for each row of the stream."""
        parts: list[Any] = []
        for place, slot in enumerate(self.slots):
            if isinstance(slot, str):
                parts.append(pa.scalar(slot, pa.string()))
            elif isinstance(slot, WordSlot):
                parts.append(pa.array(slot.write(letters, stream.branch(place)), pa.string()))
            else:
                parts.append(pa.array(slot.write(stream.branch(place)), pa.string()))
        if all(isinstance(part, pa.Scalar) for part in parts):
            return pa.array(["".join(str(p) for p in parts)] * len(stream), pa.string())
        return pc.binary_join_element_wise(*parts, "")

    def to_json(self) -> dict[str, Any]:
        """Return what the arrays of the slots do not tell."""
        return {"shapes": list(self.shapes), "length": self.length}


@dataclass(frozen=True, slots=True)
class Group:
    """Strings of one sequence of shapes, and the entity of each (None: its own)."""

    shapes: tuple[str, ...]
    rows: list[Sequence[Piece]]
    whose: list[int] | None = None

    @property
    def holders(self) -> int:
        """How many entities hold a string of these shapes."""
        return len(self.rows) if self.whose is None else len(set(self.whose))

    def template(self, needed: int) -> Template:
        """Return the template; words that `needed` entities hold may come back."""
        slots: list[str | Slot] = []
        for place, shape in enumerate(self.shapes):
            if shape.startswith("="):
                slots.append(shape[1:])
                continue
            runs = [own[place].text for own in self.rows]
            slots.append(fit_slot(self.rows[0][place].kind, runs, needed, self.whose))
        length = sum(len(piece.text) for own in self.rows for piece in own) / len(self.rows)
        return Template(self.shapes, tuple(slots), length)


def plain_word(words: Iterable[str]) -> Template:
    """Return the template of a lower-case word as long as one of these."""
    lengths = length_chances(dict.fromkeys(words, 1) or {"a": 1})
    slot = WordSlot("a", np.zeros(0, "<U1"), np.zeros(0), lengths)
    return Template(("a",), (slot,), float(1 + np.searchsorted(lengths, 0.5)))


def template_groups(split: Sequence[Sequence[Piece]], whose: Whose = None) -> list[Group]:
    """Return the strings grouped by their shapes, the largest group first."""
    groups: dict[tuple[str, ...], Group] = {}
    for i, own in enumerate(split):
        shapes = tuple(piece.shape for piece in own)
        if shapes not in groups:
            groups[shapes] = Group(shapes, [], None if whose is None else [])
        group = groups[shapes]
        group.rows.append(own)
        if whose is not None and group.whose is not None:
            group.whose.append(whose[i])
    return sorted(groups.values(), key=lambda group: -len(group.rows))


def letters_of(split: Sequence[Sequence[Piece]]) -> LetterModel:
    """Return the letter model of all the words in the strings."""
    words = Counter(
        piece.text.lower() for own in split for piece in own if piece.kind in WORD_KINDS
    )
    return LetterModel.fit(dict(words.most_common(_LEARNED_WORDS)))


def templates_to_arrays(prefix: str, templates: Sequence[Template]) -> Arrays:
    """Return the arrays of all slots."""
    arrays: Arrays = {}
    for i, template in enumerate(templates):
        for j, slot in enumerate(template.slots):
            if not isinstance(slot, str):
                arrays |= slot.to_arrays(f"{prefix}.{i}.{j}")
    return arrays


def templates_from(
    prefix: str, facts: Sequence[Mapping[str, Any]], arrays: Mapping[str, npt.NDArray[Any]]
) -> tuple[Template, ...]:
    """Return the templates that `to_json` and `templates_to_arrays` gave."""
    return tuple(
        Template(
            tuple(own["shapes"]),
            tuple(
                _slot_from(shape, f"{prefix}.{i}.{j}", arrays)
                for j, shape in enumerate(own["shapes"])
            ),
            own["length"],
        )
        for i, own in enumerate(facts)
    )


def _slot_from(shape: str, prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> str | Slot:
    if shape.startswith("="):
        return shape[1:]
    if shape in WORD_KINDS:
        return WordSlot.from_arrays(shape, prefix, arrays)
    return PlaceModel.from_arrays(prefix, arrays)
