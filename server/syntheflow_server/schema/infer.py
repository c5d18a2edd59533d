"""Infers the schema of tables from their data."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from syntheflow_server.domain.hints import SchemaHint
from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.tables import Tables


def infer(tables: Tables, types: Mapping[str, pa.Schema], hint: SchemaHint | None) -> Schema:
    """Return the schema of `tables`, whose stored Arrow schemas are `types`."""
    del hint
    return Schema(
        tables=tuple(
            Table(
                name=name,
                columns=tuple(
                    Column(name=f.name, type=str(f.type), semantic_type=SemanticType.CATEGORY)
                    for f in types[name]
                ),
            )
            for name in tables
        )
    )
