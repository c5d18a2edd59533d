"""Relations of small tables, and what a model of them generates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.tables import MemoryTable
from syntheflow_server.engine.relations import Relation, find_relations
from syntheflow_server.engine.training.analysis import analyse

_KINDS = {
    "int64": SemanticType.INTEGER,
    "double": SemanticType.NUMBER,
    "bool": SemanticType.BOOLEAN,
    "string": SemanticType.CATEGORY,
    "date32[day]": SemanticType.DATE,
}
_TYPES = {"double": "float64", "date32[day]": "date32"}
Found = Callable[..., dict[str, tuple[Relation, ...]]]


def described(
    tables: dict[str, pa.Table], keys: dict[str, str], references: Sequence[tuple[str, str, str]]
) -> tuple[Schema, dict[str, MemoryTable]]:
    """Return schema and data; references are (child, column, parent) by the parent's key."""
    made = []
    for name, data in tables.items():
        columns = [
            Column(
                name=field.name,
                type=_TYPES.get(str(field.type), str(field.type)),
                semantic_type=SemanticType.IDENTIFIER
                if keys.get(name) == field.name
                else _KINDS.get(str(field.type), SemanticType.DATETIME),
            )
            for field in data.schema
        ]
        key = (keys[name],) if name in keys else ()
        made.append(Table(name=name, columns=tuple(columns), primary_key=key))
    foreign = tuple(
        ForeignKey(
            child_table=child,
            child_columns=(column,),
            parent_table=parent,
            parent_columns=(keys[parent],),
        )
        for child, column, parent in references
    )
    schema = Schema(tables=tuple(made), foreign_keys=foreign).checked()
    return schema, {name: MemoryTable(data) for name, data in tables.items()}


@pytest.fixture(scope="session")
def describe():
    return described


@pytest.fixture
def find():
    def found(tables, keys=None, references=()) -> dict[str, tuple[Relation, ...]]:
        schema, data = described(tables, keys or {}, references)
        held = {name: np.zeros(len(table), bool) for name, table in tables.items()}
        return find_relations(schema, data, analyse(schema, data), held, lambda _: None)

    return found


@pytest.fixture
def find_one(find):
    def found(data: pa.Table) -> tuple[Relation, ...]:
        relations: tuple[Relation, ...] = find({"row": data})["row"]
        return relations

    return found
