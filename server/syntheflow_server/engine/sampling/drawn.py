"""What a plan drew on its way: tokens that it had to know, so that nobody draws them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.encoding.plain import array_to_bytes, table_from_bytes
from syntheflow_server.engine.sampling.frame import Frame

Ints = npt.NDArray[np.int64]
MOST_BYTES = 48_000_000
"""What a plan holds of tokens at most, bytes: rows beyond are drawn for the plan and again."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One frame as it was drawn: see `Frame` for `codes`, `order` and `followed`.

    `counts` are its owners' numbers of rows, None for a root.
    """

    codes: npt.NDArray[np.uint16]
    counts: Ints | None = None
    order: Ints | None = None
    followed: Mapping[str, pa.Array] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: Frame, counts: Ints | None) -> Drawn:
        """Return what was drawn of a frame; its numbers may change later, ours do not."""
        order = None if frame.order is None else frame.order.copy()
        held = None if counts is None else counts.copy()
        return cls(frame.codes, held, order, frame.followed)

    @property
    def size(self) -> int:
        """Number of bytes."""
        arrays = (self.codes, self.counts, self.order)
        own = sum(array.nbytes for array in arrays if array is not None)
        return own + sum(int(column.nbytes) for column in self.followed.values())

    def root(self, table: str, unit: int, first_row: int, rows: int) -> Frame:
        """Return the frame of a root table's block."""
        return Frame(table, unit, first_row, rows, self.codes)

    def owned(self, table: str, above: Frame, first_row: int) -> Frame:
        """Return the frame of the rows that `above` owns."""
        assert self.counts is not None
        owner = np.repeat(np.arange(above.rows), self.counts)
        order = None if self.order is None else self.order.copy()
        frame = Frame(table, above.unit, first_row, len(owner), self.codes, above, owner, order)
        frame.followed = self.followed
        return frame


class Notes:
    """The frames that a plan holds as they were drawn, by table and block."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], Drawn] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def note(self, frame: Frame, counts: Ints | None = None) -> None:
        """Hold what was drawn of a frame, as long as there is room."""
        drawn = Drawn.of(frame, counts)
        if self._bytes + drawn.size <= MOST_BYTES:
            self._held[frame.table, frame.unit] = drawn
            self._bytes += drawn.size

    def root(self, table: str, block: int, rows: int) -> Drawn | None:
        """Return what is held of a root's block of so many rows."""
        drawn = self._held.get((table, block))
        return drawn if drawn is not None and len(drawn.codes) == rows else None

    def owned(self, table: str, block: int, counts: Ints) -> Drawn | None:
        """Return what is held of a frame whose owners have so many rows."""
        drawn = self._held.get((table, block))
        if drawn is None or drawn.counts is None:
            return None
        return drawn if np.array_equal(drawn.counts, counts) else None

    def to_state(self) -> tuple[list[Any], dict[str, npt.NDArray[Any]]]:
        """Return JSON facts and named arrays for `from_state`."""
        facts: list[Any] = []
        arrays: dict[str, npt.NDArray[Any]] = {}
        for number, ((table, block), drawn) in enumerate(self._held.items()):
            facts.append([table, block, list(drawn.followed)])
            parts: dict[str, Any] = {
                "codes": drawn.codes,
                "counts": drawn.counts,
                "order": drawn.order,
            }
            for place, column in enumerate(drawn.followed.values()):
                parts[f"followed {place}"] = array_to_bytes(column)
            arrays |= {f"{number} {k}": part for k, part in parts.items() if part is not None}
        return facts, arrays

    @classmethod
    def from_state(cls, facts: list[Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Notes:
        """Return the notes that gave this state."""
        notes = cls()
        for number, (table, block, names) in enumerate(facts):
            followed = {
                name: table_from_bytes(arrays[f"{number} followed {i}"]).column(0).combine_chunks()
                for i, name in enumerate(names)
            }
            counts, order = (arrays.get(f"{number} {kind}") for kind in ("counts", "order"))
            drawn = Drawn(arrays[f"{number} codes"], counts, order, followed)
            notes._held[table, int(block)] = drawn
        return notes
