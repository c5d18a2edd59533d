"""Key columns as numbers: equal keys get equal codes, also over several tables and columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

NO_KEY = -1
"""Code of a key of which some part is missing: such a row refers to nothing."""
ORPHAN = -2
"""In place of a parent's row: the key is there and no row has it."""


def key_codes(
    sides: Sequence[tuple[pa.Table, Sequence[str]]],
) -> tuple[list[np.ndarray], int]:
    """Return one int64 code a row for each (table, key columns), and the number of codes.

    Rows of any side have the same code if and only if all parts of their keys are
    equal; a key with a missing part is NO_KEY (SQL's MATCH SIMPLE).
    """
    rows = [table.num_rows for table, _ in sides]
    total = np.zeros(sum(rows), dtype=np.int64)
    missing = np.zeros(sum(rows), dtype=bool)
    for part in range(len(sides[0][1])):
        kind = sides[-1][0].column(sides[-1][1][part]).type
        if pa.types.is_string(kind):
            kind = pa.large_string()
        chunks = [table.column(columns[part]).cast(kind) for table, columns in sides]
        together = pa.chunked_array([c for side in chunks for c in side.chunks], type=kind)
        codes = together.combine_chunks().dictionary_encode()
        indices = codes.indices
        missing |= np.asarray(indices.is_null())
        values = np.asarray(indices.fill_null(0), dtype=np.int64)
        total = _dense(total * max(len(codes.dictionary), 1) + values)
    total = _dense(np.where(missing, -1, total))
    if missing.any():
        total -= 1
    ends = np.cumsum(rows)
    pieces = [total[end - count : end] for end, count in zip(ends, rows, strict=True)]
    return pieces, int(total.max(initial=-1)) + 1


def _dense(codes: np.ndarray) -> np.ndarray:
    _, dense = np.unique(codes, return_inverse=True)
    return dense.astype(np.int64).reshape(codes.shape)


def parent_rows(
    child: pa.Table, child_columns: Sequence[str], parent: pa.Table, parent_columns: Sequence[str]
) -> np.ndarray:
    """Return for each child row the row of its parent, NO_KEY if it has none, else ORPHAN."""
    (children, parents), count = key_codes([(child, child_columns), (parent, parent_columns)])
    row = np.full(count + 1, ORPHAN, dtype=np.int64)
    present = np.flatnonzero(parents != NO_KEY)
    row[parents[present]] = present
    row[count] = NO_KEY
    return row[np.where(children == NO_KEY, count, children)]


def child_counts(
    child: pa.Table, child_columns: Sequence[str], parent: pa.Table, parent_columns: Sequence[str]
) -> np.ndarray:
    """Return the number of child rows of each parent row, zeros included."""
    (children, parents), count = key_codes([(child, child_columns), (parent, parent_columns)])
    found = np.bincount(children[children != NO_KEY], minlength=max(count, 1))
    return np.where(parents == NO_KEY, 0, found[np.maximum(parents, 0)])
