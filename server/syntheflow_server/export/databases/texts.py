"""Texts that are longer than their columns in the database: cut, or refused where they are keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.slots import Slot

if TYPE_CHECKING:
    from syntheflow_server.export.base import Target


def joined_columns(target: Target, table: str) -> set[str]:
    """Return the columns of a table that keys or references hold: theirs are not cut.

    Two texts may be the same once they are cut, and another row's.
    """
    own = target.table(table)
    held = {*own.primary_key, *(column for key in own.unique_keys for column in key)}
    for key in target.schema.foreign_keys:
        if key.child_table == table:
            held.update(key.child_columns)
        if key.parent_table == table:
            held.update(key.parent_columns)
    return held


class Cutter:
    """Fits texts to declared lengths, and counts those that were cut by table and column."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        """Texts cut by table and column, those of an earlier run too."""

    def fitted(
        self, table: str, slots: Iterable[Slot], held: set[str], rows: pa.Table, first: int
    ) -> tuple[pa.Table, dict[str, int]]:
        """Return the rows with no text beyond its slot, and how many were cut by column.

        Raises InvalidArgumentError naming the row where a text of a column in `held` (by
        its source) is too long.
        """
        cut: dict[str, int] = {}
        for slot in slots:
            values = rows.column(slot.source)
            if not pa.types.is_string(values.type) or (longer := _longer(values, slot)) is None:
                continue
            if slot.source in held:
                row = first + pc.index(longer, True).as_py()
                rule = (
                    f"holds at most {_limit(slot)}, the text is longer, and texts of keys and "
                    "references are not cut"
                )
                raise faults.row_refused(table, slot.source, row, rule)
            at = rows.column_names.index(slot.source)
            rows = rows.set_column(at, rows.schema.field(at), _cut(values, longer, slot))
            cut[slot.source] = pc.sum(longer).as_py()
        return rows, cut

    def add(self, table: str, cut: dict[str, int]) -> None:
        """Count what was cut in rows that are sent."""
        for column, count in cut.items():
            self.counts[table, column] = self.counts.get((table, column), 0) + count

    def notes(self, slots: Mapping[str, Iterable[Slot]]) -> list[str]:
        """Return a sentence for each column whose texts were cut; `slots` are by table."""
        of = {(table, slot.source): slot for table, some in slots.items() for slot in some}
        return [
            f"column {column!r} of table {table!r}: "
            f"{count:,} text{'s were' if count > 1 else ' was'} cut to {_limit(of[table, column])}"
            for (table, column), count in sorted(self.counts.items())
        ]


def _limit(slot: Slot) -> str:
    if slot.longest is not None:
        return f"{slot.longest} characters ({slot.type})"
    return f"{slot.octets} bytes ({slot.type})"


def _longer(values: pa.ChunkedArray, slot: Slot) -> pa.ChunkedArray | None:
    """Return which texts are too long; None if none is."""
    limit = slot.longest if slot.longest is not None else slot.octets
    if limit is None:
        return None
    # No text has more characters than bytes, and counting bytes costs next to nothing.
    sizes = pc.binary_length(values)
    if (pc.max(sizes).as_py() or 0) <= limit:
        return None
    if slot.longest is not None:
        sizes = pc.utf8_length(values)
    longer = pc.greater(sizes, limit)
    return longer if pc.any(longer).as_py() else None


def _cut(values: pa.ChunkedArray, longer: pa.ChunkedArray, slot: Slot) -> pa.ChunkedArray:
    if slot.longest is not None:
        return pc.if_else(longer, pc.utf8_slice_codeunits(values, 0, slot.longest), values)
    # A character of several bytes goes as a whole.
    shorter = [
        text.encode()[: slot.octets].decode("utf-8", "ignore")
        for text in values.filter(longer).to_pylist()
    ]
    return pc.replace_with_mask(
        values.combine_chunks(), longer.combine_chunks(), pa.array(shorter, pa.string())
    )
