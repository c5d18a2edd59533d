"""Columns of strings that do not repeat: names, codes, addresses, notes.

The network learns only which kind of string stands in a row: a common value, a
template (signs and shapes, as in 'AAA-999'), a number of words, or that it is one of
the strings that several rows hold. Those come back by their share; all others are
composed anew, and repeat as often as rare real ones do (`pools`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from syntheflow_server.engine.encoding.forms import Form, form_of
from syntheflow_server.engine.encoding.holders import counted
from syntheflow_server.engine.encoding.letters import LetterModel
from syntheflow_server.engine.encoding.makeup import entities_of, learn, longest_of, repeated
from syntheflow_server.engine.encoding.pools import Pools
from syntheflow_server.engine.encoding.prose import Prose
from syntheflow_server.engine.encoding.sieve import Sieve
from syntheflow_server.engine.encoding.templates import (
    Template,
    pieces,
    templates_from,
    templates_to_arrays,
)

_COMMON_SHARE = 0.01
_COMMON_MOST = 32
_KNOWN_MOST = 4096
_LEARNED_ROWS = 100_000
_TRIES = 64
_FORM_TRIES = 16
_ANY_LENGTH = 1 << 31
_OFTEN = 8
_MORE = "0123456789"
_LIKELY = 12
_APART = 8
_NONE = np.zeros(0, np.int64)


Counted = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TextCodec(Codec):
    """Codes: the `common` values, templates, numbers of words, `known` values, missing.

    `known` are strings with enough holders but no code of their own, with their holders.
    No composed string is longer than `longest`, if that is not 0. Without `pools` no two
    composed strings are meant to be the same. With `form` every composed string is of it.
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
    pools: Pools | None = None
    form: Form | None = None

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pa.Array,
        seed: int,
        needed: int = RARE_ROWS,
        entity: Ints | None = None,
        beside: Ints = _NONE,
    ) -> Self:
        """Return the codec of `values` (strings), of which at least one is present.

        A string, or a word of one, needs `needed` holders (see `holders`) to come back.
        `beside` are the rows of each string of the column that is told elsewhere.
        """
        names, rows, holders = counted(values, entity)
        texts, held = names.to_pylist(), holders.counts
        shared, frequent = held >= needed, max(needed, round(_COMMON_SHARE * len(values)))
        order = np.argsort(-rows, kind="stable")[:_COMMON_MOST]
        common = [i for i in order if (shared[i] and rows[i] >= frequent) or not texts[i]]
        known = np.setdiff1d(np.flatnonzero(shared), common)
        known = known[np.argsort(-rows[known], kind="stable")][:_KNOWN_MOST]
        rest = left = np.setdiff1d(np.arange(len(texts)), [*common, *known])
        if len(rest) > _LEARNED_ROWS:
            rest = np.random.default_rng(seed).choice(rest, _LEARNED_ROWS, replace=False)
        times = np.minimum(held[rest], max(_OFTEN, needed))
        own = [texts[i] for i in np.repeat(rest, times)]
        codec = cls.of(
            column.name,
            tuple(texts[i] for i in common),
            *learn(own, needed, entities_of(holders, rest, times)),
            known=tuple((texts[i], int(rows[i])) for i in known),
            longest=longest_of(texts, held, needed),
            sieve=Sieve.of([texts[i] for i in np.flatnonzero(~shared)]),
            missing=values.null_count > 0,
            distinct=len(texts) + int(values.null_count > 0),
        )
        kinds = codec.encode(names.take(pa.array(left)))[:, 0] - np.int64(len(common))
        size = len(codec.templates) + (codec.counts.size if codec.counts else 0)
        mine = np.arange(len(rows) + len(beside)) < len(rows)
        mine[np.setdiff1d(np.arange(len(rows)), left)] = False
        pools = Pools.fit(np.append(rows, beside), kinds, mine, size, needed)
        return replace(codec, pools=pools, form=form_of(column.native_type, texts))

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
        pools: Pools | None = None,
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
            pools=pools,
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
        return self._texts(column, self._pooled(column, uniforms))

    def _texts(self, column: Ints, uniforms: Floats, *, even: bool = False) -> pa.Array:
        """Return the string of each code; composed ones `even`ly among all that there may be."""
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
            parts.append(self._write(kind, column, uniforms, rows, even=even))
            index[rows] = total + np.arange(len(rows))
            total += len(rows)
        return pa.concat_arrays(parts).take(pa.array(index))

    def apart(self, codes: npt.NDArray[Any], uniforms: Floats, made: pa.Array) -> pa.Array:
        """See `Codec.apart`."""
        column = codes[:, 0].astype(np.int64)
        composed = self._composed(column)
        keys = self._pooled(column, uniforms)
        for attempt in range(_APART):
            again = repeated(made, composed, keys[:, 0])
            if not len(again):
                break
            stream = Stream.of(keys[again, :2]).branch(3000 + attempt)
            other = np.stack([stream.take() for _ in range(self.draws)], axis=1)
            texts = self._texts(column[again], other, even=attempt >= _APART // 2)
            made = _with(made, again, texts)
        return made

    def _composed(self, column: Ints) -> npt.NDArray[np.bool_]:
        """Return which codes [n] stand for strings that are composed."""
        size = len(self.templates) + (self.counts.size if self.counts else 0)
        return (column >= len(self.common)) & (column < len(self.common) + size)

    def _pooled(self, column: Ints, uniforms: Floats) -> Floats:
        """Return the uniforms of the places from which strings that repeat are drawn."""
        rows = np.flatnonzero(self._composed(column))
        if self.pools is None or not len(rows):
            return uniforms
        result = uniforms.copy()
        result[rows] = self.pools.moved(column[rows] - len(self.common), uniforms[rows])
        return result

    def _drawn(self, uniforms: Floats) -> Ints:
        """Return the number of a known string for each uniform."""
        shares = np.cumsum([count for _, count in self.known], dtype=np.float64)
        drawn: Ints = np.searchsorted(shares, uniforms * shares[-1], side="right").astype(np.int64)
        return np.minimum(drawn, len(shares) - 1)

    def _write(
        self, kind: int, column: Ints, uniforms: Floats, rows: Ints, *, even: bool
    ) -> pa.Array:
        stream = Stream.of(uniforms[rows, :2])
        stream.even = even
        if self.form is not None and self.form.free:
            return self.form.fresh(stream)
        texts = self._compose(kind, column, uniforms, rows, stream)
        for attempt in range(_TRIES if self.form is None else _FORM_TRIES):
            again = np.flatnonzero(self._unfit(texts))
            if not len(again):
                return texts
            other = stream.branch(1000 + attempt, again)
            # Where the real strings are most of those that are likely, others must do.
            other.even = even or attempt >= _LIKELY
            made = self._compose(kind, column, uniforms, rows[again], other)
            texts = _with(texts, again, made)
        if self.form is not None:
            return self._formed(self.form, texts, stream)
        if self.longest:
            texts = pc.utf8_slice_codeunits(texts, 0, self.longest)
        return self._lengthened(texts, stream)

    def _unfit(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Return which strings [n] are somebody's own, too long, or not of the form."""
        unfit = self.sieve.holds(texts) | self._too_long(texts)
        return unfit if self.form is None else unfit | ~self.form.fits(texts)

    def _formed(self, form: Form, texts: pa.Array, stream: Stream) -> pa.Array:
        """Return the texts, those that are nothing yet replaced by what fits in any case."""
        again = np.flatnonzero(self._unfit(texts))
        if not len(again):
            return texts
        own = stream.branch(2000, again)
        shared = [text for text in (*self.common, *(text for text, _ in self.known)) if text]
        others = Form("labels", tuple(shared)) if shared else form
        return _with(texts, again, others.fresh(own))

    def _too_long(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        most = self.longest or _ANY_LENGTH
        long = pc.greater(pc.utf8_length(texts), most).to_numpy(zero_copy_only=False)
        return np.asarray(long, np.bool_)

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
            "form": self.form and self.form.to_json(),
            "templates": [template.to_json() for template in self.templates],
            "makers": [],
            "counts": None,
        }
        arrays = self.sieve.to_arrays("sieve")
        arrays |= {} if self.pools is None else self.pools.to_arrays("pools")
        if self.letters is not None:
            arrays |= templates_to_arrays("slot", self.templates)
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
        made = cls.of(
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
            pools=Pools.from_arrays("pools", arrays),
        )
        return replace(made, form=Form.from_json(facts.get("form")))


def _with(texts: pa.Array, places: Ints, others: pa.Array) -> pa.Array:
    """Return `texts` [n] with `others` [k] at `places` [k]."""
    index = np.arange(len(texts))
    index[places] = len(texts) + np.arange(len(places))
    return pa.concat_arrays([texts, others]).take(pa.array(index))
