"""Resolve foreign keys of real tables to row numbers of their parents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.tables import Tables

Rows = npt.NDArray[np.int64]

NULL_ROW = -1
"""The reference is empty: at least one of its columns is null (SQL's MATCH SIMPLE)."""

ORPHAN_ROW = -2
"""The reference names a key that the parent table does not hold."""


def parent_rows(key: ForeignKey, tables: Tables) -> Rows:
    """Return for each child row the row number of its parent, NULL_ROW or ORPHAN_ROW.

    Raises InvalidArgumentError if the parent's columns do not identify its rows.
    """
    child, parent = tables[key.child_table], tables[key.parent_table]
    pairs = [
        (child.column(mine), parent.column(theirs))
        for mine, theirs in zip(key.child_columns, key.parent_columns, strict=True)
    ]
    return match_rows(pairs, str(key))


def match_rows(pairs: Sequence[tuple[pa.ChunkedArray, pa.ChunkedArray]], name: str) -> Rows:
    """Return for each left row the right row that equals it in every column pair."""
    left_code = np.zeros(len(pairs[0][0]), np.int64)
    right_code = np.zeros(len(pairs[0][1]), np.int64)
    left_null = np.zeros(len(left_code), bool)
    right_null = np.zeros(len(right_code), bool)
    for left, right in pairs:
        if left.type != right.type:
            left = left.cast(right.type)  # noqa: PLW2901  the loop's own pair
        values = pc.unique(right).drop_null()
        size = len(values) + 1
        ours, unknown = _codes(left, values)
        theirs, _ = _codes(right, values)
        left_null |= _mask(left)
        right_null |= _mask(right)
        left_code, right_code = _joined(left_code, right_code, ours, theirs, size)
        left_code[unknown] = -1
    found = _look_up(left_code, right_code, right_null, name)
    found[left_null] = NULL_ROW
    return found


def _look_up(left: Rows, right: Rows, right_null: npt.NDArray[np.bool_], name: str) -> Rows:
    rows = np.flatnonzero(~right_null)
    order = rows[np.argsort(right[rows], kind="stable")]
    ordered = right[order]
    if len(ordered) > 1 and (ordered[1:] == ordered[:-1]).any():
        raise InvalidArgumentError(
            f"foreign key {name}: the parent's columns repeat, so a reference is ambiguous;"
            " refer to a unique key or drop the foreign key",
            reason="PARENT_KEY_REPEATS",
        )
    if not len(ordered):
        return np.full(len(left), ORPHAN_ROW)
    place = np.minimum(np.searchsorted(ordered, left), len(ordered) - 1)
    return np.where(ordered[place] == left, order[place], ORPHAN_ROW)


def _codes(values: pa.ChunkedArray, known: pa.Array) -> tuple[Rows, npt.NDArray[np.bool_]]:
    codes = pc.index_in(values, value_set=known)
    unknown = _mask(codes)
    return _numpy(pc.fill_null(codes, len(known))).astype(np.int64), unknown & ~_mask(values)


def _joined(left: Rows, right: Rows, ours: Rows, theirs: Rows, size: int) -> tuple[Rows, Rows]:
    """Return both sides' codes extended by one more column, numbered without gaps."""
    gone = left < 0
    left, right = left * size + ours, right * size + theirs
    known, right = np.unique(right, return_inverse=True)
    if not len(known):
        return np.full(len(left), -1, np.int64), right
    place = np.minimum(np.searchsorted(known, left), len(known) - 1)
    return np.where(gone | (known[place] != left), -1, place), right


def _mask(values: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    return _numpy(pc.is_null(values)).astype(bool)


def _numpy(values: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    array: npt.NDArray[np.int64] = (
        values.to_numpy()
        if isinstance(values, pa.ChunkedArray)
        else values.to_numpy(zero_copy_only=False)
    )
    return array


def child_counts(rows: Rows, parents: int) -> Rows:
    """Return how many entries of `rows` name each of `parents` rows."""
    return np.bincount(rows[rows >= 0], minlength=parents).astype(np.int64)
