"""Columns as whole numbers of their finest unit, so that sums and differences are exact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.base import Codec, Ints, combined
from syntheflow_server.engine.encoding.numeric import NumericCodec
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.encoding.temporal import TemporalCodec

Mask = npt.NDArray[np.bool_]
_FINE = 10
_EXACT = 2.0**53


def to_whole(codec: Codec, values: pa.Array) -> tuple[Ints, Mask] | None:
    """Return the values [n] in whole units (0 if missing) and which are missing.

    None for columns that are not counted in whole units.
    """
    values = combined(values)
    if isinstance(codec, TemporalCodec):
        numbers, missing = to_numbers(values, codec.name)
        return numbers.astype(np.int64), missing
    if not isinstance(codec, NumericCodec):
        return None
    numbers, missing = to_numbers(values, codec.name, shift=codec.shift)
    if numbers.dtype == np.int64:
        return numbers, missing
    digits = _digits(codec)
    if digits is None:
        return None
    whole = np.clip(np.rint(np.where(missing, 0, numbers) * 10.0**digits), -_EXACT, _EXACT)
    return whole.astype(np.int64), missing


def from_whole(codec: Codec, numbers: Ints, missing: Mask, kind: pa.DataType) -> pa.Array:
    """Return values of `kind`: the inverse of `to_whole`."""
    if not isinstance(codec, NumericCodec):
        return from_numbers(numbers, missing, kind, 0)
    digits = _digits(codec)
    if digits is not None:
        return from_numbers(numbers / 10.0**digits, missing, kind, codec.shift)
    return from_numbers(numbers, missing, kind, codec.shift)


def _digits(codec: NumericCodec) -> int | None:
    """Return the decimals of a float's finest unit; None for integers, or if there are none.

    A float on no grid of decimals is counted finely enough for nobody to see the grid.
    """
    if codec.digits is not None:
        return codec.digits
    lows = codec.bins.lows
    if lows.dtype == np.int64 or not len(lows):
        return None
    span, most = float(lows[-1] - lows[0]), float(np.abs(lows).max())
    if not 0 < span < np.inf:
        return None
    digits = _FINE - int(np.floor(np.log10(span)))
    room = int(np.floor(np.log10(_EXACT / most)))
    return min(digits, room) if min(digits, room) > -_FINE else None
