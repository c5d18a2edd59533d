"""Semantic types: what the values of a column mean to the engine."""

from __future__ import annotations

import pyarrow as pa

from syntheflow_server.domain.schema import SemanticType
from syntheflow_server.schema.names import is_key_name
from syntheflow_server.schema.profile import ColumnProfile

_RARE = 0.5
_NAMED = {pa.float64(): "float64", pa.date32(): "date32"}

_BY_KIND = [
    (pa.types.is_boolean, SemanticType.BOOLEAN),
    (pa.types.is_date, SemanticType.DATE),
    (pa.types.is_timestamp, SemanticType.DATETIME),
    (pa.types.is_time, SemanticType.TIME),
    (pa.types.is_duration, SemanticType.DURATION),
    (pa.types.is_floating, SemanticType.NUMBER),
    (pa.types.is_decimal, SemanticType.NUMBER),
]


def type_name(kind: pa.DataType) -> str:
    """Return the name of a stored type as `domain.schema.arrow_type` reads it."""
    return _NAMED.get(kind) or str(kind)


def semantic_type(column: ColumnProfile, primary_key: tuple[str, ...]) -> SemanticType:
    """Return the meaning of a column, given the primary key of its table."""
    for fits, meaning in _BY_KIND:
        if fits(column.kind):
            return meaning
    if _identifies(column, primary_key):
        return SemanticType.IDENTIFIER
    return SemanticType.INTEGER if column.is_integer else _text_type(column)


def _identifies(column: ColumnProfile, primary_key: tuple[str, ...]) -> bool:
    if primary_key == (column.name,):
        return True
    filled = column.rows - column.nulls
    repeats = column.distinct < filled or filled < 3
    return not repeats and is_key_name(column.name)


def _text_type(column: ColumnProfile) -> SemanticType:
    """Return code or text if most rows hold values of one or two rows, else category."""
    if column.rare_share <= _RARE:
        return SemanticType.CATEGORY
    structured = column.shape is not None and column.shape.structured
    return SemanticType.CODE if structured else SemanticType.TEXT
