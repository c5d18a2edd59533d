"""Columns of strings that do not repeat: names, codes, addresses, notes.

The network learns only which kind of string stands in a row: a common value, a
template (signs and shapes, as in 'AAA-999'), a number of words, or that it is one of
the strings that several rows hold. Those come back by their share; all others are
composed anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding.base import (
    RARE_ROWS,
    Codec,
    Codes,
    Floats,
    Ints,
    State,
    Token,
    as_codes,
    combined,
)
from syntheflow_server.engine.encoding.bins import Bins
from syntheflow_server.engine.encoding.chances import Stream
from syntheflow_server.engine.encoding.holders import Held, counted
from syntheflow_server.engine.encoding.letters import LetterModel
from syntheflow_server.engine.encoding.prose import Prose
from syntheflow_server.engine.encoding.sieve import Sieve
from syntheflow_server.engine.encoding.slots import Whose
from syntheflow_server.engine.encoding.templates import (
    Template,
    letters_of,
    pieces,
    template_groups,
    templates_from,
    templates_to_arrays,
)

_COMMON_SHARE = 0.01
_COMMON_MOST = 32
_KNOWN_MOST = 4096
_TEMPLATES = 64
_COVERED = 0.8
_LEARNED_ROWS = 100_000
_TRIES = 64
_OFTEN = 8
_MORE = "0123456789"


Counted = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TextCodec(Codec):
    """Codes: the `common` values, templates, numbers of words, `known` values, missing.

    `known` are strings with enough holders but no code of their own, with their holders.
    No composed string is longer than `longest`, if that is not 0.
    """

    kind: ClassVar[str] = "text"
    common: tuple[str, ...]
    templates: tuple[Template, ...]
    letters: LetterModel | None
    prose: Prose | None
    counts: Bins | None
    known: Counted
    longest: int
    sieve: Sieve
    missing: bool

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pa.Array,
        seed: int,
        needed: int = RARE_ROWS,
        entity: Ints | None = None,
    ) -> Self:
        """Return the codec of `values` (strings), of which at least one is present.

        A string, or a word of one, needs `needed` holders (see `holders`) to come back.
        """
        names, rows, holders = counted(values, entity)
        texts, held = names.to_pylist(), holders.counts
        shared, frequent = held >= needed, max(needed, round(_COMMON_SHARE * len(values)))
        order = np.argsort(-rows, kind="stable")[:_COMMON_MOST]
        common = [i for i in order if (shared[i] and rows[i] >= frequent) or not texts[i]]
        known = np.setdiff1d(np.flatnonzero(shared), common)
        known = known[np.argsort(-rows[known], kind="stable")][:_KNOWN_MOST]
        rest = np.setdiff1d(np.arange(len(texts)), [*common, *known])
        if len(rest) > _LEARNED_ROWS:
            rest = np.random.default_rng(seed).choice(rest, _LEARNED_ROWS, replace=False)
        times = np.minimum(held[rest], max(_OFTEN, needed))
        own = [texts[i] for i in np.repeat(rest, times)]
        return cls.of(
            column.name,
            tuple(texts[i] for i in common),
            *_learn(own, needed, _whose(holders, rest, times)),
            known=tuple((texts[i], int(rows[i])) for i in known),
            longest=_longest(texts, held, needed),
            sieve=Sieve.of([texts[i] for i in np.flatnonzero(~shared)]),
            missing=values.null_count > 0,
            distinct=len(texts) + int(values.null_count > 0),
        )

    @classmethod
    def of(
        cls,
        name: str,
        common: tuple[str, ...],
        templates: tuple[Template, ...],
        letters: LetterModel | None,
        prose: Prose | None,
        counts: Bins | None,
        *,
        known: Counted,
        longest: int,
        sieve: Sieve,
        missing: bool,
        distinct: int,
    ) -> Self:
        """Return the codec with these parts."""
        kinds = len(templates) + (counts.size if counts else 0) + bool(known)
        return cls(
            name=name,
            tokens=(Token(len(common) + kinds + missing),),
            draws=3,
            distinct=distinct,
            common=common,
            templates=templates,
            letters=letters,
            prose=prose,
            counts=counts,
            known=known,
            longest=longest,
            sieve=sieve,
            missing=missing,
        )

    def guarding(self, parts: Iterable[pa.Array], needed: int) -> Self:
        """Return the codec that composes no string of fewer than `needed` rows of `parts`."""
        return replace(self, sieve=Sieve.of_rare(parts, needed))

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return codes [n, 1]."""
        table = combined(values).dictionary_encode()
        known = dict.fromkeys((text for text, _ in self.known), self.of_known)
        known |= {text: code for code, text in enumerate(self.common)}
        shapes = {template.shapes: i for i, template in enumerate(self.templates)}
        lengths = np.array([template.length for template in self.templates])
        codes = np.zeros(len(table.dictionary) + 1, np.int64)
        for i, text in enumerate(table.dictionary.to_pylist()):
            own = known.get(text)
            codes[i] = self._kind(text, shapes, lengths) if own is None else own
        codes[-1] = self.sizes[0] - 1 if self.missing else 0
        index = pc.fill_null(table.indices, len(codes) - 1).to_numpy(zero_copy_only=False)
        return as_codes(codes[index][:, None])

    def _kind(self, text: str, shapes: Mapping[tuple[str, ...], int], lengths: Floats) -> int:
        first = len(self.common)
        own = shapes.get(tuple(piece.shape for piece in pieces(text)))
        if own is not None:
            return first + own
        if self.counts is not None:
            words = np.array([len(text.split())])
            return first + len(shapes) + int(self.counts.encode(words)[0, 0])
        return first + int(np.abs(lengths - len(text)).argmin()) if len(lengths) else 0

    @property
    def of_known(self) -> int:
        """The code of all `known` strings."""
        return self.sizes[0] - 1 - self.missing

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return composed strings."""
        column = codes[:, 0].astype(np.int64)
        first = len(self.common)
        # The entry after the common values is the missing one; composed strings follow it.
        parts = [pa.array([*self.common, None], pa.string())]
        index = np.minimum(column, first)
        total = first + 1
        if self.known:
            rows = np.flatnonzero(column == self.of_known)
            parts.append(pa.array([text for text, _ in self.known], pa.string()))
            index[rows] = total + self._drawn(uniforms[rows, 0])
            total += len(self.known)
        for kind, rows in self._groups(column):
            parts.append(self._write(kind, column, uniforms, rows))
            index[rows] = total + np.arange(len(rows))
            total += len(rows)
        return pa.concat_arrays(parts).take(pa.array(index))

    def _drawn(self, uniforms: Floats) -> Ints:
        """Return the number of a known string for each uniform."""
        shares = np.cumsum([count for _, count in self.known], dtype=np.float64)
        drawn: Ints = np.searchsorted(shares, uniforms * shares[-1], side="right").astype(np.int64)
        return np.minimum(drawn, len(shares) - 1)

    def _write(self, kind: int, column: Ints, uniforms: Floats, rows: Ints) -> pa.Array:
        stream = Stream.of(uniforms[rows, :2])
        texts = self._compose(kind, column, uniforms, rows, stream)
        for attempt in range(_TRIES):
            again = np.flatnonzero(self.sieve.holds(texts) | self._too_long(texts))
            if not len(again):
                return texts
            other = stream.branch(1000 + attempt, again)
            made = self._compose(kind, column, uniforms, rows[again], other)
            index = np.arange(len(rows))
            index[again] = len(rows) + np.arange(len(again))
            texts = pa.concat_arrays([texts, made]).take(pa.array(index))
        if self.longest:
            texts = pc.utf8_slice_codeunits(texts, 0, self.longest)
        return self._lengthened(texts, stream)

    def _too_long(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        if not self.longest:
            return np.zeros(len(texts), np.bool_)
        long: npt.NDArray[np.bool_] = pc.greater(pc.utf8_length(texts), self.longest).to_numpy(
            zero_copy_only=False
        )
        return long

    def _lengthened(self, texts: pa.Array, stream: Stream) -> pa.Array:
        """Return the texts; those still turned away grow until they are nobody's.

        That is so where the templates have hardly more places than there are real strings.
        """
        for attempt in range(_TRIES):
            again = self.sieve.holds(texts)
            if not again.any():
                break
            own = stream.branch(2000 + attempt).take()
            more = np.array(list(_MORE))[(own * len(_MORE)).astype(np.int64)]
            more = np.where(again, more, "")
            texts = pc.binary_join_element_wise(texts, pa.array(more, pa.string()), "")
        return texts

    def _compose(
        self, kind: int, column: Ints, uniforms: Floats, rows: Ints, stream: Stream
    ) -> pa.Array:
        if kind < 0:
            assert self.prose is not None
            assert self.counts is not None
            bins = column[rows, None] - len(self.common) - len(self.templates)
            return self.prose.write(self.counts.decode(bins, uniforms[rows, 2:]), stream)
        assert self.letters is not None
        return self.templates[kind].write(self.letters, stream)

    def _groups(self, column: Ints) -> list[tuple[int, Ints]]:
        """Return the rows that each template, or prose as a whole (-1), must write."""
        first, last = len(self.common), len(self.common) + len(self.templates)
        order = np.argsort(column, kind="stable")
        edges = np.searchsorted(column[order], np.arange(first, last + 1))
        spans = enumerate(pairwise(edges))
        found = [(kind, order[low:high]) for kind, (low, high) in spans if high > low]
        if self.counts is not None:
            inside = (column >= last) & (column < last + self.counts.size)
            found += [(-1, np.flatnonzero(inside))] if inside.any() else []
        return found

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        facts: dict[str, Any] = {
            "name": self.name,
            "common": list(self.common),
            "known": [list(own) for own in self.known],
            "longest": self.longest,
            "missing": self.missing,
            "distinct": self.distinct,
            "templates": [template.to_json() for template in self.templates],
            "makers": [],
            "counts": None,
        }
        arrays = self.sieve.to_arrays("sieve")
        if self.letters is not None:
            arrays |= templates_to_arrays("slot", self.templates)
        if self.letters is not None:
            arrays |= self.letters.to_arrays("letters")
        if self.prose is not None and self.counts is not None:
            facts["counts"], bins = self.counts.to_state()
            facts["makers"] = [maker.to_json() for maker in self.prose.makers]
            arrays |= self.prose.to_arrays("prose")
            arrays |= {f"counts.{key}": value for key, value in bins.items()}
        return facts, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """See `Codec.from_state`."""
        templates = templates_from("slot", facts["templates"], arrays)
        prose, counts = None, None
        if facts["counts"] is not None:
            prefix = "counts."
            bins = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            makers = templates_from("prose.slot", facts["makers"], arrays)
            prose = Prose.from_arrays("prose", makers, arrays)
            counts = Bins.from_state(facts["counts"], bins)
        letters = LetterModel.from_arrays("letters", arrays) if templates else None
        return cls.of(
            facts["name"],
            tuple(facts["common"]),
            templates,
            letters,
            prose,
            counts,
            known=tuple((text, count) for text, count in facts["known"]),
            longest=facts["longest"],
            sieve=Sieve.from_arrays("sieve", arrays),
            missing=facts["missing"],
            distinct=facts["distinct"],
        )


def _longest(texts: Sequence[str], held: Ints, needed: int) -> int:
    """Return the length that rows reach and none surpasses, 0 where fewer than `needed` do."""
    lengths = np.array([len(text) for text in texts])
    greatest = int(lengths.max(initial=0))
    return greatest if held[lengths == greatest].sum() >= needed else 0


def _whose(held: Held, texts: Ints, times: Ints) -> list[int] | None:
    """Return the entities of the texts, each repeated so many `times`."""
    if held.who is None:
        return None
    within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    whose: list[int] = held.who[np.repeat(held.start[texts], times) + within].tolist()
    return whose


def _learn(
    texts: Sequence[str], needed: int, whose: Whose
) -> tuple[tuple[Template, ...], LetterModel | None, Prose | None, Bins | None]:
    """Return templates and letters if few templates cover the texts, and prose for the rest."""
    if not texts:
        return (), None, None, None
    split = [pieces(text) for text in texts]
    groups = template_groups(split, whose)[:_TEMPLATES]
    kept = [group for group in groups if group.holders >= needed]
    if sum(len(group.rows) for group in kept) < _COVERED * len(texts):
        kept = []
    shapes = {group.shapes for group in kept}
    left = [i for i, own in enumerate(split) if tuple(p.shape for p in own) not in shapes]
    rest = [texts[i] for i in left]
    prose, counts = None, None
    if rest and (len(rest) >= needed or not kept):
        lengths = np.array([len(text.split()) for text in rest], np.int64)
        theirs = None if whose is None else [whose[i] for i in left]
        prose, counts = Prose.fit(rest, needed, theirs), Bins.fit(lengths, needed)
    letters = letters_of(split) if kept else None
    return tuple(group.template(needed) for group in kept), letters, prose, counts
