"""The tables of an SQL script while it is read: what is declared, and rows on their way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
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
from syntheflow_server.ingest.sql_types import UserTypes, conditions
from syntheflow_server.ingest.sql_values import NoValueError, array_as_json, copied_text, text_of
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
_ADDED_CHECK = re.compile(rf"ADD\s+CONSTRAINT\s+{NAME}\s+CHECK\s*\(", re.IGNORECASE)
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
_PARTITION = re.compile(
    rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?({QUALIFIED})\s+PARTITION\s+OF\s+({QUALIFIED})",
    re.IGNORECASE,
)
_ATTACHED = re.compile(rf"ATTACH\s+PARTITION\s+({QUALIFIED})", re.IGNORECASE)
_SWALLOWED = re.compile(r"^\s*(?:INSERT\s+INTO|COPY)\s.*\b(?:VALUES|FROM)\b", re.MULTILINE)
_OF_SQLITE = {"sqlite_sequence", "sqlite_stat1", "sqlite_stat4", "sqlite_schema", "sqlite_master"}
_DEPTH = 16
_Key = tuple[str, str]


class SqlTable:
    """One table: its declaration and its staged rows."""

    def __init__(self, declared: DeclaredTable, stage: Stage, how: OnBadRow) -> None:
        self.declared = declared
        self.stage = stage
        self.space = ""
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

    def __init__(
        self,
        table: SqlTable,
        places: list[int],
        dialect: Dialect,
        arrays: frozenset[int] = frozenset(),
    ) -> None:
        self._table = table
        self._places = places
        self._arrays = arrays
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
            kind = self._table.declared.columns[place].type
            whole[place] = _as_json(values, kind) if place in self._arrays else values
        stage.extend(whole)


def _as_json(values: list[str | None], kind: str) -> list[str | None]:
    return [None if value is None else array_as_json(value, kind) for value in values]


class SqlTables:
    """All tables of a script, by schema and name without regard to case."""

    def __init__(self, work: Path, table: str, dialect: Dialect, options: ReadOptions) -> None:
        self.dialect = dialect
        self.types = UserTypes()
        self.schema = ""
        """Where names without a schema belong."""
        self.notes: list[str] = []
        self._work = work
        self._table = table
        self._options = options
        self._tables: dict[_Key, SqlTable | None] = {}
        self._parents: dict[_Key, tuple[str, ...]] = {}
        self._last: SqlTable | None = None

    def found(self) -> list[SqlTable]:
        """Return the tables that were asked for, in the order of the script, under final names.

        Tables of the same name in two schemas are called `schema.table`.
        """
        tables = {
            key: table
            for key, table in self._tables.items()
            if table and key not in self._parents and table.declared.columns
        }
        often = Counter(name for _, name in tables)
        for (space, name), table in tables.items():
            if often[name] > 1 and space:
                table.declared.name = f"{table.space}.{table.declared.name}"
                checked_table_name(table.declared.name)
        for table in tables.values():
            table.notes += self.types.settle(table.declared)
            table.declared.references = [
                link.model_copy(
                    update={
                        "child_table": table.declared.name,
                        "parent_table": self._final(link.parent_table, table.space, tables),
                    }
                )
                for link in table.declared.references
            ]
        return list(tables.values())

    def fits(self, pattern: str) -> bool:
        """Tell whether some table has a name that fits the pattern."""
        return any(_fits(key, pattern) for key in self._tables)

    def close(self) -> None:
        """Let go of all files."""
        for table in self._tables.values():
            if table:
                table.stage.close()

    def create(self, statement: str, line: int) -> None:
        """Take up what CREATE TABLE declares."""
        if match := _PARTITION.match(statement):
            self._parents[self._key(names_in(match[1]))] = names_in(match[2])
            return
        if _SWALLOWED.search(statement):
            rule = f"the CREATE TABLE in line {line} does not end before rows come; close it by `;`"
            raise bad_file(self._table, rule, row=line)
        tree = parsed(statement, self.dialect)
        if tree is None:
            # What follows the list of columns is of no interest, and seldom standard.
            tree = parsed(statement[: statement.rfind(")") + 1], self.dialect)
        made = read_create(tree, self.dialect) if isinstance(tree, exp.Create) else None
        match = _CREATED.match(statement)
        if made is None or match is None:
            if match is None or not (table := self._table_of(names_in(match[1]))):
                return
            said = f"CREATE TABLE in line {line} is not understood"
            table.notes.append(f"its {said}; types are guessed")
            self.notes.append(f"the {said}")
            return
        if (table := self._table_of(names_in(match[1]))) is not None:
            if table.declared.columns:
                rule = f"the table is created twice, the second time in line {line}"
                raise bad_file(made.name, rule, reason="TABLE_REPEATED")
            check_column_names(made.name, [column.name for column in made.columns])
            made.checks = conditions(statement)
            table.declared = made
            table.ready()

    def alter(self, statement: str) -> None:
        """Take up keys and references that ALTER TABLE adds."""
        match = _ALTERED.match(statement)
        table = self._tables.get(self._key(names_in(match[1]))) if match else None
        if match is None or table is None:
            return
        if part := _ATTACHED.search(statement):
            self._parents[self._key(names_in(part[1]))] = names_in(match[1])
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
                    parent_table=".".join(names_in(found[2])),
                    parent_columns=names_in(found[3] or ""),
                )
            )
        if _ADDED_CHECK.search(statement):
            declared.checks += conditions(statement)
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
        if self.dialect is Dialect.SQLITE and name[-1].lower() in _OF_SQLITE:
            return None
        own = self._table_of(name)
        table = self._table_of(self._home_of(name))
        if table is None or own is None:
            return None
        if self._last is not None and self._last is not table:
            self._last.stage.relieve()
        self._last = table
        declared = table.declared
        if not declared.columns:
            if not columns:
                rule = (
                    "rows come without CREATE TABLE or names of columns; "
                    "dump the tables' definitions too, or the columns' names"
                )
                raise bad_file(name[-1], rule)
            check_column_names(declared.name, columns)
            declared.columns = [DeclaredColumn(column) for column in columns]
            table.ready()
        known = {column.name.lower(): i for i, column in enumerate(declared.columns)}
        # A part may have its columns in an order of its own.
        columns = columns or tuple(column.name for column in own.declared.columns)
        missing = [column for column in columns if column.lower() not in known]
        if missing:
            rule = "rows are inserted into a column that CREATE TABLE does not have"
            raise bad_file(declared.name, rule, column=missing[0])
        places = [known[column.lower()] for column in columns] or list(range(len(known)))
        arrays = frozenset(p for p in places if self._is_array(declared.columns[p]))
        return SqlTarget(table, places, self.dialect, arrays)

    def _is_array(self, column: DeclaredColumn) -> bool:
        return self.dialect is Dialect.POSTGRESQL and column.native.endswith("[]")

    def _key(self, name: tuple[str, ...]) -> _Key:
        space = name[-2] if len(name) > 1 else self.schema
        return space.lower(), name[-1].lower()

    def _home_of(self, name: tuple[str, ...]) -> tuple[str, ...]:
        """Return the table that holds the rows of a part."""
        for _ in range(_DEPTH):
            parent = self._parents.get(self._key(name))
            if parent is None:
                break
            name = parent
        return name

    def _final(self, parent: str, space: str, tables: Mapping[_Key, SqlTable]) -> str:
        """Return the final name of a table that a reference names."""
        given, _, name = parent.rpartition(".")
        found = tables.get(((given or space).lower(), name.lower()))
        return found.declared.name if found else name

    def _table_of(self, name: tuple[str, ...]) -> SqlTable | None:
        key = self._key(name)
        if key not in self._tables:
            if len(self._tables) == _TABLE_LIMIT:
                rule = f"the script has more than {_TABLE_LIMIT:,} tables"
                raise bad_file(self._table, rule, reason="TABLES_TOO_MANY")
            plain = checked_table_name(name[-1])
            wanted = self._options.tables
            if wanted is not None and not any(_fits(key, p) for p in wanted):
                self._tables[key] = None
            else:
                stage = Stage(self._work, plain, len(self._tables))
                made = SqlTable(DeclaredTable(plain), stage, self._options.on_bad_row)
                made.space = name[-2] if len(name) > 1 else self.schema
                self._tables[key] = made
        return self._tables[key]


def _fits(key: _Key, pattern: str) -> bool:
    small = pattern.lower()
    return fnmatchcase(key[1], small) or fnmatchcase(".".join(key), small)
