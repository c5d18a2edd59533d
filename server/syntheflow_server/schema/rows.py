"""Rows of several columns as numbers: uniqueness and membership of tuples, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.tables import StoredSource

Codes = npt.NDArray[np.int64]
_ROOM = 1 << 62


def column_codes(values: pa.ChunkedArray) -> Codes:
    """Return a number per row, alike for alike values; -1 for nulls."""
    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    codes = pc.fill_null(encoded.indices, -1)
    return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)


def combined(columns: Sequence[Codes]) -> Codes:
    """Return one number per row, alike only where all columns are; nulls count as a value."""
    result = columns[0] + 1
    for codes in columns[1:]:
        radix = int(codes.max(initial=-1)) + 2
        if int(result.max(initial=0)) >= _ROOM // radix:
            result = np.unique(result, return_inverse=True)[1].astype(np.int64)
        result = result * radix + (codes + 1)
    return result


def repeated_rows(columns: Sequence[Codes]) -> int:
    """Return how many rows repeat the tuple of an earlier row."""
    tuples = combined(columns)
    return len(tuples) - len(np.unique(tuples))


def orphans(
    child: StoredSource,
    child_columns: Sequence[str],
    parent: StoredSource,
    parent_columns: Sequence[str],
) -> tuple[int, int]:
    """Return (rows that refer, rows among them whose tuple is no row of the parent).

    A row refers if none of its columns is null. Values are compared after casting the
    child's to the parent's type; what cannot be cast matches nothing.
    """
    if len(child_columns) == 1:
        return _single_orphans(child, child_columns[0], parent.column(parent_columns[0]))
    pairs = list(zip(child_columns, parent_columns, strict=True))
    coded = [_against(child.column(c), parent.column(p)) for c, p in pairs]
    refers = np.logical_and.reduce([present for _, present, _ in coded])
    known = np.logical_and.reduce([codes >= 0 for codes, _, _ in coded])
    ours = [codes[refers & known] for codes, _, _ in coded]
    theirs = [codes for _, _, codes in coded]
    both = combined([np.concatenate(pair) for pair in zip(ours, theirs, strict=True)])
    count = len(ours[0])
    found = int(np.isin(both[:count], both[count:]).sum())
    total = int(refers.sum())
    return total, total - found


def _single_orphans(child: StoredSource, name: str, parent: pa.ChunkedArray) -> tuple[int, int]:
    known = parent.unique().drop_null()
    total = found = 0
    for number in range(len(child.parts)):
        values = child.part(name, number)
        total += len(values) - values.null_count
        if values.type != known.type:
            values = pc.cast(values, known.type, safe=False)
        found += int(pc.sum(pc.is_in(values, value_set=known, skip_nulls=True)).as_py() or 0)
    return total, total - found


def _against(
    child: pa.ChunkedArray, parent: pa.ChunkedArray
) -> tuple[Codes, npt.NDArray[np.bool_], Codes]:
    """Code both sides by the parent's distinct values: -1 where the parent has no such value."""
    values = parent.unique()
    if child.type != values.type:
        child = pc.cast(child, values.type, safe=False)
    present = np.asarray(child.is_valid().to_numpy(zero_copy_only=False))
    known = values.drop_null()
    ours = pc.fill_null(pc.index_in(child, value_set=known, skip_nulls=True), -1)
    theirs = pc.fill_null(pc.index_in(parent, value_set=known, skip_nulls=True), -1)
    return _int64(ours), present, _int64(theirs)


def _int64(values: pa.ChunkedArray) -> Codes:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)
