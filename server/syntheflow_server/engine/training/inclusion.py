"""Find child tables whose rows always belong to a row of another child table.

Fielding records of a player, year and stint exist only where batting has that player,
year and stint: fielding then is told best as what batting rows own, though the schema
only says that both belong to players.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.domain.tables import Tables, TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.joins import Rows, parent_rows
from syntheflow_server.engine.graph.ownership import choose_owners
from syntheflow_server.engine.training.panels import find_panels

_FEW_ROWS = 20
_SHUFFLES = 3
_BY_CHANCE = 0.9
"""Beyond this share of rows that shuffled owners would hold too, inclusion says nothing."""


def with_inclusions(schema: Schema, tables: Tables) -> Schema:
    """Return the schema with a reference for each child table that hangs under another one.

    Such a reference is found where both refer to the same parent, the upper table's
    columns are unique and hold all rows of the lower one, far beyond chance, and where it
    becomes the lower table's owner. Nobody but the engine sees it.
    """
    found: list[ForeignKey] = []
    unique: dict[tuple[str, frozenset[str]], bool] = {}
    for key, owners in _candidates(schema):
        turned = (key.parent_table, key.child_table)
        known = {(other.child_table, other.parent_table) for other in found}
        # Few columns are unique: with many tables this leaves few pairs to look at.
        above = key.parent_table, frozenset(key.parent_columns)
        if above not in unique:
            unique[above] = _unique(tables[key.parent_table], key.parent_columns)
        if turned not in known and unique[above] and _holds(key, owners, tables):
            found.append(key)
    if not found:
        return schema
    wider = schema.model_copy(update={"foreign_keys": (*schema.foreign_keys, *found)})
    owning = _owning(wider, tables, found)
    return schema.model_copy(update={"foreign_keys": (*schema.foreign_keys, *owning)})


def _candidates(schema: Schema) -> Iterator[tuple[ForeignKey, int]]:
    """Yield what may refer from one child of a parent to another, and its columns of the parent."""
    seen = set()
    for upper in schema.foreign_keys:
        for lower in schema.foreign_keys:
            if lower.child_table == upper.child_table or not _same_parent(upper, lower):
                continue
            for extra in _shared(schema, upper, lower):
                key = ForeignKey(
                    child_table=lower.child_table,
                    child_columns=(*_aligned(lower, upper), *extra),
                    parent_table=upper.child_table,
                    parent_columns=(*upper.child_columns, *extra),
                )
                if key not in seen and not _declared(schema, key):
                    seen.add(key)
                    yield key, len(upper.child_columns)


def _same_parent(upper: ForeignKey, lower: ForeignKey) -> bool:
    same = upper.parent_table == lower.parent_table
    return same and set(upper.parent_columns) == set(lower.parent_columns)


def _aligned(lower: ForeignKey, upper: ForeignKey) -> tuple[str, ...]:
    """Return the lower key's columns in the order of the upper key's."""
    mine = dict(zip(lower.parent_columns, lower.child_columns, strict=True))
    return tuple(mine[column] for column in upper.parent_columns)


def _declared(schema: Schema, key: ForeignKey) -> bool:
    """Return whether the schema itself refers from the lower table to the upper one."""
    return any(
        other.child_table == key.child_table and other.parent_table == key.parent_table
        for other in schema.foreign_keys
    )


def _shared(schema: Schema, upper: ForeignKey, lower: ForeignKey) -> Iterator[tuple[str, ...]]:
    """Yield the columns that may identify a row among the upper table's siblings.

    The rest of the primary key where it holds the parent's; else any one column. They must
    have the same name and type in both tables.
    """
    above, below = schema.table(upper.child_table), schema.table(lower.child_table)
    taken = {*upper.child_columns, *lower.child_columns}
    kinds = {column.name: column.type for column in below.columns}
    same = [c.name for c in above.columns if c.name not in taken and kinds.get(c.name) == c.type]
    rest = tuple(c for c in above.primary_key if c not in upper.child_columns)
    if set(upper.child_columns) < set(above.primary_key) and set(rest) <= set(same):
        yield rest
    for name in same:
        if (name,) != rest and kinds[name] not in {"bool", "float64"}:
            yield (name,)


def _holds(key: ForeignKey, owners: int, tables: Tables) -> bool:
    """Return whether all lower rows have one upper row, and owners at random would not."""
    above, below = tables[key.parent_table], tables[key.child_table]
    if min(above.num_rows, below.num_rows) < _FEW_ROWS:
        return False
    theirs = _numbered(above, below, key)
    if theirs is None:
        return False
    upper, lower = theirs
    known = np.sort(upper)
    if (known[1:] == known[:-1]).any() or not _inside(lower, known).all():
        return False
    return _unlikely(key, owners, above, below, known)


def _unique(table: TableSource, columns: tuple[str, ...]) -> bool:
    """Return whether no two rows hold the same in all `columns`, and none is missing."""
    parts = []
    for name in columns:
        values = combined(table.column(name))
        if values.null_count:
            return False
        codes = values.dictionary_encode()
        indices = codes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        parts.append((indices, len(codes.dictionary)))
    rows = np.sort(_joined(parts))
    return not (rows[1:] == rows[:-1]).any()


def _unlikely(
    key: ForeignKey, owners: int, above: TableSource, below: TableSource, known: Rows
) -> bool:
    """Return whether rows with shuffled owners (the key's first columns) are held less often."""
    parts = _parts(above, below, key)
    assert parts is not None
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(_SHUFFLES):
        order = rng.permutation(below.num_rows)
        mixed = [(low[order] if i < owners else low, n) for i, (_, low, n) in enumerate(parts)]
        shares.append(float(_inside(_joined(mixed), known).mean()))
    return max(shares) < _BY_CHANCE


def _numbered(above: TableSource, below: TableSource, key: ForeignKey) -> tuple[Rows, Rows] | None:
    """Return both tables' columns of the key as one number a row; None if some are missing."""
    parts = _parts(above, below, key)
    if parts is None:
        return None
    return _joined([(up, n) for up, _, n in parts]), _joined([(low, n) for _, low, n in parts])


def _parts(
    above: TableSource, below: TableSource, key: ForeignKey
) -> list[tuple[Rows, Rows, int]] | None:
    """Return by column of the key the codes of both tables and how many there are."""
    parts = []
    for mine, theirs in zip(key.child_columns, key.parent_columns, strict=True):
        up, low = combined(above.column(theirs)), combined(below.column(mine))
        if up.null_count or low.null_count or up.type != low.type:
            return None
        codes = up.dictionary_encode()
        places = low.dictionary_encode()
        values = codes.dictionary
        there = np.append(_places(places.dictionary, values), -1)
        parts.append(
            (
                codes.indices.to_numpy(zero_copy_only=False).astype(np.int64),
                there[places.indices.to_numpy(zero_copy_only=False)],
                len(values),
            )
        )
    return parts


def _places(values: pa.Array, known: pa.Array) -> npt.NDArray[np.int64]:
    """Return where each value stands among the known ones, -1 if nowhere."""
    found = pc.fill_null(pc.index_in(values, value_set=known), -1)
    places: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return places


def _joined(parts: list[tuple[Rows, int]]) -> Rows:
    """Return one number a row for its codes; -1 where a code is."""
    result = np.zeros(len(parts[0][0]), np.int64)
    gone = np.zeros(len(result), np.bool_)
    for codes, count in parts:
        gone |= codes < 0
        result = result * (count + 1) + codes
    return np.where(gone, -1, result)


def _inside(values: Rows, known: Rows) -> npt.NDArray[np.bool_]:
    """Return which values stand among the sorted `known`."""
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    found: npt.NDArray[np.bool_] = known[place] == values
    return found


def _owning(schema: Schema, tables: Tables, found: list[ForeignKey]) -> tuple[ForeignKey, ...]:
    """Return those of `found` that own in the forest, by a key that their table can keep unique."""
    references = {key: parent_rows(key, tables) for key in schema.foreign_keys}
    rows = {table.name: tables[table.name].num_rows for table in schema.tables}
    owners: Mapping[str, ForeignKey] = choose_owners(
        schema, references, rows, panels=find_panels(schema, tables, references)
    ).owner_keys
    kept = []
    for key in found:
        if owners.get(key.child_table) != key:
            continue
        above = owners.get(key.parent_table)
        primary = set(schema.table(key.parent_table).primary_key) == set(key.parent_columns)
        if primary or (above and set(above.child_columns) <= set(key.parent_columns)):
            kept.append(key)
    return tuple(kept)
