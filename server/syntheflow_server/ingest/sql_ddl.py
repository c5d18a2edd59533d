"""What CREATE TABLE and ALTER TABLE declare, in several databases' SQL."""

from __future__ import annotations

import logging
import re

import sqlglot
from sqlglot import exp

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.ingest.declared import DeclaredColumn, DeclaredTable
from syntheflow_server.ingest.sql_types import in_own_words

# Its warnings quote statements, and statements hold values.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

NAMES = {"mssql": "tsql", "postgresql": "postgres"}
"""What sqlglot calls a dialect, where it is not our own word."""


# sqlglot quotes in its log what it cannot parse; texts of files are never logged.
logging.getLogger("sqlglot").addFilter(lambda _record: False)
# How SQL Server lays tables out on disk: no part of what they mean.
_STORAGE = re.compile(
    r"\b(?:NON)?CLUSTERED\b|\bWITH\s*\((?:[^()]|\([^()]*\))*\)|\b(?:TEXTIMAGE_)?ON\s*\[\w+\]",
    re.IGNORECASE,
)


def parsed(statement: str, dialect: str) -> exp.Expression | None:
    """Return the statement's tree; None if it cannot be read."""
    if dialect == "mssql":
        statement = _STORAGE.sub(" ", statement)
    try:
        made = sqlglot.parse_one(statement, dialect=NAMES.get(dialect, dialect))
    except Exception:  # noqa: BLE001 - a parser made for whole statements, on the text of strangers
        return None
    return made if isinstance(made, exp.Expression) else None


def checks_of(statement: str, dialect: str) -> list[str]:
    """Return the conditions of CHECK constraints in CREATE TABLE."""
    if "check" not in statement.lower():
        return []
    tree = parsed(statement, dialect)
    return [] if tree is None else _checks(tree, dialect)


def _checks(tree: exp.Expression, dialect: str) -> list[str]:
    name = NAMES.get(dialect, dialect)
    return [check.this.sql(dialect=name) for check in tree.find_all(exp.CheckColumnConstraint)]


def read_create(tree: exp.Create, dialect: str) -> DeclaredTable | None:
    """Return the table that CREATE TABLE makes; None if it has no list of columns."""
    schema = tree.this
    if tree.kind != "TABLE" or not isinstance(schema, exp.Schema):
        return None
    table = DeclaredTable(schema.this.name)
    for part in schema.expressions:
        if isinstance(part, exp.ColumnDef):
            table.columns.append(_column(table, part, dialect))
        else:
            add_constraint(table, part)
    for column in table.columns:
        if column.name in table.primary_key:
            column.nullable = False
    return table


def _native(kind: exp.DataType, dialect: str) -> str:
    """Return the type in the dialect's words; SQLite's decimals keep their digits."""
    if dialect == "sqlite" and kind.is_type(exp.DataType.Type.DECIMAL):
        return kind.sql()
    return in_own_words(kind.sql(dialect=NAMES.get(dialect, dialect)), dialect)


def _column(table: DeclaredTable, part: exp.ColumnDef, dialect: str) -> DeclaredColumn:
    native = _native(part.kind, dialect) if part.kind else ""
    column = DeclaredColumn(part.name, native)
    for constraint in part.constraints:
        kind = constraint.args.get("kind")
        if isinstance(kind, exp.PrimaryKeyColumnConstraint):
            table.primary_key = (column.name,)
        elif isinstance(kind, exp.UniqueColumnConstraint):
            table.unique_keys.append((column.name,))
        elif isinstance(kind, exp.NotNullColumnConstraint):
            column.nullable = bool(kind.args.get("allow_null"))
        elif isinstance(
            kind, exp.AutoIncrementColumnConstraint | exp.GeneratedAsIdentityColumnConstraint
        ):
            column.identity = True
        elif isinstance(kind, exp.Reference):
            table.references.append(_reference(table.name, (column.name,), kind))
    if "serial" in native.lower():
        column.identity = True
    return column


def add_constraint(table: DeclaredTable, part: exp.Expression) -> None:
    """Add a table's own constraint, named or not, to what is known of it."""
    if isinstance(part, exp.Constraint):
        for inner in part.expressions:
            add_constraint(table, inner)
    elif isinstance(part, exp.PrimaryKey):
        table.primary_key = _names(part.expressions)
    elif isinstance(part, exp.UniqueColumnConstraint):
        inner = part.this
        if isinstance(inner, exp.Schema):
            table.unique_keys.append(_names(inner.expressions))
    elif isinstance(part, exp.ForeignKey):
        target = part.args.get("reference")
        if target is not None:
            table.references.append(_reference(table.name, _names(part.expressions), target))


def _reference(child: str, columns: tuple[str, ...], part: exp.Expression) -> ForeignKey:
    target = part.this
    inner = target.this if isinstance(target, exp.Schema) else target
    parent = f"{inner.db}.{inner.name}" if isinstance(inner, exp.Table) and inner.db else inner.name
    names = _names(target.expressions) if isinstance(target, exp.Schema) else ()
    return ForeignKey(
        child_table=child,
        child_columns=columns,
        parent_table=parent,
        parent_columns=names,
    )


def _names(parts: list[exp.Expression]) -> tuple[str, ...]:
    """Return the columns' names without order or length."""
    found: list[str] = []
    for part in parts:
        column = part if isinstance(part, exp.Identifier) else part.find(exp.Identifier)
        found.append(column.name if column is not None else part.name)
    return tuple(found)
