"""What sources declare of a schema, put together with what the user says; the user wins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syntheflow_server.domain.hints import ColumnHint, SchemaHint, TableHint
from syntheflow_server.domain.resources import TableSummary
from syntheflow_server.domain.schema import ForeignKey, Schema
from syntheflow_server.ingest.tables import IngestedTable


def merged_hint(said: SchemaHint | None, made: Sequence[IngestedTable]) -> SchemaHint:
    """Return what is known of the schema before anything is inferred.

    A source with a dialect (a database, its file or its script) declares all its
    references: they replace those that would be inferred. Those of other sources are
    for `with_references`, once the rest has been inferred.
    """
    user = said or SchemaHint()
    dialects = {table.dialect for table in made if table.dialect}
    # Types and conditions in the words of two databases would contradict each other.
    dialect = dialects.pop() if len(dialects) == 1 else ""
    told = {table.name: table for table in user.tables}
    tables = [
        _table(told.pop(table.name, TableHint(name=table.name)), _plain(table, dialect))
        for table in made
    ]
    declared = tuple(key for table in made if table.dialect for key in table.references)
    return SchemaHint(
        # What names no table of the files stays, for the inference to refuse it.
        tables=(*tables, *told.values()),
        foreign_keys=user.foreign_keys or _distinct(declared),
        dialect=user.dialect or dialect,
    )


def with_references(
    schema: Schema, said: SchemaHint | None, made: Sequence[IngestedTable]
) -> Schema:
    """Add the references that sources without a dialect declare, such as nested files.

    Nothing is added where the user named the references.
    """
    if said is not None and said.foreign_keys:
        return schema
    known = {(key.child_table, key.child_columns) for key in schema.foreign_keys}
    declared = (key for table in made if not table.dialect for key in table.references)
    more = [key for key in _distinct(declared) if (key.child_table, key.child_columns) not in known]
    return schema.model_copy(update={"foreign_keys": (*schema.foreign_keys, *more)})


def summaries_of(made: Sequence[IngestedTable]) -> dict[str, TableSummary]:
    """Return what is told of each table, by name."""
    return {
        table.name: TableSummary(
            name=table.name,
            rows=table.rows,
            bytes=table.bytes,
            file_name=table.file_name,
            findings=table.findings,
            read_as=dict(table.read_as),
            rejected_rows=table.rejected,
        )
        for table in made
    }


def _plain(table: IngestedTable, dialect: str) -> TableHint:
    """Return what the source declares, in the words of `dialect` or without words."""
    hint = table.hint or TableHint(name=table.name)
    if table.dialect == dialect:
        return hint
    columns = tuple(c.model_copy(update={"native_type": ""}) for c in hint.columns)
    return hint.model_copy(update={"columns": columns, "checks": ()})


def _table(user: TableHint, source: TableHint) -> TableHint:
    said = {column.name: column for column in user.columns}
    columns = [_column(said.pop(c.name, ColumnHint(name=c.name)), c) for c in source.columns]
    return TableHint(
        name=user.name,
        columns=(*columns, *said.values()),
        primary_key=user.primary_key or source.primary_key,
        unique_keys=user.unique_keys or source.unique_keys,
        checks=user.checks or source.checks,
    )


def _column(user: ColumnHint, source: ColumnHint) -> ColumnHint:
    # A native type is true only of the stored type that it came with.
    retyped = bool(user.type) and user.type != source.type
    return ColumnHint(
        name=user.name,
        type=user.type or source.type,
        semantic_type=user.semantic_type or source.semantic_type,
        nullable=user.nullable or source.nullable,
        native_type=user.native_type or ("" if retyped else source.native_type),
        identity=user.identity or source.identity,
    )


def _distinct(keys: Iterable[ForeignKey]) -> tuple[ForeignKey, ...]:
    return tuple(dict.fromkeys(keys))
