"""Learn which rows share a parent more often than the parent's kind explains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syntheflow_server.engine.graph.affinity import axis_of, in_order, scattered
from syntheflow_server.engine.graph.structure import (
    Affinity,
    AffinityKind,
    Link,
    LinkKind,
    Structure,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_MOST_ROWS = 40_000
_FEWEST_ROWS = 200
_FEWEST_PARENTS = 3
_MOST_AFFINITIES = 2
_BEYOND_CHANCE = 0.05
_STRETCHES = (24, 400)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Something known of rows: `keys` [n] each put them in order, `groups` [n] are alike."""

    affinity: Affinity
    keys: tuple[Ints, ...]
    groups: Ints

    def of(self, rows: Ints) -> Candidate:
        """Return what is known of some rows only."""
        return Candidate(self.affinity, tuple(key[rows] for key in self.keys), self.groups[rows])


def by_column(kind: AffinityKind, name: str, values: pa.Array) -> tuple[Candidate, ...]:
    """Return the candidates that a column is; see `by_token`."""
    scale = pa.types.is_temporal(values.type) or pa.types.is_floating(values.type)
    return _cut(Affinity(kind=kind, name=name), axis_of(values), scale=scale)


def by_token(name: str, codes: Ints, *, ordered: bool) -> tuple[Candidate, ...]:
    """Return the candidates that a column's first token is.

    What lies on a scale is seen twice, in long stretches and in short ones.
    """
    affinity = Affinity(kind=AffinityKind.TOKEN, name=name)
    return _cut(affinity, codes, scale=ordered)


def by_link(name: str, parents: Ints, codes: Ints) -> Candidate:
    """Return the candidate that is the parent by another link, with its code by row."""
    affinity = Affinity(kind=AffinityKind.LINK, name=name)
    return Candidate(affinity, (codes, scattered(parents, name)), parents)


def _cut(affinity: Affinity, axis: Ints, *, scale: bool) -> tuple[Candidate, ...]:
    values, groups = np.unique(axis, return_inverse=True)
    if not scale or len(values) <= _STRETCHES[0]:
        return (Candidate(affinity, (axis,), groups.astype(np.int64)),)
    return tuple(
        Candidate(affinity, (axis,), np.searchsorted(ends, axis, side="right"))
        for ends in (_ends(axis, count) for count in _STRETCHES)
    )


def _ends(axis: Ints, count: int) -> Ints:
    shares = np.linspace(0, 1, count + 1)[1:-1]
    found: Ints = np.unique(np.quantile(axis, shares, method="nearest"))
    return found


def find_affinities(
    link: Link, parents: Ints, kinds: Ints, candidates: Sequence[Candidate], seed: int
) -> tuple[tuple[Affinity, ...], float]:
    """Return the link's affinities and how much the first of them explains.

    `parents` [n] of the rows that have one, `kinds` [n] the codes of these.
    """
    rng = np.random.default_rng(seed)
    if len(parents) > _MOST_ROWS:
        rows = np.sort(rng.choice(len(parents), _MOST_ROWS, replace=False))
        candidates = [candidate.of(rows) for candidate in candidates]
        parents, kinds = parents[rows], kinds[rows]
    if len(parents) < _FEWEST_ROWS or len(np.unique(parents)) < _FEWEST_PARENTS:
        return (), 0.0
    place = scattered(parents, str(link.key))
    chosen: list[Candidate] = []
    best, within = 0.0, kinds
    while len(chosen) < _MOST_AFFINITIES:
        found = []
        names = {known.affinity.name for known in chosen}
        for candidate in [c for c in candidates if c.affinity.name not in names]:
            made = _made(parents, kinds, [*chosen, candidate], place, seed)
            explained = _explained(parents, made, within, candidate.groups)
            if explained is not None:
                found.append((*explained, candidate))
        if not found:
            break
        gain, noise, telling = max(found, key=lambda item: item[0])
        if gain < _BEYOND_CHANCE:
            break
        best = best or gain
        noisy = telling.affinity.model_copy(update={"noise": round(noise, 4)})
        chosen.append(replace(telling, affinity=noisy))
        within = _both(within, telling.groups)
    return tuple(candidate.affinity for candidate in chosen), best


def _made(
    parents: Ints, kinds: Ints, candidates: Sequence[Candidate], place: Ints, seed: int
) -> Ints:
    """Return the parents given out in the order of `candidates`, with the noise of each."""
    keys = [candidate.keys for candidate in candidates]
    noise = [candidate.affinity.noise for candidate in candidates]
    return in_order(parents, kinds, keys, noise, place, np.random.default_rng(seed))


def _explained(parents: Ints, made: Ints, kinds: Ints, groups: Ints) -> tuple[float, float] | None:
    """Return how much the groups explain beyond chance, and the noise that makes it so much.

    Rows of one kind and group have the same parent so often really, and so often if they
    are `made` in order without noise; None if there are too few to tell.
    """
    both = _both(kinds, groups)
    real = _alike(both, parents)
    some = np.isfinite(real)
    if some.sum() < _FEWEST_ROWS:
        return None
    chance = float(_alike(kinds, parents)[some].mean())
    most = float(_alike(both, made)[some].mean()) - chance
    share = min(float(real[some].mean()) - chance, most)
    if share <= 0:
        return None
    return share / max(1 - chance, 1e-9), 1 - float(np.sqrt(share / most))


def _alike(groups: Ints, parents: Ints) -> Floats:
    """Return for each row the share of other rows of its group with its parent."""
    pairs = _both(groups, parents)
    same, all_of = np.bincount(pairs)[pairs], np.bincount(groups)[groups]
    with np.errstate(invalid="ignore"):
        shares: Floats = np.where(all_of > 1, (same - 1) / np.maximum(all_of - 1, 1), np.nan)
    return shares


def _both(left: Ints, right: Ints) -> Ints:
    """Return numbers 0.. of the pairs."""
    right = np.unique(right, return_inverse=True)[1]
    pairs = left * (int(right.max(initial=0)) + 1) + right
    numbered: Ints = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
    return numbered


def affine(
    structure: Structure,
    learn: Callable[[Link, frozenset[str]], tuple[tuple[Affinity, ...], float]],
) -> Mapping[str, tuple[Affinity, ...]]:
    """Return the affinities of a table's links by text.

    `learn` yields a link's affinities and what they explain, without those to links that are
    barred: two links must not wait for one another. The link of which most is explained
    comes first.
    """
    links = {str(link.key): link for link in structure.links if link.kind is LinkKind.CODED}
    after = {name: _needed(link, links.values()) for name, link in links.items()}
    able = {name for name, link in links.items() if not link.fixed and not link.unique}
    found: dict[str, tuple[Affinity, ...]] = {}
    while able:
        tried = {}
        for name in sorted(able):
            barred = frozenset(other for other in links if name in _reached(other, after))
            tried[name] = learn(links[name], barred | {name})
        name = max(tried, key=lambda name: tried[name][1])
        able.discard(name)
        found[name] = tried[name][0]
        after[name] |= {g.name for g in found[name] if g.kind is AffinityKind.LINK}
    return found


def _needed(link: Link, links: Iterable[Link]) -> set[str]:
    """Return the links that fill columns which `link` shares."""
    shared = set(link.shared)
    return {str(o.key) for o in links if o is not link and shared & set(o.key.child_columns)}


def _reached(name: str, after: Mapping[str, set[str]]) -> set[str]:
    """Return `name` and all links on which it depends."""
    seen, left = set[str](), [name]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += after.get(name, ())
    return seen
