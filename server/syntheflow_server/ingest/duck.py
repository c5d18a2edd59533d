"""DuckDB as a tool: bounded memory, spilling beside the output, no extensions from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from syntheflow_server.domain.errors import ExhaustedError

_MEMORY = "1GiB"


@contextmanager
def connection(work: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection that spills into `work` and keeps rows in file order."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "threads": min(4, os.cpu_count() or 1),
        "temp_directory": str(work / "spill"),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def run_bounded(con: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Run a statement; with one thread, which needs fewer buffers, if memory does not suffice.

    Raises ExhaustedError if that is too little too.
    """
    try:
        con.execute(statement)
    except duckdb.OutOfMemoryException:
        con.execute("SET threads = 1")
        try:
            con.execute(statement)
        except duckdb.OutOfMemoryException as error:
            raise ExhaustedError(
                f"the file needs more than the {_MEMORY} that its reading is allowed; "
                "send it as Parquet, or in narrower tables",
                reason="IMPORT_TOO_LARGE",
            ) from error


def one_row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the only row of a query."""
    (row,) = con.execute(query).fetchall()
    return tuple(row)


def quoted(text: str) -> str:
    """Return `text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def file_literal(path: Path) -> str:
    """Return the path as an SQL literal that stands for this one file, not for a pattern."""
    plain = "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
    return quoted(plain)
