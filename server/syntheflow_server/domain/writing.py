"""How rows are written into files and databases."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Dialect(StrEnum):
    """A database's own SQL."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    SQLITE = "sqlite"
    MSSQL = "mssql"
    ORACLE = "oracle"
    DUCKDB = "duckdb"


class LoadMode(StrEnum):
    """What happens to the tables of a database that rows are loaded into."""

    CREATE = "create"
    """They are made; none of them may exist."""
    APPEND = "append"
    """They exist and keep their rows; no key may be there already."""
    REPLACE = "replace"
    """They are made anew; those that exist are dropped."""
    TRUNCATE = "truncate"
    """They exist and lose their rows, not their shape."""


class WriteOptions(BaseModel):
    """Settings of a format; each format reads its own and ignores the others.

    `dialect` and `copy_rows` (COPY blocks instead of INSERT; PostgreSQL only) are of SQL
    scripts, `compression` (zstd, snappy, gzip, lz4, none), `row_group_rows` and
    `partition_by` (columns of hive-style folders) of Parquet. `file_rows` begins a new
    file of a table after so many rows; 0 means one file. With `escape_formulas` texts
    that a spreadsheet would run as a formula get an apostrophe in front in CSV.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: Dialect = Dialect.POSTGRESQL
    copy_rows: bool = False
    compression: str = Field("zstd", pattern="^(zstd|snappy|gzip|lz4|none)$")
    row_group_rows: int = Field(131_072, ge=1, le=10_000_000)
    partition_by: tuple[str, ...] = ()
    file_rows: int = Field(0, ge=0)
    escape_formulas: bool = True
