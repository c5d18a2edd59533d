"""Ask now and then whether the work at hand is still wanted."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Check = Callable[[], None]
"""Called at least every 0.2 s while rows are made; may raise CancelledError to end that."""

_SECONDS = 0.05


def unchecked() -> None:
    """Do nothing: the work is wanted whatever happens."""


class Beat:
    """Calls `check` at most every 0.05 s, however often it is called itself."""

    def __init__(self, check: Check) -> None:
        self._check, self._last = check, 0.0

    def __call__(self) -> None:
        """Call `check` if that was not done a moment ago."""
        now = time.monotonic()
        if now - self._last >= _SECONDS:
            self._last = now
            self._check()

    def restrict(
        self,
        token: int,
        rows: slice,
        codes: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Beat between two tokens: a sampler's hook that changes no weight."""
        del token, rows, codes, weights
        self()
