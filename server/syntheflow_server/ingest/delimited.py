"""CSV and its kin: any separator, any encoding, types decided over all rows.

The file is read strictly as texts into one Parquet file, which is then examined column by
column and converted: memory stays bounded and a guess can never fail halfway.
"""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import duckdb

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.convert import write_planned
from syntheflow_server.ingest.dialect import Dialect, find_dialect, sample_text
from syntheflow_server.ingest.duck import connection, file_literal, one_row, quoted, run_bounded
from syntheflow_server.ingest.guess import TEXT_RULES, plan_columns
from syntheflow_server.ingest.plain_text import plain_text, with_unix_lines
from syntheflow_server.ingest.tables import (
    IngestedTable,
    bad_file,
    check_column_names,
)
from syntheflow_server.ingest.workshop import workshop

# DuckDB's buffers are sixteen times this; a larger limit would not fit its memory.
_LINE_LIMIT = 1 << 24
_NAMES = {"\t": "tab", " ": "blank"}


def read_delimited(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read a delimited text file as one table."""
    with workshop(out) as work:
        text = plain_text(path, table=table, work=work)
        dialect = find_dialect(sample_text(text.path))
        if not dialect.columns:
            raise bad_file(table, "the file has no rows and no header", reason="TABLE_EMPTY")
        names, notes = _column_names(dialect)
        check_column_names(table, names)
        with connection(work) as con:
            staged = work / "texts.parquet"
            _stage(con, text.path, dialect, table, staged)
            rules = [replace(TEXT_RULES, trim=dialect.blank_after)] * len(names)
            plans = plan_columns(con, f"read_parquet({file_literal(staged)})", names, rules)
            keep = _kept_columns(con, staged, dialect, names)
            findings = [_describe(dialect, text.encoding, text.packed), *notes]
            findings += [f"column {names[i]!r}: no name and no values, left out"
                         for i in range(len(names)) if i not in keep]  # fmt: skip
            findings += [note for i in keep for note in plans[i].findings]
            chosen = [(names[i], plans[i]) for i in keep]
            return (write_planned(con, staged, chosen, table, file_name, out, findings),)


def _column_names(dialect: Dialect) -> tuple[list[str], list[str]]:
    """Return the columns' names and what to say of those that the file does not give."""
    if dialect.header is None:
        names = [f"c{i}" for i in range(1, dialect.columns + 1)]
        return names, ["the columns have no names and are called c1, c2 ..."]
    taken = set(dialect.header)
    names, made = list(dialect.header), []
    for i, name in enumerate(names):
        if not name:
            names[i] = next(n for n in (f"c{i + 1}", f"c{i + 1}_unnamed") if n not in taken)
            made.append(names[i])
    return names, [f"columns without a name are called {', '.join(made)}"] if made else []


def _stage(
    con: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, table: str, staged: Path
) -> None:
    """Read the file strictly as texts c0, c1, ... into Parquet."""
    if dialect.header is not None and len(dialect.header) != dialect.columns:
        raise _ragged(table, 1, dialect.columns, len(dialect.header))
    try:
        run_bounded(con, _copy_statement(path, dialect, staged))
    except duckdb.Error as error:
        # Mixed line ends are the one fault that is mended: it costs no value.
        if "state machine" not in str(error):
            raise _refusal(error, table, dialect) from error
        mended = with_unix_lines(path, staged.parent)
        try:
            run_bounded(con, _copy_statement(mended, dialect, staged))
        except duckdb.Error as second:
            raise _refusal(second, table, dialect) from second


def _copy_statement(path: Path, dialect: Dialect, staged: Path) -> str:
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(dialect.columns))
    options = {
        "auto_detect": "false",
        "header": "true" if dialect.header is not None else "false",
        "delim": quoted(dialect.separator),
        "quote": quoted(dialect.quote),
        "escape": quoted(dialect.escape if dialect.quote else ""),
        "columns": f"{{{columns}}}",
        "allow_quoted_nulls": "false",
        "max_line_size": str(_LINE_LIMIT),
    }
    listed = ", ".join(f"{key} = {value}" for key, value in options.items())
    source = f"read_csv({file_literal(path)}, {listed})"
    target = quoted(str(staged))
    return f"COPY (SELECT * FROM {source}) TO {target} (FORMAT parquet, COMPRESSION snappy)"


def _refusal(error: duckdb.Error, table: str, dialect: Dialect) -> Exception:
    """Turn DuckDB's message, which quotes the line, into one that names only the rule."""
    message = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", message)
    row = int(line[1]) if line else None
    if counts := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message):
        return _ragged(table, row, int(counts[1]), int(counts[2]))
    if "quote" in message:
        rule = "a quoted value is not closed, or text follows its closing quote"
    elif "aximum line size" in message:
        rule = f"a line is longer than {_LINE_LIMIT >> 20} MiB; is the separator or a quote wrong?"
    else:
        shown = _NAMES.get(dialect.separator, dialect.separator)
        rule = f"the row cannot be read with the separator {shown!r}"
    return bad_file(table, rule, row=row)


def _ragged(table: str, row: int | None, expected: int, found: int) -> Exception:
    # DuckDB stops counting at the first value too many.
    amount = f"more than {expected}" if found > expected else str(found)
    rule = f"the row has {amount} values where {expected} are expected"
    return bad_file(table, rule, row=row, reason="ROW_RAGGED")


def _kept_columns(
    con: duckdb.DuckDBPyConnection, staged: Path, dialect: Dialect, names: list[str]
) -> list[int]:
    """Return the positions of all columns but those with neither name nor values."""
    unnamed = [i for i, name in enumerate(dialect.header or names) if not name]
    if not unnamed or len(unnamed) == len(names):
        return list(range(len(names)))
    counts = ", ".join(f"count(nullif(trim(c{i}), ''))" for i in unnamed)
    row = one_row(con, f"SELECT {counts} FROM read_parquet({file_literal(staged)})")
    empty = {i for i, count in zip(unnamed, row, strict=True) if count == 0}
    return [i for i in range(len(names)) if i not in empty]


def _describe(dialect: Dialect, encoding: str, packed: str) -> str:
    parts = ["CSV", f"separator {_NAMES.get(dialect.separator, repr(dialect.separator))}"]
    parts.append(f"encoding {encoding}")
    parts.append("header in line 1" if dialect.header is not None else "no header")
    if dialect.blank_after:
        parts.append("blanks after separators removed")
    if packed:
        parts.append(f"unpacked from {packed}")
    return ", ".join(parts)
