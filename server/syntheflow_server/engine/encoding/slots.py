"""The parts of a patterned string: what may stand between its fixed signs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Arrays, Floats
from syntheflow_server.engine.encoding.chances import Stream
from syntheflow_server.engine.encoding.letters import LetterModel, PlaceModel, length_chances

_PIECE = re.compile(r"[^\W_]+|[\W_]+")
_POOL = 4096
WORD_KINDS = ("a", "Aa", "A", "aA")


Whose = Sequence[int] | None
"""The entity of each string; None where each is an entity of its own."""


def holders_of(words: Iterable[str], whose: Iterable[int]) -> Counter[str]:
    """Return how many different entities hold each word."""
    return Counter(word for word, _ in dict.fromkeys(zip(words, whose, strict=True)))


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of signs (`kind` ''), digits ('9'), mixed letters and digits ('x') or letters.

    Letters tell their case: 'a' lower, 'Aa' capital, 'A' upper, 'aA' mixed.
    """

    kind: str
    text: str

    @property
    def shape(self) -> str:
        """What a template keeps of the piece: signs themselves, digits' and codes' length."""
        if not self.kind:
            return "=" + self.text
        return self.kind if self.kind in WORD_KINDS else f"{self.kind}{len(self.text)}"


def pieces(text: str) -> list[Piece]:
    """Split a string into runs of letters and digits and the signs between them."""
    return [Piece(_kind(run), run) for run in _PIECE.findall(text)]


def _kind(run: str) -> str:
    if not run[0].isalnum():
        return ""
    if run.isdecimal():
        return "9"
    if not run.isalpha():
        return "x"
    if run == run.lower():
        return "a"
    if run == run.upper() and len(run) > 1:
        return "A"
    return "Aa" if run[0].isupper() and run[1:] == run[1:].lower() else "aA"


def in_case(words: npt.NDArray[np.str_], kind: str) -> npt.NDArray[np.str_]:
    """Return lower-case words in the case that `kind` names."""
    if kind == "A":
        return np.char.upper(words)
    return np.char.capitalize(words) if kind in {"Aa", "aA"} else words


@dataclass(frozen=True, slots=True, eq=False)
class WordSlot:
    """A word: one of `known` (held by enough rows) by `cumulative` share, else a new one.

    New words take a length by `lengths` (cumulative shares of 1, 2, ...) and letters from
    the column's letter model.
    """

    kind: str
    known: npt.NDArray[np.str_]
    cumulative: Floats
    lengths: Floats

    @classmethod
    def fit(cls, kind: str, words: Sequence[str], needed: int, whose: Whose = None) -> Self:
        """Return the slot of `words`, one a row of the entities `whose`."""
        counts = Counter(words)
        held = counts if whose is None else holders_of(words, whose)
        known = [w for w, _ in counts.most_common(_POOL) if held[w] >= needed]
        rare = {w: c for w, c in counts.items() if held[w] < needed}
        weights = np.array([counts[w] for w in known], np.float64)
        return cls(
            kind,
            np.array(known, dtype=np.str_) if known else np.zeros(0, "<U1"),
            np.cumsum(weights) / len(words),
            length_chances(rare or dict.fromkeys(counts, 1)),
        )

    def write(self, letters: LetterModel, stream: Stream) -> npt.NDArray[np.str_]:
        """Return a word for each row of the stream."""
        index = np.searchsorted(self.cumulative, stream.take(), side="right")
        share = stream.take()
        new = np.flatnonzero(index >= len(self.known))
        if len(new) == 0:
            return self.known[index]
        lengths = np.searchsorted(self.lengths, share[new], side="right") + 1
        lengths = np.minimum(lengths, len(self.lengths))
        made = in_case(letters.write(lengths, stream.branch(0, new)), self.kind)
        wide = max(self.known.dtype.itemsize, made.dtype.itemsize) // 4
        result = np.empty(len(index), f"<U{wide}")
        old = np.flatnonzero(index < len(self.known))
        result[old] = self.known[index[old]]
        result[new] = made
        return result

    def to_arrays(self, prefix: str) -> Arrays:
        """Return the parts for an artefact."""
        text = "\n".join(self.known.tolist()).encode()
        return {
            f"{prefix}.known": np.frombuffer(text, np.uint8).copy(),
            f"{prefix}.cumulative": self.cumulative,
            f"{prefix}.lengths": self.lengths,
        }

    @classmethod
    def from_arrays(cls, kind: str, prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build what `to_arrays` gave."""
        text = arrays[f"{prefix}.known"].tobytes().decode()
        known = np.array(text.split("\n"), np.str_) if text else np.zeros(0, "<U1")
        return cls(kind, known, arrays[f"{prefix}.cumulative"], arrays[f"{prefix}.lengths"])


Slot = WordSlot | PlaceModel


def fit_slot(kind: str, runs: Sequence[str], needed: int, whose: Whose = None) -> Slot:
    """Return the slot for `runs` of one kind, one a row of the entities `whose`."""
    return WordSlot.fit(kind, runs, needed, whose) if kind in WORD_KINDS else PlaceModel.fit(runs)
