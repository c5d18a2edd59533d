"""Rows that could not be read: counted by rule, the first ones listed if asked for."""

from __future__ import annotations

from collections import Counter

from syntheflow_server.domain.reading import OnBadRow

_LISTED = 100


class Rejects:
    """What was left out, in numbers and places, never in values."""

    def __init__(self, how: OnBadRow) -> None:
        self._how = how
        self._rules: Counter[str] = Counter()
        self._places: list[str] = []

    @property
    def count(self) -> int:
        """Rows left out."""
        return self._rules.total()

    def add(self, row: int, rule: str, column: str = "") -> None:
        """Leave out row `row`, counted from 1 in the file."""
        self._rules[rule] += 1
        if self._how is OnBadRow.REPORT and len(self._places) < _LISTED:
            at = f"row {row}, column {column!r}" if column else f"row {row}"
            self._places.append(f"{at}: {rule}")

    def findings(self) -> list[str]:
        """Return what to say of them."""
        said = [f"{count} rows left out: {rule}" for rule, count in self._rules.most_common()]
        return said + self._places
