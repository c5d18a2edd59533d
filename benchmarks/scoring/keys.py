"""Keys of a data set, and which parent row each reference leads to: key values alone decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
NOTHING = -1
"""Instead of a parent row: the reference is null."""
ORPHAN = -2
"""Instead of a parent row: no parent has that key."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of one or several columns."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.child}.{'+'.join(self.columns)}>{self.parent}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Primary keys by table (empty: none) and all references."""

    primary: Mapping[str, tuple[str, ...]]
    references: tuple[Reference, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.primary)

    def hidden(self, table: str) -> frozenset[str]:
        """Columns that name rows and say nothing else: keys and references of one column.

        Columns that only stand in keys of several columns (a year, a sequence) may be data;
        see `shared`.
        """
        single = [self.primary[table], *(r.columns for r in self.references if r.child == table)]
        single += [r.parent_columns for r in self.references if r.parent == table]
        return frozenset(columns[0] for columns in single if len(columns) == 1)

    def shared(self, table: str) -> frozenset[str]:
        """Columns of references of several columns, on either side."""
        sides = [r.columns for r in self.references if r.child == table]
        sides += [r.parent_columns for r in self.references if r.parent == table]
        return frozenset(name for columns in sides if len(columns) > 1 for name in columns)

    def of(self, child: str) -> tuple[Reference, ...]:
        """The references of a table."""
        return tuple(r for r in self.references if r.child == child)

    def to(self, parent: str) -> tuple[Reference, ...]:
        """The references to a table."""
        return tuple(r for r in self.references if r.parent == parent)


def keys_of(meta: Mapping[str, Any]) -> Keys:
    """Read the keys out of a data set's meta.json."""
    return Keys(
        {name: _names(facts.get("primary_key")) for name, facts in meta["tables"].items()},
        tuple(
            Reference(
                key["child"],
                _names(key["child_column"]),
                key["parent"],
                _names(key["parent_column"]),
            )
            for key in meta["foreign_keys"]
        ),
    )


def _names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def links(child: pa.Table, parent: pa.Table, reference: Reference) -> Ints:
    """Return the parent row of each child row, or NOTHING, or ORPHAN."""
    sides = [(child, reference.columns), (parent, reference.parent_columns)]
    codes, missing = _codes(sides)
    rows = child.num_rows
    owners = np.full(int(codes.max(initial=0)) + 1, ORPHAN, dtype=np.int64)
    known = np.flatnonzero(~missing[rows:])[::-1]  # reversed: of repeated keys the first stands
    owners[codes[rows:][known]] = known
    return np.where(missing[:rows], NOTHING, owners[codes[:rows]])


def repeated(table: pa.Table, columns: Sequence[str]) -> int:
    """Count rows whose key is null, or that an earlier row has."""
    codes, missing = _codes([(table, columns)])
    return int(missing.sum() + (~missing).sum() - len(np.unique(codes[~missing])))


def _codes(
    sides: Sequence[tuple[pa.Table, Sequence[str]]],
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Number the keys of several tables together; also say which have a null in any column."""
    rows = sum(table.num_rows for table, _ in sides)
    codes, missing = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool)
    for at in range(len(sides[0][1])):
        column = pa.concat_arrays([_spelled(table.column(names[at])) for table, names in sides])
        encoded = column.dictionary_encode()
        part = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        missing |= part < 0
        codes = codes * (len(encoded.dictionary) + 1) + part + 1
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes, missing


def _spelled(column: pa.ChunkedArray) -> pa.Array:
    """Spell values so that 7, 7.0 and '7', or a date and its midnight, are the same key."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _spelled(column.cast(kind.value_type))
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = column.drop_null()
        if pc.all(pc.equal(whole, pc.floor(whole))).as_py() in {True, None}:
            column = column.cast(pa.int64())
    elif pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        clock = pa.types.is_time(kind)
        column = column.cast(pa.time64("us") if clock else pa.timestamp("us")).cast(pa.int64())
    texts = column.cast(pa.string()).combine_chunks()
    return pa.concat_arrays(texts.chunks) if isinstance(texts, pa.ChunkedArray) else texts
