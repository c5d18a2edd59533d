"""Values of a column as 64-bit numbers, part by part: what is known of large columns rests on it.

Equal values have equal numbers. Whole numbers, dates and moments are mapped one to one, so
uniqueness is exact; texts and decimals are hashed, and among fifteen million of them two differ
in value but not in number with a chance of six in a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.tables import StoredSource

Prints = npt.NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_PLAIN = (
    pa.types.is_integer, pa.types.is_date, pa.types.is_timestamp, pa.types.is_time,
    pa.types.is_duration, pa.types.is_floating,
)  # fmt: skip


class Fingerprints:
    """The fingerprints of one column, in its source's parts; nulls are left out."""

    def __init__(self, source: StoredSource, name: str) -> None:
        self._source, self._name = source, name

    def __iter__(self) -> Iterator[Prints]:
        """Yield the fingerprints of each part, in row order."""
        for number in range(len(self._source.parts)):
            values = self._source.part(self._name, number)
            yield fingerprints(values.drop_null() if values.null_count else values)

    def repeats(self) -> int:
        """Return how many values repeat an earlier one: exact but for collisions."""
        if self.ascend():
            return 0
        every = np.concatenate([np.empty(0, np.uint64), *self])
        every.sort()
        return int((every[1:] == every[:-1]).sum())

    def ascend(self) -> bool:
        """Tell whether each number is larger than the one before; most keys are."""
        last: int | None = None
        for part in self:
            if not len(part):
                continue
            if not (part[1:] > part[:-1]).all() or (last is not None and int(part[0]) <= last):
                return False
            last = int(part[-1])
        return True


def fingerprints(values: pa.Array) -> Prints:
    """Return a number per value of an array without nulls."""
    kind = values.type
    if pa.types.is_boolean(kind):
        return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.uint64)
    if any(fits(kind) for fits in _PLAIN):
        width = np.dtype(f"i{kind.bit_width // 8}")
        start = values.offset * width.itemsize
        raw = np.frombuffer(values.buffers()[1], np.uint8)
        plain = raw[start : start + len(values) * width.itemsize].view(width)
        return plain.astype(np.int64).view(np.uint64) + np.uint64(1 << 63)
    con = _hasher()
    con.register("given", pa.table({"v": values}))
    hashed = con.sql("SELECT hash(v) AS h FROM given").to_arrow_table().column("h")
    return np.asarray(hashed.to_numpy(), np.uint64)


@cache
def _hasher() -> duckdb.DuckDBPyConnection:
    """Return a connection, made once: that takes as long as hashing a part."""
    return duckdb.connect(":memory:", config={"threads": 1})


@dataclass(frozen=True, slots=True)
class Spread:
    """How values repeat, judged on all rows of one value in `every`: see ColumnProfile."""

    distinct: int
    rare_share: float
    collision: float
    repeats: bool


def spread(source: StoredSource, name: str, every: int) -> Spread:
    """Look at all rows of about one in `every` values, chosen by their fingerprints."""
    chosen: list[pa.Array] = []
    rows = 0
    for number in range(len(source.parts)):
        values = source.part(name, number)
        values = values.drop_null() if values.null_count else values
        rows += len(values)
        text = pa.types.is_string(values.type)
        drawn = _tails(values) if text else fingerprints(values)
        taken = ((drawn * _GOLDEN) >> np.uint64(40)) % np.uint64(every) == 0
        chosen.append(values.filter(pa.array(taken)) if text else pa.array(drawn[taken]))
    counted = pa.chunked_array(chosen).value_counts().field("counts") if chosen else pa.array([])
    counts = np.asarray(counted.to_numpy(zero_copy_only=False), np.int64)
    taken = max(1, int(counts.sum()))
    return Spread(
        distinct=min(rows, len(counts) * every),
        rare_share=float(counts[counts < 3].sum() / taken),
        collision=float(np.square(counts / max(1, rows)).sum() * every),
        repeats=bool((counts > 1).any()),
    )


def _tails(texts: pa.Array) -> Prints:
    """Return a number per text made of its length and last eight bytes: quick, not unique."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)
    offsets = offsets[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    data = np.frombuffer(texts.buffers()[2] or b"\0", np.uint8)
    starts, ends = offsets[:-1], offsets[1:]
    number = (ends - starts).astype(np.uint64)
    for back in range(1, 9):
        at = ends - back
        byte = np.where(at >= starts, data[np.maximum(at, 0).clip(max=len(data) - 1)], 0)
        number = number * np.uint64(257) + byte.astype(np.uint64)
    return number
