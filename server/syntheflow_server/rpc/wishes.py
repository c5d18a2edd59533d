"""Reads the wishes of a Generate: conditions, rows to be completed, rows that are there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from syntheflow.v1 import synthesis_service_pb2 as messages
from syntheflow_server.jobs.requests import Condition, GivenRows, Scalar
from syntheflow_server.rpc.checks import Checks

MOST_CONDITIONS = 1_000
MOST_VALUES = 10_000
LONGEST_TEXT = 100_000
LARGEST_INLINE_BYTES = 3 << 20
HOTTEST = 10.0
_ROUNDING = 1e-9


def conditions_of(
    request: messages.GenerateRequest, checks: Checks
) -> dict[str, tuple[Condition, ...]]:
    """Return the conditions of a request by table; what is wrong goes to `checks`."""
    asked: dict[str, list[Condition]] = {}
    many = len(request.conditions) > MOST_CONDITIONS
    checks.rule("conditions", f"must be at most {MOST_CONDITIONS:,}", holds=not many)
    for at, message in enumerate(request.conditions[:MOST_CONDITIONS]):
        field = f"conditions[{at}]"
        checks.text(f"{field}.table", message.table)
        subject = (message.column, message.rows_of)
        rules = asked.setdefault(message.table, [])
        twice = any((rule.column, rule.rows_of) == subject for rule in rules)
        with checks.about(message.table, message.column):
            _check_subject(message, field, checks)
            told = "is the second on this column; put both together into one"
            checks.rule(field, told, holds=not twice)
            rule = _condition(message, field, checks)
            if message.rows_of:
                _check_counts(rule, field, checks)
            rules.append(rule)
    return {table: tuple(rules) for table, rules in asked.items()}


def completions_of(
    request: messages.GenerateRequest, checks: Checks
) -> tuple[tuple[GivenRows, ...], bool]:
    """Return the completions of a request, and whether missing cells are to be filled."""
    given = _given_rows(request.completions, "completions", checks)
    fill = {message.fill_missing for message in request.completions}
    rule = "must all say the same of fill_missing"
    checks.rule("completions", rule, holds=len(fill) <= 1)
    return given, True in fill


def existing_of(request: messages.GenerateRequest, checks: Checks) -> tuple[GivenRows, ...]:
    """Return the rows of a request that are there already."""
    return _given_rows(request.existing, "existing", checks)


def _given_rows(
    given: Iterable[messages.Completion | messages.Existing], field: str, checks: Checks
) -> tuple[GivenRows, ...]:
    """Return rows handed over, inline or as datasets, one entry a table."""
    found: list[GivenRows] = []
    for at, message in enumerate(given):
        entry = f"{field}[{at}]"
        checks.text(f"{entry}.table", message.table)
        source: bytes | str = b""
        kind = message.WhichOneof("source")
        if kind == "dataset":
            source = message.dataset
            checks.name(f"{entry}.dataset", message.dataset, "datasets")
        elif kind == "arrow_ipc":
            source = message.arrow_ipc
            rule = f"must be 1 to {LARGEST_INLINE_BYTES:,} bytes; upload more as a dataset"
            checks.rule(f"{entry}.arrow_ipc", rule, holds=0 < len(source) <= LARGEST_INLINE_BYTES)
        else:
            checks.rule(entry, "must give rows: arrow_ipc or dataset", holds=False)
        found.append(GivenRows(message.table, source))
    checks.distinct(field, (one.table for one in found))
    return tuple(found)


def temperature_of(request: messages.GenerateRequest, checks: Checks) -> float:
    """Return the temperature of a request; 0 means 1."""
    checks.between("temperature", request.temperature, 0.0, HOTTEST)
    return request.temperature or 1.0


def _check_subject(message: messages.Condition, field: str, checks: Checks) -> None:
    """Check that a condition is on a column, or on the number of rows of a child table."""
    if not message.rows_of:
        checks.text(f"{field}.column", message.column)
        return
    checks.text(f"{field}.rows_of", message.rows_of)
    rule = "must be on a column or on rows_of, not on both"
    checks.rule(field, rule, holds=not message.column)
    rule = "on rows_of must give values or a range; counts have no shares"
    checks.rule(field, rule, holds=message.WhichOneof("rule") != "shares")


def _check_counts(rule: Condition, field: str, checks: Checks) -> None:
    """Check the values or bounds of a condition on a number of rows."""
    asked = rule.values or tuple(b for b in (rule.low, rule.high) if b is not None)
    whole = all(type(one) is int and one >= 0 for one in asked)
    checks.rule(field, "on rows_of must have whole numbers from 0 on", holds=whole)


def _condition(message: messages.Condition, field: str, checks: Checks) -> Condition:
    rule = Condition(message.column, rows_of=message.rows_of)
    kind = message.WhichOneof("rule")
    if kind == "values":
        return replace(rule, values=_values(message, f"{field}.values", checks))
    if kind == "range":
        low, high = _range(message, f"{field}.range", checks)
        return replace(rule, low=low, high=high)
    if kind == "shares":
        return replace(rule, shares=_shares(message, f"{field}.shares", checks))
    checks.rule(field, "must give values, a range or shares", holds=False)
    return rule


def _values(message: messages.Condition, field: str, checks: Checks) -> tuple[Scalar, ...]:
    values = message.values.values
    _demand_count(field, len(values), checks)
    return tuple(_scalars(field, values[:MOST_VALUES], checks))


def _range(message: messages.Condition, field: str, checks: Checks) -> tuple[Scalar, Scalar]:
    bounds: dict[str, Scalar] = {}
    for name in ("low", "high"):
        if message.range.HasField(name):
            bounds[name] = _scalar(f"{field}.{name}", getattr(message.range, name), checks)
            rule = "must not be missing; leave it out for no bound"
            missing = getattr(message.range, name).WhichOneof("kind") == "missing"
            checks.rule(f"{field}.{name}", rule, holds=not missing)
    checks.rule(field, "must have a low or a high", holds=bool(bounds))
    low, high = bounds.get("low"), bounds.get("high")
    numbers = [bound for bound in (low, high) if isinstance(bound, (int, float))]
    rule = "must not have its low above its high"
    checks.rule(field, rule, holds=len(numbers) < 2 or numbers[0] <= numbers[1])
    return low, high


def _shares(
    message: messages.Condition, field: str, checks: Checks
) -> tuple[tuple[Scalar, float], ...]:
    asked = message.shares.shares[:MOST_VALUES]
    _demand_count(field, len(message.shares.shares), checks)
    values = list(_scalars(field, (one.value for one in asked), checks))
    shares = [one.share for one in asked]
    for at, share in enumerate(shares):
        checks.between(f"{field}.shares[{at}].share", share, 0.0, 1.0)
    if all(math.isfinite(share) for share in shares):
        rule = "must have shares whose sum is at most 1"
        checks.rule(field, rule, holds=sum(shares) <= 1 + _ROUNDING)
    apart = len({(type(value), value) for value in values})
    checks.rule(field, "must not name a value twice", holds=apart == len(values))
    return tuple(zip(values, shares, strict=True))


def _demand_count(field: str, count: int, checks: Checks) -> None:
    rule = f"must have 1 to {MOST_VALUES:,} values"
    checks.rule(field, rule, holds=1 <= count <= MOST_VALUES)


def _scalars(field: str, values: Iterable[messages.Scalar], checks: Checks) -> Iterable[Scalar]:
    for at, value in enumerate(values):
        yield _scalar(f"{field}[{at}]", value, checks)


def _scalar(field: str, message: messages.Scalar, checks: Checks) -> Scalar:
    kind = message.WhichOneof("kind")
    checks.rule(field, "must hold a value; say missing for none", holds=kind is not None)
    if kind is None or kind == "missing":
        checks.rule(field, "can only be missing: true", holds=kind is None or message.missing)
        return None
    value: Scalar = getattr(message, kind)
    if isinstance(value, float):
        checks.rule(field, "must be a finite number", holds=math.isfinite(value))
    if isinstance(value, str):
        rule = f"must have at most {LONGEST_TEXT:,} characters"
        checks.rule(field, rule, holds=len(value) <= LONGEST_TEXT)
    return value
