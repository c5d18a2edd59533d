"""Statements that make a dataset's tables in a database, and tie them together.

Rows are loaded between `create_tables` and `add_constraints`, so that their order and
circles of references do not matter; `fix_identities` comes last. SQLite and DuckDB cannot
add references later: there they stand in the table, in dependency order. What each
database lacks is left out in one place: `_references`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, Table
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.sql_names import fitting_name, quoted_list, quoted_name
from syntheflow_server.export.sql_types import column_type, kind_of

__all__ = [
    "add_constraints",
    "column_type",
    "create_tables",
    "dependency_order",
    "fitting_name",
    "fix_identities",
    "identity_column",
    "quoted_name",
    "references_inside",
]

# Most characters of all texts of one key: InnoDB 3072 bytes of up to 4 a character, SQL
# Server 900 of 2, Oracle a good half of a block of 8 KiB; less what other columns take.
_KEY_CHARACTERS = {Dialect.MYSQL: 700, Dialect.MSSQL: 400, Dialect.ORACLE: 800}
_LONGEST_KEY = 255
_CASELESS = frozenset({Dialect.MYSQL, Dialect.SQLITE, Dialect.MSSQL, Dialect.DUCKDB})
_EXACT = {Dialect.MSSQL: " COLLATE Latin1_General_100_BIN2"}
"""How texts of keys are compared: `a` and `A` are two keys, as they are in the data."""
_ORDERED = frozenset({Dialect.MYSQL, Dialect.DUCKDB})
"""Where a reference's columns must stand in the order of the key that they point at."""
_TABLE_END = {Dialect.MYSQL: " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"}


def references_inside(dialect: Dialect) -> bool:
    """Tell whether references can only stand in CREATE TABLE."""
    return dialect in {Dialect.SQLITE, Dialect.DUCKDB}


def dependency_order(schema: Schema, tables: tuple[str, ...]) -> tuple[str, ...]:
    """Return `tables` with parents before children, else in the schema's order.

    A circle is cut where the reference may be empty, or where the fewest are.
    """
    wanted = [name for name in schema.table_names if name in set(tables)]
    keys = {
        name: [key for key in schema.references_from(name) if key.parent_table != name]
        for name in wanted
    }

    def waits(name: str) -> tuple[int, int]:
        """Count the references to tables that do not stand yet: those that need a value first."""
        open_keys = [key for key in keys[name] if key.parent_table in wanted]
        table = schema.table(name)
        full = {c.name for c in table.columns if not c.nullable} | set(table.primary_key)
        needed = [key for key in open_keys if full.issuperset(key.child_columns)]
        return len(needed), len(open_keys)

    ordered: list[str] = []
    while wanted:
        free = [name for name in wanted if waits(name)[1] == 0]
        name = free[0] if free else min(wanted, key=waits)
        ordered.append(name)
        wanted.remove(name)
    return tuple(ordered)


def create_tables(
    schema: Schema,
    tables: tuple[str, ...],
    dialect: Dialect,
    *,
    namespace: str = "",
    references: bool = True,
) -> list[str]:
    """Return CREATE TABLE statements (without semicolon) in dependency order.

    With keys, UNIQUE, NOT NULL, CHECK (of the same dialect only) and identity; references
    only where `references_inside` and `references` are true. Raises InvalidArgumentError
    where two names fall together in the database or a CHECK is no single condition.
    """
    plan = _Plan(schema, tables, dialect, namespace)
    _check_names(plan)
    statements: list[str] = []
    for name in plan.order:
        statements.append(_create(plan, schema.table(name), references=references))
        statements += _filtered_keys(plan, schema.table(name))
    return statements


def add_constraints(
    schema: Schema, tables: tuple[str, ...], dialect: Dialect, *, namespace: str = ""
) -> list[str]:
    """Return ALTER TABLE statements for the references between `tables`."""
    if references_inside(dialect):
        return []
    plan = _Plan(schema, tables, dialect, namespace)
    return [
        f"ALTER TABLE {plan.name(name)} ADD {_reference(plan, key)}"
        for name in plan.order
        for key in _references(plan, name)
    ]


