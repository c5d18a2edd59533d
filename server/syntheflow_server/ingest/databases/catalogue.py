"""What a database declares of its tables, and which part of it is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from syntheflow_server.domain.errors import InvalidArgumentError, NotFoundError, Violation
from syntheflow_server.domain.reading import Wanted


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column: `native_type` in the database's words, `kind` what the dialect's planner knows.

    `digits` are precision and scale of a decimal, where declared.
    """

    name: str
    native_type: str
    kind: str
    nullable: bool = True
    identity: bool = False
    computed: bool = False
    digits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SourceReference:
    """Columns that hold a key of another table (`parent` is its namespace and name)."""

    columns: tuple[str, ...]
    parent: tuple[str, str]
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table as declared; `rows` is the database's own estimate, -1 if it has none.

    `checks` are conditions with the columns that stand in them (empty: not known).
    """

    namespace: str
    name: str
    columns: tuple[SourceColumn, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    checks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    references: tuple[SourceReference, ...] = ()
    rows: int = -1
    only: bool = False
    findings: tuple[str, ...] = field(default=())

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the table's order."""
        return tuple(column.name for column in self.columns)

    def without(self, names: Iterable[str], why: str) -> SourceTable:
        """Return the table without some columns, and without keys and checks that need them."""
        gone = set(names)
        if not gone:
            return self
        told = [f"column {name!r} left out: {why}" for name in self.column_names if name in gone]
        keys = [key for key in self.unique_keys if not gone & set(key)]
        checks = [check for check in self.checks if not gone & _words_of(check)]
        told += ["a CHECK left out: it needs a column that is left out"] * (
            len(self.checks) - len(checks)
        )
        return replace(
            self,
            columns=tuple(c for c in self.columns if c.name not in gone),
            primary_key=() if gone & set(self.primary_key) else self.primary_key,
            unique_keys=tuple(keys),
            checks=tuple(checks),
            references=tuple(r for r in self.references if not gone & set(r.columns)),
            findings=(*self.findings, *told),
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The wanted tables by the name that they get here."""

    tables: dict[str, SourceTable]
    names: dict[tuple[str, str], str]


def namespaces_wanted(wanted: Wanted, default: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the namespaces that are read: one, or all that fit a pattern.

    Raises NotFoundError if there is none; it names those that there are.
    """
    pattern = wanted.namespace or default
    parts = [part.strip() for part in pattern.split(",")]
    found = tuple(n for n in known if any(n == part or fnmatchcase(n, part) for part in parts))
    if not found:
        raise NotFoundError(
            f"the database has no namespace {pattern!r}; it has {_listed(known)}",
            reason="NAMESPACE_MISSING",
        )
    return found


def choose(tables: Sequence[SourceTable], wanted: Wanted, default: str) -> Chosen:
    """Return the tables and columns that are wanted.

    Tables are named by themselves, those of further namespaces `NAMESPACE.TABLE`; patterns
    may say either. Raises InvalidArgumentError if a pattern of `wanted.tables` fits nothing.
    """
    spaces = {table.namespace for table in tables}
    home = default if default in spaces or len(spaces) != 1 else next(iter(spaces))
    named = {t.name if t.namespace == home else f"{t.namespace}.{t.name}": t for t in tables}
    for pattern in wanted.tables:
        if not any(_fits(name, table, pattern) for name, table in named.items()):
            rule = f"no table fits {pattern!r}; there are {_listed(list(named))}"
            raise InvalidArgumentError(
                rule,
                reason="TABLE_MISSING",
                violations=(Violation(field="tables", rule=rule),),
            )
    out = _excluded_columns(wanted.exclude, named)
    chosen: dict[str, SourceTable] = {}
    for name, table in named.items():
        if wanted.tables and not any(_fits(name, table, p) for p in wanted.tables):
            continue
        if any(_fits(name, table, p) for p in wanted.exclude):
            continue
        kept = table.without(out[name], "it was not wanted")
        if kept.columns:
            chosen[name] = kept
    if not chosen:
        rule = "no table is left to read; check the patterns, the namespace and the user's rights"
        raise InvalidArgumentError(
            rule, reason="NO_TABLES", violations=(Violation(field="tables", rule=rule),)
        )
    return Chosen(chosen, {table.place: name for name, table in chosen.items()})


def _fits(name: str, table: SourceTable, pattern: str) -> bool:
    full = f"{table.namespace}.{table.name}"
    return any(text == pattern or fnmatchcase(text, pattern) for text in (name, full))


def _excluded_columns(
    patterns: Sequence[str], tables: dict[str, SourceTable]
) -> dict[str, set[str]]:
    out: dict[str, set[str]] = {name: set() for name in tables}
    for pattern in patterns:
        before, dot, column = pattern.rpartition(".")
        if not dot:
            continue
        for name, table in tables.items():
            # `sales.orders` may be a table of a namespace: then it is no column.
            if _fits(name, table, before) and not _fits(name, table, pattern):
                out[name] |= {c for c in table.column_names if fnmatchcase(c, column)}
    return out


def _words_of(check: tuple[str, tuple[str, ...]]) -> set[str]:
    text, columns = check
    return set(columns) or set(re.findall(r"\w+", text))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:20]) or "none"
    return shown + (" ..." if len(names) > 20 else "")
