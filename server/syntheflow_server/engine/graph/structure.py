"""What role each column and each reference of a table plays; decided once, at fit time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.engine.encoding.days import from_slots, to_open, to_slots


class LinkKind(StrEnum):
    """How a reference that does not own is resolved."""

    CODED = "coded"
    """The row generates a code of the parent; a real row of that code is drawn."""

    LEVELS = "levels"
    """A self reference without cycles: the parent lies one level above."""

    IMPLIED = "implied"
    """Its columns are part of a wider reference, whose parent makes the same reference."""

    COPIED = "copied"
    """In the real data always the reference (or the very row) of an owner above."""

    RETURNED = "returned"
    """Names the one row that this row owns and that has its key: a circle of 1:1 references."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AffinityKind(StrEnum):
    """What puts the rows that refer by a link in order."""

    LINK = "link"
    """The parent by another link: its code, then which one it is."""

    OWNER = "owner"
    """A column that refers to the owner."""

    TOKEN = "token"  # noqa: S105 - of a column, not of a user
    """A column's first token."""


class Affinity(_Frozen):
    """Rows alike in this go to the same parent, but for a share of `noise` (see graph.affinity)."""

    kind: AffinityKind
    name: str
    noise: float = 0.0


class Link(_Frozen):
    """A reference that does not own.

    `null_share` is the share of real rows without parent, `orphan_share` that of rows
    whose parent does not exist, and they name `orphan_keys` different ones. `unique` says
    that no two rows share a parent. `fixed` is the column that orders siblings, if the link
    holds it: the parent should have the same number. `shared` are columns that something
    else fills (the owner, the row's own key, a link before): the parent must have the same
    values. `groups`/`members` are the sizes of the code's two tokens; `loops` says that
    rows may refer to themselves, `within` that parent and child of a self reference always
    have the same owner. `partial` are null patterns of a composite reference without
    parent: which of its columns are null all the same, and the share of such rows among
    those without parent. For COPIED, `above` counts owners to climb and `through` is the
    reference there to copy from (None: the row found there is itself the parent).
    `affinities` say which rows get the same parent of a kind, the most telling first.
    """

    key: ForeignKey
    kind: LinkKind
    null_share: float = 0.0
    orphan_share: float = 0.0
    orphan_keys: int = 0
    unique: bool = False
    fixed: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    partial: tuple[tuple[tuple[str, ...], float], ...] = ()
    groups: int = 0
    members: int = 0
    levels: int = 0
    loops: bool = False
    within: bool = False
    above: int = 0
    through: ForeignKey | None = None
    affinities: tuple[Affinity, ...] = ()

    @property
    def nullable(self) -> bool:
        """True if some rows have no parent."""
        return self.null_share > 0

    @property
    def extra_groups(self) -> int:
        """How many groups follow the codes': 'no parent', then 'a parent that does not exist'."""
        return int(self.nullable) + int(self.orphan_share > 0)

    def theirs(self, column: str) -> str:
        """Return the parent's column that a child's column holds."""
        return self.key.parent_columns[self.key.child_columns.index(column)]