def fix_identities(
    schema: Schema, tables: tuple[str, ...], dialect: Dialect, *, namespace: str = ""
) -> list[str]:
    """Return statements after which the database numbers new rows behind the loaded ones.

    MySQL and SQLite do so by themselves, DuckDB has no identity columns.
    """
    statements = []
    for name in dependency_order(schema, tables):
        if (column := identity_column(schema.table(name), dialect)) is None:
            continue
        table, quoted = quoted_name(dialect, name, namespace), quoted_name(dialect, column)
        if dialect is Dialect.POSTGRESQL:
            place = table.replace("'", "''")
            serial = fitting_name(dialect, column).replace("'", "''")
            statements.append(
                f"SELECT setval(pg_get_serial_sequence('{place}', '{serial}'), "  # noqa: S608 - quoted
                f"greatest(last, 1), last >= 1) FROM (SELECT max({quoted}) AS last FROM {table}) "
                "AS loaded WHERE last IS NOT NULL"
            )
        elif dialect is Dialect.MSSQL:
            place = table.replace("'", "''")
            statements.append(f"DBCC CHECKIDENT (N'{place}', RESEED) WITH NO_INFOMSGS")
        elif dialect is Dialect.ORACLE:
            statements.append(
                f"ALTER TABLE {table} MODIFY ({quoted} GENERATED BY DEFAULT AS IDENTITY "
                "(START WITH LIMIT VALUE))"
            )
    return statements


def identity_column(table: Table, dialect: Dialect) -> str | None:
    """Return the column that the database numbers by itself, if it can."""
    if dialect in {Dialect.SQLITE, Dialect.DUCKDB}:
        return None
    for column in table.columns:
        if not column.identity or kind_of(column.arrow) != "int":
            continue
        # MySQL takes it only as the first column of a key.
        first = {key[:1] for key in (table.primary_key, *table.unique_keys)}
        if dialect is not Dialect.MYSQL or (column.name,) in first:
            return column.name
    return None


@dataclass(slots=True)
class _Plan:
    """What is made where, and how long texts of keys may be."""

    schema: Schema
    tables: tuple[str, ...]
    dialect: Dialect
    namespace: str
    order: tuple[str, ...] = field(init=False)
    lengths: dict[tuple[str, str], int] = field(init=False)

    def __post_init__(self) -> None:
        self.order = dependency_order(self.schema, self.tables)
        self.lengths = _key_lengths(self)

    def name(self, table: str) -> str:
        return quoted_name(self.dialect, table, self.namespace)

    def root(self, table: str, column: str) -> tuple[str, str]:
        """Return the column at the end of the references: all along the way share its type."""
        way = [(table, column)]
        while (parent := self._parent(*way[-1])) is not None and parent not in way:
            way.append(parent)
        circle = way[way.index(parent) :] if parent is not None else way[-1:]
        return min(circle, key=lambda place: (not self._native(*place), place))

    def _native(self, table: str, column: str) -> str:
        return self.schema.table(table).column(column).native_type

    def _parent(self, table: str, column: str) -> tuple[str, str] | None:
        stored = self.schema.table(table).column(column).type
        for key in self.schema.references_from(table):
            for child, parent in zip(key.child_columns, key.parent_columns, strict=True):
                above = self.schema.table(key.parent_table).column(parent)
                if child == column and above.type == stored:
                    return key.parent_table, parent
        return None


