"""Conditions as people write them: `age >= 30`, `sex = Female`, `city in [A, B]`.

| text | meaning |
|---|---|
| `C = V`, `C in [V, W]` | one of these values |
| `C >= V`, `C <= V`, `C > V`, `C < V` | a range; two of one column make one range |
| `C != V`, `C not in [V, W]` | any value but these, in the natural proportions |
| `C is missing`, `C is not missing` | no value; any value |

`C` is a column, or TABLE.COLUMN where the model has several tables, or TABLE.count(CHILD),
the number of rows of table CHILD that each row of TABLE has. Values may be quoted; those
of `string` columns are taken as they stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from syntheflow.literals import neighbour, scalar, split_list, unfit
from syntheflow.values import Column, Condition, Scalar, Schema

_OPERATORS = re.compile(
    r"\s*(==|=|!=|<>|>=|<=|>|<|not\s+in\b|in\b|is\s+not\s+missing\b|is\s+missing\b)\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)
_BOUNDS = frozenset({">", "<", ">=", "<="})
_QUOTES = ("", '"', "`")


def parse(text: str, schema: Schema) -> Condition:
    """Return the condition that `text` writes; SyntheflowError says what is wrong with it."""
    for table, column, rest in _references(text, schema):
        if match := _OPERATORS.fullmatch(rest):
            operator = " ".join(match[1].lower().split())
            return _condition(table, column, operator, match[2].strip(), text.strip())
    if counted := _counted(text, schema):
        return counted
    raise _unknown(text, schema, "COLUMN OPERATOR VALUE, such as age>=30 or city in [A, B]")


def parse_shares(text: str, schema: Schema) -> Condition:
    """Return the condition that `income:>50K=0.5,<=50K=0.5` writes; shares may be `50%`."""
    for table, column, rest in _references(text, schema):
        if rest.lstrip().startswith(":"):
            shares: dict[Scalar, float] = {}
            for item in split_list(rest.lstrip()[1:], text):
                value, mark, share = item.rpartition("=")
                if not mark:
                    raise unfit(f"{text}: {item!r} is no VALUE=SHARE")
                key = scalar(value.strip(), column, text)
                if key in shares:
                    raise unfit(f"{text}: {value.strip()} stands twice")
                shares[key] = _share(share, text)
            if sum(shares.values()) > 1 + 1e-9:
                raise unfit(f"{text}: the shares' sum is above 1")
            return Condition(table=table, column=column.name, shares=tuple(shares.items()))
    raise _unknown(text, schema, "COLUMN:VALUE=SHARE,VALUE=SHARE")


def merged(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return one condition a column: ranges are cut, excluded values and shares gathered.

    SyntheflowError if two of one column cannot be put together.
    """
    whole: dict[tuple[str, str, str], Condition] = {}
    for condition in conditions:
        key = condition.table, condition.column, condition.rows_of
        before = whole.get(key)
        whole[key] = condition if before is None else _both(before, condition)
    return tuple(whole.values())


def _counted(text: str, schema: Schema) -> Condition | None:
    """Return the condition on a number of children that `text` writes, None if it is none."""
    what = text.strip()
    for table in schema.tables:
        head = "|".join(re.escape(f"{q}{table.name}{q}") for q in _QUOTES)
        match = re.match(rf"(?:{head})\.count\(\s*(.+?)\s*\)", what, re.DOTALL)
        if match is None:
            continue
        child = _unquoted(match[1])
        children = {k.child_table for k in schema.foreign_keys if k.parent_table == table.name}
        if child not in children:
            known = ", ".join(sorted(children)) or "none"
            raise unfit(f"{what}: no table {child!r} refers to {table.name}; there is {known}")
        operation = _OPERATORS.fullmatch(what[match.end() :])
        if operation is None:
            raise unfit(f"{what}: write TABLE.count(CHILD) OPERATOR NUMBER, such as >= 3")
        operator = " ".join(operation[1].lower().split())
        return _count(table.name, child, operator, operation[2].strip(), what)
    return None


def _unquoted(name: str) -> str:
    quoted = len(name) > 2 and name[0] in _QUOTES[1:] and name[-1] == name[0]
    return name[1:-1] if quoted else name


def _count(table: str, child: str, operator: str, literal: str, what: str) -> Condition:
    number = Column(f"count({child})", "int64", "integer", nullable=False)
    rule = _condition(table, number, operator, literal, what)
    asked = [*rule.values, *(bound for bound in (rule.low, rule.high) if bound is not None)]
    if rule.shares or not all(isinstance(one, int) and one >= 0 for one in asked):
        raise unfit(f"{what}: a count is a whole number from 0 on, with =, in, >=, <=, > or <")
    return replace(rule, column="", rows_of=child)


