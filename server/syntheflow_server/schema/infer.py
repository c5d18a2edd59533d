"""Infers the schema of tables from their data: keys first, then references, then meanings."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.hints import ColumnHint, SchemaHint, TableHint
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import StoredTables
from syntheflow_server.schema.keys import composite_key, is_junction, single_key
from syntheflow_server.schema.profile import ColumnProfile, TableProfile
from syntheflow_server.schema.relations import composite_references, single_references
from syntheflow_server.schema.types import semantic_type, type_name


def infer(tables: StoredTables, types: Mapping[str, pa.Schema], hint: SchemaHint | None) -> Schema:
    """Return the schema of `tables`, whose stored Arrow schemas are `types`.

    What `hint` says is taken as it is; the rest is inferred. Raises InvalidArgumentError
    if the hint names tables or columns that are not there or contradicts itself.
    """
    hint = hint or SchemaHint()
    _check_hint(hint, types)
    hinted = {table.name: table for table in hint.tables}
    profiles = {name: TableProfile(name, tables[name], types[name]) for name in tables}
    given = {name: table.primary_key for name, table in hinted.items() if table.primary_key}
    keys, references = _keys_and_references(profiles, given)
    if hint.foreign_keys:
        references = list(hint.foreign_keys)
    made = {
        name: _table(profile, keys[name], hinted.get(name, TableHint(name=name)))
        for name, profile in profiles.items()
    }
    return Schema(
        tables=tuple(_refer(table, made, references) for table in made.values()),
        foreign_keys=tuple(references),
        dialect=hint.dialect,
    ).checked()


def _keys_and_references(
    profiles: Mapping[str, TableProfile], given: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], list[ForeignKey]]:
    """Return primary keys and references; each helps to find the other."""
    keys = {
        name: given.get(name)
        or single_key(profile, (p for other, p in profiles.items() if other != name))
        for name, profile in profiles.items()
    }
    singles = single_references(profiles, keys)
    for name, profile in profiles.items():
        links = [link for link in singles if link.child_table == name]
        if name in given or (keys[name] and not is_junction(profile, keys[name], links)):
            continue
        keys[name] = composite_key(profile, links) or keys[name]
    return keys, singles + composite_references(profiles, keys, singles)


def _table(profile: TableProfile, key: tuple[str, ...], hint: TableHint) -> Table:
    hints = {column.name: column for column in hint.columns}
    columns = []
    for column in profile.columns:
        said = hints.get(column.name, ColumnHint(name=column.name))
        columns.append(
            Column(
                name=column.name,
                type=said.type or type_name(column.kind),
                semantic_type=said.semantic_type or semantic_type(column, key),
                nullable=_nullable(column, said),
                native_type=said.native_type,
                identity=said.identity,
            )
        )
    return Table(
        name=profile.name,
        columns=tuple(columns),
        primary_key=key,
        unique_keys=hint.unique_keys,
        checks=hint.checks,
    )


def _nullable(column: ColumnProfile, said: ColumnHint) -> bool:
    """Tell whether values may be missing; of a table without rows only a database knows."""
    unknown = column.rows == 0 and not said.native_type
    return said.nullable or column.nulls > 0 or unknown


def _refer(table: Table, tables: Mapping[str, Table], references: list[ForeignKey]) -> Table:
    """Let a column that refers to an identifier be one itself: its size means nothing either."""
    referring = {
        link.child_columns[0]
        for link in references
        if link.child_table == table.name
        and len(link.child_columns) == len(link.parent_columns) == 1
        and _is_identifier(tables.get(link.parent_table), link.parent_columns[0])
    }
    columns = tuple(
        column.model_copy(update={"semantic_type": SemanticType.IDENTIFIER})
        if column.name in referring and column.semantic_type is SemanticType.INTEGER
        else column
        for column in table.columns
    )
    return table.model_copy(update={"columns": columns})


def _is_identifier(table: Table | None, column: str) -> bool:
    return table is not None and any(
        c.name == column and c.semantic_type is SemanticType.IDENTIFIER for c in table.columns
    )


def _check_hint(hint: SchemaHint, types: Mapping[str, pa.Schema]) -> None:
    faults: list[Violation] = []
    for table in hint.tables:
        if table.name not in types:
            rule = f"the schema names the table {table.name!r}, which is not among the files"
            faults.append(Violation(field="schema.tables", table=table.name, rule=rule))
            continue
        named = [column.name for column in table.columns] + list(table.primary_key)
        faults += [
            Violation(
                field="schema.tables",
                table=table.name,
                column=name,
                rule=f"the schema names the column {name!r}, which table {table.name!r} has not",
            )
            for name in dict.fromkeys(named)
            if name not in types[table.name].names
        ]
    if faults:
        raise InvalidArgumentError(
            "The schema does not fit the files: " + "; ".join(f.rule for f in faults[:3]),
            reason="SCHEMA_INVALID",
            violations=tuple(faults),
        )
