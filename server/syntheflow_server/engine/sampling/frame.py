"""Rows of one table in one unit while they are being made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.relations.sheet import Sheet
from syntheflow_server.engine.sampling.guides import Guide

Ints = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Frame:
    """Rows `first_row` .. `first_row + rows - 1` of `table`, made by one unit.

    `codes` [rows, T] are the tokens; `owner` [rows] indexes the owner's frame; `order`
    [rows] holds the order column's numbers. `columns` are decoded values, `parents` the
    rows that links refer to (-1: none), both filled as they are needed. Where something
    is asked of the rows, `sheet` and `guides` by column hold what. `followed` are columns
    told by differences between siblings.

    `counts` by owned table hold what is asked of numbers of rows. `known` rows were there
    before any was drawn; `silent` ones exist already and are not put out. `shift` is how
    many rows of the table exist besides its own.
    """

    table: str
    unit: int
    first_row: int
    rows: int
    codes: npt.NDArray[np.uint16]
    above: Frame | None = None
    owner: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    order: Ints | None = None
    columns: dict[str, pa.Array] = field(default_factory=dict)
    parents: dict[str, Ints] = field(default_factory=dict)
    sheet: Sheet | None = None
    guides: Mapping[str, Guide] = field(default_factory=dict)
    counts: Mapping[str, Guide] = field(default_factory=dict)
    followed: Mapping[str, pa.Array] = field(default_factory=dict)

    known: bool = False
    silent: bool = False
    shift: int = 0

    @property
    def places(self) -> Ints:
        """Row numbers among all that can be referred to: existing rows come first."""
        return self.row_numbers + self.shift

    @property
    def row_numbers(self) -> Ints:
        """Row numbers in the whole table."""
        return np.arange(self.first_row, self.first_row + self.rows)

    def owner_codes(self) -> npt.NDArray[np.uint16] | None:
        """Return the owner's tokens for each row, None for a root."""
        return None if self.above is None else self.above.codes[self.owner]
