"""Rows of text put together from parts: cells, what stands between them, wide texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.cells import Field, Part

_WORD = 8
# So much of the rows is put together at a time.
_TABLE_BYTES = 1 << 21
_MOST_ADDED = 255
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_SUM_OF_PAIRS = np.uint64(0x0001000100010001)


def lines(parts: Sequence[Part], rows: int) -> pa.Array:
    """Return one text a row: its parts one behind the other, missing texts being nothing."""
    joined: list[pa.Array] = []
    narrow: list[bytes | Field] = []
    for part in parts:
        if isinstance(part, pa.Array):
            joined += [_squeezed(narrow, rows)] if narrow else []
            joined.append(part)
            narrow = []
        else:
            narrow.append(part)
    joined += [_squeezed(narrow, rows)] if narrow else []
    if len(joined) == 1 and not joined[0].null_count:
        return joined[0]
    return pc.binary_join_element_wise(*joined, "", null_handling="replace", null_replacement="")


def _squeezed(parts: Sequence[bytes | Field], rows: int) -> pa.Array:
    """Return the parts of each row without their zero bytes."""
    sizes = [len(part) if isinstance(part, bytes) else part.itemsize for part in parts]
    ends = np.cumsum(sizes).tolist()
    width = -(-ends[-1] // _WORD) * _WORD
    row = bytearray(width)
    fields: list[tuple[int, Field]] = []
    for part, size, end in zip(parts, sizes, ends, strict=True):
        if isinstance(part, bytes):
            row[end - size : end] = part
        else:
            fields.append((end - size, part))
    offsets = np.zeros(rows + 1, np.int32)
    data: list[pa.Buffer] = []
    step = max(1, _TABLE_BYTES // width)
    table, there = _scratch(min(rows, step), width), _scratch(min(rows, step), width).view(np.bool_)
    places = [(f"V{field.itemsize}", start, field) for start, field in fields]
    for first in range(0, rows, step):
        some = min(step, rows - first)
        table[:] = np.frombuffer(row, np.uint8)
        for kind, start, field in places:
            cell = np.ndarray((some,), kind, table, start, (width,))
            cell[:] = field[first : first + some].view(kind)
        np.not_equal(table[:some], 0, out=there[:some])
        offsets[first + 1 : first + some + 1] = _true_in_rows(there[:some])
        data.append(_without_zeros(table[:some], there[:some]))
    np.cumsum(offsets, out=offsets)
    whole = data[0] if len(data) == 1 else pa.py_buffer(b"".join(data))
    return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(offsets), whole], 0)


def _scratch(rows: int, width: int) -> npt.NDArray[np.uint8]:
    """Return memory of Arrow's pool, which keeps it."""
    return np.frombuffer(pa.allocate_buffer(rows * width), np.uint8).reshape(rows, width)


def _without_zeros(table: npt.NDArray[np.uint8], there: npt.NDArray[np.bool_]) -> pa.Buffer:
    """Return the bytes of the table where they are there; Arrow copies them run by run."""
    flat = pa.Array.from_buffers(pa.uint8(), table.size, [None, pa.py_buffer(table)])
    kept = pa.py_buffer(np.packbits(there, bitorder="little"))
    mask = pa.Array.from_buffers(pa.bool_(), table.size, [None, kept])
    found = pc.filter(flat, mask)
    return found.buffers()[1].slice(0, len(found))


def _true_in_rows(table: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Return how many of each row are true: eight columns a word, a byte for each."""
    words = table.view(np.uint64)
    total = np.zeros(len(table), np.uint64)
    for start in range(0, words.shape[1], _MOST_ADDED):
        bytewise = words[:, start].copy()
        for column in range(start + 1, min(start + _MOST_ADDED, words.shape[1])):
            bytewise += words[:, column]
        pairs = (bytewise & _EVEN_BYTES) + ((bytewise >> np.uint64(8)) & _EVEN_BYTES)
        total += (pairs * _SUM_OF_PAIRS) >> np.uint64(48)
    return total
