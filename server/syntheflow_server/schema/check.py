"""Checks a schema against the data it describes, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import StoredSource, StoredTables
from syntheflow_server.schema.fingerprints import Fingerprints
from syntheflow_server.schema.rows import column_codes, orphans, repeated_rows

_STORED: Mapping[SemanticType, tuple[str, ...]] = {
    SemanticType.INTEGER: ("int64",),
    SemanticType.NUMBER: ("int64", "float64", "decimal128"),
    SemanticType.BOOLEAN: ("bool",),
    SemanticType.DATE: ("date32", "timestamp"),
    SemanticType.DATETIME: ("timestamp",),
    SemanticType.TIME: ("time64",),
    SemanticType.DURATION: ("duration",),
    SemanticType.IDENTIFIER: ("int64", "string", "decimal128"),
    SemanticType.CODE: ("string",),
    SemanticType.TEXT: ("string",),
}
"""Stored types that a meaning needs; a category may be stored as anything."""
_NO_KEYS = ("float64",)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is allowed but worth knowing; `rule` says it in full, with the count."""

    table: str
    columns: tuple[str, ...]
    rule: str
    count: int


def check(schema: Schema, tables: StoredTables) -> tuple[Finding, ...]:
    """Check `schema` against `tables`; return what is allowed but worth knowing (orphans).

    Raises InvalidArgumentError with one violation per broken rule: tables and columns
    that are not there, stored types that values cannot be cast to, meanings that do not
    go with the stored type, missing values where none are allowed, primary keys with
    gaps or repeats, references to columns that are not unique or of another type.
    """
    schema.checked()
    faults = list(_missing(schema, tables))
    if not faults:
        for table in schema.tables:
            faults += _column_faults(table, tables[table.name])
    if not faults:
        for table in schema.tables:
            faults += _key_faults(table, tables[table.name])
        for key in schema.foreign_keys:
            faults += _reference_faults(schema, key, tables)
    if faults:
        raise InvalidArgumentError(
            "The schema does not fit the data: " + "; ".join(fault.rule for fault in faults[:3]),
            reason="SCHEMA_UNFIT",
            violations=tuple(faults),
        )
    return tuple(_findings(schema, tables))


def _missing(schema: Schema, tables: StoredTables) -> Iterator[Violation]:
    for name in schema.table_names:
        if name not in tables:
            rule = f"table {name!r} is not in the data"
            yield Violation(field="tables", table=name, rule=rule)
    for name in tables:
        if name not in schema.table_names:
            rule = f"table {name!r} is in the data but not in the schema"
            yield Violation(field="tables", table=name, rule=rule)


def _column_faults(table: Table, source: StoredSource) -> Iterator[Violation]:
    for column in table.columns:
        needed = _STORED.get(column.semantic_type, ())
        if needed and not column.type.startswith(needed):
            rule = f"{column.semantic_type} needs one of the types {', '.join(needed)}"
            yield _fault("semantic_type", table, column, rule)
        try:
            nulls = _missing_values(source, column)
        except KeyError:
            yield _fault("columns", table, column, "the column is not in the data")
            continue
        except InvalidArgumentError as error:
            yield from error.violations or [_fault("type", table, column, error.message)]
            continue
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            rule = f"its values cannot be read as {column.type}"
            yield _fault("type", table, column, rule)
            continue
        if nulls and not column.nullable:
            rule = f"{nulls:,} values are missing, but it is declared not nullable"
            yield _fault("nullable", table, column, rule)


def _missing_values(source: StoredSource, column: Column) -> int:
    """Count missing values; reads them only where their type must be proved."""
    if source.is_stored_as(column.name, column.arrow):
        return source.nulls(column.name)
    values = source.column(column.name)
    cast = values if values.type == column.arrow else pc.cast(values, column.arrow)
    return int(cast.null_count)


def _key_faults(table: Table, source: StoredSource) -> Iterator[Violation]:
    if not table.primary_key:
        return
    if len(set(table.primary_key)) < len(table.primary_key):
        yield _table_fault("primary_key", table.name, "the primary key names a column twice")
        return
    columns = [table.column(name) for name in table.primary_key]
    for column in columns:
        if column.type in _NO_KEYS:
            yield _fault("primary_key", table, column, f"a {column.type} cannot be a key")
        nulls = source.nulls(column.name)
        if nulls:
            rule = f"{nulls:,} values of the primary key are missing"
            yield _fault("primary_key", table, column, rule)
    repeated = _repeats(source, table.primary_key)
    if repeated:
        named = ", ".join(table.primary_key)
        rule = f"{repeated:,} rows repeat an earlier value of the primary key ({named})"
        yield _table_fault("primary_key", table.name, rule)


def _reference_faults(schema: Schema, key: ForeignKey, tables: StoredTables) -> Iterator[Violation]:
    child, parent = schema.table(key.child_table), schema.table(key.parent_table)
    for ours, theirs in zip(key.child_columns, key.parent_columns, strict=True):
        left, right = child.column(ours), parent.column(theirs)
        if left.type != right.type:
            rule = f"its type {left.type} is not that of {parent.name}.{theirs}, {right.type}"
            yield _fault("foreign_keys", child, left, rule)
    if child.name == parent.name and key.child_columns == key.parent_columns:
        rule = f"foreign key {key} refers to itself"
        yield _table_fault("foreign_keys", child.name, rule)
    if set(key.parent_columns) != set(parent.primary_key):
        repeated = _repeats(tables[parent.name], key.parent_columns)
        if repeated:
            rule = (
                f"foreign key {key}: the parent's columns are not unique, "
                f"{repeated:,} rows repeat an earlier value"
            )
            yield _table_fault("foreign_keys", child.name, rule)


def _repeats(source: StoredSource, names: tuple[str, ...]) -> int:
    """Return how many rows repeat an earlier row's values; rows with a missing value never do."""
    if len(names) == 1:
        return Fingerprints(source, names[0]).repeats()
    codes = [column_codes(source.column(name)) for name in names]
    present = codes[0] >= 0
    for part in codes[1:]:
        present = present & (part >= 0)
    return repeated_rows([part[present] for part in codes])


def _findings(schema: Schema, tables: StoredTables) -> Iterator[Finding]:
    for key in schema.foreign_keys:
        child, parent = tables[key.child_table], tables[key.parent_table]
        total, lost = orphans(child, key.child_columns, parent, key.parent_columns)
        if lost:
            rule = f"foreign key {key}: {lost:,} of {total:,} references meet no row of the parent"
            yield Finding(key.child_table, key.child_columns, rule, lost)


def _fault(field: str, table: Table, column: Column, rule: str) -> Violation:
    text = f"table {table.name!r}, column {column.name!r}: {rule}"
    return Violation(field=field, table=table.name, column=column.name, rule=text)


def _table_fault(field: str, table: str, rule: str) -> Violation:
    return Violation(field=field, table=table, rule=f"table {table!r}: {rule}")
