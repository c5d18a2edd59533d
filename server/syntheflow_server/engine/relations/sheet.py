"""The cells of all columns of some rows while demands travel along relations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.relations.base import Ref, Relation
from syntheflow_server.engine.relations.cells import Cells, Mask, NoRowError

Floats = npt.NDArray[np.float64]


class Sheet:
    """Cells by column, hidden columns too; `strict` turns demands that no row meets to errors.

    `domain(name)` are the smallest and largest number that a column can take, as far as
    the model tells (-inf, inf otherwise); `sample(name)` values of some generated rows;
    `random(name)` a uniform for each row [n].
    """

    def __init__(
        self,
        kinds: Mapping[str, pa.DataType],
        rows: int,
        domain: Callable[[str], tuple[float, float]],
        sample: Callable[[str], pa.Array],
        random: Callable[[str], Floats],
        *,
        strict: bool,
    ) -> None:
        self.rows, self.strict = rows, strict
        self.domain, self.sample, self.random = domain, sample, random
        self._kinds = kinds
        self.cells: dict[str, Cells] = {}

    def __getitem__(self, name: str) -> Cells:
        """Return the column's cells; of a column not met before nothing is asked."""
        if name not in self.cells:
            self.cells[name] = Cells.blank(name, self._kinds[name], self.rows)
        return self.cells[name]

    def asked(self, name: str) -> bool:
        """Return whether anything is asked of the column."""
        return name in self.cells and bool(self.cells[name].asked.any())

    def given(self, relation: Relation) -> dict[Ref, pa.Array]:
        """Return what is known of the relation's columns, null where nothing is."""
        names = (*(r.column for r in relation.needs), *relation.makes)
        hidden = tuple(column.name for column in relation.hidden)
        return {Ref(name): self[name].values for name in (*names, *hidden)}

    def all_known(self, names: tuple[str, ...]) -> Mask:
        """Return the rows in which all columns are known."""
        known = np.ones(self.rows, np.bool_)
        for name in names:
            known &= self[name].known if name in self.cells else False
        return known

    def fail(self, name: str) -> None:
        """Note that no row holds what is asked of `name`: an error if `strict`."""
        if self.strict:
            raise NoRowError(name)