def _references(text: str, schema: Schema) -> list[tuple[str, Column, str]]:
    """Return what the beginning of `text` may name, longest name first, and the rest."""
    stripped = text.lstrip()
    every = Counter(column.name for table in schema.tables for column in table.columns)
    found: list[tuple[int, str, Column, str]] = []
    for table in schema.tables:
        for column in table.columns:
            names = [f"{table.name}.{column.name}"]
            if every[column.name] == 1:
                names.append(column.name)
            for spelling in (f"{q}{name}{q}" for name in names for q in _QUOTES):
                rest = stripped[len(spelling) :]
                # `age` is not named by the beginning of `ages` or `age.x`.
                cut = re.match(r"[\w.]", rest) and re.search(r"\w$", spelling)
                if stripped.startswith(spelling) and not cut:
                    found.append((len(spelling), table.name, column, rest))
    found.sort(key=lambda one: -one[0])
    return [(table, column, rest) for _, table, column, rest in found]


def _unknown(text: str, schema: Schema, form: str) -> Exception:
    tables = {table.name: table for table in schema.tables}
    holders = [
        table.name
        for table in schema.tables
        if any(text.lstrip().startswith(column.name) for column in table.columns)
    ]
    if len(holders) > 1:
        return unfit(
            f"{text}: several tables have it; write TABLE.COLUMN with {' or '.join(holders)}"
        )
    if _references(text, schema):
        return unfit(f"{text}: write {form}")
    head = text.strip().split(".", 1)[0]
    known = tables[head].columns if head in tables else schema.tables[0].columns
    if head not in tables and len(tables) > 1:
        return unfit(f"{text}: no table has such a column; write TABLE.COLUMN OPERATOR VALUE")
    return unfit(f"{text}: there is no such column; known are {', '.join(c.name for c in known)}")


def _condition(table: str, column: Column, operator: str, literal: str, what: str) -> Condition:
    rule = Condition(table=table, column=column.name)
    if operator not in _BOUNDS:
        values = _listed(column, operator, literal, what)
        if operator in {"=", "==", "in", "is missing"}:
            return replace(rule, values=values)
        # A share of nothing: the other values keep their proportions among themselves.
        return replace(rule, shares=tuple((value, 0.0) for value in dict.fromkeys(values)))
    value = scalar(literal, column, what)
    if value is None or column.type == "bool":
        raise unfit(f"{what}: {operator} needs a value with an order; use = or in")
    if operator in {">", "<"}:
        value = neighbour(value, column, 1 if operator == ">" else -1, what)
    return replace(rule, low=value) if operator[0] == ">" else replace(rule, high=value)


def _listed(column: Column, operator: str, literal: str, what: str) -> tuple[Scalar, ...]:
    """Return the values that stand behind an operator which names some."""
    if operator.startswith("is"):
        if literal:
            raise unfit(f"{what}: nothing can follow {operator!r}")
        return (None,)
    if operator not in {"in", "not in"}:
        return (scalar(literal, column, what),)
    inner = literal[1:-1] if literal[:1] + literal[-1:] in {"[]", "()"} else literal
    return tuple(scalar(item, column, what) for item in split_list(inner, what))


def _both(one: Condition, other: Condition) -> Condition:
    if one.ranged and other.ranged:
        low = _outer(one.low, other.low, max)
        high = _outer(one.high, other.high, min)
        if low is not None and high is not None and _key(low) > _key(high):
            raise unfit(f"{one.where}: no value lies between {low} and {high}")
        return replace(one, low=low, high=high)
    if one.shares and other.shares:
        shares = dict(one.shares)
        for value, share in other.shares:
            if shares.setdefault(value, share) != share:
                raise unfit(f"{one.where}: {value!r} has two shares")
        return replace(one, shares=tuple(shares.items()))
    for bound, free in ((one, other), (other, one)):
        if bound.ranged and free.shares == ((None, 0.0),):
            return bound  # a range is never missing
    raise unfit(f"{one.where}: these conditions cannot be put together; give one")


def _outer(one: Scalar, other: Scalar, choose: Callable[..., Scalar]) -> Scalar:
    known = [bound for bound in (one, other) if bound is not None]
    return choose(known, key=_key) if known else None


def _key(value: Scalar) -> tuple[Decimal, str]:
    """Return what orders values of one column: numbers by size, ISO texts as they stand."""
    assert value is not None
    try:
        return Decimal(value), ""
    except ArithmeticError:
        return Decimal(0), str(value)


def _share(text: str, what: str) -> float:
    word = text.strip()
    try:
        share = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise unfit(f"{what}: the share {word!r} is no number from 0 to 1")
    return share
