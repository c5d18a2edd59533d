"""References that must agree with values which a row has before they are resolved.

An order's tenant is its customer's; the product that it refers to must be the same
tenant's. Parents are drawn among those that agree, by their degrees, so that nothing is
tried and thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import UnsupportedError
from syntheflow_server.engine.graph.structure import Link
from syntheflow_server.engine.sampling.plan import ParentIndex

Ints = npt.NDArray[np.int64]
NULL = -2
"""A value is missing, so the reference is."""

NOBODY = -1
"""No parent has these values."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Parents by the values of the columns that must agree.

    `theirs` [p] are the parents' group numbers (NULL where a value is missing), `known`
    the values of each column, `combined` the sorted groups as one number each.
    """

    theirs: Ints
    known: tuple[pa.Array, ...]
    combined: Ints

    @classmethod
    def of(cls, columns: Sequence[pa.Array]) -> Groups:
        """Return the groups of parents whose `columns` are given."""
        known = tuple(pc.unique(column).drop_null() for column in columns)
        codes = _codes(columns, known)
        combined, theirs = np.unique(codes[codes >= 0], return_inverse=True)
        result = np.full(len(codes), NULL)
        result[codes >= 0] = theirs
        return cls(result, known, combined.astype(np.int64))

    def ours(self, columns: Sequence[pa.Array]) -> Ints:
        """Return the group that children with these values need, NOBODY or NULL."""
        codes = _codes(columns, self.known)
        if not len(self.combined):
            return np.where(codes == NULL, NULL, NOBODY)
        place = np.minimum(np.searchsorted(self.combined, codes), len(self.combined) - 1)
        found = np.where(self.combined[place] == codes, place, NOBODY)
        return np.where(codes == NULL, NULL, found)

    @property
    def sizes(self) -> Ints:
        """Number of parents in each group."""
        return np.bincount(self.theirs[self.theirs >= 0], minlength=len(self.combined))

    def room(self, groups: Ints) -> Ints:
        """Return how many parents agree with each of `groups` [n]."""
        sizes = np.append(self.sizes, [0])
        room: Ints = sizes[np.where(groups >= 0, groups, len(sizes) - 1)]
        return room


def _codes(columns: Sequence[pa.Array], known: Sequence[pa.Array]) -> Ints:
    """Return one number a row; NOBODY where a value is not known, NULL where it is missing."""
    total = np.zeros(len(columns[0]), np.int64)
    missing, unknown = np.zeros(len(total), bool), np.zeros(len(total), bool)
    for column, values in zip(columns, known, strict=True):
        cast = column if column.type == values.type else column.cast(values.type)
        found = pc.fill_null(pc.index_in(cast, value_set=values), -1)
        code = found.to_numpy(zero_copy_only=False).astype(np.int64)
        gaps = cast.is_null().to_numpy(zero_copy_only=False)
        missing |= gaps
        unknown |= (code < 0) & ~gaps
        total = total * (len(values) + 1) + np.maximum(code, 0)
    return np.where(missing, NULL, np.where(unknown, NOBODY, total))


def draw_agreeing(
    link: Link,
    wanted: Ints,
    groups: tuple[Ints, Ints],
    index: ParentIndex,
    rng: np.random.Generator,
    pool: Ints | None = None,
    *,
    must: bool = True,
) -> Ints:
    """Return a parent of the right group for each row, -1 where it has none.

    `wanted` [n] are codes (-1: no parent), `groups` = (ours [n], theirs [p]) those of rows
    and of parents. With `pool` only these parents are drawn, each once. Raises
    UnsupportedError if a row `must` have a parent and nobody agrees.
    """
    ours, theirs = groups
    result = np.full(len(wanted), -1)
    asking = (wanted >= 0) & (ours != NULL)
    rows = np.flatnonzero(asking & (ours >= 0))
    group = np.sort(ours[rows])
    once = link.unique or pool is not None
    offer = np.arange(len(theirs)) if pool is None else np.unique(pool)
    stubs = spread(group, theirs[offer], np.diff(index.ends, prepend=0)[offer], rng, once=once)
    stubs = np.where(stubs >= 0, offer[np.maximum(stubs, 0)], -1) if len(offer) else stubs
    left = rows[np.lexsort((rng.random(len(rows)), wanted[rows], ours[rows]))]
    code = np.where(stubs >= 0, index.codes[np.maximum(stubs, 0)], -1)
    # Groups have as many stubs as rows; what is missing comes last within its group.
    right = np.lexsort((rng.random(len(stubs)), code, stubs < 0, group))
    result[left] = stubs[right]
    if must and not link.nullable and (result[asking] < 0).any():
        raise unmet(link)
    return result


def unmet(link: Link) -> UnsupportedError:
    """Return the error of rows that must refer and find nobody who agrees."""
    shared = ", ".join(link.shared)
    return UnsupportedError(
        f"The reference {link.key} cannot be kept: rows of {link.key.child_table!r} were made"
        f" for which no row of {link.key.parent_table!r} has the same {shared}; ask for more"
        f" rows of {link.key.parent_table!r}, or drop one of the foreign keys that share it",
        reason="REFERENCE_UNMET",
        metadata={"table": link.key.child_table, "column": link.shared[0]},
    )


def spread(
    group: Ints, theirs: Ints, degrees: Ints, rng: np.random.Generator, *, once: bool
) -> Ints:
    """Return for the sorted `group` [n] of rows a parent of it, -1 if it has none.

    A group's rows are spread evenly over the `degrees` [p] of its parents, or with `once`
    over parents of which none comes twice: rows that are too many get none.
    """
    parents = rng.permutation(len(theirs))
    parents = parents[np.argsort(theirs[parents], kind="stable")]
    if not len(parents):
        return np.full(len(group), -1)
    low = np.searchsorted(theirs[parents], group, side="left")
    high = np.searchsorted(theirs[parents], group, side="right")
    begins = np.searchsorted(group, group, side="left")
    count = np.searchsorted(group, group, side="right") - begins
    rank = np.arange(len(group)) - begins
    share = (rank + rng.random(len(group))[begins]) / count
    place = low + (share * (high - low)).astype(np.int64)
    if once:
        place = np.where(count > high - low, low + rank, place)
    else:
        total = np.concatenate([[0], np.cumsum(degrees[parents])])
        weight = total[high] - total[low]
        wanted = total[low] + (share * weight).astype(np.int64)
        by_degree = np.searchsorted(total, wanted, side="right") - 1
        place = np.where(weight > 0, by_degree, place)
    some = (place >= low) & (place < high)
    return np.where(some, parents[np.where(some, place, 0)], -1)


def redrawn(
    parents: Ints,
    rows: Ints,
    groups: Ints,
    weights: Ints,
    rng: np.random.Generator,
) -> Ints:
    """Return other parents for `rows`, each of the group that it has now; by `weights` [p]."""
    order = np.argsort(groups, kind="stable")
    total = np.concatenate([[0], np.cumsum(weights[order] + 1)])
    mine = groups[parents[rows]]
    low = np.searchsorted(groups[order], mine, side="left")
    high = np.searchsorted(groups[order], mine, side="right")
    place = total[low] + (rng.random(len(rows)) * (total[high] - total[low])).astype(np.int64)
    found: Ints = order[np.searchsorted(total, place, side="right") - 1]
    return found


def balanced(
    wanted: Ints,
    gone: npt.NDArray[np.bool_],
    target: int,
    weights: Ints,
    leaning: npt.NDArray[np.float64],
    known: Ints,
    rng: np.random.Generator,
) -> Ints:
    """Return `wanted` codes with as many rows without parent (-1) as `target` says.

    Rows that are `gone` have none in any case. Each row stands for `weights` [n] rows, 0 for
    those that follow another. Of rows that change, those come first whose other columns
    lean to the other side: `leaning` [n] is high for rows like those without parent.
    """
    result = wanted.copy()
    none = (wanted < 0) | gone
    off = int(weights[none].sum()) - target
    noise = rng.gumbel(size=len(wanted))
    if off > 0 and len(known):
        rows = np.flatnonzero(none & ~gone & (weights > 0))
        rows = rows[np.argsort(leaning[rows] - noise[rows])]
        rows = rows[np.cumsum(weights[rows]) <= off]
        result[rows] = known[rng.integers(0, len(known), len(rows))]
    elif off < 0:
        rows = np.flatnonzero(~none & (weights > 0))
        rows = rows[np.argsort(-leaning[rows] - noise[rows])]
        result[rows[np.cumsum(weights[rows]) <= -off]] = -1
    return result


def leaning_of(
    codes: npt.NDArray[np.uint16], none: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return how much the tokens [n, T] of each row are those of rows with `none` (naive Bayes)."""
    total = np.zeros(len(codes))
    if none.all() or not none.any():
        return total
    for column in codes.T:
        size = int(column.max()) + 1
        with_none = np.bincount(column[none], minlength=size) + 0.5
        without = np.bincount(column[~none], minlength=size) + 0.5
        odds = np.log(with_none / with_none.sum()) - np.log(without / without.sum())
        total += odds[column]
    return total
