"""Stages a plain delimited file by DuckDB, which reads with all cores."""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import mmap
import re
from pathlib import Path

import duckdb

from syntheflow_server.ingest.dialect import Dialect
from syntheflow_server.ingest.duck import file_literal, quoted, run_bounded

# DuckDB's buffers are sixteen times this; a larger limit would not fit its memory.
_LINE_BYTES = 1 << 24


def is_plain(path: Path, dialect: Dialect) -> bool:
    """Tell whether DuckDB reads the dialect of the file at `path` as it is meant."""
    marks = dialect.marks
    return (
        not marks.comment
        and len(marks.separator.encode()) <= 4
        and len(marks.quote.encode()) <= 1
        and dialect.data_line - 1 == dialect.header_rows <= 1
        and (marks.escape == marks.quote or _escapes_quotes_only(path, dialect))
    )


def _escapes_quotes_only(path: Path, dialect: Dialect) -> bool:
    """Tell whether every escape stands before a quote or an escape; DuckDB drops others."""
    quote, escape = dialect.marks.quote, dialect.marks.escape
    if not quote or len(escape.encode()) != 1 or not path.stat().st_size:
        return False
    sign, both = re.escape(escape.encode()), re.escape((quote + escape).encode())
    lone = re.compile(b"%b(?:[^%b]|$)" % (sign, both))
    paired = re.compile(b"%b[%b]" % (sign, both))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if lone.search(data) is None:
            return True
        at = 0
        while (found := data.find(escape.encode(), at)) >= 0:
            if paired.match(data, found) is None:
                return False
            at = found + 2
        return True


def stage_fast(con: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, staged: Path) -> bool:
    """Write the texts of all rows to Parquet as c0, c1, ...; False if any row is at fault.

    Which one and why is for the careful reader to say: DuckDB's messages quote values.
    """
    try:
        run_bounded(con, _copy_statement(path, dialect, staged))
    except duckdb.Error:
        staged.unlink(missing_ok=True)
        return False
    return True


def _copy_statement(path: Path, dialect: Dialect, staged: Path) -> str:
    source = read_statement(path, dialect, _LINE_BYTES)
    target = quoted(str(staged))
    return f"COPY (SELECT * FROM {source}) TO {target} (FORMAT parquet, COMPRESSION snappy)"


def read_statement(path: Path, dialect: Dialect, line_bytes: int) -> str:
    """Return SQL for the texts c0, c1, ... of the file, whose lines are so long at most."""
    marks = dialect.marks
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(dialect.columns))
    options = {
        "auto_detect": "false",
        "header": "true" if dialect.header is not None else "false",
        "delim": quoted(marks.separator),
        "quote": quoted(marks.quote),
        "escape": quoted(marks.escape if marks.quote else ""),
        "columns": f"{{{columns}}}",
        "allow_quoted_nulls": "false",
        "max_line_size": str(line_bytes),
    }
    listed = ", ".join(f"{key} = {value}" for key, value in options.items())
    return f"read_csv({file_literal(path)}, {listed})"
