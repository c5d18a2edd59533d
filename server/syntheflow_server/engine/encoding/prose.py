"""Free text: a chain over words that enough rows share, with new words between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.engine.encoding.base import Arrays, Ints
from syntheflow_server.engine.encoding.chances import Chances, Stream
from syntheflow_server.engine.encoding.letters import LetterModel
from syntheflow_server.engine.encoding.slots import Whose, holders_of
from syntheflow_server.engine.encoding.templates import (
    Template,
    letters_of,
    pieces,
    plain_word,
    template_groups,
    templates_to_arrays,
)

_VOCABULARY = 4000
_SUCCESSORS = 64
_FALLBACK = 1.0
_MAKERS = 128


@dataclass(frozen=True, slots=True, eq=False)
class Prose:
    """Words `vocabulary` by index; the indices after them stand for new words of `makers`.

    The first maker spells words of odd shapes, sign by sign by `odd`; the others follow a
    template. Row w of `next` is what follows word w within a text, of `final` what ends
    a text there; row b, after the makers, is what begins a text. The outcome b is drawn
    again from row b + 1: the words that follow others only now and then.
    """

    vocabulary: npt.NDArray[np.str_]
    makers: tuple[Template, ...]
    letters: LetterModel
    odd: LetterModel
    next: Chances
    final: Chances

    @classmethod
    def fit(cls, texts: Sequence[str], needed: int, whose: Whose = None) -> Self:
        """Return the model of `texts`; words that `needed` entities hold may come back.

        `whose` are the entities of the texts, None where each is its own.
        """
        split = [text.split() for text in texts]
        rows = Counter(word for words in split for word in dict.fromkeys(words))
        held = rows if whose is None else _holders(split, whose)
        kept = [word for word, _ in rows.most_common(_VOCABULARY) if held[word] >= needed]
        index = {word: i for i, word in enumerate(kept)}
        rare = {word: pieces(word) for word in rows if word not in index}
        theirs = None
        if whose is not None:
            one = {word: who for own, who in zip(split, whose, strict=True) for word in own}
            theirs = [one[word] for word in rare]
        groups = template_groups(list(rare.values()), theirs)[:_MAKERS]
        groups = [group for group in groups if group.holders >= needed]
        place = {group.shapes: len(kept) + 1 + i for i, group in enumerate(groups)}
        strange = []
        for word, own in rare.items():
            shapes = tuple(piece.shape for piece in own)
            index[word] = place.get(shapes, len(kept))
            if shapes not in place:
                strange.append(word)
        makers = [plain_word(strange), *(group.template(needed) for group in groups)]
        begin = len(kept) + len(makers)
        inner: Counter[tuple[int, int]] = Counter()
        last: Counter[tuple[int, int]] = Counter()
        for words in split:
            codes = [begin, *(index[word] for word in words)]
            inner.update(pairwise(codes[:-1]))
            last.update([(codes[-2], codes[-1])] if words else [])
        return cls(
            np.array(kept, np.str_) if kept else np.zeros(0, "<U1"),
            tuple(makers),
            letters_of(list(rare.values())),
            LetterModel.fit(dict.fromkeys(strange, 1)),
            _chain(inner or last, begin),
            _chain(last, begin),
        )

    def write(self, lengths: Ints, stream: Stream) -> pa.Array:
        """Return texts of so many words, one for each row of the stream."""
        longest = int(lengths.max(initial=0))
        begin = len(self.vocabulary) + len(self.makers)
        chosen = np.full((len(lengths), longest), begin, np.int64)
        active = np.arange(len(lengths))
        last = np.full(len(lengths), begin)
        for place in range(longest):
            active = active[lengths[active] > place]
            ends = lengths[active] == place + 1
            for chain, rows in ((self.next, active[~ends]), (self.final, active[ends])):
                drawn = chain.draw(last[rows], stream.take(rows))
                again = np.flatnonzero(drawn == begin)
                drawn[again] = chain.draw(drawn[again] + 1, stream.take(rows[again]))
                last[rows] = drawn
            chosen[active, place] = last[active]
        present = np.arange(longest) < lengths[:, None]
        owner, order = np.nonzero(present)
        words = self._spell(chosen[present], owner, order, stream.branch(0))
        offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), words), " ")

    def _spell(self, flat: Ints, owner: Ints, place: Ints, stream: Stream) -> pa.Array:
        """Return the word of each index in `flat`; new ones are made for row and place."""
        known = len(self.vocabulary)
        parts = [pa.array(self.vocabulary, pa.string())]
        index, total = flat.copy(), known
        for maker in np.unique(flat[flat >= known]):
            at = np.flatnonzero(flat == maker)
            own = stream.branch(place[at], owner[at])
            letters = self.letters if maker > known else self.odd
            parts.append(self.makers[maker - known].write(letters, own))
            index[at] = total + np.arange(len(at))
            total += len(at)
        return pa.concat_arrays(parts).take(pa.array(index))

    def to_arrays(self, prefix: str) -> Arrays:
        """Return the parts for an artefact; the makers' shapes are kept apart, as JSON."""
        text = "\n".join(self.vocabulary.tolist()).encode()
        own: Arrays = {f"{prefix}.vocabulary": np.frombuffer(text, np.uint8).copy()}
        slots = templates_to_arrays(f"{prefix}.slot", self.makers)
        letters = self.letters.to_arrays(f"{prefix}.letters")
        odd = self.odd.to_arrays(f"{prefix}.odd")
        following = self.next.to_arrays(f"{prefix}.next") | self.final.to_arrays(f"{prefix}.final")
        return own | slots | letters | odd | following

    @classmethod
    def from_arrays(
        cls, prefix: str, makers: tuple[Template, ...], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> Self:
        """Build what `to_arrays` gave."""
        text = arrays[f"{prefix}.vocabulary"].tobytes().decode()
        return cls(
            np.array(text.split("\n"), np.str_) if text else np.zeros(0, "<U1"),
            makers,
            LetterModel.from_arrays(f"{prefix}.letters", arrays),
            LetterModel.from_arrays(f"{prefix}.odd", arrays),
            Chances.from_arrays(f"{prefix}.next", arrays),
            Chances.from_arrays(f"{prefix}.final", arrays),
        )


def _holders(split: Sequence[Sequence[str]], whose: Sequence[int]) -> Counter[str]:
    """Return how many different entities have a text with each word."""
    words = (word for own in split for word in own)
    return holders_of(words, (who for own, who in zip(split, whose, strict=True) for _ in own))


def _chain(pairs: Mapping[tuple[int, int], int], begin: int) -> Chances:
    """Return what follows each word: its frequent successors, or `begin` for any other word.

    A successor that was seen once belongs to one text. What is not told of each word is
    told of all together, in row `begin` + 1, so that every word keeps its frequency.
    """
    after: dict[int, Counter[int]] = {}
    for (last, own), count in pairs.items():
        after.setdefault(last, Counter())[own] += count
    others: Counter[int] = Counter({begin - 1: 0})
    rows: list[int] = []
    outcomes: list[int] = []
    weights: list[float] = []
    for last in range(begin + 1):
        follow = after.get(last, Counter())
        kept = [(word, count) for word, count in follow.most_common(_SUCCESSORS) if count > 1]
        hidden = follow.total() - sum(count for _, count in kept)
        others.update(follow)
        others.subtract(dict(kept))
        rows += [last] * (len(kept) + 1)
        outcomes += [*(word for word, _ in kept), begin]
        weights += [*(count for _, count in kept), hidden + _FALLBACK]
    left = [(word, float(max(count, 0))) for word, count in sorted(others.items())]
    total = sum(count for _, count in left)
    rows += [begin + 1] * len(left)
    outcomes += [word for word, _ in left]
    weights += [count if total else 1.0 for _, count in left]
    return Chances.of(np.array(rows), np.array(outcomes), np.array(weights))
