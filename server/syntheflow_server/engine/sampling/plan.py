"""The plan of a request: which unit makes which rows, and where references may point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from syntheflow_server.domain.errors import DataLossError, OutOfRangeError
from syntheflow_server.engine.encoding.plain import (
    array_to_bytes,
    table_from_bytes,
    table_to_bytes,
)
from syntheflow_server.engine.sampling.chosen import Chosen
from syntheflow_server.engine.sampling.drawn import Notes
from syntheflow_server.engine.sampling.shares import Share
from syntheflow_server.engine.sampling.spec import SampleSpec
from syntheflow_server.engine.sampling.standing import Stand, free_places

Ints = npt.NDArray[np.int64]
_BY_NAME = ("first_rows", "parts_before", "rooms", "counts", "taken", "held", "named")


@dataclass(frozen=True, slots=True, eq=False)
class ParentIndex:
    """The rows a coded link draws from: `ends` [p] are cumulated degrees, `codes` [p].

    `ends` are scaled so that `stubs` places exist in all: one for each row that refers.
    """

    ends: Ints
    codes: Ints
    stubs: int


@dataclass(frozen=True, slots=True, eq=False)
class LevelIndex:
    """The tree of a self reference: each row's parent row [n], -1 for none."""

    parents: Ints


@dataclass(slots=True)
class SamplePlan:
    """Everything the units of one request share; grows only with tables that are referred to.

    It serves the rows of `tables` alone; `table_rows` knows of these, of what they depend
    on, and of all roots. `counts` are the numbers of rows of an owned table by owner row.

    Units are numbered root table by root table. Beyond `unit_count` lie the units of
    `unbounded` tables past their size: number `unit_count + k + b * len(unbounded)` is
    block b of the k-th. `seeds` are given rows, some columns of theirs, by table.

    `stands` are given rows that refer to others, and existing rows that are not put out;
    their units come first among those of their root. Where a table is referred to, existing
    rows come before its own. `taken` are row numbers whose keys exist already, by table and
    columns; `named` are by reference the standing parents of standing rows (below 0: none
    is known), `held` which of these parents have their only child. `chosen` are by reference
    the parents that conditions leave, `notes` rows that had to be drawn for the plan.
    """

    spec: SampleSpec
    table_rows: dict[str, int]
    roots: tuple[str, ...]
    root_of: Mapping[str, str]
    blocks: Mapping[str, int]
    unbounded: tuple[str, ...]
    tables: tuple[str, ...]
    owner_of: Mapping[str, str] = field(default_factory=dict)
    caps: dict[str, int] = field(default_factory=dict)
    first_rows: dict[str, Ints] = field(default_factory=dict)
    rooms: dict[str, Ints] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    parts_before: dict[str, Ints] = field(default_factory=dict)
    counts: dict[str, Ints] = field(default_factory=dict)
    parents: dict[str, ParentIndex] = field(default_factory=dict)
    levels: dict[str, LevelIndex] = field(default_factory=dict)
    keys: dict[str, dict[str, pa.Array]] = field(default_factory=dict)
    seeds: dict[str, pa.Table] = field(default_factory=dict)
    stands: dict[str, Stand] = field(default_factory=dict)
    taken: dict[str, Ints] = field(default_factory=dict)
    held: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    named: dict[str, Ints] = field(default_factory=dict)
    chosen: dict[str, Chosen] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)

    @classmethod
    def alone(cls, table: str, rows: int) -> SamplePlan:
        """Return the plan of `rows` rows of one table that needs no other."""
        names = (table,)
        spec = SampleSpec()
        return cls(spec, {table: rows}, names, {table: table}, {table: rows}, (), names)

    @property
    def unit_count(self) -> int:
        """Number of units of the whole request."""
        return sum(self._units(root) for root in self.roots)

    def _units(self, root: str) -> int:
        made = 0 if self.given(root) else self.table_rows[root]
        return self.lead(root) + -(-made // self.blocks[root])

    @property
    def as_usual(self) -> bool:
        """Whether nothing is asked of rows, and none are given or exist already."""
        return not (self.spec.conditions or self.seeds or self.stands)

    def given(self, table: str) -> bool:
        """Return whether all rows of `table` are given, in units of their own."""
        return table in self.stands and not self.stands[table].silent

    def lead(self, root: str) -> int:
        """Return how many units of `root` hold standing rows of its family."""
        return sum(
            -(-len(stand.rows) // self.blocks[table])
            for table, stand in self.stands.items()
            if self.root_of[table] == root
        )

    def standing(self, root: str, block: int) -> tuple[str, int] | None:
        """Return (table, first row) of the standing rows in a unit's block, None if it has none."""
        for table, stand in self.stands.items():
            if self.root_of[table] == root:
                units = -(-len(stand.rows) // self.blocks[table])
                if block < units:
                    return table, block * self.blocks[table]
                block -= units
        return None

    def silent(self, table: str) -> int:
        """Return how many rows of `table` exist already: they come before its own."""
        stand = self.stands.get(table)
        return len(stand.rows) if stand is not None and stand.silent else 0

    def places(self, table: str) -> int:
        """Return how many rows of `table` can be referred to."""
        return self.silent(table) + self.table_rows.get(table, 0)

    def free(self, table: str, columns: tuple[str, ...], rows: Ints) -> Ints:
        """Return the row numbers that stand for `rows` where keys that exist are left out."""
        taken = self.taken.get(_key_name(table, columns))
        return rows if taken is None else free_places(rows, taken)

    def taken_of(self, table: str, columns: tuple[str, ...]) -> Ints:
        """Return the row numbers (sorted) whose keys exist already."""
        return self.taken.get(_key_name(table, columns), np.zeros(0, np.int64))

    def take(self, table: str, columns: tuple[str, ...], rows: Ints) -> None:
        """Let the keys of these row numbers (sorted) be left out."""
        self.taken[_key_name(table, columns)] = rows

    def natural(self, table: str) -> bool:
        """Return whether something is asked of an owner of `table`, which tells how many it has."""
        while owner := self.owner_of.get(table, ""):
            table = owner
            if self.given(table) or table in self.seeds or self.spec.conditions.get(table):
                return True
        return False

    def units_of(self, table: str) -> range:
        """Return the units that make rows of `table`."""
        start = 0
        for root in self.roots:
            units = self._units(root)
            if root == self.root_of[table]:
                return range(start, start + units)
            start += units
        raise KeyError(table)

    def locate(self, unit: int) -> tuple[str, int, bool]:
        """Return (root table, block number, beyond its size) of a unit; IndexError if none."""
        if unit >= self.unit_count and self.unbounded:
            block, which = divmod(unit - self.unit_count, len(self.unbounded))
            return self.unbounded[which], block, True
        for root in self.roots:
            units = self.units_of(root)
            if unit in units:
                return root, unit - units.start, False
        raise IndexError(unit)

    def first_row(self, table: str, block: int) -> int:
        """Return the first row of `table` in the given block of its root."""
        if table in self.first_rows:
            return int(self.first_rows[table][block])
        root = self.root_of[table]
        return max(0, block - self.lead(root)) * self.blocks[root]

    def barren(self, table: str, block: int) -> bool:
        """Return whether the given block of its root is known to make no rows of `table`."""
        firsts = self.first_rows.get(table)
        if firsts is not None:
            return bool(firsts[block] == firsts[block + 1])
        return self.root_of[table] == table and block < self.lead(table)

    def window(self, table: str, start: int, count: int) -> range:
        """Return the units that hold rows start .. start + count - 1 of `table`.

        Raises OutOfRangeError if the table ends before, unless its rows depend on no
        other table: then the units lie beyond the plan and are made all the same.
        """
        if start < 0 or count < 0:
            raise OutOfRangeError(
                f"rows {start} to {start + count}: a window cannot be negative",
                reason="WINDOW_INVALID",
            )
        units = self.units_of(table)
        size = self.table_rows[table]
        if start + count > size:
            if table not in self.unbounded:
                raise OutOfRangeError(
                    f"table {table!r} has {size} rows in this request; the window asks for rows"
                    f" up to {start + count}",
                    reason="WINDOW_BEYOND_END",
                    metadata={"table": table, "rows": str(size)},
                )
            step, which = len(self.unbounded), self.unbounded.index(table)
            block = self.blocks[table]
            first, last = start // block, -(-(start + count) // block)
            base = self.unit_count + which
            return range(base + first * step, base + last * step, step)
        if count == 0:
            return range(units.start, units.start)
        if table in self.first_rows:
            firsts = self.first_rows[table]
            low = int(np.searchsorted(firsts, start, side="right")) - 1
            high = int(np.searchsorted(firsts, start + count, side="left"))
            return range(units.start + low, units.start + high)
        block, begin = self.blocks[table], units.start + self.lead(table)
        return range(begin + start // block, begin + -(-(start + count) // block))

    def save(self, path: Path) -> None:
        """Write the plan as one safetensors file that processes can map and share."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for kind in _BY_NAME:
            arrays |= {f"{kind}/{name}": value for name, value in getattr(self, kind).items()}
        for name, parents in self.parents.items():
            arrays |= {f"ends/{name}": parents.ends, f"codes/{name}": parents.codes}
        for name, index in self.levels.items():
            arrays[f"tree/{name}"] = index.parents
        keys = [(table, column) for table, held in self.keys.items() for column in held]
        for number, (table, column) in enumerate(keys):
            arrays[f"key/{number}"] = array_to_bytes(self.keys[table][column])
        arrays |= {f"seeds/{name}": table_to_bytes(rows) for name, rows in self.seeds.items()}
        for name, chosen in self.chosen.items():
            arrays |= {f"chosen/{name}": chosen.rows, f"chosen codes/{name}": chosen.codes}
        arrays |= {f"stand/{name}": table_to_bytes(s.rows) for name, s in self.stands.items()}
        notes, drawn = self.notes.to_state()
        arrays |= {f"drawn/{name}": value for name, value in drawn.items()}
        facts = {
            "notes": notes,
            "spec": self.spec.model_dump(),
            "table_rows": self.table_rows,
            "roots": self.roots,
            "root_of": dict(self.root_of),
            "blocks": dict(self.blocks),
            "unbounded": self.unbounded,
            "tables": self.tables,
            "caps": self.caps,
            "stubs": {name: index.stubs for name, index in self.parents.items()},
            "shares": {
                name: (s.multiplier, s.total, s.target, s.cap) for name, s in self.shares.items()
            },
            "keys": keys,
            "owner_of": dict(self.owner_of),
            "chosen": {name: chosen.none for name, chosen in self.chosen.items()},
            "stands": {name: stand.silent for name, stand in self.stands.items()},
        }
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()
        }
        save_file(tensors, path, metadata={"plan": json.dumps(facts)})

    @classmethod
    def load(cls, path: Path) -> SamplePlan:
        """Return the plan that `save` wrote; DataLossError if the file is damaged."""
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads(file.metadata()["plan"])
                arrays = {name: file.get_tensor(name).numpy() for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataLossError(
                "the plan's file is damaged; plan the request again", reason="PLAN_DAMAGED"
            ) from error
        plan = cls(
            spec=SampleSpec.model_validate(facts["spec"]),
            table_rows=facts["table_rows"],
            roots=tuple(facts["roots"]),
            root_of=facts["root_of"],
            blocks=facts["blocks"],
            unbounded=tuple(facts["unbounded"]),
            tables=tuple(facts["tables"]),
            caps=facts["caps"],
            owner_of=facts["owner_of"],
            shares={name: Share(*values) for name, values in facts["shares"].items()},
        )
        plan._fill(facts, arrays)
        return plan

    def _fill(self, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what the file holds beside plain facts."""
        stands: dict[str, Stand] = {}
        drawn = {n.removeprefix("drawn/"): v for n, v in arrays.items() if n.startswith("drawn/")}
        self.notes = Notes.from_state(facts["notes"], drawn)
        for name, value in arrays.items():
            kind, _, rest = name.partition("/")
            if kind in _BY_NAME:
                getattr(self, kind)[rest] = value
            elif kind == "ends":
                stubs = facts["stubs"][rest]
                self.parents[rest] = ParentIndex(value, arrays[f"codes/{rest}"], stubs)
            elif kind == "chosen":
                codes = arrays[f"chosen codes/{rest}"]
                self.chosen[rest] = Chosen(value, codes, facts["chosen"][rest])
            elif kind == "tree":
                self.levels[rest] = LevelIndex(value)
            elif kind == "seeds":
                self.seeds[rest] = table_from_bytes(value)
            elif kind == "stand":
                stands[rest] = Stand(table_from_bytes(value), facts["stands"][rest])
            elif kind == "key":
                table, column = facts["keys"][int(rest)]
                self.keys.setdefault(table, {})[column] = _mapped(value)
        self.stands = {name: stands[name] for name in facts["stands"]}


def of_existing(table: str) -> str:
    """Return the name by which the plan holds what is shared out to existing owners."""
    return f"existing\x1f{table}"


def _key_name(table: str, columns: tuple[str, ...]) -> str:
    return json.dumps([table, *columns])


def _mapped(data: npt.NDArray[Any]) -> pa.Array:
    """Return the values of an Arrow stream without copying them out of the mapped file."""
    return table_from_bytes(data).column(0).combine_chunks()
