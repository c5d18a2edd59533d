"""Schema of a dataset: tables, columns, keys and references."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from syntheflow_server.domain.errors import InvalidArgumentError, Violation


class SemanticType(StrEnum):
    """What the values of a column mean to the engine."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    DURATION = "duration"
    IDENTIFIER = "identifier"
    CODE = "code"
    TEXT = "text"


_PLAIN_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "date32": pa.date32(),
    "time64[us]": pa.time64("us"),
    "timestamp[us]": pa.timestamp("us"),
    "duration[us]": pa.duration("us"),
}
_ZONED = re.compile(r"timestamp\[us, tz=([A-Za-z0-9_+:/-]+)\]")
_DECIMAL = re.compile(r"decimal128\((\d{1,2}), ?(-?\d{1,2})\)")


def arrow_type(text: str) -> pa.DataType:
    """Return the Arrow type that a column's `type` names.

    Raises ValueError if the text names none of the stored types.
    """
    if text in _PLAIN_TYPES:
        return _PLAIN_TYPES[text]
    if match := _ZONED.fullmatch(text):
        return pa.timestamp("us", tz=match[1])
    if match := _DECIMAL.fullmatch(text):
        return pa.decimal128(int(match[1]), int(match[2]))
    known = ", ".join([*_PLAIN_TYPES, "timestamp[us, tz=ZONE]", "decimal128(p, s)"])
    raise ValueError(f"unknown type {text!r}; known are {known}")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Frozen):
    """One column: `type` is the stored Arrow type, `semantic_type` its meaning.

    `native_type` is its type in the database that it came from, in the words of the
    schema's `dialect` ("character varying(40)"); `identity` says that the database
    numbers new rows there by itself.
    """

    name: str
    type: str
    semantic_type: SemanticType
    nullable: bool = True
    native_type: str = ""
    identity: bool = False

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type of the stored and generated values."""
        return arrow_type(self.type)


class Table(_Frozen):
    """One table with its columns in their original order.

    `unique_keys` are the columns of each UNIQUE constraint, `checks` the conditions of
    CHECK constraints in the schema's dialect; both are what a database declared.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    checks: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """Return the column called `name`; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in original order."""
        return tuple(column.name for column in self.columns)

    @property
    def arrow(self) -> pa.Schema:
        """Arrow schema of stored and generated rows."""
        return pa.schema([pa.field(c.name, c.arrow, nullable=True) for c in self.columns])


class ForeignKey(_Frozen):
    """The child's columns hold a key of the parent, or nothing."""

    child_table: str
    child_columns: tuple[str, ...]
    parent_table: str
    parent_columns: tuple[str, ...]

    def __str__(self) -> str:
        child, parent = ", ".join(self.child_columns), ", ".join(self.parent_columns)
        return f"{self.child_table}({child}) -> {self.parent_table}({parent})"


class Schema(_Frozen):
    """Tables and references of a dataset; `dialect` is of the database it came from, or empty."""

    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    dialect: str = ""

    def table(self, name: str) -> Table:
        """Return the table called `name`; KeyError if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names in original order."""
        return tuple(table.name for table in self.tables)

    def references_from(self, table: str) -> tuple[ForeignKey, ...]:
        """Return the foreign keys whose child is `table`."""
        return tuple(key for key in self.foreign_keys if key.child_table == table)

    def references_to(self, table: str) -> tuple[ForeignKey, ...]:
        """Return the foreign keys whose parent is `table`."""
        return tuple(key for key in self.foreign_keys if key.parent_table == table)

    def checked(self) -> Self:
        """Return self if it agrees with itself; else raise InvalidArgumentError naming each fault.

        Checks what needs no data: unique names, known types, keys made of known
        columns, references to known tables with as many columns on both sides.
        """
        faults = [*_table_faults(self), *_reference_faults(self)]
        if faults:
            raise InvalidArgumentError(
                "The schema contradicts itself: " + "; ".join(f.rule for f in faults[:3]),
                reason="SCHEMA_INVALID",
                violations=tuple(faults),
            )
        return self


def _table_faults(schema: Schema) -> list[Violation]:
    faults: list[Violation] = []
    if not schema.tables:
        faults.append(Violation(field="tables", rule="a dataset needs at least one table"))
    faults += [
        Violation(field="tables", table=name, rule=f"table {name!r} stands twice")
        for name in _repeated(schema.table_names)
    ]
    for table in schema.tables:
        for name in _repeated(table.column_names):
            rule = f"table {table.name!r}: column {name!r} stands twice"
            faults.append(Violation(field="columns", table=table.name, column=name, rule=rule))
        for column in table.columns:
            try:
                arrow_type(column.type)
            except ValueError as error:
                rule = f"table {table.name!r}, column {column.name!r}: {error}"
                fault = Violation(field="type", table=table.name, column=column.name, rule=rule)
                faults.append(fault)
        for name in {n for key in table.unique_keys for n in key} - set(table.column_names):
            rule = f"table {table.name!r}: a unique key names the unknown column {name!r}"
            faults.append(Violation(field="unique_keys", table=table.name, column=name, rule=rule))
        for name in set(table.primary_key) - set(table.column_names):
            rule = f"table {table.name!r}: primary key names the unknown column {name!r}"
            faults.append(Violation(field="primary_key", table=table.name, column=name, rule=rule))
    return faults


def _reference_faults(schema: Schema) -> list[Violation]:
    faults: list[Violation] = []
    columns = {table.name: set(table.column_names) for table in schema.tables}
    for key in schema.foreign_keys:
        rules: list[str] = []
        sides = ((key.child_table, key.child_columns), (key.parent_table, key.parent_columns))
        for table, names in sides:
            if table not in columns:
                rules.append(f"foreign key {key} names the unknown table {table!r}")
                continue
            rules.extend(
                f"foreign key {key} names the unknown column {name!r} of {table!r}"
                for name in names
                if name not in columns[table]
            )
        if len(key.child_columns) != len(key.parent_columns) or not key.child_columns:
            rules.append(f"foreign key {key} needs as many columns on both sides, at least one")
        faults += [
            Violation(field="foreign_keys", table=key.child_table, rule=rule) for rule in rules
        ]
    return faults


def _repeated(names: tuple[str, ...]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
