"""What a place in time or order says by itself: month, weekday, hour, era."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Token

Numbers = npt.NDArray[np.int64]
_ERAS = 64
_EXACT = 128
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Derives tokens from the numbers of an order column.

    `kind` is "number", "date" (days) or "timestamp" (microseconds); `edges` are the
    lower ends of the eras after the first; `hours` says that times of day vary.
    """

    kind: str
    edges: Numbers
    hours: bool

    @classmethod
    def fit(cls, numbers: Numbers, kind: str) -> Self:
        """Return the calendar of an order column's real values."""
        known = np.unique(numbers)
        if len(known) > _EXACT:
            shares = np.linspace(0, 1, _ERAS + 1)[1:-1]
            known = np.unique(np.quantile(numbers, shares, method="nearest"))
        else:
            known = known[1:]
        return cls(kind, known, kind == "timestamp" and bool((numbers % _DAY).any()))

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The derived tokens, era first."""
        sizes = [len(self.edges) + 1]
        if self.kind != "number":
            sizes += [12, 7] + ([24] if self.hours else [])
        return tuple(
            Token(size, ((np.arange(size) + 0.5) / size).astype(np.float32)) for size in sizes
        )

    def codes(self, numbers: Numbers) -> npt.NDArray[np.uint16]:
        """Return the derived codes [n, k] of the numbers [n]."""
        columns = [np.searchsorted(self.edges, numbers, side="right")]
        if self.kind != "number":
            days = numbers if self.kind == "date" else numbers // _DAY
            months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
            columns += [months, (days + 3) % 7]
            if self.hours:
                columns.append(numbers % _DAY // (_DAY // 24))
        return np.stack(columns, axis=1).astype(np.uint16)

    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return a JSON object and named arrays for `from_state`."""
        return {"kind": self.kind, "hours": self.hours}, {"edges": self.edges}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build the calendar that gave this state."""
        return cls(facts["kind"], arrays["edges"], facts["hours"])
