"""Codecs learned from noisy answers only: category lists, bins, spikes, missing shares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding.base import Codec, combined
from syntheflow_server.engine.encoding.boolean import BooleanCodec
from syntheflow_server.engine.encoding.category import CategoryCodec
from syntheflow_server.engine.encoding.constant import ConstantCodec
from syntheflow_server.engine.encoding.numeric import NumericCodec
from syntheflow_server.engine.encoding.plain import to_numbers
from syntheflow_server.engine.encoding.temporal import TemporalCodec
from syntheflow_server.engine.privacy.ledger import Account
from syntheflow_server.engine.privacy.pieces import Pieces, cell_range, line_cells, trimmed

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ON = "values of columns"
_KNOWN_SHARE = 0.5
_SURE = 3.0
_MOST_VALUES = 4096
_ONE_TOKEN = 256
_DAY = 86_400_000_000
_EXACT_FLOAT = 2.0**53
_DIGITS = 9
_UNITS = (1, 1_000, 1_000_000, 60_000_000, 3_600_000_000, _DAY)
_FINEST_SHARE = 0.01
_WIDE_DIGITS = 18
_PARTS = 64
_PART_SIGMAS = 8.0
_MOST_PLACES = 4096
_LARGEST = 1 << 62
_HELD = 4.5
"""Of 1,000 empty cells one in three hundred fits passes this many deviations."""
_FINEST = 0.2
_RANGE = 0.5
_COUNTED = 1.5
"""What a numeric column spends on its unit, its range and its distribution, in prices."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one column may spend: precision for each of its at most four queries, delta, bins.

    `rows` is the noisy number of rows of the table.
    """

    precision: float
    delta: float
    bins: int
    rows: float

    @property
    def sigma(self) -> float:
        """Deviation of each answer."""
        return float(self.precision**-0.5)


def private_codec(
    table: str, column: Column, values: pa.Array | pa.ChunkedArray, ledger: Account, price: Price
) -> Codec:
    """Return a codec for `values` of `column` of which every part is paid for.

    Raises UnsupportedError for texts whose values hardly repeat, naming the column.
    """
    array = combined(values)
    if pa.types.is_boolean(array.type):
        return _boolean(column, array, ledger, price)
    if pa.types.is_string(array.type):
        codec = _category(column, array, ledger, price)
        if codec is None:
            raise UnsupportedError(
                f"table {table!r}, column {column.name!r}: its texts hardly repeat, or the"
                " table has too few rows for this epsilon, so that no list of them can be told;"
                " leave the column out, raise epsilon, or declare it an identifier, for which"
                " fresh values are made",
                reason="PRIVATE_TEXT",
                metadata={"table": table, "column": column.name},
            )
        return codec
    if column.semantic_type is SemanticType.CATEGORY:
        codec = _category(column, array, ledger, price)
        if codec is not None:
            return codec
    if pa.types.is_temporal(array.type):
        return _temporal(column, array, ledger, price)
    return _numeric(column, array, ledger, price)


def queries_of(column: Column) -> float:
    """Return how many times its price's precision a column may spend at most."""
    kind = column.arrow
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return 1.0
    category = 1.0 if column.semantic_type is SemanticType.CATEGORY else 0.0
    if pa.types.is_timestamp(kind):
        return category + _FINEST + 2 * (_RANGE + _COUNTED)
    return category + _FINEST + _RANGE + _COUNTED


def _boolean(column: Column, array: pa.Array, ledger: Account, price: Price) -> Codec:
    codes = pc.fill_null(array.cast(pa.uint8()), 2).to_numpy(zero_copy_only=False)
    counts = ledger.noisy(np.bincount(codes, minlength=3), price.precision, _ON)
    return BooleanCodec.of(column.name, 3 if counts[2] > _SURE * price.sigma else 2)


