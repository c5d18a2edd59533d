"""Keys that must differ among the rows of one owner: find repeats and repair them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.graph.structure import Link, Structure
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.sampling.agreement import Groups, redrawn
from syntheflow_server.engine.sampling.beside import Beside
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.runtime import Runtime
from syntheflow_server.engine.sampling.tuples import mixed, numbered, repeated, within

Ints = npt.NDArray[np.int64]
ColumnOf = Callable[[Frame, str], pa.Array]
_SWAPS = 40
_OFFERS = 32
_MOST_SWAPS = 4096
_DRAWS = 24
_LITTLE = 1e-6


class Parents(Protocol):
    """What is asked of links: their parents' keys."""

    def key_values(self, table: str, column: str, rows: Ints) -> pa.Array:
        """Return a key column of `table` for row numbers."""
        ...

    def fixed_keys(self, link: Link) -> Ints:
        """Return by parent row the number that children's order column must equal."""
        ...

    def groups(self, link: Link, columns: tuple[str, ...]) -> Groups:
        """Return the parents' groups by what they have in the child's `columns`."""
        ...


def settle_keys(
    runtime: Runtime, plan: SamplePlan, frame: Frame, column: ColumnOf, parents: Parents
) -> None:
    """Make each key of the table's `distinct` unique among its owner's rows.

    Raises UnsupportedError naming table and key if no column of the key can give way; what
    is no key, but never repeated in the real table, does so as little as can be.
    """
    structure = runtime.model.family[frame.table]
    for names in (*structure.distinct, *structure.varied):
        keys = _Keys(runtime, plan, frame, names, column, parents)
        if keys.repeats().any():
            keys.repair()
            if names in structure.distinct and keys.repeats().any():
                raise UnsupportedError(
                    f"table {frame.table!r}: no unused value is left for the key"
                    f" ({', '.join(names)}) within its owner; ask for fewer rows of it",
                    reason="KEY_EXHAUSTED",
                    metadata={"table": frame.table, "column": names[0]},
                )
        keys.rise()


