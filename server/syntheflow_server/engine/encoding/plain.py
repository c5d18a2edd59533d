"""Arrow values as plain numbers, and lists of values as bytes for the artefact."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError

_WIDE_DIGITS = 18
_DAY = 86_400_000_000


def array_to_bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """Return `values` as the bytes of an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([values], names=["values"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return np.frombuffer(sink.getvalue(), np.uint8).copy()


def array_from_bytes(data: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return the values that `array_to_bytes` wrote, as `kind`."""
    table = pa.ipc.open_stream(pa.py_buffer(np.ascontiguousarray(data).tobytes())).read_all()
    return table.column(0).combine_chunks().cast(kind)


def table_to_bytes(rows: pa.Table) -> npt.NDArray[np.uint8]:
    """Return rows as the bytes of an Arrow stream with a single batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    return np.frombuffer(sink.getvalue(), np.uint8).copy()


def table_from_bytes(data: npt.NDArray[Any]) -> pa.Table:
    """Return the rows that `table_to_bytes` wrote, without copying them."""
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


def to_numbers(
    values: pa.Array, name: str, *, shift: int = 0
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the values as int64 or float64 and the mask of missing ones.

    Temporal types count their own unit, decimals count 10**(shift - scale); NaN is
    missing. Raises InvalidArgumentError naming the column if a value is infinite.
    """
    missing = values.is_null().to_numpy(zero_copy_only=False)
    kind = values.type
    if pa.types.is_floating(kind):
        floats = pc.fill_null(values, float("nan")).to_numpy(zero_copy_only=False) + 0.0
        if np.isinf(floats).any():
            raise InvalidArgumentError(
                f"column {name!r} holds infinite values; replace them by numbers or nulls",
                reason="VALUE_INFINITE",
                metadata={"column": name},
            )
        return floats, missing | np.isnan(floats)
    if pa.types.is_decimal(kind):
        return _decimal_numbers(values, shift), missing
    if pa.types.is_date32(kind):
        values = values.cast(pa.int32())
    whole = pc.fill_null(values.cast(pa.int64()), 0)
    return whole.to_numpy(zero_copy_only=False), missing


def moments(values: pa.Array, kind: pa.DataType) -> npt.NDArray[np.int64] | None:
    """Return the values in the unit of `kind`: whole numbers, or days and instants of either type.

    None if they are of another sort than `kind`.
    """
    own = values.type
    dated = [pa.types.is_date32(t) or pa.types.is_timestamp(t) for t in (own, kind)]
    if not all(dated) and not (pa.types.is_int64(own) and pa.types.is_int64(kind)):
        return None
    numbers = to_numbers(values, "")[0].astype(np.int64)
    if pa.types.is_date32(kind) and pa.types.is_timestamp(own):
        return np.asarray(numbers // _DAY)
    if pa.types.is_timestamp(kind) and pa.types.is_date32(own):
        return np.asarray(numbers * _DAY)
    return numbers


def from_numbers(
    numbers: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None, kind: pa.DataType, shift: int
) -> pa.Array:
    """Return Arrow values of `kind`: the inverse of `to_numbers`."""
    mask = missing if missing is not None and missing.any() else None
    if pa.types.is_decimal(kind):
        return _decimal_array(numbers, mask, kind, shift)
    if pa.types.is_floating(kind):
        return pa.array(numbers.astype(np.float64, copy=False), kind, mask=mask)
    if pa.types.is_date32(kind):
        return pa.array(numbers.astype(np.int32), pa.int32(), mask=mask).cast(kind)
    whole = pa.array(numbers.astype(np.int64, copy=False), pa.int64(), mask=mask)
    return whole if pa.types.is_int64(kind) else whole.cast(kind)


def decimal_shift(values: pa.Array) -> int:
    """Return how many low digits must be dropped for every value to fit into int64."""
    kind = values.type
    if (
        not pa.types.is_decimal(kind)
        or kind.precision <= _WIDE_DIGITS
        or values.null_count == len(values)
    ):
        return 0
    low, high = (abs(int(v.as_py().scaleb(kind.scale))) for v in pc.min_max(values).values())
    return max(0, len(str(max(low, high))) - _WIDE_DIGITS)


def _decimal_numbers(values: pa.Array, shift: int) -> npt.NDArray[np.int64]:
    kind = values.type
    if shift:
        narrow = pa.decimal128(38, kind.scale - shift)
        values = pc.round(values, kind.scale - shift).cast(narrow)
    words = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, 2)
    low = words[values.offset : values.offset + len(values), 0].copy()
    low[values.is_null().to_numpy(zero_copy_only=False)] = 0
    return low


def _decimal_array(
    numbers: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None, kind: pa.DataType, shift: int
) -> pa.Array:
    low = numbers.astype(np.int64, copy=False)
    words = np.empty((len(low), 2), np.int64)
    words[:, 0] = low
    words[:, 1] = low >> 63
    validity = None
    if mask is not None:
        validity = pa.array(~mask).buffers()[1]
    plain = pa.decimal128(38, kind.scale - shift)
    array = pa.Array.from_buffers(plain, len(low), [validity, pa.py_buffer(words)])
    return array.cast(kind)
