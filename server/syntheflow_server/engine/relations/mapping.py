"""Columns that a column of few values decides: a label and its code, an age and its group."""

from __future__ import annotations

import zlib
from collections.abc import Mapping as AnyMapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import SemanticType, arrow_type
from syntheflow_server.engine.encoding.base import RARE_ROWS
from syntheflow_server.engine.encoding.holders import Held
from syntheflow_server.engine.encoding.plain import array_from_bytes, array_to_bytes, to_numbers
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, codes_of, quoted
from syntheflow_server.engine.relations.sight import Sight

_MOST_VALUES = 2000
_EXACT_NUMBERS = 200
_ONE_TOKEN = 256
_ROWS_PER_VALUE = 5
_ROWS_PER_MOMENT = 20
_BITS = 60.0
_TIMES_CHANCE = 4.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mapping(Relation):
    """`targets[i]` is what a row holds whose source is `sources[i]`.

    A source that is not listed (no value of enough rows) takes the target of the nearest
    listed number or instant; a string that of any listed one, frequent ones (which come
    first) more often.
    """

    kind: ClassVar[str] = "mapping"
    sources: pa.Array
    targets: pa.Array

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        del name
        values = given[self.needs[0]]
        place = pc.index_in(values, value_set=self.sources)
        unknown = place.is_null().to_numpy(zero_copy_only=False)
        found = pc.fill_null(place, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        if unknown.any() and pa.types.is_string(values.type):
            found[unknown] = self._any(values.filter(pa.array(unknown)))
        elif unknown.any() and not pa.types.is_boolean(values.type):
            found[unknown] = self._nearest(values.filter(pa.array(unknown)))
        return self.targets.take(pa.array(found))

    def _any(self, values: pa.Array) -> npt.NDArray[np.int64]:
        """Return the place of a source by the string's own bytes; 0 for missing values."""
        texts = values.to_pylist()
        sums = [zlib.crc32(text.encode()) / 2**32 if text is not None else 0.0 for text in texts]
        ranks = len(self.sources) ** np.array(sums, np.float64)
        return np.clip(np.floor(ranks).astype(np.int64) - 1, 0, len(self.sources) - 1)

    def lists(self, given: Given) -> npt.NDArray[np.bool_]:
        """Return in which rows the source is one of `sources`."""
        listed = pc.is_in(given[self.needs[0]], value_set=self.sources)
        result: npt.NDArray[np.bool_] = listed.to_numpy(zero_copy_only=False)
        return result

    def _nearest(self, values: pa.Array) -> npt.NDArray[np.int64]:
        """Return the place of the nearest source; 0 for missing values."""
        known, missing = to_numbers(self.sources, "")
        places = np.flatnonzero(~missing)
        if not len(places):
            return np.zeros(len(values), np.int64)
        order = places[np.argsort(known[places], kind="stable")]
        numbers, empty = to_numbers(values, "")
        high = np.clip(np.searchsorted(known[order], numbers), 1, max(len(order) - 1, 1))
        high = np.minimum(high, len(order) - 1)
        low = np.maximum(high - 1, 0)
        nearer = numbers - known[order[low]] <= known[order[high]] - numbers
        return np.where(empty, 0, order[np.where(nearer, low, high)])

    def describe(self) -> str:
        """See `Relation.describe`."""
        return f"{quoted(self.makes)} is determined by {quoted(self.needs)}"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        facts = {"types": [_name(self.sources.type), _name(self.targets.type)]}
        return facts, {
            "sources": array_to_bytes(self.sources),
            "targets": array_to_bytes(self.targets),
        }

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: AnyMapping[str, Any], arrays: AnyMapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        source, target = (arrow_type(text) for text in facts["types"])
        return cls(
            **common,
            sources=array_from_bytes(arrays["sources"], source),
            targets=array_from_bytes(arrays["targets"], target),
        )


def _name(kind: pa.DataType) -> str:
    return {"double": "float64", "date32[day]": "date32"}.get(str(kind), str(kind))


def find(
    sample: Sight,
    every: Sight,
    free: tuple[str, ...],
    needed: AnyMapping[str, set[str]],
    made: AbstractSet[str],
    holders: int = RARE_ROWS,
    entity: npt.NDArray[np.int64] | None = None,
) -> list[Mapping]:
    """Return for each free column the mapping from the column of fewest values that decides it.

    `needed[c]` are the columns that c is made from already, near and far; `free` columns
    must not be made twice, and those `made` otherwise may hold values that no real row has:
    they decide nothing. `every` holds all training rows: the rule must hold on each; only
    what `holders` of them show is listed (of the entities [n] that they belong to).
    """
    codes = {ref.column: codes_of(sample.get(ref)) for ref in sample.modelled}
    sources = [
        name
        for name in codes
        if name not in made and _may_decide(sample, name, codes[name][1], every.count)
    ]
    place = {name: i for i, name in enumerate(codes)}
    by_size = sorted(free, key=lambda name: (codes[name][1], _is_text(sample, name), -place[name]))
    above = {name: set(parts) for name, parts in needed.items()}
    found: list[Mapping] = []
    for name in by_size:
        mine, size = codes[name]
        if size < 2:
            continue
        fitting = [
            source
            for source in sources
            if source != name
            and codes[source][1] >= size
            and name not in {source, *above.get(source, ())}
            and _decides(codes[source][0], mine, codes[source][1])
        ]
        for source in sorted(
            fitting, key=lambda s: (codes[s][1], not _is_text(sample, s), place[s])
        ):
            relation = _learn(every, source, name, holders, entity)
            if relation is not None:
                found.append(relation)
                _note(above, name, source)
                break
    return found


def _note(above: dict[str, set[str]], name: str, source: str) -> None:
    """Write down that `name`, and all that is made from it, needs `source` and its needs."""
    more = {source, *above.get(source, ())}
    above.setdefault(name, set()).update(more)
    for parts in above.values():
        if name in parts:
            parts.update(more)


def _is_text(sight: Sight, name: str) -> bool:
    return sight.column(Ref(name)).type == "string"


def _may_decide(sight: Sight, name: str, size: int, rows: int) -> bool:
    """Return True for columns whose generated values are real ones, each held by many rows.

    `size` values were seen; the table has `rows` rows that teach.
    """
    column = sight.column(Ref(name))
    if column.type in {"string", "bool"} or column.semantic_type is SemanticType.CATEGORY:
        return 2 <= size <= min(_MOST_VALUES, rows // _ROWS_PER_VALUE)
    if column.semantic_type in {SemanticType.DATE, SemanticType.DATETIME}:
        return 2 <= size <= min(_MOST_VALUES, rows // _ROWS_PER_MOMENT)
    return 2 <= size <= min(_EXACT_NUMBERS, rows // _ROWS_PER_VALUE)


def _decides(source: npt.NDArray[np.int64], target: npt.NDArray[np.int64], size: int) -> bool:
    first = np.zeros(size, np.int64)
    for part in (slice(0, 500), slice(None)):
        first[source[part]] = target[part]
        if not np.array_equal(first[source[part]], target[part]):
            return False
    return True


def _learn(
    every: Sight, source: str, name: str, holders: int, entity: npt.NDArray[np.int64] | None
) -> Mapping | None:
    """Return the mapping if all rows obey it and far more than chance would make them."""
    theirs, ours = every.get(Ref(source)), every.get(Ref(name))
    source_codes, sources = codes_of(theirs)
    codes, size = codes_of(ours)
    if not _decides(source_codes, codes, sources) or not _evident(
        source_codes, codes, sources, size
    ):
        return None
    counts = np.bincount(source_codes, minlength=sources)
    held = np.flatnonzero(Held.of(source_codes, sources, entity).counts >= holders)
    held = held[np.argsort(-counts[held], kind="stable")]
    if not len(held):
        return None
    row = np.zeros(sources, np.int64)
    row[source_codes] = np.arange(len(source_codes))
    rows = pa.array(row[held])
    temporal = pa.types.is_temporal(theirs.type)
    return Mapping(
        makes=(name,),
        needs=(Ref(source),),
        hints=temporal or len(held) > _ONE_TOKEN,
        sources=theirs.take(rows),
        targets=ours.take(rows),
    )


def _evident(
    source: npt.NDArray[np.int64], target: npt.NDArray[np.int64], sources: int, size: int
) -> bool:
    """Return True if the rows after the first of each source tell much more than the first.

    Counted in bits: a target that nearly all rows hold proves little. The targets other
    than the most frequent must prove it by themselves.
    """
    shares = np.bincount(target, minlength=size) / len(target)
    bits = -np.log2(np.maximum(shares, 1e-12))
    counts = np.bincount(source, minlength=sources)
    first = np.zeros(sources, np.int64)
    first[source] = target
    proof, price = (counts - 1) * bits[first], bits[first]
    minor = first != int(shares.argmax())
    return bool(
        proof.sum() >= _BITS + _TIMES_CHANCE * price.sum()
        and proof[minor].sum() >= _BITS + _TIMES_CHANCE * price[minor].sum() / 2
    )
