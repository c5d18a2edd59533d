"""The door through which all knowledge of the data leaves, and what each passage cost.

One person more or less is one row present or blank (add/remove adjacency: the other rows
keep their places); where persons have several rows of a table, a bounded number of them
(see `Share`). Every query adds Gaussian noise to counts in which a row moves at most
one cell (or as much as its sensitivity says), so queries compose exactly like one Gaussian
mechanism whose precision 1/sigma^2 is the sum of theirs (Dong, Roth and Su, 2022), also when
later ones are chosen by the answers of earlier ones (Smith and Thakurta, 2022). No bound of
moments or of sampling is needed, and none is lost.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.resources import PrivacySpending

Floats = npt.NDArray[np.float64]
_TINY_DELTA_SHARE = 0.1
_MOST_EPSILON = 1e4


@dataclass(frozen=True, slots=True)
class Budget:
    """What a fit may spend in all, checked."""

    epsilon: float
    delta: float

    @classmethod
    def of(cls, epsilon: float, delta: float | None, rows: int) -> Budget:
        """Return the budget; without `delta` one tenth of the rows' order of magnitude.

        Only the number of digits of `rows` is used, which is not held to be private.
        Raises InvalidArgumentError for an impossible budget.
        """
        chosen = 10.0 ** -(len(str(max(rows, 1))) + 1) if delta is None else delta
        if not (math.isfinite(epsilon) and epsilon > 0):
            raise InvalidArgumentError(
                "privacy: epsilon must be a number above 0; 1 to 10 are usual",
                reason="PRIVACY_INVALID",
            )
        if not 0 < chosen < 1:
            raise InvalidArgumentError(
                "privacy: delta must lie between 0 and 1, far below one in the number of rows",
                reason="PRIVACY_INVALID",
            )
        return cls(epsilon, chosen)


class Account(Protocol):
    """What queries are paid from: a whole ledger, or one table's share of it."""

    @property
    def left(self) -> float:
        """Precision that counts may still spend."""

    def noisy(
        self, counts: npt.NDArray[Any], precision: float, spent_on: str, sensitivity: float = 1.0
    ) -> Floats:
        """Return `counts` plus noise of deviation sensitivity / sqrt(precision)."""

    def known(
        self,
        counts: npt.NDArray[np.int64],
        precision: float,
        delta: float,
        spent_on: str,
        also: int = 0,
    ) -> tuple[npt.NDArray[np.int64], Floats, float]:
        """Return which cells of an open domain may be told, and noisy counts."""


class Ledger:
    """Adds the noise, keeps the account, and refuses what is not covered.

    `precision` is what all counts together may spend, as the sum of 1/sigma^2;
    `entropy` is for tests only: noise that can be foretold protects nobody. `unit` says in
    words what is protected.
    """

    def __init__(self, budget: Budget, entropy: int | None = None, unit: str = "one row") -> None:
        self.budget, self._unit = budget, unit
        self.threshold_delta = _TINY_DELTA_SHARE * budget.delta
        self._accounted_delta = budget.delta - self.threshold_delta
        self.precision = gaussian_sigma(budget.epsilon, self._accounted_delta) ** -2
        self.rng = np.random.default_rng(secrets.randbits(256) if entropy is None else entropy)
        self._queries: list[tuple[str, float, float]] = []
        self._thresholds = 0.0

    @property
    def left(self) -> float:
        """Precision that counts may still spend."""
        return self.precision - sum(precision for _, precision, _ in self._queries)

    def delta_each(self, thresholds: int) -> float:
        """Return what each of so many noisy thresholds may spend of delta."""
        return self.threshold_delta / max(thresholds, 1)

    def noisy(
        self, counts: npt.NDArray[Any], precision: float, spent_on: str, sensitivity: float = 1.0
    ) -> Floats:
        """Return `counts` plus noise of deviation sensitivity / sqrt(precision)."""
        self._charge(spent_on, precision, 0.0)
        sigma = sensitivity / math.sqrt(precision)
        return counts + self.rng.normal(0.0, sigma, np.shape(counts))

    def known(
        self,
        counts: npt.NDArray[np.int64],
        precision: float,
        delta: float,
        spent_on: str,
        also: int = 0,
        most: int = 1,
    ) -> tuple[npt.NDArray[np.int64], Floats, float]:
        """Return which cells of an open domain may be told, their noisy counts, and noisy `also`.

        `also` counts rows of a cell known beforehand, such as missing values.
        `counts` are the occupied cells, none of them zero. That any cell passes which one
        entity alone occupies, with its `most` rows, has probability `delta` at most, which
        is charged (Korolova et al., 2009; Gaussian noise as in Gopi et al., 2020).
        """
        self._charge(spent_on, precision, delta)
        sigma = most / math.sqrt(precision)
        noisy = counts + self.rng.normal(0.0, sigma, len(counts))
        kept = np.flatnonzero(noisy >= known_threshold(sigma, delta, most))
        return kept, noisy[kept], also + float(self.rng.normal(0.0, sigma))

    def _charge(self, spent_on: str, precision: float, delta: float) -> None:
        over = precision > self.left * (1 + 1e-9) or precision <= 0
        if over or self._thresholds + delta > self.threshold_delta * (1 + 1e-9):
            raise AssertionError(f"the budget does not cover {spent_on}")
        self._thresholds += delta
        self._queries.append((spent_on, precision, delta))

    def total(self) -> tuple[float, float]:
        """Return (epsilon, delta) of all that was spent."""
        spent = sum(precision for _, precision, _ in self._queries)
        epsilon = 0.0
        if spent:
            epsilon = gaussian_epsilon(1 / math.sqrt(spent), self._accounted_delta)
        return epsilon, self._accounted_delta + self._thresholds

    def entries(self) -> tuple[PrivacySpending, ...]:
        """Return what was spent on what, equal purposes together, the total last.

        An entry's epsilon is what it alone would guarantee; entries compose to less than
        their sum.
        """
        grouped: dict[str, tuple[float, float]] = {}
        for name, precision, delta in self._queries:
            before = grouped.get(name, (0.0, 0.0))
            grouped[name] = (before[0] + precision, before[1] + delta)
        entries = []
        for name, (precision, delta) in grouped.items():
            sigma = 1 / math.sqrt(precision)
            epsilon = gaussian_epsilon(sigma, self._accounted_delta)
            how = f"Gaussian noise, together like one query with sigma {sigma:.4g}"
            entries.append((name, epsilon, delta, how + (", noisy threshold" * bool(delta))))
        epsilon, delta = self.total()
        told = [
            PrivacySpending(
                spent_on=name, epsilon=cost, delta=self._accounted_delta + also, mechanism=how
            )
            for name, cost, also, how in entries
        ]
        how = f"composition of all entries, {self._unit} present or blank"
        last = PrivacySpending(spent_on="total", epsilon=epsilon, delta=delta, mechanism=how)
        return (*told, last)


