"""Columns of tables that rows go into, and whether the rows fit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import Violation
from syntheflow_server.domain.schema import Table
from syntheflow_server.export.databases import faults

if TYPE_CHECKING:
    from syntheflow_server.export.databases.loader import Loader


@dataclass(frozen=True, slots=True)
class Slot:
    """A column of a table in the database.

    `type` is its type in the database's words, `filled` says that it gets a value by
    itself, `computed` that it takes none, `longest` is the most characters it holds, `octets`
    the most bytes.
    `base` names the type for the loader: without length, domains resolved.
    `source` is the name of the dataset's column that goes there.
    """

    name: str
    type: str
    base: str
    nullable: bool = True
    filled: bool = False
    computed: bool = False
    longest: int | None = None
    octets: int | None = None
    digits: tuple[int, int] | None = None
    source: str = ""


def matched(loader: Loader, name: str, there: list[Slot]) -> tuple[list[Slot], list[Violation]]:
    """Return the slot of each column of the dataset's table that takes values, and what is wrong.

    Names are compared exactly, then without case where that is unambiguous. Columns that
    the database computes are left out.
    """
    table = loader.target.table(name)
    exact = {slot.name: slot for slot in there}
    folded: dict[str, list[Slot]] = {}
    for slot in there:
        folded.setdefault(slot.name.casefold(), []).append(slot)
    taken, wrong = [], []
    for column in table.columns:
        label = loader.label(column.name)
        found = exact.get(label)
        if found is None and len(near := folded.get(label.casefold(), [])) == 1:
            found = near[0]
        if found is None:
            rule = (
                f"table {table.name!r} of the database has no column {column.name!r}; "
                "add it there, or make the tables anew with mode replace"
            )
            wrong.append(_fault(name, column.name, rule))
        elif not found.computed:
            taken.append(_of(found, column.name))
    names = {slot.name for slot in taken}
    for slot in there:
        if slot.name in names or slot.nullable or slot.filled or slot.computed:
            continue
        rule = (
            f"column {slot.name!r} of table {table.name!r} in the database takes no NULL, has "
            "no default, and the dataset has no such column; give it a default there"
        )
        wrong.append(_fault(name, slot.name, rule))
    return taken, wrong


def _fault(table: str, column: str, rule: str) -> Violation:
    return Violation(field="columns", table=table, column=column, rule=rule)


def _of(slot: Slot, source: str) -> Slot:
    values: dict[str, Any] = {name: getattr(slot, name) for name in Slot.__slots__}
    return Slot(**(values | {"source": source}))


def check_filled(table: Table, slots: list[Slot], rows: pa.Table, first: int) -> None:
    """Raise InvalidArgumentError if a value is missing where its slot needs one."""
    for slot in slots:
        values = rows.column(slot.source)
        if not slot.nullable and values.null_count:
            row = first + pc.index(pc.is_null(values), True).as_py()
            raise faults.row_refused(table.name, slot.source, row, "takes no NULL")
