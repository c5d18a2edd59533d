"""Numbers and instants that add up: a total and its parts, an end and a duration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted
from syntheflow_server.engine.relations.sight import Sight

Floats = npt.NDArray[np.float64]
_MOST_DIGITS = 6
_EXACT = 2.0**52
_MOST_COLUMNS = 120
_MOST_FOR_THREE = 30
_VARIED = 24
_ROWS_EACH = 8
_FEW_VALUES = 5
_FACTORS = (10, 12, 24, 60, 100, 1000)
_UNITS = (1, 1000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Linear(Relation):
    """The sum of `factors` times the needed numbers, in whole units of 10**-`digits`.

    Missing where any part is. A product (`product`) multiplies the parts instead and
    rounds half up to `digits`; `scales` are the parts' own digits.
    """

    kind: ClassVar[str] = "linear"
    type: str
    digits: int
    scales: tuple[int, ...]
    factors: tuple[int, ...]
    product: bool = False

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        parts, missing = [], np.zeros(len(given[self.needs[0]]), bool)
        for ref, digits in zip(self.needs, self.scales, strict=True):
            numbers, gone = whole(given[ref], name, digits)
            parts.append(numbers)
            missing |= gone
        if self.product:
            units = product_of(parts[0], parts[1], sum(self.scales) - self.digits)
        else:
            rest = [10 ** (self.digits - digits) for digits in self.scales]
            units = sum(
                (p * (f * r) for p, f, r in zip(parts, self.factors, rest, strict=True)),
                start=np.zeros(len(missing)),
            )
        kind = arrow_type(self.type)
        units[missing] = 0
        if pa.types.is_floating(kind):
            return from_numbers(units / 10.0**self.digits, missing, kind, 0)
        return from_numbers(units.astype(np.int64), missing, kind, 0)

    def describe(self) -> str:
        """See `Relation.describe`."""
        if self.product:
            return f"{quoted(self.makes)} is the product of {quoted(self.needs)}"
        if self.factors == (1,):
            return f"{quoted(self.makes)} equals {quoted(self.needs)}"
        parts = "parts in units of their own, " if set(self.factors) != {1} else ""
        return f"{quoted(self.makes)} is the sum of {parts}{quoted(self.needs)}"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        names = ("type", "digits", "product")
        facts = {name: getattr(self, name) for name in names}
        return facts | {"scales": list(self.scales), "factors": list(self.factors)}, {}

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        del arrays
        own = dict(facts)
        scales, factors = tuple(own.pop("scales")), tuple(own.pop("factors"))
        return cls(**common, **own, scales=scales, factors=factors)


def whole(values: pa.Array, name: str, digits: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the values as whole numbers of 10**-`digits` (exact in float64) and the gaps."""
    numbers, missing = to_numbers(values, name)
    numbers = np.where(missing, 0, numbers).astype(np.float64)
    return np.round(numbers * 10.0**digits) if pa.types.is_floating(
        values.type
    ) else numbers, missing


def product_of(left: Floats, right: Floats, extra: int) -> Floats:
    """Return the product without its last `extra` digits, rounded half up."""
    rounded: Floats = np.floor(left * right / 10.0**extra + 0.5)
    return rounded


@dataclass(frozen=True, slots=True, eq=False)
class _Board:
    """Numeric columns of chosen rows: `units` [c, rows] with NaN for gaps."""

    refs: tuple[Ref, ...]
    digits: tuple[int, ...]
    units: Floats
    moment: tuple[bool, ...]
    common: int

    @property
    def level(self) -> Floats:
        """All columns in the finest column's units."""
        rest = [
            1.0 if moment else 10.0 ** (self.common - d)
            for d, moment in zip(self.digits, self.moment, strict=True)
        ]
        result: Floats = self.units * np.array(rest)[:, None]
        return result


def _board(sample: Sight, refs: list[Ref]) -> _Board | None:
    """Return the board of all columns with few decimals, in rows where they vary."""
    kept, digits, units, moment = [], [], [], []
    for ref in refs[:_MOST_COLUMNS]:
        values = sample.get(ref)
        if not _countable(values.type):
            continue
        places = _decimals(values, ref.column)
        if places is None or len(values.unique()) < _FEW_VALUES:
            continue
        numbers, missing = whole(values, ref.column, places)
        if np.abs(numbers).max(initial=0) * 10**places > _EXACT:
            continue
        kept.append(ref)
        digits.append(places)
        units.append(np.where(missing, np.nan, numbers))
        moment.append(pa.types.is_temporal(values.type))
    if len(kept) < 2:
        return None
    table = np.stack(units)
    common = max((d for d, m in zip(digits, moment, strict=True) if not m), default=0)
    return _Board(tuple(kept), tuple(digits), table[:, _varied(table)], tuple(moment), common)


def _countable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_int64(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_duration(kind)
    )


def _decimals(values: pa.Array, name: str) -> int | None:
    """Return how many decimals the values have; None if they have too many."""
    if not pa.types.is_floating(values.type):
        return 0
    numbers, missing = to_numbers(values, name)
    present = numbers[~missing]
    for digits in range(_MOST_DIGITS + 1):
        scaled = present * 10.0**digits
        if np.abs(scaled).max(initial=0) < _EXACT and np.array_equal(
            np.round(scaled) / 10.0**digits, present
        ):
            return digits
    return None


