"""References between tables as MySQL's catalogue tells them."""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syntheflow_server.export.databases.loader import Loader


@dataclass(slots=True)
class Reference:
    """A foreign key; `columns` are pairs of the child's and the parent's.

    `parent_base` is the database of the parent where it is another one.
    """

    name: str
    child: str
    parent: str
    parent_base: str = ""
    columns: list[tuple[str, str]] = field(default_factory=list)


def references_of(loader: Loader, base: str) -> list[Reference]:
    """Return all references of the tables in `base` (a literal, or database())."""
    found = loader.rows(
        "SELECT constraint_name, table_name, referenced_table_name, "
        "CASE WHEN referenced_table_schema <> table_schema THEN referenced_table_schema END, "
        "column_name, referenced_column_name FROM information_schema.key_column_usage "
        f"WHERE table_schema = {base} AND referenced_table_name IS NOT NULL "
        "ORDER BY table_name, constraint_name, ordinal_position"
    )
    made: dict[tuple[str, str], Reference] = {}
    for name, child, parent, parent_base, column, above in found:
        reference = Reference(str(name), str(child), str(parent), str(parent_base or ""))
        kept = made.setdefault((reference.child, reference.name), reference)
        kept.columns.append((str(column), str(above)))
    return list(made.values())
