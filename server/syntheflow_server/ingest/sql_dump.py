"""SQL dumps: CREATE TABLE, INSERT and COPY of PostgreSQL, MySQL, SQLite and SQL Server.

Nothing is executed: declarations are parsed, rows are read as a stream, the rest of the
script is passed over.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.declared import resolve, settle
from syntheflow_server.ingest.plain_text import plain_text
from syntheflow_server.ingest.sql_tables import SqlTables
from syntheflow_server.ingest.sql_text import NAME, QUALIFIED, SqlText, names_in
from syntheflow_server.ingest.tables import IngestedTable, bad_file
from syntheflow_server.ingest.workshop import workshop

_LOOK = 1 << 18
_NOTES = 20
_INSERT = re.compile(
    rf"(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|OR\s+\w+)\s+)*"
    rf"(?:INTO\s+)?(?P<name>{QUALIFIED})\s*"
    # A comma between all names: were it optional, a long name could be cut in countless ways.
    rf"(?P<columns>\(\s*{NAME}\s*(?:,\s*{NAME}\s*)*\))?\s*"
    r"(?:OVERRIDING\s+\w+\s+VALUE\s+)?VALUES?(?=\s*\()",
    re.IGNORECASE,
)
_COPY = re.compile(
    rf"COPY\s+(?:ONLY\s+)?(?P<name>{QUALIFIED})\s*(?P<columns>\([^)]*\))?\s*FROM\s+stdin"
    r"(?P<how>[^;]*);",
    re.IGNORECASE,
)
_CREATE = re.compile(
    r"CREATE\s+(?:(?:GLOBAL|LOCAL|TEMP|TEMPORARY|UNLOGGED)\s+)*TABLE\b", re.IGNORECASE
)
_ALTER = re.compile(r"ALTER\s+TABLE\b", re.IGNORECASE)
_TYPE = re.compile(r"CREATE\s+(?:DOMAIN|TYPE)\b", re.IGNORECASE)
_SPACE = re.compile(
    rf"(?:USE\s+(?P<name>{NAME})\s*;|SET\s+search_path\s*(?:=|TO)\s*(?P<path>{NAME}))",
    re.IGNORECASE,
)
_CHANGE = re.compile(r"(INSERT|REPLACE|COPY|UPDATE|DELETE|MERGE|TRUNCATE)\b", re.IGNORECASE)
_OF_THE_PROGRAM = re.compile(r"DELETE\s+FROM\s+sqlite_", re.IGNORECASE)
_ROUTINE = re.compile(
    r"(?:CREATE|ALTER)\s+(?:OR\s+(?:REPLACE|ALTER)\s+)?(?:TEMP(?:ORARY)?\s+)?"
    r"(?:DEFINER\s*=\s*\S+\s+)?(?P<kind>TRIGGER|PROC(?:EDURE)?|FUNCTION|EVENT)\b",
    re.IGNORECASE,
)
_LINE = re.compile(r"\\[a-z]+|GO\b[^\S\n]*\r?(?=\n|\Z)", re.IGNORECASE)
_SETTING = re.compile(r"(?:SET|USE|PRINT)\b", re.IGNORECASE)
_DELIMITER = re.compile(r"DELIMITER[^\S\n]+(\S+)[^\S\n]*\r?\n", re.IGNORECASE)
_END_OF_DELIMITER = re.compile(r"^DELIMITER[^\S\n]+;[^\S\n]*\r?$", re.IGNORECASE | re.MULTILINE)
_GO = re.compile(r"^GO\b[^\S\n]*\r?$", re.IGNORECASE | re.MULTILINE)
_END = re.compile(r"\bEND\s*;", re.IGNORECASE)
_SAID = re.compile(rf"-- Dialect: ({'|'.join(Dialect)})\n")
"""First line of the scripts that our own writer makes."""
_SIGNS = [
    (Dialect.POSTGRESQL, r"PostgreSQL database dump|\bFROM stdin\b|::\w|\bpg_catalog\b"),
    (Dialect.MYSQL, r"(?:MySQL|MariaDB) dump|\bENGINE\s*=|AUTO_INCREMENT|phpMyAdmin|`"),
    (Dialect.MSSQL, r"\[dbo\]|^GO\s*$|IDENTITY_INSERT|\bNVARCHAR\b|\bN'"),
    (Dialect.SQLITE, r"PRAGMA foreign_keys|sqlite_sequence|\bAUTOINCREMENT\b|^BEGIN TRANSACTION;"),
]


def read_sql(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read the tables of an SQL script with what it declares of keys and types."""
    with path.open("rb") as file:
        if file.read(5) == b"PGDMP":
            rule = "pg_dump's custom format is not read; dump with --format=plain"
            raise bad_file(table, rule, reason="FORMAT_UNKNOWN")
    with workshop(out) as work:
        text = plain_text(path, table=table, work=work).path
        dialect = _dialect(text)
        tables = SqlTables(work, table, dialect, options)
        with (
            closing(tables),
            SqlText(
                text,
                table,
                backslash=dialect is Dialect.MYSQL,
                batches=dialect is Dialect.MSSQL,
            ) as script,
        ):
            while head := script.head():
                _statement(script, head, tables)
            return _settled(tables, work, file_name, out, options, table)


