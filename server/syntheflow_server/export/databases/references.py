"""References between tables, as catalogues tell them, and rows that break them."""

from __future__ import annotations

# ruff: noqa: S608 - names are quoted, texts are literals: nothing of a user becomes SQL.
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syntheflow_server.export.ddl import quoted_name

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
    return gathered(found)


def gathered(found: Iterable[tuple[object, ...]]) -> list[Reference]:
    """Return references from rows of name, child, parent, its database, and a pair of columns."""
    made: dict[tuple[str, str], Reference] = {}
    for name, child, parent, parent_base, column, above in found:
        reference = Reference(str(name), str(child), str(parent), str(parent_base or ""))
        kept = made.setdefault((reference.child, reference.name), reference)
        kept.columns.append((str(column), str(above)))
    return list(made.values())


def joined_columns(references: Iterable[Reference], label: str) -> set[str]:
    """Return the columns of the table of this name that references join to others."""
    joined: set[str] = set()
    for reference in references:
        for child, parent in reference.columns:
            joined.update({child} if reference.child == label else ())
            joined.update({parent} if reference.parent == label else ())
    return joined


def orphans(loader: Loader, reference: Reference, limit: str) -> str:
    """Return a query that finds a row whose parent is not there."""

    def named(base: str, table: str) -> str:
        return quoted_name(loader.dialect, table, base or loader.namespace)

    pairs = [(loader.quoted(child), loader.quoted(parent)) for child, parent in reference.columns]
    on = " AND ".join(f"c.{child} = p.{parent}" for child, parent in pairs)
    full = " AND ".join(f"c.{child} IS NOT NULL" for child, _ in pairs)
    return (
        f"SELECT 1 FROM {named('', reference.child)} c "
        f"LEFT JOIN {named(reference.parent_base, reference.parent)} p ON {on} "
        f"WHERE {full} AND p.{pairs[0][1]} IS NULL {limit}"
    )
