"""Checks the fields of a request and gathers all broken rules into one error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from syntheflow_server.domain.errors import InvalidArgumentError, SyntheflowError, Violation
from syntheflow_server.domain.ids import checked_id, id_of

LONGEST_NAME = 1_000
LONGEST_REQUEST_ID = 128
MOST_ROWS = 10**12
LARGEST_SCALE = 1e9


class Checks:
    """Gathers violations of one request; `done` raises them together."""

    def __init__(self) -> None:
        self._faults: list[Violation] = []
        self._table = self._column = ""

    @contextmanager
    def about(self, table: str, column: str = "") -> Iterator[None]:
        """Say which table and column the checks of the block are about."""
        self._table, self._column = table, column
        try:
            yield
        finally:
            self._table = self._column = ""

    def rule(self, field: str, rule: str, *, holds: bool) -> None:
        """Note that `field` breaks `rule` unless it `holds`."""
        if not holds:
            names = (("table", self._table), ("column", self._column))
            where = ", ".join(f"{what} {name!r}" for what, name in names if name)
            told = f"{field} {rule}" + (f" ({where})" if where else "")
            self._faults.append(
                Violation(field=field, table=self._table, column=self._column, rule=told)
            )

    def name(self, field: str, text: str, kind: str) -> None:
        """Check a resource name, {kind}/{id}."""
        try:
            id_of(text, kind)
        except SyntheflowError:
            self.rule(field, f"must be a name of the form {kind}/{{id}}", holds=False)

    def new_id(self, field: str, text: str) -> None:
        """Check the id of a resource to be; empty is allowed."""
        try:
            checked_id(text or "x", field)
        except SyntheflowError as error:
            self._faults += error.violations

    def request_id(self, text: str) -> None:
        """Check the name of a request."""
        rule = f"must have at most {LONGEST_REQUEST_ID} characters"
        self.rule("request_id", rule, holds=len(text) <= LONGEST_REQUEST_ID)

    def seed(self, seed: int) -> None:
        """Check a seed."""
        self.rule("seed", "must not be negative", holds=seed >= 0)

    def text(self, field: str, text: str, *, required: bool = True) -> None:
        """Check the name of a table or column."""
        if required:
            self.rule(field, "must not be empty", holds=bool(text))
        rule = f"must have at most {LONGEST_NAME} characters"
        self.rule(field, rule, holds=len(text) <= LONGEST_NAME)
        self.rule(field, "must not hold the character NUL", holds="\0" not in text)

    def between(self, field: str, number: float, low: float, high: float) -> None:
        """Check that low <= number <= high; NaN is not."""
        holds = math.isfinite(number) and low <= number <= high
        self.rule(field, f"must be {low:g} to {high:g}", holds=holds)

    def distinct(self, field: str, names: Iterable[str]) -> None:
        """Check that no name stands twice."""
        known = list(names)
        self.rule(field, "must not name a table twice", holds=len(set(known)) == len(known))

    def take(self, other: Checks) -> bool:
        """Take over the broken rules of `other`; True if there were any."""
        self._faults += other._faults
        return bool(other._faults)

    def done(self) -> None:
        """Raise InvalidArgumentError if any rule was broken."""
        if self._faults:
            raise InvalidArgumentError(
                "The request breaks a rule: " + "; ".join(f.rule for f in self._faults[:3]),
                reason="REQUEST_INVALID",
                violations=tuple(self._faults),
            )


def check_name(text: str, kind: str) -> str:
    """Return the resource name `text` of a request's field `name`, checked."""
    checks = Checks()
    checks.name("name", text, kind)
    checks.done()
    return text


def check_deletion(text: str, kind: str, request_id: str) -> None:
    """Check the two fields of all delete requests."""
    checks = Checks()
    checks.name("name", text, kind)
    checks.request_id(request_id)
    checks.done()
