"""Numbers of children as unequal as the real ones, given out as the rows' columns want it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_PAIR = 1 << 32
_NEIGHBOURHOOD = 40
_ALIKE = 1.5


def spread_like(
    real: Sequence[tuple[int, int]],
    proposed: Ints,
    rng: np.random.Generator,
    *,
    exact: bool = False,
) -> Ints:
    """Return numbers [n] in the order of `proposed` [n] whose shape is that of `real`.

    `real` are ascending numbers, each with how many rows have it. Drawn one by one,
    eight categories would often have two large ones or none: so the row with the largest
    proposal takes the highest number, as the columns of the rows want it, and so on; equal
    proposals share theirs by chance. Few rows, as many as there really are, have the real
    numbers exactly, others their quantiles; many rows take one of the numbers near by, so
    that the shape stays and the numbers are new ones, unless they must be `exact`: those of
    kept rows, whose proposals are about their real numbers, should stay about these.
    """
    if not len(proposed) or not real:
        return proposed
    held = np.repeat([number for number, _ in real], [rows for _, rows in real])
    count = len(held)
    place = (2 * np.arange(len(proposed)) + 1) * count // (2 * len(proposed))
    near = count // _NEIGHBOURHOOD
    if near and not exact:
        # Not from few large ones to nobody's: the sum would go to other rows than really.
        weight = (held + 1) * 1.0
        low = np.searchsorted(weight, weight[place] / _ALIKE)
        high = np.searchsorted(weight, weight[place] * _ALIKE, side="right") - 1
        place = np.clip(place + rng.integers(-near, near + 1, len(place)), low, high)
    result = np.empty(len(proposed), np.int64)
    result[np.lexsort((rng.random(len(proposed)), proposed))] = held[place]
    return result


def paired(levels: Ints, degrees: Ints) -> Ints:
    """Return level and degree as one number, in which the level weighs more."""
    return levels * _PAIR + degrees


def unpaired(pairs: Ints) -> tuple[Ints, Ints]:
    """Return the levels and degrees behind the numbers of `paired`."""
    return pairs // _PAIR, pairs % _PAIR
