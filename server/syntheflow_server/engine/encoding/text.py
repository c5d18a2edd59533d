"""Columns of strings that do not repeat: names, codes, addresses, notes.

The network learns only which kind of string stands in a row: a common value, a
template (signs and shapes, as in 'AAA-999'), or, for free text, a number of words.
The string itself is composed anew.
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
from syntheflow_server.engine.encoding.letters import LetterModel
from syntheflow_server.engine.encoding.prose import Prose
from syntheflow_server.engine.encoding.sieve import Sieve
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
_TEMPLATES = 64
_COVERED = 0.8
_LEARNED_ROWS = 100_000
_TRIES = 64
_OFTEN = 8
_MORE = "0123456789"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TextCodec(Codec):
    """Codes: the `common` values, then the templates or numbers of words, then missing."""

    kind: ClassVar[str] = "text"
    common: tuple[str, ...]
    templates: tuple[Template, ...]
    letters: LetterModel | None
    prose: Prose | None
    counts: Bins | None
    sieve: Sieve
    missing: bool

    @classmethod
    def fit(cls, column: Column, values: pa.Array, seed: int, needed: int = RARE_ROWS) -> Self:
        """Return the codec of `values` (strings), of which at least one is present.

        A string, or a word of one, needs `needed` rows to come back as it is.
        """
        counted = pc.value_counts(values.drop_null())
        texts = counted.field("values").to_pylist()
        held = counted.field("counts").to_numpy(zero_copy_only=False)
        frequent = max(needed, round(_COMMON_SHARE * len(values)))
        order = np.argsort(-held, kind="stable")[:_COMMON_MOST]
        common = [i for i in order if held[i] >= frequent or not texts[i]]
        rest = np.setdiff1d(np.arange(len(texts)), common)
        if len(rest) > _LEARNED_ROWS:
            rest = np.random.default_rng(seed).choice(rest, _LEARNED_ROWS, replace=False)
        often = np.minimum(held[rest], max(_OFTEN, needed))
        own = [texts[i] for i in np.repeat(rest, often)]
        return cls.of(
            column.name,
            tuple(texts[i] for i in common),
            *_learn(own, needed),
            sieve=Sieve.of([texts[i] for i in np.flatnonzero(held < needed)]),
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
        sieve: Sieve,
        missing: bool,
        distinct: int,
    ) -> Self:
        """Return the codec with these parts."""
        kinds = len(templates) if counts is None else counts.size
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
            sieve=sieve,
            missing=missing,
        )

    def guarding(self, parts: Iterable[pa.Array], needed: int) -> Self:
        """Return the codec that composes no string of fewer than `needed` rows of `parts`."""
        return replace(self, sieve=Sieve.of_rare(parts, needed))

    def encode(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        """Return codes [n, 1]."""
        table = combined(values).dictionary_encode()
        known = {text: code for code, text in enumerate(self.common)}
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
        if self.counts is not None:
            return first + int(self.counts.encode(np.array([len(text.split())]))[0, 0])
        if not self.templates:
            return 0
        own = shapes.get(tuple(piece.shape for piece in pieces(text)))
        return first + (int(np.abs(lengths - len(text)).argmin()) if own is None else own)

    def decode(self, codes: npt.NDArray[Any], uniforms: Floats) -> pa.Array:
        """Return composed strings."""
        column = codes[:, 0].astype(np.int64)
        first = len(self.common)
        # The entry after the common values is the missing one; composed strings follow it.
        parts = [pa.array([*self.common, None], pa.string())]
        index = np.minimum(column, first)
        total = first + 1
        for kind, rows in self._groups(column):
            parts.append(self._write(kind, column, uniforms, rows))
            index[rows] = total + np.arange(len(rows))
            total += len(rows)
        return pa.concat_arrays(parts).take(pa.array(index))

    def _write(self, kind: int, column: Ints, uniforms: Floats, rows: Ints) -> pa.Array:
        stream = Stream.of(uniforms[rows, :2])
        texts = self._compose(kind, column, uniforms, rows, stream)
        for attempt in range(_TRIES):
            again = np.flatnonzero(self.sieve.holds(texts))
            if not len(again):
                return texts
            other = stream.branch(1000 + attempt, again)
            made = self._compose(kind, column, uniforms, rows[again], other)
            index = np.arange(len(rows))
            index[again] = len(rows) + np.arange(len(again))
            texts = pa.concat_arrays([texts, made]).take(pa.array(index))
        return self._lengthened(texts, stream)

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
        if self.prose is not None and self.counts is not None:
            bins = column[rows, None] - len(self.common)
            return self.prose.write(self.counts.decode(bins, uniforms[rows, 2:]), stream)
        assert self.letters is not None
        return self.templates[kind].write(self.letters, stream)

    def _groups(self, column: Ints) -> list[tuple[int, Ints]]:
        """Return the rows that each template, or prose as a whole, must write."""
        first = len(self.common)
        if self.counts is not None:
            inside = (column >= first) & (column < first + self.counts.size)
            return [(-1, np.flatnonzero(inside))] if inside.any() else []
        order = np.argsort(column, kind="stable")
        edges = np.searchsorted(column[order], np.arange(first, first + len(self.templates) + 1))
        spans = enumerate(pairwise(edges))
        return [(kind, order[low:high]) for kind, (low, high) in spans if high > low]

    def to_state(self) -> State:
        """See `Codec.to_state`."""
        facts: dict[str, Any] = {
            "name": self.name,
            "common": list(self.common),
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
            sieve=Sieve.from_arrays("sieve", arrays),
            missing=facts["missing"],
            distinct=facts["distinct"],
        )


def _learn(
    texts: Sequence[str], needed: int
) -> tuple[tuple[Template, ...], LetterModel | None, Prose | None, Bins | None]:
    """Return templates and letters if few templates cover the texts, else prose."""
    if not texts:
        return (), None, None, None
    split = [pieces(text) for text in texts]
    kept = [group for group in template_groups(split)[:_TEMPLATES] if len(group.rows) >= needed]
    if sum(len(group.rows) for group in kept) < _COVERED * len(texts):
        lengths = np.array([len(text.split()) for text in texts], np.int64)
        return (), None, Prose.fit(texts, needed), Bins.fit(lengths, needed)
    letters = letters_of(split)
    return tuple(group.template(needed) for group in kept), letters, None, None