def _key_lengths(plan: _Plan) -> dict[tuple[str, str], int]:
    """Return the most characters of each text column (by its root) that stands in a key."""
    budget = _KEY_CHARACTERS.get(plan.dialect)
    lengths: dict[tuple[str, str], int] = {}
    if budget is None:
        return lengths
    for table in plan.schema.tables:
        keys = [table.primary_key, *table.unique_keys]
        keys += [key.child_columns for key in plan.schema.references_from(table.name)]
        keys += [key.parent_columns for key in plan.schema.references_to(table.name)]
        for key in keys:
            texts = [c for c in key if kind_of(table.column(c).arrow) == "string"]
            for name in texts:
                root = plan.root(table.name, name)
                share = min(_LONGEST_KEY, budget // len(texts))
                lengths[root] = min(share, lengths.get(root, share))
    return lengths


def _create(plan: _Plan, table: Table, *, references: bool) -> str:
    dialect = plan.dialect
    lines = [_column(plan, table, column) for column in table.columns]
    if table.primary_key:
        lines.append(f"PRIMARY KEY {quoted_list(dialect, table.primary_key)}")
    lines += [
        f"UNIQUE {quoted_list(dialect, key)}"
        for key in _unique_keys(plan, table)
        if not _filtered(plan, table, key)
    ]
    if plan.schema.dialect == dialect:
        lines += [_check(table, text, dialect) for text in table.checks]
    if references and references_inside(dialect):
        lines += [_reference(plan, key) for key in _references(plan, table.name)]
    body = ",\n  ".join(lines)
    return f"CREATE TABLE {plan.name(table.name)} (\n  {body}\n){_TABLE_END.get(dialect, '')}"


def _column(plan: _Plan, table: Table, column: Column) -> str:
    dialect, root = plan.dialect, plan.root(table.name, column.name)
    typed = plan.schema.table(root[0]).column(root[1])
    key_length = plan.lengths.get(root, 0)
    kind = kind_of(column.arrow)
    text = column_type(typed, dialect, plan.schema.dialect, key_length=key_length)
    if key_length:
        text += _EXACT.get(dialect, "")
    if identity_column(table, dialect) == column.name:
        text = _identity(text, dialect)
    # Oracle takes the empty text for no value.
    silent = dialect is Dialect.ORACLE and kind == "string" and plan.schema.dialect != dialect
    if column.name in table.primary_key or not (column.nullable or silent):
        text += " NOT NULL"
    if dialect is Dialect.MYSQL and identity_column(table, dialect) == column.name:
        text += " AUTO_INCREMENT"
    return f"{quoted_name(dialect, column.name)} {text}"


def _identity(text: str, dialect: Dialect) -> str:
    if dialect is Dialect.MSSQL:
        return f"{text} IDENTITY(1,1)"
    if dialect is Dialect.POSTGRESQL:
        whole = text if text in {"smallint", "integer", "bigint"} else "bigint"
        return f"{whole} GENERATED BY DEFAULT AS IDENTITY"
    if dialect is Dialect.ORACLE:
        return f"{text} GENERATED BY DEFAULT AS IDENTITY"
    return text


def _unique_keys(plan: _Plan, table: Table) -> list[tuple[str, ...]]:
    """Return UNIQUE keys: the table's own, and what references need to point at."""
    keys = list(dict.fromkeys(table.unique_keys))
    for key in plan.schema.references_to(table.name):
        known = [table.primary_key, *keys]
        if plan.dialect not in _ORDERED:
            known = [tuple(sorted(other)) for other in known]
        wanted = (
            key.parent_columns if plan.dialect in _ORDERED else tuple(sorted(key.parent_columns))
        )
        if key.child_table in plan.order and wanted not in known:
            keys.append(key.parent_columns)
    return [key for key in keys if key != table.primary_key]


def _filtered(plan: _Plan, table: Table, key: tuple[str, ...]) -> bool:
    """Tell whether the key is an index with a condition: SQL Server's UNIQUE has one null."""
    target = any(set(r.parent_columns) == set(key) for r in plan.schema.references_to(table.name))
    optional = any(table.column(c).nullable and c not in table.primary_key for c in key)
    return plan.dialect is Dialect.MSSQL and optional and not target


def _filtered_keys(plan: _Plan, table: Table) -> list[str]:
    statements = []
    for number, key in enumerate(_unique_keys(plan, table)):
        if _filtered(plan, table, key):
            name = quoted_name(plan.dialect, f"{table.name} key {number + 1}")
            there = " AND ".join(f"{quoted_name(plan.dialect, c)} IS NOT NULL" for c in key)
            statements.append(
                f"CREATE UNIQUE INDEX {name} ON {plan.name(table.name)} "
                f"{quoted_list(plan.dialect, key)} WHERE {there}"
            )
    return statements


def _references(plan: _Plan, table: str) -> list[ForeignKey]:
    """Return the references of a table that the database can have.

    Both tables must be there. DuckDB knows only tables that stand before: what closes a
    circle is left out there, and references of a table to itself, as it would compare
    each row with rows of earlier statements alone.
    """
    keys = [
        key
        for key in dict.fromkeys(plan.schema.references_from(table))
        if key.parent_table in plan.order
    ]
    if plan.dialect is Dialect.DUCKDB:
        place = plan.order.index
        keys = [key for key in keys if place(key.parent_table) < place(table)]
    return keys


def _reference(plan: _Plan, key: ForeignKey) -> str:
    # SQLite compares at the end of the transaction, so that rows may come in any order.
    late = " DEFERRABLE INITIALLY DEFERRED" if plan.dialect is Dialect.SQLITE else ""
    # A namespace of SQLite (an attached file) may not stand before the parent's name.
    parent = plan.name(key.parent_table)
    if plan.dialect is Dialect.SQLITE:
        parent = quoted_name(plan.dialect, key.parent_table)
    return (
        f"FOREIGN KEY {quoted_list(plan.dialect, key.child_columns)} "
        f"REFERENCES {parent} {quoted_list(plan.dialect, key.parent_columns)}{late}"
    )


def _check(table: Table, text: str, dialect: Dialect) -> str:
    """Return a CHECK if its text is one condition and nothing behind it."""
    if not _is_condition(text, dialect):
        rule = f"table {table.name!r}: a CHECK is not a single condition"
        raise InvalidArgumentError(
            f"{rule}; correct or remove it in the schema",
            reason="CHECK_UNREADABLE",
            violations=(Violation(field="checks", table=table.name, rule=rule),),
        )
    return f"CHECK ({text})"


def _is_condition(text: str, dialect: Dialect) -> bool:
    import sqlglot
    from sqlglot.errors import SqlglotError

    words = {Dialect.POSTGRESQL: "postgres", Dialect.MSSQL: "tsql"}
    try:
        tokens = sqlglot.tokenize(text, read=words.get(dialect, dialect.value))
    except SqlglotError:
        return False
    steps = {"L_PAREN": 1, "R_PAREN": -1}
    depth = 0
    for token in tokens:
        word = token.token_type.name
        depth += steps.get(word, 0)
        if depth < 0 or token.comments or word == "SEMICOLON":
            return False
    return depth == 0 and bool(tokens)


def _check_names(plan: _Plan) -> None:
    """Refuse names that the database would take for the same."""
    _check_apart(plan.dialect, plan.order, "tables", "")
    for name in plan.order:
        _check_apart(plan.dialect, plan.schema.table(name).column_names, "columns", name)


def _check_apart(dialect: Dialect, names: tuple[str, ...], what: str, table: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        same = fitting_name(dialect, name)
        same = same.lower() if dialect in _CASELESS else same
        if same in seen:
            place = f"table {table!r}: " if table else ""
            rule = f"{place}the {what} {seen[same]!r} and {name!r} are one name in {dialect}"
            raise InvalidArgumentError(
                f"{rule}; rename one of them",
                reason="NAMES_COLLIDE",
                violations=(Violation(field=what, table=table, column=name, rule=rule),),
            )
        seen[same] = name
