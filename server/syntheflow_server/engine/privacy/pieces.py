"""The number line in paid pieces: exact values with noisy counts, and stretches between them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.bins import Bins

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FRACTION = 3
"""Bits after the leading one that tell cells of the open number line apart."""
_KNOTS = 16
_FALSE = 0.1
_LARGEST = 1 << 62


def line_cells(numbers: Numbers) -> Numbers:
    """Return the cell of each integer in a fixed partition of all integers.

    Cells are an eighth of an octave wide on both sides of zero; their numbers ascend.
    """
    size = np.minimum(np.abs(numbers.astype(np.float64)), float(_LARGEST))
    mantissa, exponent = np.frexp(size)
    fine = np.floor((mantissa * 2 - 1) * (1 << _FRACTION)).astype(np.int64)
    cell = np.where(size == 0, 0, (exponent.astype(np.int64) << _FRACTION) + fine)
    result: Numbers = np.where(numbers < 0, -cell, cell)
    return result


def cell_range(cell: int) -> tuple[int, int]:
    """Return the first integer of a cell and the first one beyond it."""
    low, high = _edge(abs(cell)), _edge(abs(cell) + 1)
    if cell == 0:
        return 0, 1
    return (low, high) if cell > 0 else (1 - high, 1 - low)


def _edge(cell: int) -> int:
    """Return the least integer of a cell above zero."""
    exponent, fine = cell >> _FRACTION, cell & ((1 << _FRACTION) - 1)
    whole, shift = (1 << _FRACTION) + fine, exponent - 1 - _FRACTION
    # Small octaves have fewer integers than cells: some cells are empty.
    return max(1, whole << shift if shift >= 0 else -(-whole >> -shift))


def trimmed(
    stretches: Numbers, masses: Floats, noise: float, *, places: bool = True
) -> tuple[Numbers, Floats]:
    """Return the stretches without those at both ends that may hold nothing but noise.

    A stretch's is at most `noise` times the root of its `places`, or `noise` alone.
    """
    wide = (stretches[:, 1] - stretches[:, 0]).astype(np.float64) if places else 1.0
    held = np.flatnonzero(masses > noise * np.sqrt(wide))
    kept = slice(held[0], held[-1] + 1) if len(held) else slice(0, 0)
    return stretches[kept], masses[kept]


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Disjoint ascending stretches [lows, highs) with noisy masses; `exact` ones hold one value."""

    lows: Numbers
    highs: Numbers
    masses: Floats
    exact: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        atoms: Numbers,
        counts: Floats,
        stretches: npt.NDArray[np.int64],
        masses: Floats,
    ) -> Pieces:
        """Return the pieces of exact `atoms` and of `stretches` [m, 2], cut at the atoms."""
        order = np.argsort(atoms)
        atoms, counts = atoms[order], counts[order]
        parts = [(int(a), int(a) + 1, float(c), True) for a, c in zip(atoms, counts, strict=True)]
        for (low, high), mass in zip(stretches.tolist(), masses.tolist(), strict=True):
            inside = atoms[np.searchsorted(atoms, low) : np.searchsorted(atoms, high)].tolist()
            cuts = zip([low, *(a + 1 for a in inside)], [*inside, high], strict=True)
            free = [(a, b) for a, b in cuts if b > a]
            total = sum(b - a for a, b in free)
            parts += [(a, b, mass * ((b - a) / total), False) for a, b in free]
        parts.sort()
        lows, highs, sizes, exact = zip(*parts, strict=True) if parts else ((), (), (), ())
        return cls(
            np.array(lows, np.int64),
            np.array(highs, np.int64),
            np.maximum(np.array(sizes, np.float64), 1e-3),
            np.array(exact, np.bool_),
        )

    @classmethod
    def counted(cls, low: int, counts: Floats, sigma: float) -> Pieces:
        """Return the pieces for noisy `counts` of every integer from `low` on.

        Integers that stand out of the noise are exact; runs of others are stretches.
        """
        noise = sigma * NormalDist().inv_cdf(1 - _FALSE / len(counts))
        sure = counts > noise
        atoms = np.flatnonzero(sure)
        edges = np.flatnonzero(np.diff(np.concatenate([[True], sure, [True]]).astype(np.int64)))
        runs: list[tuple[int, int]] = []
        masses: list[float] = []
        for begin, end in edges.reshape(-1, 2).tolist():
            start, mass = begin, 0.0
            for i in range(begin, end):
                mass += float(counts[i])
                if mass > noise * (i + 1 - start) ** 0.5 or i == end - 1:
                    runs.append((start, i + 1))
                    masses.append(max(mass, 0.0))
                    start, mass = i + 1, 0.0
        stretches, held = trimmed(np.array(runs, np.int64).reshape(-1, 2), np.array(masses), noise)
        return cls.of(atoms + low, counts[atoms], stretches + low, held)

    def bins(self, wanted: int, step: int) -> Bins:
        """Return at most about `wanted` bins of equal mass; heavy exact values stand alone."""
        bins = self._cut(wanted)
        total = int(bins[-1]) + 1
        mass = np.bincount(bins, self.masses, total)
        held = np.where(self.exact, self.masses, 0.0)
        in_atoms = np.bincount(bins, held, total)
        below = np.cumsum(held) - (np.cumsum(in_atoms) - in_atoms)[bins]
        keys = bins + below / np.where(in_atoms > 0, in_atoms, 1.0)[bins]
        first = np.searchsorted(bins, np.arange(total + 1))
        knots: list[Numbers] = []
        for b in range(total):
            own = np.arange(first[b], first[b + 1])
            knots.append(self._knots(own[~self.exact[own]]))
        start = np.cumsum([0, *(len(k) for k in knots)])
        return Bins(
            lows=self.lows[first[:-1]] * step,
            places=((np.cumsum(mass) - mass / 2) / mass.sum()).astype(np.float32),
            atoms=self.lows[self.exact] * step,
            atom_keys=keys[self.exact],
            atom_start=np.searchsorted(bins[self.exact], np.arange(total + 1)).astype(np.int64),
            atom_share=in_atoms / mass,
            knots=np.concatenate(knots) * step,
            knot_start=start.astype(np.int64),
            step=step,
            paired=False,
        )

    def _cut(self, wanted: int) -> npt.NDArray[np.int64]:
        """Return each piece's bin, ascending from 0 without gaps."""
        spike = self.exact & (self.masses * wanted > self.masses.sum() * 0.5)
        if len(self.masses) <= wanted:
            return np.arange(len(self.masses))
        loose = float(self.masses[~spike].sum())
        size = loose / max(1, wanted - int(spike.sum()))
        bins = np.zeros(len(self.masses), np.int64)
        current, filled = 0, 0.0
        for i, mass in enumerate(self.masses.tolist()):
            alone = i > 0 and (bool(spike[i]) or bool(spike[i - 1]))
            if alone or (filled and filled + mass / 2 > size):
                current, filled = current + 1, 0.0
            bins[i] = current
            filled += mass
        return bins

    def _knots(self, own: npt.NDArray[np.int64]) -> Numbers:
        """Return points between which the stretches' mass is about equal, ends included."""
        if not len(own):
            return np.zeros(0, np.int64)
        lows, highs, masses = self.lows[own], self.highs[own] - 1, self.masses[own]
        upper = np.cumsum(masses)
        points = np.linspace(0, upper[-1], min(_KNOTS, 2 * len(own)) + 1)[1:-1]
        piece = np.minimum(np.searchsorted(upper, points), len(own) - 1)
        part = (points - (upper - masses)[piece]) / masses[piece]
        width = highs[piece].astype(np.float64) - lows[piece]
        inner = lows[piece] + np.rint(width * part).astype(np.int64)
        ends: Numbers = np.concatenate([lows[:1], inner, highs[-1:]])
        return ends
