"""Numbers of children of few parents: as unequal as the real ones, yet not copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_NEAR = 1.25
_NEAR_STEP = 2
_BLUR = 0.04
_BLURRED = 10


def spread_like(
    real: Sequence[tuple[int, int]],
    proposed: Ints,
    rng: np.random.Generator,
    *,
    blur: bool = True,
) -> Ints:
    """Return numbers [n] in the order of `proposed` [n] whose shape is that of `real`.

    `real` are ascending numbers, each with how many rows have it. Drawn one by one,
    eight categories would often have two large ones or none: so each row takes its own
    stretch of the real quantiles, the row with the largest proposal the highest, as the
    columns of the rows want it. Between quantiles that are near each other any value may
    come; numbers above 10 that are no ties are blurred by 4 %.
    Without `blur` only the numbers themselves come.
    """
    if not len(proposed):
        return proposed
    held = np.repeat([number for number, _ in real], [rows for _, rows in real])
    count = len(held)
    place = (np.arange(len(proposed)) + rng.random(len(proposed))) / len(proposed) * count
    own = held[np.minimum(place.astype(np.int64), count - 1)]
    between = np.clip(place - 0.5, 0, count - 1)
    low = between.astype(np.int64)
    below, above = held[low], held[np.minimum(low + 1, count - 1)]
    varied = blur & (below < above)
    near = varied & (above <= below * _NEAR + _NEAR_STEP)
    value = np.where(near, below + (above - below) * (between - low), own)
    blurred = value * (1 + _BLUR * rng.standard_normal(len(value)))
    value = np.where(varied & (value > _BLURRED), blurred, value)
    result = np.empty(len(proposed), np.int64)
    result[np.lexsort((rng.random(len(proposed)), proposed))] = np.sort(np.round(value))
    return result