class _Keys:
    """The values of one key in a frame as numbers, and the ways to change them."""

    def __init__(
        self,
        runtime: Runtime,
        plan: SamplePlan,
        frame: Frame,
        names: tuple[str, ...],
        column: ColumnOf,
        parents: Parents,
    ) -> None:
        self.runtime, self.plan, self.frame, self.names = runtime, plan, frame, names
        self.column = column
        structure = runtime.model.family[frame.table]
        self.parents = parents
        self.tied_columns = _tied_columns(structure)
        # Links of which the key holds more than the order column they must agree with.
        self.links = [
            link
            for link in structure.resolved
            if (set(link.key.child_columns) - set(link.fixed)) & set(names)
        ]
        linked = {name for link in structure.resolved for name in link.key.child_columns}
        sequence = structure.sequence
        self.order = sequence.order if sequence and sequence.order in names else ""
        self.tied = [link for link in structure.resolved if link.fixed and self.order]
        self.plain = [n for n in names if n not in linked and n != self.order]
        self.images = {str(link.key): self._image(link) for link in self.links}
        self.rng = generator(plan.spec.seed, frame.table, frame.unit, f"key {names}")
        beside = Beside.of(runtime, plan, frame)
        self.beside = beside if beside is not None and beside.tells(names) else None
        self.beside_codes: dict[str, Ints] = {}
        self.codes = {name: self._numbered(name, column(frame, name)) for name in self.plain}

    def _image(self, link: Link) -> Ints | None:
        """Return by parent row a number for what the key holds of it; None for all of it."""
        columns = link.key.child_columns
        held = [name for name in columns if name in self.names]
        if len(held) == len(columns):
            return None
        table = link.key.parent_table
        rows = np.arange(self.plan.places(table))
        image = np.zeros(len(rows), np.int64)
        for name in held:
            theirs = link.key.parent_columns[columns.index(name)]
            codes = numbered(self.parents.key_values(table, theirs, rows))
            image = image * (int(codes.max(initial=0)) + 1) + codes
        return image

    def ids(self) -> list[Ints]:
        """Return the parts of the key as numbers, owner first."""
        parts = [self.frame.owner]
        for link in self.links:
            found, image = self.frame.parents[str(link.key)], self.images[str(link.key)]
            parts.append(found if image is None else image[found])
        if self.order:
            assert self.frame.order is not None
            parts.append(self.frame.order)
        return parts + [self.codes[name] for name in self.plain]

    def repeats(self) -> npt.NDArray[np.bool_]:
        """Return which rows repeat the key of an earlier row."""
        return self._repeated(self.ids())

    def _repeated(self, ids: list[Ints]) -> npt.NDArray[np.bool_]:
        """Return which rows repeat the key of an earlier row, or of one that exists already."""
        held = self._held()
        both = [np.concatenate(pair) for pair in zip(held, ids, strict=True)] if held else ids
        return repeated(both)[len(both[0]) - len(ids[0]) :]

    def _held(self) -> list[Ints]:
        """Return the parts of existing rows' keys, as `ids` does; none if there are none."""
        if self.beside is None:
            return []
        parts = [self.beside.owner]
        parts += [self.beside.parents(k, self.images[str(k.key)]) for k in self.links]
        sequence = self.runtime.model.family[self.frame.table].sequence
        if self.order and sequence is not None:
            parts.append(self.beside.order(self.order, sequence.counted))
        return parts + [self.beside_codes[name] for name in self.plain]

    def _numbered(self, name: str, values: pa.Array) -> Ints:
        """Return a number for each value, the same for equal ones of existing rows."""
        if self.beside is None:
            return numbered(values)
        held = self.beside.values(name).cast(values.type)
        codes = numbered(combined(pa.chunked_array([held, values])))
        self.beside_codes[name] = codes[: len(held)]
        return codes[len(held) :]

    def repair(self) -> None:
        """Change as little as possible: counters, then links, then other values, then order."""
        counters = [n for n in self.plain if self._is_integer(n)]
        if counters:
            self._count_up(counters[-1])
        free = [link for link in self.links if not link.fixed]
        for link in reversed(free):
            if self.repeats().any():
                self._swap(link)
            if self.repeats().any():
                self._redraw(link)
        for name in self.plain:
            if name not in counters and self.repeats().any():
                self._revalue(name)
        for link in self.tied:
            if self.repeats().any():
                self._redraw(link)
        if self.order and not self.tied and self.repeats().any():
            self._move_on()

    def rise(self) -> None:
        """Put siblings into order again where their parents gave them other numbers.

        Whole keys change places between siblings, so that none is lost.
        """
        order, owner = self.frame.order, self.frame.owner
        if order is None or not self.tied:
            return
        turn = np.lexsort((order, owner))
        if np.array_equal(turn, np.arange(len(turn))):
            return
        order[:] = order[turn]
        for link in self.tied:
            name = str(link.key)
            self.frame.parents[name] = self.frame.parents[name][turn]
            for column in link.key.child_columns:
                self.frame.columns.pop(column, None)
        self.frame.columns.pop(self.order, None)
        for name in self.plain:
            moved = self.column(self.frame, name).take(pa.array(turn))
            self.frame.columns[name] = moved
            self.codes[name] = self.codes[name][turn]

    def _is_integer(self, name: str) -> bool:
        return self.runtime.table(self.frame.table).table.column(name).type == "int64"

    def _count_up(self, name: str) -> None:
        """Give rows that are equal but for `name` successive values of it."""
        values, _ = to_numbers(self.column(self.frame, name), name)
        values = values.astype(np.int64)
        if self.beside is not None:
            held, _ = to_numbers(self.beside.values(name), name)
            self.beside_codes[name] = held.astype(np.int64)
            self.codes[name] = values
        for _ in range(64):
            again = self.repeats()
            if not again.any():
                break
            values[again] += 1
            self.codes[name] = values
        kind = self.runtime.table(self.frame.table).table.column(name).arrow
        self.frame.columns[name] = from_numbers(values, None, kind, 0)
        self.codes[name] = values

    def _swap(self, link: Link) -> None:
        """Exchange parents between rows of the unit: degrees stay as they are."""
        parents = self.frame.parents[str(link.key)]
        for _ in range(_SWAPS):
            bad = np.flatnonzero(self.repeats())
            if not len(bad):
                return
            bad, other = self._offers(link, self.rng.permutation(bad)[:_MOST_SWAPS])
            before = parents.copy()
            parents[bad], parents[other] = before[other], before[bad]
            worse = self.repeats_any()
            undo = worse[bad] | worse[other]
            parents[bad[undo]], parents[other[undo]] = before[bad[undo]], before[other[undo]]

    def _offers(self, link: Link, bad: Ints) -> tuple[Ints, Ints]:
        """Return rows of `bad`, and for each another row with which it may change parents."""
        parts, place = self.ids(), 1 + self.links.index(link)
        held = np.sort(mixed(parts))
        other = self.rng.integers(0, self.frame.rows, (len(bad), _OFFERS))
        mine = [part[bad][:, None] for part in parts]
        theirs = [part[other] for part in parts]
        mine[place], theirs[place] = theirs[place], mine[place]
        free = ~(within(mixed(mine), held) | within(mixed(theirs), held))
        if (groups := self._groups(link)) is not None:
            parents = self.frame.parents[str(link.key)]
            free &= groups[parents[bad]][:, None] == groups[parents[other]]
        # Rather from one that asked for the same kind of parent.
        kinds = self._kinds(link)
        alike = free & (kinds[bad][:, None] == kinds[other]) if len(kinds) else free
        chosen = other[np.arange(len(bad)), (free.astype(np.int8) + alike).argmax(axis=1)]
        some = free.any(axis=1) & ~np.isin(chosen, bad)
        bad, chosen = bad[some], chosen[some]
        chosen, once = np.unique(chosen, return_index=True)
        return bad[once], chosen

    def _kinds(self, link: Link) -> Ints:
        """Return the kind of parent that each row asked for, nothing if rows do not ask."""
        piece = self.runtime.layout(self.frame.table).find(PieceKind.LINK, str(link.key))
        if piece is None:
            return np.zeros(0, np.int64)
        group, member = self.frame.codes[:, piece.where].T.astype(np.int64)
        return np.asarray(group * piece.tokens[1].size + member)

    def repeats_any(self) -> npt.NDArray[np.bool_]:
        """Return which rows share their key with any other row."""
        ids = self.ids()
        return self._repeated(ids) | self._repeated([part[::-1] for part in ids])[::-1]

    def _redraw(self, link: Link) -> None:
        """Give rows that still repeat another parent, by the parents' degrees."""
        parents = self.frame.parents[str(link.key)]
        rows = self.plan.places(link.key.parent_table)
        index = self.plan.parents.get(str(link.key))
        ends = index.ends if index and index.stubs else np.arange(1, rows + 1)
        groups = self._groups(link)
        for _ in range(_DRAWS):
            bad = np.flatnonzero(self.repeats())
            if not len(bad):
                return
            if groups is None:
                stubs = self.rng.integers(0, ends[-1], len(bad))
                parents[bad] = np.searchsorted(ends, stubs, side="right")
            else:
                weights = np.diff(ends, prepend=0)
                parents[bad] = redrawn(parents, bad, groups, weights, self.rng)
            self._follow(link, bad)
        for row in np.flatnonzero(self.repeats()):
            others = self.frame.owner == self.frame.owner[row]
            alike = np.ones(rows, bool) if groups is None else groups == groups[parents[row]]
            unused = np.setdiff1d(np.flatnonzero(alike), parents[others])
            if self.beside is not None and len(self.ids()) == 2:  # owner and parent are the key
                own = self.beside.owner == self.frame.owner[row]
                unused = np.setdiff1d(unused, self.beside.parents(link, None)[own])
            if len(unused):
                # Parents that nobody refers to come last, but they come.
                weights = np.diff(ends, prepend=0)[unused] + _LITTLE
                parents[row] = self.rng.choice(unused, p=weights / weights.sum())
                self._follow(link, np.array([row]))

    def _groups(self, link: Link) -> Ints | None:
        """Return by parent row what its children's shared columns need; None if nothing."""
        columns = tuple(c for c in link.key.child_columns if c in self.tied_columns)
        columns = tuple(c for c in columns if c not in link.fixed)
        return self.parents.groups(link, columns).theirs if columns else None

    def _follow(self, link: Link, rows: Ints) -> None:
        """Let the order column agree with the new parents of `rows`."""
        if link.fixed and self.frame.order is not None:
            parents = self.frame.parents[str(link.key)]
            self.frame.order[rows] = self.parents.fixed_keys(link)[parents[rows]]
            self.frame.columns.pop(link.fixed[0], None)

    def _revalue(self, name: str) -> None:
        """Give rows that repeat another of the values that the column can take."""
        piece = self.runtime.piece(self.frame.table, PieceKind.COLUMN, name)
        assert piece.codec is not None
        sizes = piece.codec.sizes
        every = np.stack(np.meshgrid(*[np.arange(s) for s in sizes], indexing="ij"), -1)
        every = every.reshape(-1, len(sizes)).astype(np.uint16)
        draws = self.rng.random((len(every), piece.codec.draws))
        known = pc.unique(combined(piece.codec.decode(every, draws))).drop_null()
        values = self.column(self.frame, name)
        table = pc.unique(pa.concat_arrays([values, known]))
        if pa.types.is_string(table.type):
            most = int(np.bincount(self.frame.owner).max())
            table = _enough(table, most)
        if self.beside is not None:
            held = self.beside.values(name).cast(values.type)
            table = pc.unique(pa.concat_arrays([table, held]))
            found = pc.index_in(held, table).to_numpy(zero_copy_only=False)
            self.beside_codes[name] = found.astype(np.int64)
        codes = pc.index_in(values, table).to_numpy(zero_copy_only=False).astype(np.int64)
        self.codes[name] = codes
        for turn in range(_DRAWS + len(table)):
            bad = np.flatnonzero(self.repeats())
            if not len(bad):
                break
            step = self.rng.integers(0, len(table), len(bad)) if turn < _DRAWS else 1
            codes[bad] = (codes[bad] + step) % len(table)
        self.frame.columns[name] = table.take(pa.array(codes))

    def _move_on(self) -> None:
        """Move rows that repeat to the next free place in order, or else to one before.

        Places after the last real ones come only where all others are taken.
        """
        order = self.frame.order
        assert order is not None
        sequence = self.runtime.model.family[self.frame.table].sequence
        assert sequence is not None
        begin, low = order.copy(), order.min()
        high = max(int(order.max()), sequence.high)
        back, beyond = np.zeros((2, len(order)), bool)
        for _ in range(3 * self.frame.rows):
            bad = self.repeats()
            if not bad.any():
                break
            order[bad] = np.where(back[bad], sequence.before(order[bad]), sequence.next(order[bad]))
            turned = bad & ~back & ~beyond & (order > high)
            order[turned] = sequence.before(begin[turned])
            back |= turned
            lost = back & (order < low)
            order[lost] = sequence.next(np.full(lost.sum(), high))
            back &= ~lost
            beyond |= lost
        if back.any() and len(self.ids()) == 2:  # only owner and place: siblings stay in order
            order[:] = order[np.lexsort((order, self.frame.owner))]
        self.frame.columns.pop(self.order, None)


def _tied_columns(structure: Structure) -> frozenset[str]:
    """Return the columns that links share: whoever fills them, they must not change."""
    return frozenset(name for link in structure.resolved for name in link.shared)


def _enough(words: pa.Array, most: int) -> pa.Array:
    """Return at least `most` different words: the known ones, then those with numbers added."""
    known = [word for word in words.to_pylist() if word is not None] or ["A"]
    every, number = dict.fromkeys(known), 2
    while len(every) < most:
        every |= dict.fromkeys(f"{word}{number}" for word in known)
        number += 1
    return pa.array(every, words.type)
