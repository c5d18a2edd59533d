"""Tables as the scorers see them: one numpy array a column, of the kind the real column has.

Floats are compared at six significant digits, so that a detour over float32 is no give-away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Kind = Literal["number", "time", "category", "text"]
Floats = npt.NDArray[np.float64]
DIGITS = 6
_DAY = 86_400.0
_CLOCK = r"^\d{1,2}:\d\d(:\d\d)?$"
_TEXT_SHARE = 0.2
_TEXT_DISTINCT = 50
_TRUTHS = {"1": "true", "0": "false", "1.0": "true", "0.0": "false"}


class MissingColumnError(Exception):
    """The synthetic rows lack a column of the real ones."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `values` are float64 (NaN: missing) or, for category and text, str ('')."""

    kind: Kind
    values: npt.NDArray[Any]
    rounded: bool = False

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """True where a value is not missing."""
        if self.kind in {"number", "time"}:
            return np.asarray(~np.isnan(self.values))
        return np.asarray(self.values != "")

    def take(self, rows: npt.NDArray[np.intp]) -> Column:
        return Column(self.kind, self.values[rows], self.rounded)


@dataclass(frozen=True, slots=True)
class Frame:
    """Columns of equal length by name."""

    columns: dict[str, Column]
    rows: int

    def take(self, rows: npt.NDArray[np.intp]) -> Frame:
        chosen = {name: column.take(rows) for name, column in self.columns.items()}
        return Frame(chosen, len(rows))

    def sample(self, count: int, rng: np.random.Generator) -> Frame:
        """Return `count` rows drawn without replacement, or all if there are not so many."""
        return self.take(rng.permutation(self.rows)[:count])

    def joined(self, other: Frame) -> Frame:
        """Return the rows of both."""
        columns = {
            name: Column(c.kind, np.concatenate([c.values, other.columns[name].values]), c.rounded)
            for name, c in self.columns.items()
        }
        return Frame(columns, self.rows + other.rows)

    def only(self, names: Sequence[str]) -> Frame:
        return Frame({name: self.columns[name] for name in names}, self.rows)

    def without(self, names: Sequence[str]) -> Frame:
        return self.only([name for name in self.columns if name not in names])


def read(path: Path, kinds: dict[str, tuple[Kind, bool]]) -> Frame:
    """Read a Parquet file as columns of the kinds that `kinds_of` found in the real rows."""
    return frame_of(pq.read_table(path), kinds)


def frame_of(table: pa.Table, kinds: dict[str, tuple[Kind, bool]]) -> Frame:
    """Return a table's columns in the kinds given; MissingColumnError if one is not there."""
    lacking = [name for name in kinds if name not in table.column_names]
    if lacking:
        raise MissingColumnError(f"column {lacking[0]!r} is missing")
    columns = {
        name: Column(kind, _values(table.column(name), kind, rounded=rounded), rounded)
        for name, (kind, rounded) in kinds.items()
    }
    return Frame(columns, table.num_rows)


def kinds_of(path: Path) -> dict[str, tuple[Kind, bool]]:
    """Return each column's kind, and whether it is rounded.

    Floats are, to six significant digits, and dates, to whole days: peers are given moments.
    """
    table = pq.read_table(path)
    return {name: _kind(table.column(name)) for name in table.column_names}


def kinds_in(table: pa.Table) -> dict[str, tuple[Kind, bool]]:
    """Return kinds as `kinds_of` does, but for what small tables hold.

    Texts that are all times of a day are numbers (seconds); categories of which half of the
    values differ are texts.
    """
    return {
        name: _finer(table.column(name), _kind(table.column(name))) for name in table.schema.names
    }


def _finer(column: pa.ChunkedArray, found: tuple[Kind, bool]) -> tuple[Kind, bool]:
    if found[0] in {"category", "text"} and _is_clock(column):
        return "number", False
    known = column.drop_null()
    several = found[0] == "category" and len(known) > 1
    if several and 2 * len(known.unique()) > len(known):
        return "text", False
    return found


