"""Pairs of codes that never come together although chance alone would have brought them.

No phone service in a row with several lines, no husband who is female, no value where the
question was not asked: a network gives such pairs a small chance; here it becomes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint64]
Restrict = Callable[[int, slice, npt.NDArray[np.int64], Weights], None]

_FEW_ROWS = 20
_EXPECTED = 8.0
_NARROW = 64
_SCREEN = 5000
_MOST_CELLS = 1 << 18
_WORD = 64
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Tokens `early` < `late`; `apart` [K early, K late] marks codes that never meet."""

    early: int
    late: int
    apart: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """All pairs of one table's tokens that have codes apart."""

    pairs: tuple[Pair, ...] = ()

    @classmethod
    def learn(
        cls, codes: Codes, counted: Mask, sizes: Sequence[int], tokens: Sequence[int]
    ) -> Self:
        """Return what never meets in `codes` [n, T] among `tokens`.

        `counted` [n, T] marks the codes that mean something. Two codes are apart if they
        never meet though at least 8 rows would by chance, both tokens having at most 64
        codes; or if one code, held by 20 rows or more, always comes with the same other
        one, though in 8 of its rows chance would have chosen differently.
        """
        few = codes[:: max(1, len(codes) // _SCREEN)]
        found = []
        # A column without tokens begins where the next one does.
        tokens = sorted(set(tokens))
        for place, early in enumerate(tokens):
            for late in tokens[place + 1 :]:
                cells = (sizes[early], sizes[late])
                if cells[0] * cells[1] > _MOST_CELLS or 1 in cells:
                    continue
                seen = _counts(few, counted[:: max(1, len(codes) // _SCREEN)], early, late, cells)
                if not _apart(seen, len(codes) / max(len(few), 1)).any():
                    continue
                apart = _apart(_counts(codes, counted, early, late, cells), 1.0)
                if apart.any():
                    found.append(Pair(early, late, apart))
        return cls(tuple(found))

    def to_state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return a JSON object and named arrays for `from_state`."""
        facts = [[p.early, p.late, *p.apart.shape] for p in self.pairs]
        arrays = {str(i): np.packbits(pair.apart) for i, pair in enumerate(self.pairs)}
        return {"pairs": facts}, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build the support that gave this state."""
        pairs = []
        for i, (early, late, left, right) in enumerate(facts["pairs"]):
            bits = np.unpackbits(arrays[str(i)], count=left * right)
            pairs.append(Pair(early, late, bits.astype(bool).reshape(left, right)))
        return cls(tuple(pairs))


class Keeper:
    """Gives codes that never meet no weight: a sampler's rules, or a hook behind another one.

    As rules they cost little: a row is drawn as if there were none, and drawn again under
    them only if it broke one, which leaves the same distribution.
    Where nothing would be left of a row's weights, as under a demand that goes against
    the rules, rules give way one by one.
    """

    def __init__(self, support: Support) -> None:
        self._rules: dict[int, list[tuple[int, Words]]] = {}
        self._pairs: dict[int, list[tuple[int, int, Mask]]] = {}
        for pair in support.pairs:
            self._rules.setdefault(pair.late, []).append((pair.early, _words(~pair.apart)))
            self._rules.setdefault(pair.early, []).append((pair.late, _words(~pair.apart.T)))
            self._pairs.setdefault(pair.late, []).append(
                (pair.early, pair.apart.shape[1], pair.apart.flatten())
            )
        self._touched = {
            late: np.any([apart.reshape(-1, size).any(axis=0) for _, size, apart in pairs], axis=0)
            for late, pairs in self._pairs.items()
        }

    def after(self, then: Restrict, first: Mask | None = None) -> Restrict:
        """Return the hook that does `then` and applies the rules; `first` [n, T] as in `sample`."""
        if not self._rules:
            return then

        def restrict(
            token: int, rows: slice, codes: npt.NDArray[np.int64], weights: Weights
        ) -> None:
            then(token, rows, codes, weights)
            self._apply(token, codes, weights, None if first is None else first[rows])

        return restrict

    def broken(
        self, token: int, codes: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the rows of codes [n, T] with whose earlier tokens `drawn` [n] never meets."""
        pairs = self._pairs.get(token)
        if pairs is None:
            return _NONE
        rows = np.flatnonzero(self._touched[token].take(drawn))
        late, bad = drawn.take(rows), np.zeros(len(rows), bool)
        for early, size, apart in pairs:
            bad |= apart.take(codes[:, early].take(rows) * size + late)
        return rows[bad]

    def narrow(self, token: int, codes: npt.NDArray[np.int64], weights: Weights) -> None:
        """Give no weight [n, K] to what never meets the earlier tokens of codes [n, T]."""
        wrong = np.zeros(weights.shape, bool)
        for early, size, apart in self._pairs.get(token, ()):
            wrong |= apart.reshape(-1, size)[codes[:, early]]
        kept = np.where(wrong, 0, weights)
        if kept.any(axis=1).all():
            weights[:] = kept
        else:
            self._apply(token, codes, weights, None)

    def _apply(
        self, token: int, codes: npt.NDArray[np.int64], weights: Weights, first: Mask | None
    ) -> None:
        """Change `weights` [b, K] by what is drawn: tokens before `token`, or those first."""
        told = self._told(token, codes, first)
        if not told:
            return
        left = np.bitwise_and.reduce(told)
        rows = np.flatnonzero(np.bitwise_and.reduce(left) != _ALL)
        if not len(rows):
            return
        kept = weights[rows] * _mask(left[:, rows], weights.shape[1])
        some = kept.any(axis=1)
        weights[rows[some]] = kept[some]
        rows = rows[~some]
        for words in told if len(rows) else ():
            alone = weights[rows] * _mask(words[:, rows], weights.shape[1])
            some = alone.any(axis=1)
            weights[rows[some]] = alone[some]

    def _told(self, token: int, codes: npt.NDArray[np.int64], first: Mask | None) -> list[Words]:
        """Return what each rule leaves of `token`, words [K / 64, b]."""
        told: list[Words] = []
        for other, words in self._rules.get(token, ()):
            if first is None:
                if other < token:
                    told.append(words.take(codes[:, other], axis=1))
                continue
            later = ~first[:, token]
            known = first[:, other] & later if other > token else first[:, other] | later
            told.append(np.where(known, words.take(codes[:, other], axis=1), _ALL))
        return told


def _words(allowed: Mask) -> Words:
    """Return flags [n, K] as words [K / 64, n], the unused bits set."""
    rest = -allowed.shape[1] % _WORD
    whole = np.pad(allowed, ((0, 0), (0, rest)), constant_values=True)
    packed = np.ascontiguousarray(np.packbits(whole, axis=1))
    return np.ascontiguousarray(packed.view(np.uint64).T)


def _mask(words: Words, size: int) -> npt.NDArray[np.uint8]:
    """Return words [K / 64, n] as flags [n, K]."""
    return np.unpackbits(np.ascontiguousarray(words.T).view(np.uint8), axis=1, count=size)


def _counts(
    codes: Codes, counted: Mask, early: int, late: int, cells: tuple[int, int]
) -> npt.NDArray[np.int64]:
    both = counted[:, early] & counted[:, late]
    left, right = codes[both, early].astype(np.int64), codes[both, late].astype(np.int64)
    return np.bincount(left * cells[1] + right, minlength=cells[0] * cells[1]).reshape(cells)


def _apart(counts: npt.NDArray[np.int64], scale: float) -> Mask:
    """Return which codes never meet; `scale` is how many rows each counted one stands for."""
    total = max(int(counts.sum()), 1)
    left, right = counts.sum(axis=1), counts.sum(axis=0)
    none = counts == 0
    apart = np.zeros(counts.shape, bool)
    if max(counts.shape) <= _NARROW:
        apart = none & (np.outer(left, right) * (scale / total) >= _EXPECTED)
    for table, own, other in ((apart, left, right), (apart.T, right, left)):
        seen = ~none if table is apart else ~none.T
        single = (seen.sum(axis=1) == 1) & (own * scale >= _FEW_ROWS)
        rest = own * scale * (1 - other[seen.argmax(axis=1)] / total)
        table[single & (rest >= _EXPECTED)] |= ~seen[single & (rest >= _EXPECTED)]
    return apart
