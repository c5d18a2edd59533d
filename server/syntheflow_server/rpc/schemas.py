"""Translates schemas between messages and the domain."""

from __future__ import annotations

from syntheflow.v1 import schema_pb2
from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.hints import ColumnHint, SchemaHint, TableHint
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.rpc.checks import Checks

_PREFIX = "SEMANTIC_TYPE_"
MOST_TABLES = 1_000


def schema_message(schema: Schema) -> schema_pb2.Schema:
    """Return the message that tells `schema`."""
    return schema_pb2.Schema(
        tables=[
            schema_pb2.Table(
                name=table.name,
                primary_key=table.primary_key,
                unique_keys=[schema_pb2.UniqueKey(columns=key) for key in table.unique_keys],
                checks=table.checks,
                columns=[
                    schema_pb2.Column(
                        name=column.name,
                        type=column.type,
                        semantic_type=_PREFIX + column.semantic_type.value.upper(),
                        nullable=column.nullable,
                        native_type=column.native_type,
                        identity=column.identity,
                    )
                    for column in table.columns
                ],
            )
            for table in schema.tables
        ],
        foreign_keys=[schema_pb2.ForeignKey(**key.model_dump()) for key in schema.foreign_keys],
        dialect=schema.dialect,
    )


def schema_of(message: schema_pb2.Schema) -> Schema:
    """Return the whole schema in a message; InvalidArgumentError names all that is missing.

    Only the message itself is looked at, not the data.
    """
    checks = Checks()
    _check_names(message, checks, "schema")
    checks.done()
    missing = [
        Violation(
            field=f"schema.tables.{table.name}.columns.{column.name}.{field}",
            rule=f"table {table.name!r}, column {column.name!r}: {field} is needed",
            table=table.name,
            column=column.name,
        )
        for table in message.tables
        for column in table.columns
        for field, given in (
            ("type", bool(column.type)),
            ("semantic_type", _semantic(column) is not None),
        )
        if not given
    ]
    if missing:
        raise InvalidArgumentError(
            "The schema must be whole here: " + "; ".join(fault.rule for fault in missing[:3]),
            reason="SCHEMA_INVALID",
            violations=tuple(missing),
        )
    tables = tuple(
        Table(
            name=table.name,
            primary_key=tuple(table.primary_key),
            unique_keys=_unique_keys(table),
            checks=tuple(table.checks),
            columns=tuple(
                Column(
                    name=column.name,
                    type=column.type,
                    semantic_type=SemanticType(_semantic(column) or ""),
                    nullable=column.nullable,
                    native_type=column.native_type,
                    identity=column.identity,
                )
                for column in table.columns
            ),
        )
        for table in message.tables
    )
    keys = _foreign_keys(message)
    return Schema(tables=tables, foreign_keys=keys, dialect=message.dialect).checked()


def hint_of(message: schema_pb2.Schema, checks: Checks) -> SchemaHint:
    """Return what an upload's schema fixes; broken rules go to `checks`."""
    _check_names(message, checks, "header.schema")
    return SchemaHint(
        tables=tuple(
            TableHint(
                name=table.name,
                primary_key=tuple(table.primary_key),
                unique_keys=_unique_keys(table),
                checks=tuple(table.checks),
                columns=tuple(
                    ColumnHint(
                        name=column.name,
                        type=column.type,
                        semantic_type=_semantic(column),
                        nullable=column.nullable,
                        native_type=column.native_type,
                        identity=column.identity,
                    )
                    for column in table.columns
                ),
            )
            for table in message.tables
        ),
        foreign_keys=_foreign_keys(message),
        dialect=message.dialect,
    )


def _unique_keys(table: schema_pb2.Table) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(key.columns) for key in table.unique_keys)


def _foreign_keys(message: schema_pb2.Schema) -> tuple[ForeignKey, ...]:
    return tuple(
        ForeignKey(
            child_table=key.child_table,
            child_columns=tuple(key.child_columns),
            parent_table=key.parent_table,
            parent_columns=tuple(key.parent_columns),
        )
        for key in message.foreign_keys
    )


def _semantic(column: schema_pb2.Column) -> SemanticType | None:
    """Return the column's meaning; None if it is not given or of a later version."""
    known = {number: name for name, number in schema_pb2.SemanticType.items()}
    word = known.get(column.semantic_type, "").removeprefix(_PREFIX).lower()
    return SemanticType(word) if word in set(SemanticType) else None


def _check_names(message: schema_pb2.Schema, checks: Checks, where: str) -> None:
    rule = f"must be at most {MOST_TABLES:,}"
    checks.rule(f"{where}.tables", rule, holds=len(message.tables) <= MOST_TABLES)
    checks.distinct(f"{where}.tables", (table.name for table in message.tables))
    rule = f"must be empty or one of {', '.join(Dialect)}"
    checks.rule(f"{where}.dialect", rule, holds=message.dialect in {"", *Dialect})
    for at, table in enumerate(message.tables):
        checks.text(f"{where}.tables[{at}].name", table.name)
        for number, key in enumerate(table.unique_keys):
            spot = f"{where}.tables[{at}].unique_keys[{number}]"
            checks.rule(spot, "must name at least one column", holds=bool(key.columns))
        for number, column in enumerate(table.columns):
            spot = f"{where}.tables[{at}].columns[{number}]"
            checks.text(f"{spot}.name", column.name)
            semantic = column.semantic_type
            known = semantic in schema_pb2.SemanticType.values()
            checks.rule(f"{spot}.semantic_type", "is not one of the contract's", holds=known)
