"""Arrow arrays as their bytes: searching and escaping at the speed of memory.

Texts lie one behind the other in one buffer; a search over the buffer finds most columns
free of what must be escaped, and replacing in it needs new offsets only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import OutOfRangeError

_MOST = 2**31 - 1
_FEW = 8


class StringBytes:
    """The buffer of a string array (int32 offsets), and where each text begins and ends."""

    def __init__(self, text: pa.Array) -> None:
        self.text = text
        rows = len(text)
        buffers = text.buffers()
        offsets = np.frombuffer(buffers[1], dtype=np.int32) if buffers[1] else np.zeros(1, np.int32)
        offsets = offsets[text.offset : text.offset + rows + 1]
        start, stop = (int(offsets[0]), int(offsets[-1])) if rows else (0, 0)
        self.offsets: npt.NDArray[np.int32] = offsets - np.int32(start)
        whole = memoryview(buffers[2]) if buffers[2] else memoryview(b"")
        self.data = bytes(whole[start:stop])
        self._counts: dict[bytes, npt.NDArray[np.int64]] = {}
        self._places: dict[bytes, npt.NDArray[np.int64]] = {}

    def has(self, *characters: bytes) -> bool:
        """Tell whether any of the single bytes occurs."""
        return any(character in self.data for character in characters)

    def counts(self, character: bytes) -> npt.NDArray[np.int64]:
        """Return how often the single byte occurs before each offset."""
        known = self._counts.get(character)
        if known is None:
            known = np.zeros(len(self.offsets), np.int64)
            np.cumsum(
                np.bincount(self._rows_of(character), minlength=len(self.text)), out=known[1:]
            )
            self._counts[character] = known
        return known

    def _rows_of(self, character: bytes) -> npt.NDArray[np.int64]:
        """Return the row of each place where the single byte occurs."""
        if character not in self._places:
            places = np.flatnonzero(np.frombuffer(self.data, np.uint8) == character[0])
            self._places[character] = np.searchsorted(self.offsets[1:], places, side="right")
        return self._places[character]

    def rows_with(self, *characters: bytes) -> npt.NDArray[np.bool_]:
        """Return which texts hold any of the single bytes."""
        rows = np.zeros(len(self.text), np.bool_)
        for character in characters:
            if character in self.data:
                rows[self._rows_of(character)] = True
        return rows

    def ends(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return the first and the last byte of each text; 0 where it is empty."""
        rows = len(self.text)
        if not self.data:
            return np.zeros(rows, np.uint8), np.zeros(rows, np.uint8)
        codes = np.frombuffer(self.data, np.uint8)
        first = codes.take(self.offsets[:-1], mode="clip")
        last = codes.take(self.offsets[1:] - 1, mode="clip")
        empty = self.offsets[1:] == self.offsets[:-1]
        if empty.any():
            first[empty] = last[empty] = 0
        return first, last


def replaced(text: pa.Array | StringBytes, escapes: dict[bytes, bytes]) -> pa.Array:
    """Return `text` with each single byte of `escapes` replaced, all in one go.

    No replacement may hold a byte that is replaced by a later one. Raises
    OutOfRangeError where the result exceeds the 2 GiB of a string array.
    """
    source = text if isinstance(text, StringBytes) else StringBytes(text)
    there = [old for old in escapes if old in source.data]
    if not there:
        return source.text
    shift = np.zeros(len(source.offsets), np.int64)
    data = source.data
    for old in there:
        shift += source.counts(old) * (len(escapes[old]) - 1)
        data = data.replace(old, escapes[old])
    if len(data) > _MOST:
        raise OutOfRangeError(
            "the texts of one block take more than 2 GiB once escaped; "
            "ask for fewer rows at a time",
            reason="BLOCK_TOO_LARGE",
        )
    return strings(source.offsets + shift, data, source.text)


def strings(offsets: npt.NDArray[np.integer[Any]], data: bytes, like: pa.Array) -> pa.Array:
    """Return the string array of these offsets and bytes, missing where `like` is."""
    valid = None
    if like.null_count:
        there = np.asarray(like.is_valid())
        valid = pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(like), buffers, like.null_count)


def flags(rows: npt.NDArray[np.bool_], mark: str) -> pa.Array:
    """Return a string array of `mark` where `rows` is true, else of empty texts."""
    data = mark.encode()
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(rows, out=offsets[1:])
    data *= int(offsets[-1])
    offsets *= len(mark.encode())
    return pa.Array.from_buffers(
        pa.string(), len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(data)], 0
    )


def with_mark(text: pa.Array, rows: npt.NDArray[np.bool_], mark: str) -> pa.Array:
    """Return `text` with `mark` behind the texts where `rows` is true."""
    places = np.flatnonzero(rows)
    if not len(places):
        return text
    if len(places) > len(rows) // _FEW:
        return pc.binary_join_element_wise(text, flags(rows, mark), "")
    source, end = StringBytes(text), mark.encode()
    parts, start = [], 0
    for stop in source.offsets[places + 1].tolist():
        parts += [source.data[start:stop], end]
        start = stop
    parts.append(source.data[start:])
    shift = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(rows, out=shift[1:])
    return strings(source.offsets + shift * len(end), b"".join(parts), text)


def one_of(characters: bytes) -> npt.NDArray[np.bool_]:
    """Return a table that tells of each byte whether it is one of `characters`."""
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(characters, np.uint8)] = True
    return table


def raw(values: pa.Array, kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return the buffer of a column of 8 bytes a value; what stands at nulls means nothing."""
    buffer = values.buffers()[1]
    if buffer is None:
        return np.zeros(len(values), kind)
    return np.frombuffer(buffer, kind)[values.offset : values.offset + len(values)]