def _is_clock(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    texts = column.drop_null()
    return len(texts) > 0 and bool(pc.all(pc.match_substring_regex(texts, _CLOCK)).as_py())


def _kind(column: pa.ChunkedArray) -> tuple[Kind, bool]:
    if pa.types.is_floating(column.type):
        whole = column.drop_null().to_numpy()
        whole = whole[~np.isnan(whole)]
        return "number", bool(np.any(whole != np.floor(whole)))
    if pa.types.is_decimal(column.type):
        return "number", True
    if pa.types.is_integer(column.type) or pa.types.is_duration(column.type):
        return "number", False
    if pa.types.is_time(column.type):
        return "time", False
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return "time", pa.types.is_date(column.type)
    distinct = len(set(_texts(column, truths=False).tolist()))
    telling = distinct > max(_TEXT_DISTINCT, _TEXT_SHARE * len(column))
    return ("text" if telling else "category"), False


def _values(column: pa.ChunkedArray, kind: Kind, *, rounded: bool) -> npt.NDArray[Any]:
    if kind == "number":
        values = _numbers(column)
        return six_digits(values) if rounded else values
    if kind == "time":
        moments = _moments(column)
        return np.floor(moments / _DAY) * _DAY if rounded else moments
    return _texts(column, truths=kind == "category")


def six_digits(values: Floats) -> Floats:
    """Round to six significant digits."""
    with np.errstate(all="ignore"):
        shift = np.floor(np.log10(np.abs(np.where(values == 0, 1.0, values)))) - (DIGITS - 1)
        small = shift < 0
        # Powers of ten that are exact, so that equal texts give equal floats.
        power = np.power(10.0, np.abs(shift))
        whole = np.round(np.where(small, values * power, values / power))
        rounded = np.where(small, whole / power, whole * power)
    return np.where(np.isfinite(rounded), rounded, values)


def _numbers(column: pa.ChunkedArray) -> Floats:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array([_number(text) for text in column.to_pylist()], dtype=np.float64)
    if pa.types.is_duration(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_dictionary(kind):
        return _numbers(column.cast(kind.value_type))
    elif pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy())


def _number(text: str | None) -> float:
    """Return the number that a text spells, the seconds of a time of day, or NaN."""
    try:
        parts = [float(part) for part in text.split(":")] if text is not None else []
    except ValueError:
        return math.nan
    if len(parts) == 1:
        return parts[0]
    return (
        sum(p * size for p, size in zip(parts, (3600, 60, 1), strict=False)) if parts else math.nan
    )


def _moments(column: pa.ChunkedArray) -> Floats:
    """Seconds since 1970, or since midnight for times of day."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _parsed(column)
    if pa.types.is_time(column.type):
        micros = column.cast(pa.time64("us")).cast(pa.int64())
    elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return _numbers(column)
    else:
        micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    return np.asarray(pc.divide(micros.cast(pa.float64()), 1e6).fill_null(math.nan).to_numpy())


def _parsed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read ISO texts; times of day become moments of 1970-01-01."""
    first = next((text for text in column.to_pylist() if text), "")
    clock = len(first) > 2 and first[2] == ":"
    day = "1970-01-01T" if clock else ""
    texts = [day + text if text else None for text in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string()).cast(pa.timestamp("us"))])


def _texts(column: pa.ChunkedArray, *, truths: bool) -> npt.NDArray[Any]:
    """Return text for each value, '' where missing; booleans and whole floats in one spelling."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    spelled = {value: _spelled(value) for value in column.unique().to_pylist()}
    if truths and set(spelled.values()) <= {"", "0", "1", "True", "False", "true", "false"}:
        spelled = {k: _TRUTHS.get(v, v.lower()) for k, v in spelled.items()}
    return np.array([spelled[value] for value in column.to_pylist()], dtype=object)


def _spelled(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
