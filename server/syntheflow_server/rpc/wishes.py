"""Reads the wishes of a Generate: conditions on columns, rows to be completed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from syntheflow.v1 import synthesis_service_pb2 as messages
from syntheflow_server.jobs.requests import Completion, Condition, Scalar
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
        checks.text(f"{field}.column", message.column)
        rules = asked.setdefault(message.table, [])
        twice = any(rule.column == message.column for rule in rules)
        with checks.about(message.table, message.column):
            told = "is the second on this column; put both together into one"
            checks.rule(field, told, holds=not twice)
            rules.append(_condition(message, field, checks))
    return {table: tuple(rules) for table, rules in asked.items()}


def completions_of(
    request: messages.GenerateRequest, checks: Checks
) -> tuple[tuple[Completion, ...], bool]:
    """Return the completions of a request, and whether missing cells are to be filled."""
    given: list[Completion] = []
    for at, message in enumerate(request.completions):
        field = f"completions[{at}]"
        checks.text(f"{field}.table", message.table)
        source: bytes | str = b""
        kind = message.WhichOneof("source")
        if kind == "dataset":
            source = message.dataset
            checks.name(f"{field}.dataset", message.dataset, "datasets")
        elif kind == "arrow_ipc":
            source = message.arrow_ipc
            rule = f"must be 1 to {LARGEST_INLINE_BYTES:,} bytes; upload more as a dataset"
            checks.rule(f"{field}.arrow_ipc", rule, holds=0 < len(source) <= LARGEST_INLINE_BYTES)
        else:
            checks.rule(field, "must give rows: arrow_ipc or dataset", holds=False)
        given.append(Completion(message.table, source))
    checks.distinct("completions", (one.table for one in given))
    fill = {message.fill_missing for message in request.completions}
    rule = "must all say the same of fill_missing"
    checks.rule("completions", rule, holds=len(fill) <= 1)
    return tuple(given), True in fill


def temperature_of(request: messages.GenerateRequest, checks: Checks) -> float:
    """Return the temperature of a request; 0 means 1."""
    checks.between("temperature", request.temperature, 0.0, HOTTEST)
    return request.temperature or 1.0


def _condition(message: messages.Condition, field: str, checks: Checks) -> Condition:
    kind = message.WhichOneof("rule")
    if kind == "values":
        return _values(message, f"{field}.values", checks)
    if kind == "range":
        return _range(message, f"{field}.range", checks)
    if kind == "shares":
        return _shares(message, f"{field}.shares", checks)
    checks.rule(field, "must give values, a range or shares", holds=False)
    return Condition(message.column)


def _values(message: messages.Condition, field: str, checks: Checks) -> Condition:
    values = message.values.values
    _demand_count(field, len(values), checks)
    known = tuple(_scalars(field, values[:MOST_VALUES], checks))
    return Condition(message.column, values=known)


def _range(message: messages.Condition, field: str, checks: Checks) -> Condition:
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
    return Condition(message.column, low=low, high=high)


def _shares(message: messages.Condition, field: str, checks: Checks) -> Condition:
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
    return Condition(message.column, shares=tuple(zip(values, shares, strict=True)))


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