def _varied(table: Floats) -> npt.NDArray[np.int64]:
    """Return rows in which each column holds other than its usual values."""
    rng = np.random.default_rng(0)
    chosen = [rng.integers(0, table.shape[1], _VARIED)]
    for column in table:
        present = column[~np.isnan(column)]
        values, counts = np.unique(present, return_counts=True)
        usual = values[counts.argmax()] if len(values) else 0.0
        other = np.flatnonzero(~np.isnan(column) & (column != usual))
        chosen.append(rng.permutation(other)[:_ROWS_EACH])
    return np.unique(np.concatenate(chosen))


def find(sample: Sight, free: tuple[str, ...]) -> Iterator[Linear]:
    """Yield candidates, simplest first, that hold on the rows where they were looked for."""
    board = _board(sample, sorted({*sample.early, *sample.modelled}, key=_place(sample)))
    if board is None:
        return
    open_ = [i for i, ref in enumerate(board.refs) if ref.column in free]
    level = board.level + 0.0
    known: dict[bytes, list[int]] = {}
    for i, column in enumerate(level):
        known.setdefault(_key(column), []).append(i)
    yield from _copies(sample, board, known, open_)
    yield from _sums(sample, board, level, known, open_)
    yield from _products(sample, board, open_)


def _place(sample: Sight) -> Any:
    order = {name: i for i, name in enumerate(sample.table.column_names)}
    return lambda ref: order[ref.column]


def _key(column: Floats) -> bytes:
    return bytes(np.where(np.isnan(column), np.inf, column + 0.0).tobytes())


def _linear(sample: Sight, board: _Board, made: int, parts: list[tuple[int, int]]) -> Linear:
    moment = board.moment[made]
    digits = 0 if moment else max(board.digits[i] for i, _ in [*parts, (made, 1)])
    name = board.refs[made].column
    return Linear(
        makes=(name,),
        needs=tuple(board.refs[i] for i, _ in parts),
        # 1435 on a clock says more of its neighbours than 14 and 35 do.
        hints=not moment and any(factor != 1 for _, factor in parts),
        type=sample.column(board.refs[made]).type,
        digits=digits,
        scales=tuple(board.digits[i] for i, _ in parts),
        factors=tuple(factor for _, factor in parts),
    )


def _copies(
    sample: Sight, board: _Board, known: dict[bytes, list[int]], open_: list[int]
) -> Iterator[Linear]:
    for alike in known.values():
        for made in alike[1:]:
            if made in open_:
                yield _linear(sample, board, made, [(alike[0], 1)])


def _sums(
    sample: Sight, board: _Board, level: Floats, known: dict[bytes, list[int]], open_: list[int]
) -> Iterator[Linear]:
    """Yield totals of two or three columns, and of a column times a usual factor plus another."""
    pairs = [(made, first) for made in open_ for first in range(len(level)) if first != made]
    for made, first in pairs:
        for factor in _factors(board, made, first):
            rest = level[made] - factor * level[first]
            for second in known.get(_key(rest), ()):
                mixed = board.moment[second] and not board.moment[made]
                if second in {made, first} or mixed or (factor == 1 and second < first):
                    continue
                yield _linear(sample, board, made, [(first, factor), (second, 1)])
    if len(level) > _MOST_FOR_THREE:
        return
    for made, first in pairs:
        rest = level[made] - level[first]
        for second in range(first + 1, len(level)):
            for third in known.get(_key(rest - level[second]), ()):
                if third > second and made not in {second, third}:
                    parts = [(first, 1), (second, 1), (third, 1)]
                    yield _linear(sample, board, made, parts)


def _factors(board: _Board, made: int, first: int) -> tuple[int, ...]:
    if board.moment[first]:
        return (1,) if board.moment[made] else ()
    return _UNITS if board.moment[made] else (1, *_FACTORS)


def _products(sample: Sight, board: _Board, open_: list[int]) -> Iterator[Linear]:
    plain = [i for i, moment in enumerate(board.moment) if not moment]
    if len(plain) > 2 * _MOST_FOR_THREE:
        return
    for place, left in enumerate(plain):
        for right in plain[place + 1 :]:
            for made in open_:
                if made in {left, right} or board.moment[made]:
                    continue
                extra = board.digits[left] + board.digits[right] - board.digits[made]
                if extra < 0:
                    continue
                with np.errstate(invalid="ignore"):
                    result = product_of(board.units[left], board.units[right], extra)
                if np.array_equal(result, board.units[made], equal_nan=True):
                    yield _times(sample, board, made, (left, right))


def _times(sample: Sight, board: _Board, made: int, parts: tuple[int, int]) -> Linear:
    return Linear(
        makes=(board.refs[made].column,),
        needs=tuple(board.refs[i] for i in parts),
        type=sample.column(board.refs[made]).type,
        digits=board.digits[made],
        scales=tuple(board.digits[i] for i in parts),
        factors=(1, 1),
        product=True,
    )


def evident(relation: Linear, given: Mapping[Ref, pa.Array]) -> bool:
    """Return True if enough rows have all parts other than zero (or one, in a product)."""
    idle = 1.0 if relation.product else 0.0
    busy = np.ones(len(given[relation.needs[0]]), bool)
    for ref in relation.needs:
        numbers, missing = to_numbers(given[ref], ref.column)
        busy &= ~missing & (numbers.astype(np.float64) != 0) & (numbers.astype(np.float64) != idle)
    made = given[Ref(relation.makes[0])].filter(pa.array(busy))
    return int(busy.sum()) >= _VARIED and len(made.unique()) >= _FEW_VALUES
