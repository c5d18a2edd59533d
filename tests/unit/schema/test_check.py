"""A schema that its data break is refused, rule by rule."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.schema import Finding, check
from syntheflow_server.schema.types import type_name

DATA = {
    "parents": pa.table({"a": [1, 1, 2], "b": [1, 2, 1], "name": ["secret", "secret", None]}),
    "children": pa.table({"id": [1, 2, 3, 4], "a": [1, 2, None, 9], "b": [2, 1, 1, 9]}),
}


def schema(*references: ForeignKey, **changes: dict[str, Any]) -> Schema:
    """The data's plain schema; `changes` replace fields of a table or, by name, of a column."""
    tables = []
    for name, table in DATA.items():
        change = dict(changes.get(name, {}))
        columns = tuple(
            Column(name=f.name, type=type_name(f.type), semantic_type=SemanticType.CATEGORY)
            .model_copy(update=change.pop(f.name, {}))
            for f in table.schema
        )  # fmt: skip
        tables.append(Table(name=name, columns=columns, **change))
    return Schema(tables=tuple(tables), foreign_keys=references)


def link(columns: tuple[str, ...], child: str = "children") -> ForeignKey:
    return ForeignKey(child_table=child, child_columns=columns,
                      parent_table="parents", parent_columns=columns)  # fmt: skip


def checked(wanted: Schema) -> tuple[Finding, ...]:
    return check(wanted, {name: MemoryTable(table) for name, table in DATA.items()})


def faults(wanted: Schema) -> list[tuple[str, str, str, str]]:
    with pytest.raises(InvalidArgumentError) as caught:
        checked(wanted)
    assert caught.value.reason == "SCHEMA_UNFIT"
    assert "secret" not in caught.value.message + str(caught.value.violations)
    return [(f.field, f.table, f.column, f.rule.split(": ", 1)[1]) for f in caught.value.violations]


def test_what_fits_passes_and_orphans_are_counted() -> None:
    found = checked(schema(link(("a", "b")), parents={"primary_key": ("a", "b")}))
    assert found == (
        Finding("children", ("a", "b"),
                "foreign key children(a, b) -> parents(a, b): "
                "1 of 3 references meet no row of the parent", 1),
    )  # fmt: skip


def test_a_primary_key_must_not_repeat() -> None:
    assert faults(schema(parents={"primary_key": ("a",)})) == [
        ("primary_key", "parents", "", "1 rows repeat an earlier value of the primary key (a)")
    ]


def test_a_primary_key_must_have_no_gaps() -> None:
    assert faults(schema(children={"primary_key": ("a", "id")})) == [
        ("primary_key", "children", "a", "1 values of the primary key are missing")
    ]


def test_parents_must_be_unique() -> None:
    (fault,) = faults(schema(link(("a",))))
    assert fault[:2] == ("foreign_keys", "children")
    assert "the parent's columns are not unique, 1 rows repeat" in fault[3]


def test_both_sides_must_have_one_type() -> None:
    wanted = schema(link(("a", "b")), parents={"primary_key": ("a", "b")},
                    children={"a": {"type": "string"}})  # fmt: skip
    assert faults(wanted) == [
        ("foreign_keys", "children", "a", "its type string is not that of parents.a, int64")
    ]


def test_a_reference_to_itself_is_refused() -> None:
    wanted = schema(link(("a", "b"), child="parents"), parents={"primary_key": ("a", "b")})
    assert "refers to itself" in faults(wanted)[0][3]


def test_declared_types_must_hold_the_values() -> None:
    assert faults(schema(parents={"name": {"type": "int64"}})) == [
        ("type", "parents", "name", "its values cannot be read as int64")
    ]


def test_meanings_must_go_with_the_type() -> None:
    wanted = schema(parents={"name": {"semantic_type": SemanticType.NUMBER}})
    assert faults(wanted) == [
        ("semantic_type", "parents", "name",
         "number needs one of the types int64, float64, decimal128")
    ]  # fmt: skip


def test_missing_values_need_a_nullable_column() -> None:
    assert faults(schema(parents={"name": {"nullable": False}})) == [
        ("nullable", "parents", "name", "1 values are missing, but it is declared not nullable")
    ]


def test_tables_and_columns_must_be_those_of_the_data() -> None:
    plain = schema()
    renamed = plain.model_copy(update={"tables": (plain.tables[0],
                               plain.tables[1].model_copy(update={"name": "kids"}))})  # fmt: skip
    with pytest.raises(InvalidArgumentError) as caught:
        checked(renamed)
    assert [fault.table for fault in caught.value.violations] == ["kids", "children"]
    extra = Column(name="ghost", type="int64", semantic_type=SemanticType.INTEGER)
    table = plain.tables[0]
    more = plain.model_copy(
        update={"tables": (table.model_copy(update={"columns": (*table.columns, extra)}),
                           plain.tables[1])}
    )  # fmt: skip
    assert faults(more) == [("columns", "parents", "ghost", "the column is not in the data")]
