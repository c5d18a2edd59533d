"""What a request for rows says."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.engine.graph.structure import Family
from syntheflow_server.engine.readings import Readings

Scalar = str | int | float | bool | None
"""A value of a condition: dates, times and decimals as ISO or plain text; None is missing."""

_ROUNDING = 1e-9


class Condition(BaseModel):
    """What the values of one column must be: one of some, within a range, or in shares.

    With `rows_of` instead of `column` it is on the number of rows of that child table that
    a row has (customers with at least 3 orders); exactly one of the two is named.

    Exactly one of: `values` (one of these; a single one fixes the column), `low` and `high`
    (an inclusive range, one side may be absent; missing values are outside), `shares` (these
    values in these shares of the rows; shares of less than 1 in sum leave the rest to the
    other values in their natural proportions).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = ""
    rows_of: str = ""
    values: tuple[Scalar, ...] = ()
    low: Scalar = None
    high: Scalar = None
    shares: tuple[tuple[Scalar, float], ...] = ()

    @property
    def ranged(self) -> bool:
        """True if the condition is a range."""
        return self.low is not None or self.high is not None

    def read(self, readings: Readings, table: str) -> Condition:
        """Return self with its values as the engine reads those of the column."""
        if self.column not in readings.of(table):
            return self

        def one(value: Scalar) -> Scalar:
            read: Scalar = readings.scalar(table, self.column, value)
            return read

        update = {
            "values": tuple(map(one, self.values)),
            "low": one(self.low),
            "high": one(self.high),
            "shares": tuple((one(value), share) for value, share in self.shares),
        }
        return self.model_copy(update=update)

    def fault(self) -> str:
        """Return what is wrong with the condition in itself, '' if nothing is."""
        if bool(self.column) + bool(self.rows_of) != 1:
            return "give exactly one of column and rows_of"
        if bool(self.values) + self.ranged + bool(self.shares) != 1:
            return "give exactly one of values, a range (low, high) or shares"
        if not all(0 <= share <= 1 for _, share in self.shares):
            return "a share is a number from 0 to 1"
        if sum(share for _, share in self.shares) > 1 + _ROUNDING:
            return "the shares are more than 1 in sum"
        if len({_key(value) for value, _ in self.shares}) < len(self.shares):
            return "a value has more than one share"
        return ""


class SampleSpec(BaseModel):
    """How many rows to make, from which seed, and what must hold for them.

    `scale` multiplies the real sizes of all tables that no other owns; `rows` fixes the
    number of rows of single tables, owned ones included, exactly. `conditions` by table must
    all hold in every row. `temperature` below 1 makes rows more usual than the real ones,
    above 1 less. With `fill_missing` nulls in given rows are drawn too, and never null.
    With `orphans` as many rows refer to rows that do not exist as in the real tables, if the
    model learned them; else every reference resolves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    rows: dict[str, int] = Field(default_factory=dict)
    conditions: dict[str, tuple[Condition, ...]] = Field(default_factory=dict)
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    fill_missing: bool = False
    orphans: bool = False

    def checked(self, family: Family) -> SampleSpec:
        """Return self if it fits the model's tables, else raise InvalidArgumentError."""
        for table, rows in self.rows.items():
            if table not in family.structures:
                rule = f"rows: the model has no table {table!r}"
            elif rows < 0:
                rule = f"rows: table {table!r} cannot have a negative number of rows"
            elif family[table].kept and rows != family[table].rows:
                rule = f"rows: table {table!r} is kept as it is, with {family[table].rows} rows"
            elif rows and not family[table].rows:
                rule = f"rows: table {table!r} was empty, so there is nothing to make it from"
            else:
                continue
            fault = Violation(field="rows", table=table, rule=rule)
            raise InvalidArgumentError(rule, reason="ROWS_INVALID", violations=(fault,))
        for table, conditions in self.conditions.items():
            if table not in family.structures:
                rule = f"conditions: the model has no table {table!r}"
                fault = Violation(field="conditions", table=table, rule=rule)
                raise InvalidArgumentError(rule, reason="CONDITION_INVALID", violations=(fault,))
            for condition in conditions:
                if rule := condition.fault():
                    name, counts = condition.column or condition.rows_of, not condition.column
                    raise condition_error(table, name, rule, rows_of=counts)
        return self

    def read(self, readings: Readings) -> SampleSpec:
        """Return self with the values of conditions as the engine reads them."""
        if not readings.every or not self.conditions:
            return self
        conditions = {
            table: tuple(condition.read(readings, table) for condition in every)
            for table, every in self.conditions.items()
        }
        return self.model_copy(update={"conditions": conditions})

    def root_rows(self, family: Family, root: str) -> int:
        """Return the rows of a root table: asked for, or the real number scaled, at least 1.

        A kept table has the rows that it has.
        """
        real = family[root].rows
        if family[root].kept:
            return real
        if root in self.rows:
            return self.rows[root]
        return max(1, round(real * self.scale)) if real else 0


def condition_error(
    table: str, column: str, rule: str, *, rows_of: bool = False
) -> InvalidArgumentError:
    """Return the error of a condition or given column that cannot be met.

    With `rows_of` the condition is on how many rows of the table `column` a row has.
    """
    what = f"number of rows of {column!r} in" if rows_of else f"column {column!r} of"
    rule = f"conditions: {what} table {table!r}: {rule}"
    fault = Violation(field="conditions", table=table, column=column, rule=rule)
    return InvalidArgumentError(rule, reason="CONDITION_INVALID", violations=(fault,))


def _key(value: Scalar) -> tuple[str, Scalar]:
    return type(value).__name__, value
