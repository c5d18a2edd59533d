"""How long, how fast and how cautiously a table of a given size is learned."""

from __future__ import annotations

import math
from dataclasses import dataclass

_WARM_UP_EPOCHS = 1.0
_WARM_UP_SHARE = 0.1
_LEAST_STEPS = 400
_FEW_ROWS = 2048
_MOST_EPOCHS = 40.0
_FORGETTING = 16.0
_LEAST_MEMORY = 30
_LEAST_BETWEEN = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings that depend on the number of training rows alone.

    `epochs` is an upper limit: training stops early. `forgetting` is the number of
    epochs in which weight decay alone would shrink a weight to 1/e. Tied to epochs
    instead of steps it suits 700 rows as well as 50,000.
    """

    batch: int
    epochs: float
    rate: float
    forgetting: float
    patience: int = 3

    @classmethod
    def of(cls, rows: int) -> Recipe:
        """Return the recipe for so many training rows.

        Small tables take small batches (more steps before they overfit) and a lower
        rate; large ones see about 600,000 rows in all, at least two and a half times.
        """
        small = rows < 4096
        batch = (
            16
            if rows < 256
            else 32
            if rows < 512
            else 64
            if small
            else 128
            if rows < 50_000
            else 256
        )
        if rows >= 200_000:
            batch = 512
        batch = min(batch, rows)
        epoch = max(1, rows // batch)
        # Fifty rows have three batches: count steps there, not epochs.
        return cls(
            batch=batch,
            epochs=max(min(_MOST_EPOCHS, max(2.5, 600_000 / rows)), _LEAST_STEPS / epoch),
            rate=4e-3 if rows < _FEW_ROWS else 8e-3,
            forgetting=max(_FORGETTING, _LEAST_MEMORY / epoch),
        )

    def steps_per_epoch(self, rows: int) -> int:
        """Return how many batches an epoch has (an incomplete one is left out)."""
        return max(1, rows // self.batch)

    def evaluate_every(self, rows: int) -> int:
        """Return the steps between two looks at the validation rows: half an epoch."""
        return max(_LEAST_BETWEEN, self.steps_per_epoch(rows) // 2)

    def decay(self, rows: int) -> float:
        """Return AdamW's weight decay: its time constant is `forgetting` epochs."""
        return 1 / (self.rate * self.steps_per_epoch(rows) * self.forgetting)

    def steps(self, rows: int) -> int:
        """Return how many steps there are at most."""
        return max(1, round(self.steps_per_epoch(rows) * self.epochs))

    def rate_at(self, step: int, rows: int, steps: int) -> float:
        """Return the learning rate at `step` of `steps`: a short warm-up, a cosine to zero."""
        epoch = self.steps_per_epoch(rows)
        warm = max(1, round(min(_WARM_UP_EPOCHS * epoch, _WARM_UP_SHARE * steps)))
        if step < warm:
            return self.rate * (step + 1) / warm
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