def _settled(
    tables: SqlTables, work: Path, file_name: str, out: Path, options: ReadOptions, table: str
) -> tuple[IngestedTable, ...]:
    found = tables.found()
    for pattern in options.tables or ():
        if not tables.fits(pattern):
            rule = f"nothing in the file fits the pattern {pattern!r}"
            raise bad_file(table, rule, reason="TABLE_UNKNOWN")
    if not found:
        raise bad_file(table, "the script has no CREATE TABLE and no rows", reason="TABLE_EMPTY")
    resolve([each.declared for each in found])
    made = []
    for each in found:
        notes = [f"SQL script, {tables.dialect} dialect", *each.notes, *each.rejects.findings()]
        if each is found[0]:
            notes += _few(tables.notes)
        done = settle(
            each.stage,
            each.declared,
            work=work,
            file_name=file_name,
            out=out,
            findings=notes,
            dialect=tables.dialect,
            rejected=each.rejects.count,
        )
        made.append(done)
    return tuple(made)


def _few(notes: list[str]) -> list[str]:
    more = len(notes) - _NOTES
    return notes[:_NOTES] + ([f"and {more} more of that kind"] if more > 0 else [])


def _dialect(path: Path) -> Dialect:
    """Tell the dialect by the signs in the script's beginning; PostgreSQL where none is."""
    with path.open(encoding="utf-8-sig") as file:
        sample = file.read(_LOOK)
    if said := _SAID.match(sample):
        return Dialect(said[1])
    counts = {
        dialect: len(re.findall(pattern, sample, re.IGNORECASE | re.MULTILINE))
        for dialect, pattern in _SIGNS
    }
    named = re.search(r"^-- (PostgreSQL database|MySQL|MariaDB) dump", sample, re.MULTILINE)
    if named:
        return Dialect.POSTGRESQL if named[1].startswith("P") else Dialect.MYSQL
    if re.match(r"\s*PRAGMA\s+\w+", sample, re.IGNORECASE):
        return Dialect.SQLITE
    return max(counts, key=lambda dialect: counts[dialect])


def _statement(script: SqlText, head: str, tables: SqlTables) -> None:
    """Read one statement, or pass over it."""
    if head.startswith(";"):
        script.move(1)
    elif match := _INSERT.match(head):
        script.move(match.end())
        target = tables.target(names_in(match["name"]), names_in((match["columns"] or "")[1:-1]))
        for bundle in script.rows(match[0]):
            if target:
                target.add_values(bundle, script)
    elif match := _COPY.match(head):
        script.move(match.end())
        if re.search(r"\b(?:csv|binary)\b", match["how"], re.IGNORECASE):
            raise script.fault("COPY in CSV or binary is not read; dump plain")
        target = tables.target(names_in(match["name"]), names_in((match["columns"] or "")[1:-1]))
        for lines in script.copied():
            if target:
                target.add_lines(lines, script)
    elif not _definition(script, head, tables):
        _pass_over(script, head, tables.dialect)


def _definition(script: SqlText, head: str, tables: SqlTables) -> bool:
    """Take up a statement that defines or changes something; tell whether it was one."""
    if _CREATE.match(head):
        line = script.line
        tables.create(script.rest(), line)
    elif _ALTER.match(head):
        tables.alter(script.rest())
    elif _TYPE.match(head):
        tables.types.take(script.rest())
    elif match := _SPACE.match(head):
        tables.schema = names_in(match["name"] or match["path"])[0]
        script.rest()
    elif match := _CHANGE.match(head):
        line = script.line
        statement = script.rest()
        if not _OF_THE_PROGRAM.match(statement):
            word = match[1].upper()
            tables.notes.append(f"{word} in line {line} of the script passed over: no plain rows")
    else:
        return False
    return True


def _pass_over(script: SqlText, head: str, dialect: Dialect) -> None:
    if match := _DELIMITER.match(head):
        script.move(match.end())
        if match[1] != ";":
            script.pass_over(_END_OF_DELIMITER)
    elif _LINE.match(head) or (dialect is Dialect.MSSQL and _SETTING.match(head)):
        script.pass_over(re.compile(r"\n"))
    elif (routine := _ROUTINE.match(head)) and dialect is Dialect.MSSQL:
        script.pass_over(_GO)
    elif routine and routine["kind"].upper() == "TRIGGER" and dialect is Dialect.SQLITE:
        script.pass_over(_END)
    elif head.startswith((",", "(")):
        raise script.fault("values stand where a statement is expected")
    else:
        script.rest()
