"""The thin ends of a column of numbers, which hold the largest and the smallest values.

Between the outermost knots but one lie the last eight rows or more. Drawn evenly up to
the extreme they would be far too heavy, and the extreme itself is somebody's. So they
thin out as a generalised Pareto distribution with the same mean and spread does, up to
the next round number beyond the extreme. (Hosking and Wallis, "Parameter and quantile
estimation for the generalized Pareto distribution", 1987: probability-weighted moments.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.encoding.base import Floats, Ints
from syntheflow_server.engine.encoding.knots import Numbers, digit_of

_LEAST_ROWS = 6
_HEAVIEST = 1.5
_BELOW_ONE = 1 - 2.0**-53
_NEARLY_ZERO = 1e-6
_LARGEST = 2.0**52


@dataclass(frozen=True, slots=True)
class Tails:
    """How shares inside the outermost segments bend: (shape, reach) below and above.

    `reach` is how many scales of the distribution the segment is long; 0 leaves it even.
    """

    below: tuple[float, float]
    above: tuple[float, float]

    @classmethod
    def fit(
        cls, values: Numbers, counts: Ints, bins: Ints, knots: Numbers, start: Ints, step: int
    ) -> tuple[Self, Numbers]:
        """Return the tails, and the knots with the ends at round numbers.

        `values` ascend and stand in `counts` loose rows each; those of bin b lie between
        `knots[start[b]:start[b + 1]]`. An end that a spike forms has no tail.
        """
        knots = knots.copy()
        ends = []
        for place, sign in ((0, -1), (len(values) - 1, 1)):
            own = bins[place]
            inside = slice(int(start[own]), int(start[own + 1]))
            if not counts[place] or inside.stop - inside.start < 2:
                ends.append((0.0, 0.0))
                continue
            edge, near = inside.start, inside.start + 1
            if sign > 0:
                edge, near = inside.stop - 1, inside.stop - 2
            mine = bins == own
            with np.errstate(over="ignore"):
                beyond = (values[mine] - knots[near]).astype(np.float64) * sign
            beyond = np.clip(beyond, 0, np.finfo(np.float64).max)
            excess = np.repeat(beyond, np.where(beyond > 0, counts[mine], 0))
            if len(excess) < _LEAST_ROWS:
                ends.append((0.0, 0.0))
                continue
            far, knots[edge] = _outer(values[place], knots[near], sign, step)
            ends.append(_bent(excess, far))
        return cls(ends[0], ends[1]), knots

    def bend(
        self,
        part: Floats,
        outer: npt.NDArray[np.bool_],
        segment: npt.NDArray[np.bool_],
        *,
        upper: bool,
    ) -> Floats:
        """Return shares [n] of a segment's length for even shares, bent where it is the last."""
        shape, reach = self.above if upper else self.below
        if not reach:
            return part
        at = np.flatnonzero(outer & segment)
        if not len(at):
            return part
        bent = part.copy()
        if upper:
            bent[at] = _stretched(part[at], shape, reach)
        else:
            bent[at] = 1 - _stretched(1 - part[at], shape, reach)
        return bent

    def to_json(self) -> dict[str, list[float]]:
        """Return what `from_json` needs."""
        return {"below": list(self.below), "above": list(self.above)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Build what `to_json` gave."""
        (a, b), (c, d) = facts["below"], facts["above"]
        return cls((a, b), (c, d))


EVEN = Tails((0.0, 0.0), (0.0, 0.0))
"""Ends that are even up to the extreme."""


def _outer(extreme: Any, near: Any, sign: int, step: int) -> tuple[float, Any]:
    """Return how far the segment reaches, and its end: a round number beyond the extreme."""
    long = float(extreme) * sign - float(near) * sign
    if long <= 0 or abs(float(extreme)) >= _LARGEST:
        return max(long, 0.0), extreme
    unit = digit_of(long)
    end = np.ceil(float(extreme) * sign / unit - 1e-9) * unit * sign
    if step:
        places = np.ceil((end - int(extreme)) * sign / step) * step * sign
        end = int(extreme) + int(places)
    return (float(end) - float(near)) * sign, end


def _bent(excess: Floats, far: float) -> tuple[float, float]:
    rows = len(excess)
    ordered = np.sort(excess)
    mean = float(ordered.mean())
    upper = 1 - (np.arange(1, rows + 1) - 0.35) / rows
    weighted = float((upper * ordered).mean())
    if mean <= 2 * weighted or not mean > 0:
        return 0.0, 0.0
    shape = min(2 - mean / (mean - 2 * weighted), _HEAVIEST)
    scale = mean * (1 - min(shape, 0.9))
    if shape <= -1:  # no thinner towards the end than in its beginning
        return 0.0, 0.0
    return shape, far / scale


def _stretched(part: Floats, shape: float, reach: float) -> Floats:
    """Return the quantiles of the distribution cut off at `reach`, as shares of `reach`."""
    if abs(shape) < _NEARLY_ZERO:
        whole = -np.expm1(-reach)
        thin: Floats = -np.log1p(-np.minimum(part * whole, _BELOW_ONE)) / reach
        return np.minimum(thin, 1.0)
    last = max(1 + shape * reach, 1e-12)
    whole = 1 - last ** (-1 / shape)
    inside = np.minimum(part * whole, _BELOW_ONE)
    bent: Floats = np.expm1(-shape * np.log1p(-inside)) / (shape * reach)
    return np.minimum(bent, 1.0)
