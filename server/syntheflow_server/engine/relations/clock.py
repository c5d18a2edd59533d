"""Calendar columns that a running number decides: hours counted since the data begin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.relations.base import Given, Ref, Relation, State, quoted
from syntheflow_server.engine.relations.sight import Sight

Ints = npt.NDArray[np.int64]
_FEW_ROWS = 100
_ROWS_A_BREAK = 20
_SCREEN = 2000
_DAY = 86_400_000_000
_YEARS = (1800, 2200)
_RANGES = {"month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59)}
_SECONDS = {"day": 86_400, "hour": 3600, "minute": 60}
_SHAPES = (
    ("date",), ("date", "hour"), ("date", "hour", "minute"), ("year", "month"),
    ("year", "month", "day"), ("year", "month", "day", "hour"),
    ("year", "month", "day", "hour", "minute"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Clock(Relation):
    """The made columns are the `roles` of the time slope * key + offset, in steps of the finest.

    `offsets[i]` holds from the key `breaks[i]` on: times that were left out. Keys, like
    moments, count their own units. Steps are months where there is no day.
    """

    kind: ClassVar[str] = "clock"
    roles: tuple[str, ...]
    types: tuple[str, ...]
    slope: int
    stride: int
    breaks: Ints
    offsets: Ints

    def derive(self, name: str, given: Given) -> pa.Array:
        """See `Relation.derive`."""
        keys, missing = to_numbers(given[self.needs[0]], name)
        place = np.maximum(np.searchsorted(self.breaks, keys, side="right") - 1, 0)
        steps = self.slope * (keys.astype(np.int64) // self.stride) + self.offsets[place]
        which = self.makes.index(name)
        kind = arrow_type(self.types[which])
        return from_numbers(_part(steps, self.roles, self.roles[which], kind), missing, kind, 0)

    def describe(self) -> str:
        """See `Relation.describe`."""
        return f"{quoted(self.makes)} follow from {quoted(self.needs)}, which counts the time"

    def to_state(self) -> State:
        """See `Relation.to_state`."""
        facts = {"roles": list(self.roles), "types": list(self.types)}
        arrays = {"breaks": self.breaks, "offsets": self.offsets}
        return facts | {"slope": self.slope, "stride": self.stride}, arrays

    @classmethod
    def from_state(
        cls, common: dict[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Self:
        """See `Relation.from_state`."""
        own = {**facts, "roles": tuple(facts["roles"]), "types": tuple(facts["types"])}
        return cls(**common, **own, breaks=arrays["breaks"], offsets=arrays["offsets"])


def _steps(parts: Mapping[str, Ints]) -> Ints:
    """Return the time of each row in steps of the finest part."""
    if "date" in parts:
        days = parts["date"]
    else:
        months = (parts["year"] - 1970) * 12 + parts["month"] - 1
        if "day" not in parts:
            return months
        days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        days = days + parts["day"] - 1
    for role, size in (("hour", 24), ("minute", 60)):
        if role in parts:
            days = days * size + parts[role]
    return days


def _part(steps: Ints, roles: tuple[str, ...], role: str, kind: pa.DataType) -> Ints:
    """Return what `role` is at the times `steps`: the inverse of `_steps`."""
    rest = {"minute": np.zeros(0, np.int64), "hour": np.zeros(0, np.int64)}
    for part, size in (("minute", 60), ("hour", 24)):
        if part in roles:
            steps, rest[part] = np.divmod(steps, size)
    if role in rest:
        return rest[role]
    if role == "date":
        return steps if pa.types.is_date32(kind) else steps * _DAY
    if "day" in roles:
        months = steps.astype("datetime64[D]").astype("datetime64[M]")
        if role == "day":
            return steps - months.astype("datetime64[D]").astype(np.int64) + 1
        steps = months.astype(np.int64)
    return steps // 12 + 1970 if role == "year" else steps % 12 + 1


def find(sample: Sight, every: Sight, free: tuple[str, ...]) -> list[Clock]:
    """Return the clock that most free columns belong to, for the first key that counts one."""
    for key in sample.telling:
        order = np.argsort(to_numbers(sample.get(key), key.column)[0], kind="stable")
        if len(order) < _FEW_ROWS:
            continue
        near = order[:_SCREEN]
        for roles, names in sorted(_candidates(sample, free), key=lambda c: -len(c[0])):
            if _learn(sample, key, roles, names, near) is None:
                continue
            everything = np.argsort(to_numbers(every.get(key), key.column)[0], kind="stable")
            relation = _learn(every, key, roles, names, everything)
            if relation is not None:
                return [relation]
    return []


def _candidates(
    sample: Sight, free: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield roles and the columns that may play them."""
    able: dict[str, list[str]] = {}
    for name in free:
        values = sample.get(Ref(name))
        if values.null_count:
            continue
        numbers = _whole(values)
        if numbers is None:
            continue
        low, high = int(numbers.min()), int(numbers.max())
        if not pa.types.is_int64(values.type):
            able.setdefault("date", []).append(name)
        elif _YEARS[0] <= low and high <= _YEARS[1]:
            able.setdefault("year", []).append(name)
        else:
            for role, limits in _RANGES.items():
                if (low, high) == limits:
                    able.setdefault(role, []).append(name)
    for shape in _SHAPES:
        for names in product(*(able.get(role, []) for role in shape)):
            yield shape, names


def _whole(values: pa.Array) -> Ints | None:
    """Return whole numbers or days; None if the column has neither."""
    kind = values.type
    if pa.types.is_int64(kind) or pa.types.is_date32(kind):
        return to_numbers(values, "")[0].astype(np.int64)
    if pa.types.is_timestamp(kind) and kind.tz is None:
        numbers = to_numbers(values, "")[0].astype(np.int64)
        return None if (numbers % _DAY).any() else numbers // _DAY
    return None


def _learn(
    sight: Sight, key: Ref, roles: tuple[str, ...], names: tuple[str, ...], order: Ints
) -> Clock | None:
    """Return the clock of the rows in the `order` of their keys; None if it is often put."""
    parts = {}
    for role, name in zip(roles, names, strict=True):
        numbers = _whole(sight.get(Ref(name)))
        if numbers is None:
            return None
        parts[role] = numbers[order]
    keys = to_numbers(sight.get(key), key.column)[0].astype(np.int64)[order]
    stride = 1 if sight.column(key).type == "int64" else int(np.gcd.reduce(np.diff(keys))) or 1
    steps, places = _steps(parts), keys // stride
    apart = np.diff(places)
    slope = round(float(np.median(np.diff(steps) / np.maximum(apart, 1))))
    if slope < 1:
        return None
    offset = steps - slope * places
    begins = np.flatnonzero(np.diff(offset, prepend=offset[0] - 1))
    if len(begins) * _ROWS_A_BREAK > len(keys):
        return None
    return Clock(
        makes=names,
        needs=(key,),
        hints=True,
        roles=roles,
        types=tuple(sight.column(Ref(name)).type for name in names),
        slope=slope,
        stride=stride,
        breaks=keys[begins],
        offsets=offset[begins],
    )
