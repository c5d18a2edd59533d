"""What inference knows of a column: counts and shapes, found in one look at its values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.tables import StoredSource
from syntheflow_server.schema.fingerprints import Fingerprints, Spread, spread
from syntheflow_server.schema.names import template

_SHAPE_SAMPLE = 4_000
_FEW_TEMPLATES = 20
_TEMPLATE_LENGTH = 200
_COVERED = 0.9
_TELLING = 0.3
_FEW_LENGTHS = 3
LARGE = 2_000_000
"""Rows above which a table is not looked at whole."""
_SAMPLE_PARTS = 8
_FEW = 0.02
_SPREAD_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How the distinct texts of a column look, judged on up to 4,000 of them."""

    structured: bool
    """Few templates of digits and capitals cover nine of ten."""
    blanks: bool
    """More than one in ten holds a blank."""
    mean_length: float


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """Counts of one column; `rare_share` is the share of rows whose value has 1 or 2 rows.

    In tables above LARGE rows all but `rows`, `nulls` and `unique` are estimates.
    """

    name: str
    kind: pa.DataType
    position: int
    rows: int
    nulls: int
    distinct: int
    rare_share: float
    collision: float
    """Chance that two rows taken at random have the same value."""
    sequential: bool
    """Integers without a gap."""
    shape: Shape | None

    @property
    def unique(self) -> bool:
        """Every row has a value and none comes twice."""
        return self.rows > 0 and self.nulls == 0 and self.distinct == self.rows

    @property
    def is_text(self) -> bool:
        """Stored as a string."""
        return bool(pa.types.is_string(self.kind))

    @property
    def is_integer(self) -> bool:
        """Stored as an integer."""
        return bool(pa.types.is_integer(self.kind))

    @property
    def is_day(self) -> bool:
        """A date or a moment."""
        return bool(pa.types.is_date(self.kind) or pa.types.is_timestamp(self.kind))


class TableProfile:
    """The profiles of a table's columns; the data behind them are read when asked for."""

    def __init__(self, name: str, source: StoredSource, schema: pa.Schema) -> None:
        self.name = name
        self.source = source
        self.rows = source.num_rows
        self.columns = tuple(
            profile_column(source, field.name, field.type, position)
            for position, field in enumerate(schema)
        )

    @cached_property
    def by_name(self) -> dict[str, ColumnProfile]:
        """The columns by name."""
        return {column.name: column for column in self.columns}


def profile_column(
    source: StoredSource, name: str, kind: pa.DataType, position: int
) -> ColumnProfile:
    """Look at the values of a column: at all of them, or in tables above LARGE at enough."""
    if source.num_rows > LARGE:
        return _profile_large(source, name, kind, position)
    values = source.column(name)
    nulls = int(values.null_count)
    present = values.drop_null() if nulls else values
    counted = present.value_counts()
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    filled = len(values) - nulls
    shares = counts / max(filled, 1)
    unique_values = counted.field("values")
    sequential = False
    if pa.types.is_integer(kind) and len(counts):
        ends = pc.min_max(unique_values).as_py()
        sequential = ends["max"] - ends["min"] + 1 == len(counts)
    return ColumnProfile(
        name=name,
        kind=kind,
        position=position,
        rows=len(values),
        nulls=nulls,
        distinct=len(counts),
        rare_share=float(counts[counts < 3].sum() / max(filled, 1)),
        collision=float(np.square(shares).sum()),
        sequential=sequential,
        shape=_shape(unique_values) if pa.types.is_string(kind) else None,
    )


def _profile_large(
    source: StoredSource, name: str, kind: pa.DataType, position: int
) -> ColumnProfile:
    """Estimate in bounded memory how values repeat; nulls and uniqueness are exact.

    Parts from all over the table tell columns of few values; of the others all rows of
    some values are looked at.
    """
    nulls, rows = source.nulls(name), source.num_rows
    step = max(1, len(source.parts) // _SAMPLE_PARTS)
    taken = [source.part(name, number) for number in range(0, len(source.parts), step)]
    present = pa.chunked_array([part.drop_null() for part in taken], type=kind)
    counted = present.value_counts()
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    unique_values = counted.field("values")
    shares = counts / max(1, len(present))
    few = len(counts) <= _FEW * len(present)
    distinct = len(counts) + int((counts == 1).sum())
    rare, collision = float(shares[counts < 3].sum()), float(np.square(shares).sum())
    found = Spread(distinct, rare, collision, repeats=True)
    ascends = not few and pa.types.is_integer(kind) and Fingerprints(source, name).ascend()
    if ascends:
        found = Spread(rows, 1.0, 1.0 / rows, repeats=False)
    elif not few and not pa.types.is_floating(kind):
        found = spread(source, name, max(1, rows // _SPREAD_ROWS))
    filled = rows - nulls
    if found.repeats:
        distinct = min(found.distinct, filled - 1)
    else:
        distinct = filled - (0 if ascends else Fingerprints(source, name).repeats())
    return ColumnProfile(
        name=name,
        kind=kind,
        position=position,
        rows=rows,
        nulls=nulls,
        distinct=distinct,
        rare_share=found.rare_share,
        collision=found.collision,
        sequential=pa.types.is_integer(kind)
        and not found.repeats
        and _is_dense(source, name, distinct),
        shape=_shape(unique_values) if pa.types.is_string(kind) else None,
    )


def _is_dense(source: StoredSource, name: str, distinct: int) -> bool:
    """Tell whether so many different integers leave no gap between the least and the largest."""
    low, high = None, None
    for number in range(len(source.parts)):
        ends = pc.min_max(source.part(name, number)).as_py()
        if ends["min"] is not None:
            low = ends["min"] if low is None else min(low, ends["min"])
            high = ends["max"] if high is None else max(high, ends["max"])
    return low is not None and high is not None and high - low + 1 == distinct


def _shape(distinct: pa.Array) -> Shape:
    if not len(distinct):
        return Shape(structured=False, blanks=False, mean_length=0.0)
    step = max(1, len(distinct) // _SHAPE_SAMPLE)
    texts = distinct.take(pa.array(range(0, len(distinct), step))).to_pylist()
    templates = Counter(template(text[:_TEMPLATE_LENGTH]) for text in texts)
    common = templates.most_common(_FEW_TEMPLATES)
    covered = sum(count for _, count in common) >= _COVERED * len(texts)
    telling = len(common) <= max(1, _TELLING * len(texts))
    # Capitals alone make a code only if they come in fixed lengths; names do not.
    fixed = len({len(t) for t, _ in common}) <= _FEW_LENGTHS
    formal = sum(count for t, count in common if "9" in t or (fixed and "a" not in t))
    blanks = sum(" " in text for text in texts) > 0.1 * len(texts)
    mean_length = sum(map(len, texts)) / len(texts)
    structured = covered and telling and formal >= _COVERED / 2 * len(texts)
    return Shape(structured, blanks, mean_length)
