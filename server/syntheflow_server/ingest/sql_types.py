"""Types that an SQL script makes itself, and what PostgreSQL calls its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from syntheflow_server.ingest.declared import DeclaredColumn, DeclaredTable
from syntheflow_server.ingest.sql_text import NAME, QUALIFIED, names_in

_DOMAIN = re.compile(
    rf"CREATE\s+DOMAIN\s+(?P<name>{QUALIFIED})\s+(?:AS\s+)?(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_BASE_ENDS = re.compile(r"\s+(?:COLLATE|DEFAULT|CONSTRAINT|NOT\s+NULL|NULL|CHECK)\b", re.IGNORECASE)
_ENUM = re.compile(rf"CREATE\s+TYPE\s+(?P<name>{QUALIFIED})\s+AS\s+ENUM\b", re.IGNORECASE)
_CHECK = re.compile(r"\bCHECK\s*\(", re.IGNORECASE)
_TEXTS = re.compile(r"('(?:[^']|'')*')")
_FOREIGN = re.compile(rf"(?<![\w.])(?!pg_catalog\b){NAME}\s*\.\s*{NAME}\s*\(|::\s*{NAME}\s*\.")
_POSTGRESQL = {
    "int": "integer",
    "varchar": "character varying",
    "char": "character",
    "decimal": "numeric",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}
_PARTS = re.compile(r"(?P<name>[\w ]+?)\s*(?P<digits>\([^)]*\))?(?P<array>(?:\[\])*)")
_DEPTH = 16


@dataclass(frozen=True, slots=True)
class _Domain:
    base: str
    filled: bool
    checks: tuple[str, ...]


class UserTypes:
    """Enumerations and domains by name."""

    def __init__(self) -> None:
        self._domains: dict[str, _Domain] = {}
        self._enums: dict[str, str] = {}

    def take(self, statement: str) -> None:
        """Take up a CREATE DOMAIN or CREATE TYPE."""
        if match := _ENUM.match(statement):
            labels = ", ".join(_TEXTS.findall(statement[match.end() :]))
            self._enums[names_in(match["name"])[-1].lower()] = labels
        elif match := _DOMAIN.match(statement):
            rest = match["rest"]
            end = _BASE_ENDS.search(rest)
            base = rest[: end.start()] if end else rest
            filled = bool(re.search(r"\bNOT\s+NULL\b", _TEXTS.sub("", rest), re.IGNORECASE))
            name = names_in(match["name"])[-1].lower()
            self._domains[name] = _Domain(base.strip(), filled, tuple(conditions(rest)))

    def settle(self, table: DeclaredTable) -> list[str]:
        """Look up the types of a table's columns; return what could not be kept."""
        told: list[str] = []
        kept: list[str] = []
        for text in table.checks:
            if _needs_more(text):
                told.append("a CHECK left out: it needs a type or function of the script's own")
            else:
                kept.append(text)
        for column in table.columns:
            for text in self._look_up(column):
                if _needs_more(text):
                    told.append(
                        f"column {column.name!r}: a CHECK of its domain left out: "
                        "it needs a type or function of the script's own"
                    )
                else:
                    kept.append(text)
        table.checks = kept
        return told

    def _look_up(self, column: DeclaredColumn) -> list[str]:
        """Find the type below all domains; return the domains' conditions on the column."""
        checks: list[str] = []
        name = '"' + column.name.replace('"', '""') + '"'
        kind = column.native
        for _ in range(_DEPTH):
            domain = self._domains.get(_last(kind))
            if domain is None:
                break
            column.nullable = column.nullable and not domain.filled
            checks += [_in_place_of_value(text, name) for text in domain.checks]
            kind = domain.base
        column.kind = kind
        column.is_category = _last(kind) in self._enums
        if column.native != kind or column.is_category or "." in column.native:
            column.native = column.native.rpartition(".")[2].strip('"')
        if column.is_category and column.native.lower() == _last(kind):
            column.native += f" enum({self._enums[_last(kind)]})"
        return checks


def _last(kind: str) -> str:
    return kind.rpartition(".")[2].strip().strip('"').lower()


def _needs_more(condition: str) -> bool:
    """Tell whether a condition calls a function, or names a type, of a schema."""
    return bool(_FOREIGN.search(_TEXTS.sub("''", condition)))


def _in_place_of_value(condition: str, name: str) -> str:
    parts = _TEXTS.split(condition)
    return "".join(
        part if number % 2 else re.sub(r"\bVALUE\b", lambda _: name, part)
        for number, part in enumerate(parts)
    )


def conditions(statement: str) -> list[str]:
    """Return the conditions of CHECK constraints as they are written."""
    # Brackets and words in texts do not count: they are blanked, at the same length.
    plain = _TEXTS.sub(lambda match: "'" * len(match[0]), statement)
    found = []
    for match in _CHECK.finditer(plain):
        depth, at = 1, match.end()
        while depth and at < len(plain):
            depth += {"(": 1, ")": -1}.get(plain[at], 0)
            at += 1
        if not depth:
            found.append(statement[match.end() : at - 1].strip())
    return found


def in_own_words(native: str, dialect: str) -> str:
    """Return a type as the database itself writes it (PostgreSQL: as format_type does)."""
    if dialect == "mysql":
        return (
            re.sub(r",\s+", ",", _TEXTS.sub(lambda m: m[0], native))
            if "'" in native
            else (native.lower().replace(", ", ","))
        )
    if dialect != "postgresql" or '"' in native:
        return native
    match = _PARTS.fullmatch(native.lower())
    if match is None:
        return native
    digits = (match["digits"] or "").replace(" ", "")
    word = _POSTGRESQL.get(match["name"], match["name"])
    # `timestamp(3) without time zone`: the digits stand behind the first word.
    first, _, more = word.partition(" ") if word.startswith("time") else (word, "", "")
    return f"{first}{digits}{' ' if more else ''}{more}{match['array']}"