class Sequence(_Frozen):
    """How siblings follow one another.

    `order` is the column that rises along siblings, "" for none; `unit` its smallest step
    in the column's own units; `high` a value that few real rows exceed; `strict` forbids
    equal neighbours; `long` means too many siblings to make one after another: they are
    made at once. `cycle`, if not 0, says that days of the month (`days.MONTH`) or of
    the year (`days.YEAR`) return: the column is counted in places of months
    (`days.to_slots`), `day` being one day in its own unit, and steps begin where the
    month or year of the sibling before does. `closed` are weekdays on which nothing
    happens. `backward` says that the last sibling is told by its distance from `high`,
    not from the first: many series end where the data do. `apart` units lie at least
    between most neighbours: so much is kept free for each sibling to come. `pace`, if not
    0, is the step that most siblings take: an owner tells how much longer or shorter than at
    that pace its siblings take, so that their number and their span fit.
    """

    order: str = ""
    unit: int = 1
    high: int = 0
    strict: bool = False
    long: bool = False
    cycle: int = 0
    day: int = 0
    closed: tuple[int, ...] = ()
    backward: bool = False
    apart: int = 0
    pace: int = 0

    def counted(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the column's numbers as they are counted."""
        return to_slots(numbers, self.day) if self.cycle else numbers

    def told(self, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the column's own numbers for counted ones."""
        return from_slots(counted, self.day) if self.cycle else counted

    def opened(self, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return numbers of which none falls on a closed weekday."""
        if not self.closed:
            return counted
        days, rest = np.divmod(self.told(counted), self.day)
        return self.counted(to_open(days, self.closed) * self.day + rest)

    def ends(
        self, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return how an owner tells its last sibling, in units; never below 0."""
        if self.backward:
            away = self.base(np.full_like(last, self.high)) - self.base(last)
        else:
            away = self.base(last) - self.base(first)
        units: npt.NDArray[np.int64] = np.maximum(away, 0) // self.unit
        return units

    def last(
        self, first: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the last sibling that `ends` tells; the inverse of `ends`."""
        if self.backward:
            return self.base(np.full_like(first, self.high)) - ends * self.unit
        last = self.base(first) + np.maximum(ends, 0) * self.unit
        bounded: npt.NDArray[np.int64] = np.minimum(last, np.maximum(self.high, first))
        return bounded

    def room(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return what is kept free for so many rows to come."""
        units = rows * self.apart
        if self.unit == self.day and not self.cycle:
            units = -(-units * 7 // (7 - len(self.closed)))
        return units * self.unit

    def on_grid(self, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers, moved up to where real ones can be: whole units from one another."""
        return counted if self.cycle else counted + (self.high - counted) % self.unit

    def next(self, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the next place in order."""
        if self.cycle:
            return self.counted(self.told(counted) + self.day)
        return counted + self.unit

    def before(self, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the place before in order."""
        if self.cycle:
            return self.counted(self.told(counted) - self.day)
        return counted - self.unit

    def base(self, counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where the step to the next sibling begins."""
        return counted - counted % self.cycle if self.cycle else counted


class Structure(_Frozen):
    """One table: its owner, its links and how its keys are made.

    `distinct` lists column sets that must be unique among the rows of one owner (the
    owner's own columns left out), `varied` those of links by which siblings never met, which
    holds as long as there are parents enough; `grid` are key columns made together by row number
    but still known to the network; `telling` are surrogate keys of a table without owner
    on whose place the other columns depend; `counters` are columns that number the rows of
    one owner and order value, and from which number on; `once` says that an owner has at
    most one row, `always` that it has exactly one.
    `crowds` are the sorted numbers of children of its rows by owned table, of rows that
    refer to them by the link's text, and for a self reference the levels: as (number, rows
    that have it), rare ones smoothed.
    A `kept` table comes out as it is.
    """

    table: str
    rows: int
    owner: ForeignKey | None = None
    once: bool = False
    always: bool = False
    links: tuple[Link, ...] = ()
    sequence: Sequence | None = None
    surrogate: tuple[str, ...] = ()
    per_owner: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()
    distinct: tuple[tuple[str, ...], ...] = ()
    varied: tuple[tuple[str, ...], ...] = ()
    crowds: Mapping[str, tuple[tuple[int, int], ...]] = {}
    counters: Mapping[str, int] = {}
    modelled: tuple[str, ...] = ()
    kept: bool = False

    def link(self, key: ForeignKey) -> Link:
        """Return the link that resolves `key`."""
        return next(link for link in self.links if link.key == key)

    def named(self, text: str) -> Link:
        """Return the link whose key reads `text`."""
        return next(link for link in self.links if str(link.key) == text)

    @property
    def references(self) -> frozenset[str]:
        """The columns of the owner's reference and of all links."""
        keys = [link.key for link in self.links] + ([self.owner] if self.owner else [])
        return frozenset(name for key in keys for name in key.child_columns)

    @property
    def resolved(self) -> tuple[Link, ...]:
        """Links that draw a parent, in order."""
        drawn = {LinkKind.CODED, LinkKind.LEVELS}
        return tuple(link for link in self.links if link.kind in drawn)

    @property
    def settled(self) -> tuple[Link, ...]:
        """Resolved links whose parents may yet change a key or the order of siblings."""
        return tuple(
            link
            for link in self.resolved
            if link.fixed or self.repaired & set(link.key.child_columns)
        )

    @property
    def repaired(self) -> frozenset[str]:
        """Columns that change where siblings would repeat them."""
        return frozenset(name for names in (*self.distinct, *self.varied) for name in names)


@dataclass(frozen=True, slots=True)
class Family:
    """The structures of all tables by name, and how they hang together."""

    structures: Mapping[str, Structure]
    order: tuple[str, ...]

    def __getitem__(self, table: str) -> Structure:
        return self.structures[table]

    def owner_of(self, table: str) -> str:
        """Return the owner's table, or "" for a root."""
        owner = self.structures[table].owner
        return owner.parent_table if owner else ""

    def owned_by(self, table: str) -> tuple[str, ...]:
        """Return the tables that `table` owns, in the order they are made."""
        return tuple(name for name in self.order if self.owner_of(name) == table)

    def root_of(self, table: str) -> str:
        """Return the topmost owner of `table`."""
        while owner := self.owner_of(table):
            table = owner
        return table

    @property
    def roots(self) -> tuple[str, ...]:
        """Tables that nobody owns, in order."""
        return tuple(name for name in self.order if not self.owner_of(name))

    def below(self, table: str) -> tuple[str, ...]:
        """Return `table` and all it owns, owners first."""
        names = {table}
        for name in self.order:
            if self.owner_of(name) in names:
                names.add(name)
        return tuple(name for name in self.order if name in names)

    def above(self, table: str) -> tuple[str, ...]:
        """Return the owners of `table` from the nearest to the root."""
        chain = []
        while table := self.owner_of(table):
            chain.append(table)
        return tuple(chain)

    def drawn_from(self, table: str) -> tuple[Link, ...]:
        """Return the links (of any table) whose parents are drawn from `table`."""
        return tuple(
            link
            for name in self.order
            for link in self.structures[name].resolved
            if link.key.parent_table == table
        )


def counted_within(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each row how many rows before it have the same group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    lengths = np.diff(np.append(begins, len(ordered)))
    counted = np.empty(len(groups), np.int64)
    counted[order] = np.arange(len(groups)) - np.repeat(begins, lengths)
    return counted
