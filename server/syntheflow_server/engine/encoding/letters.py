"""New words and codes, letter by letter, that look like the real ones and are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Arrays, Floats, Ints
from syntheflow_server.engine.encoding.chances import Chances, Stream

_LETTERS = 96
_CONTEXT_WORDS = 8
_SMOOTHING = 2.0
_LONGEST_WORD = 32
_LONGEST_CHAINED = 24


@dataclass(frozen=True, slots=True, eq=False)
class LetterModel:
    """A chain over lower-case letters, two letters back where enough words support it.

    `context[i, j]` is the row of `next` for previous letters i, j (the last index stands
    for 'before the word'). A pair of letters held by fewer than eight different words
    falls back to one letter, and that to no letter, so that a rare word is not spelled
    out by its own trace.
    """

    alphabet: npt.NDArray[np.uint32]
    context: Ints
    next: Chances

    @classmethod
    def fit(cls, words: Mapping[str, int]) -> Self:
        """Return the chain of these lower-case words, each counted once."""
        letters = Counter(letter for word in words for letter in word)
        if len(words) < _CONTEXT_WORDS:
            letters.update(ascii_lowercase)
        kept = sorted(letter for letter, _ in letters.most_common(_LETTERS)) or ["a"]
        alphabet = np.array([ord(letter) for letter in kept], np.uint32)
        index = {letter: i for i, letter in enumerate(kept)}
        first, second, following = _triples(list(words), index, len(kept))
        count = len(kept) + 1
        pair = first * count + second
        held = np.bincount(pair, minlength=count * count)
        context = np.tile(np.arange(count, dtype=np.int64), (count, 1))
        rich = np.flatnonzero(held >= _CONTEXT_WORDS)
        context.ravel()[rich] = count + np.arange(len(rich))
        weights = np.zeros((count + len(rich), len(kept)))
        overall = np.bincount(following, minlength=len(kept)) + 1.0
        overall /= overall.sum()
        single = np.bincount(second, minlength=count)[second] >= _CONTEXT_WORDS
        np.add.at(weights, (second[single], following[single]), 1)
        place = np.full(count * count, -1)
        place[rich] = count + np.arange(len(rich))
        at = place[pair]
        np.add.at(weights, (at[at >= 0], following[at >= 0]), 1)
        weights += overall * 0.5
        row, outcome = np.divmod(np.arange(weights.size), len(kept))
        return cls(alphabet, context, Chances.of(row, outcome, weights.ravel()))

    def write(self, lengths: Ints, stream: Stream) -> npt.NDArray[np.str_]:
        """Return lower-case words of these lengths, one for each row of the stream."""
        longest = int(lengths.max(initial=1))
        text = np.zeros((len(lengths), longest), np.uint32)
        before = np.full(len(lengths), len(self.alphabet))
        last = before.copy()
        for place in range(longest):
            drawn = self.next.draw(self.context[before, last], stream.take(), even=stream.even)
            text[:, place] = np.where(place < lengths, self.alphabet[drawn], 0)
            before, last = last, drawn
        return text.view(f"<U{longest}")[:, 0]

    def to_arrays(self, prefix: str) -> Arrays:
        """Return the parts for an artefact."""
        own: Arrays = {f"{prefix}.alphabet": self.alphabet, f"{prefix}.context": self.context}
        return own | self.next.to_arrays(f"{prefix}.next")

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build what `to_arrays` gave."""
        return cls(
            arrays[f"{prefix}.alphabet"],
            arrays[f"{prefix}.context"],
            Chances.from_arrays(f"{prefix}.next", arrays),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PlaceModel:
    """Runs of fixed length (digits, mixed codes): each place given the one before it.

    Row p * A + i of `next` holds the characters at place p after character i; runs
    longer than 24 have one row a place. What fewer than eight runs begin alike goes on
    as all runs do, so that no run is spelled out by its own trace.
    """

    alphabet: npt.NDArray[np.uint32]
    next: Chances
    length: int

    @classmethod
    def fit(cls, runs: Sequence[str]) -> Self:
        """Return the model of `runs`, which all have one length."""
        length = len(runs[0])
        text = np.array(runs, f"<U{length}").view(np.uint32).reshape(-1, length)
        alphabet, codes = np.unique(text, return_inverse=True)
        codes, size = codes.reshape(text.shape), len(alphabet)
        chained = length <= _LONGEST_CHAINED
        weights = np.zeros((length, size if chained else 1, size))
        for place in range(length):
            own = codes[:, place]
            overall = np.bincount(own, minlength=size) + 0.0
            if place and chained:
                before = codes[:, place - 1]
                rich = np.bincount(before, minlength=size)[before] >= _CONTEXT_WORDS
                np.add.at(weights[place], (before[rich], own[rich]), 1)
            weights[place] += overall / overall.sum() * _SMOOTHING
        some = np.flatnonzero(weights)
        row, outcome = np.divmod(some, size)
        weights = weights.ravel()[some]
        return cls(alphabet.astype(np.uint32), Chances.of(row, outcome, weights.ravel()), length)

    def write(self, stream: Stream) -> npt.NDArray[np.str_]:
        """Return one run for each row of the stream."""
        text = np.empty((len(stream), self.length), np.uint32)
        size = len(self.alphabet)
        wide = size if self.length <= _LONGEST_CHAINED else 1
        last = np.zeros(len(stream), np.int64)
        for place in range(self.length):
            drawn = self.next.draw(place * wide + last % wide, stream.take(), even=stream.even)
            text[:, place] = self.alphabet[drawn]
            last = drawn
        return text.view(f"<U{self.length}")[:, 0]

    def to_arrays(self, prefix: str) -> Arrays:
        """Return the parts for an artefact."""
        own = {f"{prefix}.alphabet": self.alphabet, f"{prefix}.length": np.array([self.length])}
        return own | self.next.to_arrays(f"{prefix}.next")

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build what `to_arrays` gave."""
        return cls(
            arrays[f"{prefix}.alphabet"],
            Chances.from_arrays(f"{prefix}.next", arrays),
            int(arrays[f"{prefix}.length"][0]),
        )


def length_chances(words: Mapping[str, int]) -> Floats:
    """Return the cumulative shares of word lengths 1, 2, ..., 32."""
    lengths = np.array([min(len(word), _LONGEST_WORD) for word in words])
    counts = np.bincount(lengths, weights=list(words.values()), minlength=2)[1:]
    return np.asarray(np.cumsum(counts) / counts.sum())


def _triples(
    words: Sequence[str], index: Mapping[str, int], outside: int
) -> tuple[Ints, Ints, Ints]:
    first: list[int] = []
    second: list[int] = []
    following: list[int] = []
    for word in words:
        before, last = outside, outside
        for letter in word:
            own = index.get(letter)
            if own is None:
                before, last = outside, outside
                continue
            first.append(before)
            second.append(last)
            following.append(own)
            before, last = last, own
    arrays = (np.array(part, np.int64) for part in (first, second, following))
    return tuple(arrays)  # type: ignore[return-value]
