"""What a user says of a schema before it is inferred; what is left out is inferred."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from syntheflow_server.domain.schema import ForeignKey, SemanticType


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnHint(_Frozen):
    """A column: an empty `type` and a None `semantic_type` are inferred.

    `nullable` True allows missing values where the data have none; False leaves it
    to the data.
    """

    name: str
    type: str = ""
    semantic_type: SemanticType | None = None
    nullable: bool = False
    native_type: str = ""
    identity: bool = False


class TableHint(_Frozen):
    """A table: columns that are not named and an empty `primary_key` are inferred."""

    name: str
    columns: tuple[ColumnHint, ...] = ()
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    checks: tuple[str, ...] = ()


class SchemaHint(_Frozen):
    """Tables that are not named are inferred; `foreign_keys`, if any, replace the inferred ones."""

    tables: tuple[TableHint, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    dialect: str = ""
