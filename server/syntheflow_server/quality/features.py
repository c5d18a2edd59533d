"""Rows of a table as a matrix that a tree classifier and a distance can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Schema
from syntheflow_server.quality.columns import (
    MISSING,
    Codes,
    Kind,
    calendar_parts,
    column_kinds,
    numbers,
    text_parts,
)

MAX_CODES = 200
"""Different values that a categorical feature tells apart; the others share one code."""


@dataclass(frozen=True, slots=True)
class Features:
    """One row of `matrix` (rows x features, float64, NaN missing) for each row of a table.

    `columns` names the column behind each feature, `categorical` marks codes.
    """

    matrix: np.ndarray
    columns: tuple[str, ...]
    categorical: np.ndarray

    def take(self, rows: np.ndarray) -> Features:
        """Return the rows at these places."""
        return Features(self.matrix[rows], self.columns, self.categorical)


class FeatureSpace:
    """Features of one table, fitted on its training rows only.

    Numbers stand as they are, times as number plus calendar parts, categories as codes
    with one code for the unseen, near-unique strings by their form. Identifiers and
    key columns are left out: the number of a surrogate key says nothing. `pulse` is
    called before each column and may raise to cancel.
    """

    def __init__(
        self, schema: Schema, table: str, train: pa.Table, pulse: Callable[[], None] | None = None
    ) -> None:
        self.kinds = column_kinds(schema, table, train)
        self._pulse = pulse or _still
        self._codes: dict[str, Codes] = {}
        for name, kind in self.kinds.items():
            self._pulse()
            if kind is Kind.CATEGORY:
                self._codes[name] = Codes.fit(train.column(name), train.num_rows + 1)

    @property
    def empty(self) -> bool:
        """True if the table has nothing but keys."""
        return all(kind is Kind.KEY for kind in self.kinds.values())

    def encode(self, rows: pa.Table) -> Features:
        """Return the features of the rows."""
        parts: list[tuple[str, bool, np.ndarray]] = []
        for name, kind in self.kinds.items():
            self._pulse()
            values = rows.column(name)
            if kind is Kind.CATEGORY:
                parts += [(name, *part) for part in self._category(name, values)]
                continue
            if kind in {Kind.NUMBER, Kind.TIME}:
                parts.append((name, False, numbers(values)))
            if kind is Kind.TIME:
                parts += [(name, False, part) for part in calendar_parts(values).values()]
            if kind is Kind.TEXT:
                parts += [(name, False, part) for part in text_parts(values).values()]
        matrix = np.empty((rows.num_rows, len(parts)))
        for place, (_, _, part) in enumerate(parts):
            matrix[:, place] = part
        columns = tuple(name for name, _, _ in parts)
        return Features(matrix, columns, np.array([coded for _, coded, _ in parts], dtype=bool))

    def _category(self, name: str, values: pa.ChunkedArray) -> list[tuple[bool, np.ndarray]]:
        """Return the codes and, where there are too many, how frequent and of what form."""
        known = self._codes[name]
        codes = known.encode(values)
        missing = codes == MISSING
        capped = np.where(missing, np.nan, np.minimum(codes, MAX_CODES))
        found = [(True, capped)]
        if known.distinct > MAX_CODES:
            counts = np.append(known.counts, 0)
            found.append((False, np.where(missing, np.nan, np.log1p(counts[codes]))))
            if pa.types.is_string(values.type):
                found += [(False, part) for part in text_parts(values).values()]
        return found


def _still() -> None:
    """Do nothing: the pulse of whom nobody waits for."""
