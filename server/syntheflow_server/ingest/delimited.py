"""CSV and its kin: any separator, any encoding, types decided over all rows.

The file is read strictly as texts into one Parquet file, which is then examined column by
column and converted: memory stays bounded and a guess can never fail halfway.
"""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb

from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.ingest.careful import Rejects, ragged, stage_carefully
from syntheflow_server.ingest.convert import write_planned
from syntheflow_server.ingest.dialect import Dialect, find_dialect
from syntheflow_server.ingest.duck import connection, file_literal, one_row
from syntheflow_server.ingest.fast import is_plain, read_statement, stage_fast
from syntheflow_server.ingest.guess import plan_columns
from syntheflow_server.ingest.misfits import Misfits, type_rules
from syntheflow_server.ingest.one_pass import (
    LINE_BYTES,
    is_worth_it,
    write_in_one_pass,
    write_sample,
)
from syntheflow_server.ingest.plain_text import PlainText, plain_text
from syntheflow_server.ingest.sample import sample_text
from syntheflow_server.ingest.settings import check_options, check_types, settings_used
from syntheflow_server.ingest.tables import (
    IngestedTable,
    bad_file,
    check_column_names,
    placed,
)
from syntheflow_server.ingest.workshop import workshop

COLUMN_LIMIT = 20_000
"""Columns of the widest table that is read."""
_NAMES = {"\t": "tab", " ": "blank"}
_MEND = "mend the header, or say separator, header or header_rows"


def read_delimited(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read a delimited text file as one table; what `options` say is not guessed."""
    check_options(options, table)
    lenient = options.on_bad_row is not OnBadRow.FAIL
    with workshop(out) as work:
        if is_worth_it(path, options):
            made = _read_at_once(path, file_name, table, out, options, work)
            if made is not None:
                return (made,)
        text = plain_text(path, table=table, work=work, encoding=options.encoding, lenient=lenient)
        dialect = _dialect(text.path, options, table)
        names, notes = _column_names(dialect)
        check_column_names(table, names)
        check_types(options, names, table)
        with connection(work) as con:
            staged = work / "texts.parquet"
            rejects = _stage(con, text, dialect, table, staged, options.on_bad_row)
            rules = type_rules(options, names, trim=dialect.blank_after)
            plans = plan_columns(con, f"read_parquet({file_literal(staged)})", names, rules)
            misfits = Misfits(con, staged, names, plans)
            misfits.reject(text.path, dialect, table, rejects)
            keep = _kept_columns(con, staged, dialect, names)
            chosen = [(names[i], plans[i]) for i in keep]
            findings = [_describe(dialect, text), *notes, *rejects.findings()]
            findings += _left_out(names, keep, rejects)
            findings += [note for _, plan in chosen for note in plan.findings]
            made = write_planned(
                con, staged, chosen, table, file_name, out, findings, where=misfits.fitting
            )
            used = settings_used(options, dialect, text.encoding, [plan for _, plan in chosen])
            return (replace(made, read_as=used, rejected=rejects.total),)


def _read_at_once(
    path: Path, file_name: str, table: str, out: Path, options: ReadOptions, work: Path
) -> IngestedTable | None:
    """Read a large file by what a sample tells; None if it must be examined whole."""
    sample = work / "sample"
    if not write_sample(path, sample):
        return None
    dialect = _dialect(path, options, table)
    names, notes = _column_names(dialect)
    check_column_names(table, names)
    if notes or not is_plain(path, dialect):
        return None
    with connection(work) as con:
        staged, made = work / "sample.parquet", work / "table.parquet"
        if not stage_fast(con, sample, dialect, staged):
            return None
        rules = type_rules(options, names, trim=dialect.blank_after)
        source = f"read_parquet({file_literal(staged)})"
        plans = plan_columns(con, source, names, rules, whole=False)
        columns = [(f"c{i}", *one) for i, one in enumerate(zip(names, plans, strict=True))]
        texts = read_statement(path, dialect, LINE_BYTES)
        rows = write_in_one_pass(con, texts, columns, made)
    if rows is None:
        return None
    text = PlainText(path, "utf-8")
    findings = [_describe(dialect, text), *(note for plan in plans for note in plan.findings)]
    used = settings_used(options, dialect, text.encoding, plans)
    return replace(placed(made, out, table, rows, file_name, findings), read_as=used)


def _dialect(path: Path, options: ReadOptions, table: str) -> Dialect:
    """Return the file's dialect; raises InvalidArgumentError if it holds no table."""
    skipped = max(0, (options.header or 0) - 1, options.skip_rows or 0)
    sample = sample_text(path, table, skip=skipped)
    dialect = find_dialect(sample, options, line=skipped + 1)
    if not dialect.columns:
        after = f" after line {skipped}" if skipped else ""
        raise bad_file(table, f"the file has no rows and no header{after}", reason="TABLE_EMPTY")
    if dialect.columns > COLUMN_LIMIT:
        rule = f"the table has more than {COLUMN_LIMIT} columns; is the separator wrong?"
        raise bad_file(table, rule, reason="TOO_MANY_COLUMNS")
    if dialect.header is not None and len(dialect.header) != dialect.columns:
        line, found = dialect.header_line, len(dialect.header)
        raise ragged(table, line, dialect.columns, found, _MEND)
    return dialect


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
    con: duckdb.DuckDBPyConnection,
    text: PlainText,
    dialect: Dialect,
    table: str,
    staged: Path,
    on_bad_row: OnBadRow,
) -> Rejects:
    """Read the file strictly as texts c0, c1, ... into Parquet."""
    plain = not text.damaged and is_plain(text.path, dialect)
    if plain and stage_fast(con, text.path, dialect, staged):
        return Rejects(on_bad_row)
    return stage_carefully(text.path, dialect, table, staged, on_bad_row)


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


def _left_out(names: list[str], keep: list[int], rejects: Rejects) -> list[str]:
    kept = set(keep)
    notes = [
        f"column {name!r}: no name and no values, left out"
        for i, name in enumerate(names)
        if i not in kept
    ]
    if rejects.comments:
        notes.append(f"{rejects.comments} comment lines left out")
    return notes


def _describe(dialect: Dialect, text: PlainText) -> str:
    separator = dialect.marks.separator
    marked = text.encoding == "utf-8-sig"
    encoding = "utf-8 with byte order mark" if marked else text.encoding
    parts = ["CSV", f"separator {_NAMES.get(separator, repr(separator))}", f"encoding {encoding}"]
    first, rows = dialect.header_line, dialect.header_rows
    if not rows:
        parts.append("no header")
    elif rows == 1:
        parts.append(f"header in line {first}")
    else:
        parts.append(f"header of {rows} rows from line {first}")
    before = (first or dialect.data_line) - 1
    if before:
        parts.append(f"{before} lines before it left out")
    if dialect.marks.quote not in {"", '"'}:
        parts.append(f"quote {dialect.marks.quote}")
    if dialect.marks.escape != dialect.marks.quote:
        parts.append(f"escape {dialect.marks.escape}")
    if dialect.blank_after:
        parts.append("blanks after separators removed")
    if text.packed:
        parts.append(f"unpacked from {text.packed}")
    return ", ".join(parts)
