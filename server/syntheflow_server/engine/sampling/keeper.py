"""Stores key columns that references need and that row numbers do not give."""

from __future__ import annotations

import pyarrow as pa

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.engine.sampling.needs import Needs
from syntheflow_server.engine.sampling.sizes import Units
from syntheflow_server.engine.sampling.values import Values


class KeyKeeper:
    """Makes key columns when they are first read, in whatever order they need each other."""

    def __init__(self, units: Units, needs: Needs) -> None:
        self._units, self._needs, self._busy = units, needs, set[tuple[str, str]]()
        self._values = units.values = Values(units.runtime, units.plan, units.beat, self.column)

    def keep(self, table: str) -> None:
        """Store what links to `table` need, after what its own keys need."""
        for name in sorted(self._needs.keys.get(table, ())):
            self.column(table, name)

    def column(self, table: str, name: str) -> None:
        """Store a key column of all rows of a table, unless it is there.

        Raises UnsupportedError if its values depend on themselves.
        """
        stored = self._units.plan.keys.setdefault(table, {})
        if name in stored:
            return
        if (table, name) in self._busy:
            raise UnsupportedError(
                f"The key column {name!r} of table {table!r} refers to itself in a circle of"
                " references; drop one of the foreign keys",
                reason="KEY_UNSUPPORTED",
                metadata={"table": table, "column": name},
            )
        self._busy.add((table, name))
        held: list[pa.Array] = []
        repaired = self._repaired(table)
        for unit in self._units.over(table):
            frame = unit.frame(table)
            if name in repaired:
                self._values.settle(frame)
            held.append(self._values.column(frame, name))
        kind = self._units.runtime.table(table).table.column(name).arrow
        stored[name] = pa.concat_arrays(held) if held else pa.array([], kind)
        self._busy.discard((table, name))

    def _repaired(self, table: str) -> set[str]:
        """Return the columns that resolving links and repairing keys may change."""
        model = self._units.runtime.table(table)
        structure = model.structure
        names = set(structure.repaired)
        for link in structure.settled:
            names |= set(link.key.child_columns)
        return names | set(model.made_by) if names else names
