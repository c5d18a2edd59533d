"""Primary keys: by names, uniqueness and place, and only where chance is no explanation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import pyarrow as pa

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.schema.names import (
    is_generic,
    is_key_name,
    is_sequence_name,
    names_table,
    words,
)
from syntheflow_server.schema.profile import ColumnProfile, TableProfile
from syntheflow_server.schema.rows import Codes, column_codes, repeated_rows

_ENOUGH = 3.0
_MOST_COLUMNS = 4
_PREFIX = 3
_CANDIDATES = 9
_PROBE_ROWS = 20_000
# So many repeats would be expected if the columns were independent: none is no chance.
_SIGNIFICANT = 10.0
_LONG_TEXT = 40


def single_key(table: TableProfile, others: Iterable[TableProfile]) -> tuple[str, ...]:
    """Return the column that is the table's key by itself, or nothing."""
    elsewhere = {c.name.lower() for other in others for c in other.columns}
    best, best_score = "", 0.0
    for column in table.columns:
        if not _may_be_single(column):
            continue
        score = _single_score(column, table, elsewhere)
        if score > best_score:
            best, best_score = column.name, score
    return (best,) if best_score >= _ENOUGH else ()


def _may_be_single(column: ColumnProfile) -> bool:
    if not column.unique or not (column.is_integer or column.is_text):
        return False
    return column.shape is None or column.shape.mean_length <= _LONG_TEXT


def _single_score(column: ColumnProfile, table: TableProfile, elsewhere: set[str]) -> float:
    score = 0.0
    if names_table(column.name, table.name) and is_key_name(column.name):
        score += 4
    elif is_key_name(column.name):
        score += 3
    elif words(column.name) == words(table.name):
        score += 2
    score += 2 if column.position == 0 else 1 if column.position <= 2 else 0
    if column.name.lower() in elsewhere and not is_generic(column.name):
        score += 2.5
    if column.position == 0 and column.sequential and column.rows > 2:
        score += 2
    if column.shape is not None:
        shape = column.shape
        score += 1 if shape.structured and not shape.blanks else -1 if shape.blanks else 0
    return score


def is_junction(table: TableProfile, key: tuple[str, ...], links: list[ForeignKey]) -> bool:
    """Tell whether a table pairs two others: its name is made of theirs, and it refers to both.

    Such a table's key is the pair, even if one side happens to be unique in these rows.
    """
    if len(key) != 1:
        return False
    parents = {link.parent_table for link in links if len(link.child_columns) == 1}
    named = [parent for parent in parents if set(words(parent)) < set(words(table.name))]
    covered = {word for parent in named for word in words(parent)}
    return len(named) >= 2 and covered == set(words(table.name))


def composite_key(table: TableProfile, links: list[ForeignKey]) -> tuple[str, ...]:
    """Return up to four columns that together are the table's key, or nothing.

    `links` are the table's references known so far. A short prefix of key columns is
    preferred, then the smallest set. Sets that are not made of keys need many repeats
    to be expected by chance.
    """
    linked = {name for link in links for name in link.child_columns}
    candidates = _candidates(table, linked)
    if table.rows < 2 or len(candidates) < 2:
        return ()
    search = _Search(table)
    prefix = _key_prefix(table, linked)
    for size in range(2, len(prefix) + 1):
        if search.is_key(prefix[:size]) and _believable(prefix[:size], linked, table.rows):
            return tuple(column.name for column in prefix[:size])
    for size in range(2, _MOST_COLUMNS + 1):
        sets = sorted(combinations(candidates, size), key=lambda s: -_set_score(s, linked))
        for columns in sets:
            if _believable(columns, linked, table.rows) and search.is_key(columns):
                return tuple(c.name for c in sorted(columns, key=lambda c: c.position))
    return ()


def _candidates(table: TableProfile, linked: set[str]) -> tuple[ColumnProfile, ...]:
    """Return the columns that may be part of a key: keys, sequences, days, classes."""
    chosen: list[ColumnProfile] = []
    leading = True
    for column in table.columns:
        named = _is_keylike(column, linked)
        fit = column.nulls == 0 and (column.is_integer or column.is_text or column.is_day)
        few = column.distinct <= table.rows / 2
        classes = few and column.is_text
        leading = leading and fit and (named or column.is_day or few)
        long = column.shape is not None and column.shape.mean_length > _LONG_TEXT
        if fit and not long and (named or column.is_day or classes or leading):
            chosen.append(column)
    chosen.sort(key=lambda c: (-_set_score((c,), linked), c.position))
    return tuple(sorted(chosen[:_CANDIDATES], key=lambda c: c.position))


def _is_keylike(column: ColumnProfile, linked: set[str]) -> bool:
    named = is_key_name(column.name) or is_sequence_name(column.name)
    return column.name in linked or named


def _key_prefix(table: TableProfile, linked: set[str]) -> tuple[ColumnProfile, ...]:
    """Return the leading columns, at most three, that are keys or, after one, days."""
    prefix: list[ColumnProfile] = []
    for column in table.columns[:_PREFIX]:
        fit = column.nulls == 0 and (column.is_integer or column.is_text or column.is_day)
        if not fit or not (_is_keylike(column, linked) or (prefix and column.is_day)):
            break
        prefix.append(column)
    return tuple(prefix)


def _set_score(columns: tuple[ColumnProfile, ...], linked: set[str]) -> float:
    return sum(_part_score(column, linked) for column in columns)


def _part_score(column: ColumnProfile, linked: set[str]) -> float:
    if is_sequence_name(column.name):
        score = 3.5
    elif column.name in linked or is_key_name(column.name):
        score = 3.0
    else:
        score = 1.5 if column.is_day else 1.0
    return score - 0.05 * min(column.position, 10)


def _believable(columns: tuple[ColumnProfile, ...], linked: set[str], rows: int) -> bool:
    """Tell whether uniqueness means something: keys by name and reference, or beyond chance."""
    named = all(_is_keylike(column, linked) or column.is_day for column in columns)
    if named and any(column.name in linked for column in columns):
        return True
    chance = 1.0
    for column in columns:
        chance *= column.collision
    return rows * rows / 2 * chance >= _SIGNIFICANT


class _Search:
    """Tests sets of columns for uniqueness, first on the first rows, then on all."""

    def __init__(self, table: TableProfile) -> None:
        self._table = table
        self._codes: dict[str, Codes] = {}
        self._heads: dict[str, Codes] = {}

    def is_key(self, columns: tuple[ColumnProfile, ...]) -> bool:
        """Tell whether the columns together are unique."""
        room = 1
        for column in columns:
            room *= max(1, column.distinct)
        if room < self._table.rows:
            return False
        first = self._table.source.parts[:1]
        if first and len(columns) > 1 and len(first[0]) < self._table.rows:
            heads = [self._head_of(column.name) for column in columns]
            if repeated_rows(heads):
                return False
        return repeated_rows([self._codes_of(column.name) for column in columns]) == 0

    def _head_of(self, name: str) -> Codes:
        if name not in self._heads:
            head = self._table.source.part(name, 0)[:_PROBE_ROWS]
            self._heads[name] = column_codes(pa.chunked_array([head]))
        return self._heads[name]

    def _codes_of(self, name: str) -> Codes:
        if name not in self._codes:
            self._codes[name] = column_codes(self._table.source.column(name))
        return self._codes[name]