class Share:
    """What one table may spend of a ledger when an entity has up to `most` rows of it.

    Precisions here are those of the answers, one over the variance of their noise. An
    entity moves counts `most` times as far as one row, so the ledger is charged `most`
    squared times as much.
    """

    def __init__(self, ledger: Ledger, most: int, charged: float) -> None:
        """Take `charged` of the ledger's precision."""
        self._ledger, self._most = ledger, most
        self.precision = charged / most**2
        self._spent = 0.0

    @property
    def left(self) -> float:
        """Precision that counts may still spend."""
        return self.precision - self._spent

    def noisy(
        self, counts: npt.NDArray[Any], precision: float, spent_on: str, sensitivity: float = 1.0
    ) -> Floats:
        """See `Ledger.noisy`; `sensitivity` is to one row."""
        charged = self._charged(precision)
        return self._ledger.noisy(counts, charged, spent_on, sensitivity * self._most)

    def known(
        self,
        counts: npt.NDArray[np.int64],
        precision: float,
        delta: float,
        spent_on: str,
        also: int = 0,
    ) -> tuple[npt.NDArray[np.int64], Floats, float]:
        """See `Ledger.known`."""
        charged = self._charged(precision)
        return self._ledger.known(counts, charged, delta, spent_on, also, self._most)

    def _charged(self, precision: float) -> float:
        self._spent += precision
        if self._spent > self.precision * (1 + 1e-9):
            raise AssertionError("a table's share of the budget does not cover its queries")
        return precision * self._most**2


def known_threshold(sigma: float, delta: float, most: int = 1) -> float:
    """Return the noisy count that cells of one entity with `most` rows reach.

    Any of them does so with probability `delta` at most: they are at most `most` cells,
    none with more rows than that.
    """
    return most - sigma * NormalDist().inv_cdf(delta / most)


def gaussian_delta(sigma: float, epsilon: float) -> float:
    """Return delta of the Gaussian mechanism of sensitivity 1 (Balle and Wang, 2018)."""
    below = _below(-0.5 / sigma - epsilon * sigma)
    # Where the second term underflows it is left out, which errs on the safe side.
    second = math.exp(epsilon + math.log(below)) if below else 0.0
    return _below(0.5 / sigma - epsilon * sigma) - second


def _below(deviations: float) -> float:
    """Return the share of a normal distribution below, exact in the tail."""
    return 0.5 * math.erfc(-deviations / math.sqrt(2))


def gaussian_epsilon(sigma: float, delta: float) -> float:
    """Return epsilon of the Gaussian mechanism of sensitivity 1 at `delta`, exactly."""
    return _bisect(lambda epsilon: gaussian_delta(sigma, epsilon) <= delta, 0.0, _MOST_EPSILON)


def gaussian_sigma(epsilon: float, delta: float) -> float:
    """Return the least sigma of a (epsilon, delta)-private Gaussian mechanism."""
    return _bisect(lambda sigma: gaussian_delta(sigma, epsilon) <= delta, 1e-3, 1e6)


def _bisect(good: Callable[[float], bool], low: float, high: float) -> float:
    """Return the least point that is `good` in [low, high], rounded up."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if good(middle) else (middle, high)
    return high