def _category(column: Column, array: pa.Array, ledger: Account, price: Price) -> Codec | None:
    """Return the codec, or None if less than half of the rows hold a value that may be told."""
    counted = pc.value_counts(array.drop_null())
    counts = counted.field("counts").to_numpy(zero_copy_only=False).astype(np.int64)
    kept, noisy, missing = _known(counts, array.null_count, ledger, price)
    order = np.argsort(-noisy, kind="stable")[:_MOST_VALUES]
    kept, noisy = kept[order], noisy[order]
    present = price.rows - missing
    if not len(kept):
        if missing > price.rows / 2:
            return ConstantCodec.fit(column, pa.nulls(1, column.arrow))
        return None
    if noisy.sum() < _KNOWN_SHARE * present:
        return None
    known = counted.field("values").take(pa.array(kept))
    rare = present - noisy.sum() > _SURE * price.sigma * len(kept) ** 0.5
    if len(kept) == 1 and not rare and not missing:
        return ConstantCodec.fit(column, known)
    width = 1 if len(kept) <= _ONE_TOKEN else int(np.ceil(np.sqrt(len(kept))))
    return CategoryCodec.of(
        column.name,
        column.type,
        known,
        np.cumsum(noisy) / noisy.sum(),
        width=width,
        missing=missing > 0,
        rare=bool(rare),
        distinct=len(kept) + int(missing > 0),
    )


def _known(
    counts: Numbers, missing: int, ledger: Account, price: Price
) -> tuple[Numbers, Floats, float]:
    """Return which values may be told, their noisy counts, and that of missing (0 if maybe none).

    One query: a row is missing or holds one value.
    """
    kept, noisy, also = ledger.known(counts, price.precision, price.delta, _ON, missing)
    return kept, noisy, also if also > _SURE * price.sigma else 0.0


def _numeric(column: Column, array: pa.Array, ledger: Account, price: Price) -> Codec:
    shift = max(0, array.type.precision - _WIDE_DIGITS) if pa.types.is_decimal(array.type) else 0
    numbers, missing = to_numbers(array, column.name, shift=shift)
    present = numbers[~missing]
    digits = None
    if present.dtype == np.int64:
        step = 10 ** _trailing(present, ledger, price)
    else:
        step, digits = 1, _decimals(present, ledger, price)
        limit = _EXACT_FLOAT
        present = np.clip(np.rint(present * 10.0**digits), -limit, limit).astype(np.int64)
    pieces, none = _pieces(np.floor_divide(present, step), int(missing.sum()), ledger, price)
    bins = pieces.bins(price.bins, step)
    return NumericCodec(
        name=column.name,
        tokens=bins.tokens(missing=none > 0),
        draws=bins.draws,
        distinct=bins.size + int(none > 0),
        type=column.type,
        bins=bins,
        missing=none > 0,
        digits=digits,
        shift=shift,
    )


