"""Give what is left of one kind to what is left of another, near things first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_MOST_PAIRS = 250_000


def pair_near(need: Ints, offer: Ints, points: npt.NDArray[np.float32]) -> Ints | None:
    """Return for each `need` [n] which place of `offer` [n] it takes, -1 if there are too few.

    Both are codes with a place `points` [codes, d]. The nearest two codes are paired first,
    then the nearest of what is left, and so on; None if that would take too long.
    """
    wants, want_rows = np.unique(need, return_inverse=True)
    gives, give_rows = np.unique(offer, return_inverse=True)
    result = np.full(len(need), -1)
    if not len(wants) or not len(gives):
        return result
    if len(wants) * len(gives) > _MOST_PAIRS:
        return None
    left, right = points[wants].astype(np.float64), points[gives].astype(np.float64)
    apart = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    rows = np.argsort(want_rows, kind="stable")
    places = np.argsort(give_rows, kind="stable")
    want_left, give_left = np.bincount(want_rows).tolist(), np.bincount(give_rows).tolist()
    want_at = np.append(0, np.cumsum(want_left)).tolist()
    give_at = np.append(0, np.cumsum(give_left)).tolist()
    open_rows = min(len(need), len(offer))
    for pair in np.argsort(apart, axis=None, kind="stable").tolist():
        want, give = divmod(pair, len(gives))
        many = min(want_left[want], give_left[give])
        if not many:
            continue
        a, b = want_at[want], give_at[give]
        result[rows[a : a + many]] = places[b : b + many]
        want_at[want], give_at[give] = a + many, b + many
        want_left[want] -= many
        give_left[give] -= many
        open_rows -= many
        if not open_rows:
            break
    return result
