"""The tables of an SQL script while it is read: what is declared, and rows on their way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from sqlglot import exp

from syntheflow_server.domain.reading import OnBadRow, ReadOptions
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.declared import DeclaredColumn, DeclaredTable
from syntheflow_server.ingest.rejects import Rejects
from syntheflow_server.ingest.sql_ddl import parsed, read_create
from syntheflow_server.ingest.sql_text import NAME, QUALIFIED, SqlText, names_in
from syntheflow_server.ingest.sql_values import NoValueError, copied_text, text_of
from syntheflow_server.ingest.stage import Stage
from syntheflow_server.ingest.tables import bad_file, check_column_names, checked_table_name

_TABLE_LIMIT = 2_000
_NAMED = rf"(?:ADD\s+)(?:CONSTRAINT\s+{NAME}\s+)?"
_KIND = r"(?:\s+(?:NON)?CLUSTERED)?"
_PRIMARY = re.compile(rf"{_NAMED}PRIMARY\s+KEY{_KIND}\s*\(([^)]*)\)", re.IGNORECASE)
_UNIQUE = re.compile(
    rf"{_NAMED}UNIQUE(?:\s+(?:KEY|INDEX))?(?:\s+{NAME})?{_KIND}\s*\(((?:[^()]|\(\d+\))*)\)",
    re.IGNORECASE,
)
_FOREIGN = re.compile(
    rf"FOREIGN\s+KEY\s*(?:{NAME}\s*)?\(([^)]*)\)\s*"
    rf"REFERENCES\s+({QUALIFIED})\s*(?:\(([^)]*)\))?",
    re.IGNORECASE,
)
_CHECK = re.compile(
    rf"ADD\s+CONSTRAINT\s+{NAME}\s+CHECK\s*\((.*)\)\s*(?:NOT\s+VALID)?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_IDENTITY = re.compile(
    rf"ALTER\s+(?:COLUMN\s+)?({NAME})\s+(?:ADD\s+GENERATED|SET\s+DEFAULT\s+nextval)", re.IGNORECASE
)
_NUMBERED = re.compile(rf"MODIFY\s+(?:COLUMN\s+)?({NAME})[^,]*AUTO_INCREMENT", re.IGNORECASE)
_ALTERED = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?({QUALIFIED})", re.IGNORECASE
)
_CREATED = re.compile(
    rf"CREATE\s+(?:\w+\s+)*?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?({QUALIFIED})", re.IGNORECASE
)


class SqlTable:
    """One table: its declaration and its staged rows."""

    def __init__(self, declared: DeclaredTable, stage: Stage, how: OnBadRow) -> None:
        self.declared = declared
        self.stage = stage
        self.notes: list[str] = []
        self.rejects = Rejects(how)
        self._fail = how is OnBadRow.FAIL

    def ready(self) -> None:
        """Give each declared column its place in the stage."""
        for place, column in enumerate(self.declared.columns[len(self.stage.columns) :]):
            self.stage.column(column.name, place)

    def bad_row(self, rule: str, script: SqlText, column: str = "") -> None:
        """Refuse the file for a row that cannot be read, or count the row."""
        line = script.line
        if self._fail:
            raise bad_file(self.declared.name, rule, column=column, row=line)
        self.rejects.add(line, rule, column)


class SqlTarget:
    """Where the rows of one INSERT or COPY go: columns of the table in their order."""

    def __init__(self, table: SqlTable, places: list[int], dialect: Dialect) -> None:
        self._table = table
        self._places = places
        self._ways = {
            "backslash": dialect is Dialect.MYSQL,
            "binary_floats": dialect is Dialect.SQLITE,
        }

    def add_values(self, bundle: list[tuple[str, ...]], script: SqlText) -> None:
        """Stage rows of values as they are written."""
        rows: Sequence[Sequence[str]] = self._fitting(bundle, script)
        if not rows:
            return
        try:
            self._store([
                [text_of(raw, families, **self._ways) for raw in values]
                for values, families in self._columns(rows)
            ])  # fmt: skip
        except NoValueError:
            for row in rows:
                self._add_one(row, script)

    def _add_one(self, row: Sequence[str], script: SqlText) -> None:
        made: list[list[str | None]] = []
        for (values, families), place in zip(self._columns([row]), self._places, strict=True):
            try:
                made.append([text_of(values[0], families, **self._ways)])
            except NoValueError:
                rule = "an expression stands where a plain value is expected; dump values"
                self._table.bad_row(rule, script, self._table.declared.columns[place].name)
                return
        self._store(made)

    def add_lines(self, lines: list[str], script: SqlText) -> None:
        """Stage the lines of a COPY block."""
        rows = self._fitting([line.split("\t") for line in lines], script)
        if not rows:
            return
        made: list[list[str | None]] = []
        for values, families in self._columns(rows):
            families.add("text")
            made.append([copied_text(raw) for raw in values])
        self._store(made)

    def _columns(self, rows: Sequence[Sequence[str]]) -> list[tuple[Sequence[str], set[str]]]:
        columns = self._table.stage.columns
        return [
            (values, columns[place].families)
            for values, place in zip(zip(*rows, strict=True), self._places, strict=True)
        ]

    def _fitting(self, rows: Sequence[Sequence[str]], script: SqlText) -> list[Sequence[str]]:
        width = len(self._places)
        if all(len(row) == width for row in rows):
            return list(rows)
        for row in rows:
            if len(row) != width:
                rule = f"the row has {len(row)} values where {width} are expected"
                self._table.bad_row(rule, script)
        return [row for row in rows if len(row) == width]

    def _store(self, made: list[list[str | None]]) -> None:
        stage = self._table.stage
        count = len(made[0])
        whole: list[list[str | None]] = [[None] * count for _ in stage.columns]
        for values, place in zip(made, self._places, strict=True):
            whole[place] = values
        stage.extend(whole)


class SqlTables:
    """All tables of a script, by name without regard to case."""

    def __init__(self, work: Path, table: str, dialect: Dialect, options: ReadOptions) -> None:
        self.dialect = dialect
        self.seen: list[str] = []
        self._work = work
        self._table = table
        self._options = options
        self._tables: dict[str, SqlTable | None] = {}
        self._last: SqlTable | None = None

    def found(self) -> list[SqlTable]:
        """Return the tables that were asked for, in the order of the script."""
        return [table for table in self._tables.values() if table and table.declared.columns]

    def close(self) -> None:
        """Let go of all files."""
        for table in self._tables.values():
            if table:
                table.stage.close()

    def create(self, statement: str, line: int) -> None:
        """Take up what CREATE TABLE declares."""
        tree = parsed(statement, self.dialect)
        if tree is None:
            # What follows the list of columns is of no interest, and seldom standard.
            tree = parsed(statement[: statement.rfind(")") + 1], self.dialect)
        made = read_create(tree, self.dialect) if isinstance(tree, exp.Create) else None
        if made is None:
            match = _CREATED.match(statement)
            if match and (table := self._table_of(names_in(match[1])[-1])):
                said = f"its CREATE TABLE in line {line} is not understood; types are guessed"
                table.notes.append(said)
            return
        if (table := self._table_of(made.name)) is not None:
            if table.declared.columns:
                rule = f"the table is created twice, the second time in line {line}"
                raise bad_file(made.name, rule, reason="TABLE_REPEATED")
            check_column_names(made.name, [column.name for column in made.columns])
            table.declared = made
            table.ready()

    def alter(self, statement: str) -> None:
        """Take up keys and references that ALTER TABLE adds."""
        match = _ALTERED.match(statement)
        table = self._tables.get(names_in(match[1])[-1].lower()) if match else None
        if table is None:
            return
        declared = table.declared
        for found in _PRIMARY.finditer(statement):
            declared.primary_key = names_in(found[1])
        declared.unique_keys += [names_in(found[1]) for found in _UNIQUE.finditer(statement)]
        for found in _FOREIGN.finditer(statement):
            declared.references.append(
                ForeignKey(
                    child_table=declared.name,
                    child_columns=names_in(found[1]),
                    parent_table=names_in(found[2])[-1],
                    parent_columns=names_in(found[3] or ""),
                )
            )
        declared.checks += [found[1] for found in _CHECK.finditer(statement)]
        numbered = [
            names_in(f[1])[0] for p in (_IDENTITY, _NUMBERED) for f in p.finditer(statement)
        ]
        for column in declared.columns:
            if column.name in numbered:
                column.identity = True
            if column.name in declared.primary_key:
                column.nullable = False

    def target(self, name: tuple[str, ...], columns: tuple[str, ...]) -> SqlTarget | None:
        """Return where rows go; None for tables that are not asked for."""
        table = self._table_of(name[-1])
        if table is None:
            return None
        if self._last is not None and self._last is not table:
            self._last.stage.relieve()
        self._last = table
        declared = table.declared
        if not declared.columns:
            if not columns:
                rule = "rows come without CREATE TABLE or names of columns; dump those too"
                raise bad_file(name[-1], rule)
            check_column_names(declared.name, columns)
            declared.columns = [DeclaredColumn(column) for column in columns]
            table.ready()
        known = {column.name.lower(): i for i, column in enumerate(declared.columns)}
        missing = [column for column in columns if column.lower() not in known]
        if missing:
            rule = "rows are inserted into a column that CREATE TABLE does not have"
            raise bad_file(declared.name, rule, column=missing[0])
        places = [known[column.lower()] for column in columns] or list(range(len(known)))
        return SqlTarget(table, places, self.dialect)

    def _table_of(self, name: str) -> SqlTable | None:
        key = name.lower()
        if key not in self._tables:
            if len(self._tables) == _TABLE_LIMIT:
                rule = f"the script has more than {_TABLE_LIMIT:,} tables"
                raise bad_file(self._table, rule, reason="TABLES_TOO_MANY")
            self.seen.append(checked_table_name(name))
            wanted = self._options.tables
            if wanted is not None and not any(fnmatchcase(name, p) for p in wanted):
                self._tables[key] = None
            else:
                stage = Stage(self._work, name, len(self._tables))
                made = SqlTable(DeclaredTable(name), stage, self._options.on_bad_row)
                self._tables[key] = made
        return self._tables[key]