def _temporal(column: Column, array: pa.Array, ledger: Account, price: Price) -> Codec:
    numbers, missing = to_numbers(array, column.name)
    present, step, clock = numbers[~missing], 1, None
    if not pa.types.is_date(array.type):
        step = _unit(present, ledger, price)
    if pa.types.is_timestamp(array.type):
        present, times = np.divmod(present, _DAY)
        if step < _DAY:
            gaps = int(missing.sum())
            clock = _pieces(times // step, gaps, ledger, price)[0].bins(price.bins, step)
        step = 1
    pieces, none = _pieces(np.floor_divide(present, step), int(missing.sum()), ledger, price)
    bins = pieces.bins(price.bins, step)
    distinct = bins.size + int(none > 0)
    return TemporalCodec.of(column.name, column.type, bins, clock, none > 0, (), distinct)


def _trailing(numbers: Numbers, ledger: Account, price: Price) -> int:
    """Return how many zeros (hardly) all integers end in."""
    zeros = np.zeros(len(numbers), np.int64)
    for digit in range(1, _DIGITS + 1):
        zeros[numbers % 10**digit == 0] = digit
    return _finest(zeros, _DIGITS + 1, ledger, price)


def _decimals(numbers: Floats, ledger: Account, price: Price) -> int:
    """Return how many decimals (hardly) all numbers need, at most nine."""
    spare = np.zeros(len(numbers), np.int64)
    for digits in range(_DIGITS, -1, -1):
        scaled = numbers * 10.0**digits
        whole = np.rint(scaled) / 10.0**digits == numbers
        spare[whole & (np.abs(scaled) < _EXACT_FLOAT)] = _DIGITS - digits
    return _DIGITS - _finest(spare, _DIGITS + 1, ledger, price)


def _unit(numbers: Numbers, ledger: Account, price: Price) -> int:
    """Return the coarsest unit of time, in microseconds, that (hardly) all values keep to."""
    level = np.zeros(len(numbers), np.int64)
    for i, unit in enumerate(_UNITS):
        level[numbers % unit == 0] = i
    return _UNITS[_finest(level, len(_UNITS), ledger, price)]


def _finest(levels: Numbers, count: int, ledger: Account, price: Price) -> int:
    """Return the highest level below which hardly any row lies."""
    precision = _FINEST * price.precision
    noisy = ledger.noisy(np.bincount(levels, minlength=count), precision, _ON)
    below = np.cumsum(noisy)
    few = max(_FINEST_SHARE * price.rows, _SURE * (count / precision) ** 0.5)
    return int(np.argmax(below > few)) if (below > few).any() else 0


def _pieces(numbers: Numbers, missing: int, ledger: Account, price: Price) -> tuple[Pieces, float]:
    """Return noisy pieces of the number line, and how many values are missing.

    Where the range has few places every place is counted; else exact values that many
    rows hold, and stretches for all others.
    """
    cells, none = _cells(numbers, missing, ledger, price)
    if not cells:
        return Pieces.of(np.zeros(0, np.int64), np.zeros(0), np.array([[0, 1]]), np.ones(1)), none
    low, high = cell_range(cells[0])[0], cell_range(cells[-1])[1]
    if high - low <= _MOST_PLACES:
        inside = numbers[(numbers >= low) & (numbers < high)] - low
        counts = np.bincount(inside, minlength=high - low)
        noisy = ledger.noisy(counts, _COUNTED * price.precision, _ON)
        return _some(Pieces.counted(low, noisy, price.sigma / _COUNTED**0.5), low, high), none
    values, counts = np.unique(numbers, return_counts=True)
    half = replace(price, precision=_COUNTED / 2 * price.precision)
    kept, noisy, _ = ledger.known(counts, half.precision, price.delta, _ON)
    atoms = values[kept]
    loose = numbers[~np.isin(numbers, atoms)]
    pieces = Pieces.of(atoms, noisy, *_stretches(loose, cells, ledger, half))
    return _some(pieces, low, high), none


def _some(pieces: Pieces, low: int, high: int) -> Pieces:
    """Return the pieces, or the whole range where noise has left none."""
    if len(pieces.lows):
        return pieces
    return Pieces.of(np.zeros(0, np.int64), np.zeros(0), np.array([[low, high]]), np.ones(1))


def _cells(
    numbers: Numbers, missing: int, ledger: Account, price: Price
) -> tuple[list[int], float]:
    """Return the cells of the number line from the lowest to the highest that holds many rows.

    All cells there are get noise, and the missing values with them.
    """
    widest = int(line_cells(np.array([_LARGEST]))[0])
    counts = np.bincount(line_cells(numbers) + widest, minlength=2 * widest + 1)
    precision = _RANGE * price.precision
    noisy = ledger.noisy(np.append(counts, missing), precision, _ON)
    sigma = precision**-0.5
    none = float(noisy[-1]) if noisy[-1] > _SURE * sigma else 0.0
    held = np.flatnonzero(noisy[:-1] > _HELD * sigma) - widest
    if not len(held):
        return [], none
    cells = range(int(held[0]), int(held[-1]) + 1)
    return [c for c in cells if cell_range(c)[1] > cell_range(c)[0]], none


def _stretches(
    numbers: Numbers, cells: list[int], ledger: Account, price: Price
) -> tuple[Numbers, Floats]:
    """Return stretches [m, 2] over the `cells`, and the noisy masses of `numbers` in them.

    Each cell is cut in parts, more where more rows are.
    """
    edges = np.array([cell_range(c)[0] for c in cells] + [cell_range(cells[-1])[1]])
    mass = ledger.noisy(_within(numbers, edges), price.precision / 4, _ON)
    lows: list[int] = []
    for low, high, rows in zip(edges[:-1].tolist(), edges[1:].tolist(), mass.tolist(), strict=True):
        wanted = int(np.clip(rows / (_PART_SIGMAS * price.sigma), 1, _PARTS))
        parts = max(1, min(wanted, high - low))
        lows += [low + (high - low) * i // parts for i in range(parts)]
    fine = np.array([*lows, int(edges[-1])], np.int64)
    precision = price.precision * 3 / 4
    masses = ledger.noisy(_within(numbers, fine), precision, _ON)
    stretches = np.stack([fine[:-1], fine[1:]], axis=1)
    return trimmed(stretches, np.maximum(masses, 0.0), _SURE * precision**-0.5, places=False)


def _within(numbers: Numbers, edges: Numbers) -> Numbers:
    """Return how many numbers lie in each stretch between ascending edges."""
    place = np.searchsorted(edges, numbers, side="right") - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    return np.bincount(place[inside], minlength=len(edges) - 1)
