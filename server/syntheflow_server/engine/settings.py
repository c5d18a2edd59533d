"""What a fit is told, and what it tells while it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of one fit.

    `time_limit_seconds` bounds the training of all tables together; None trains until
    the validation loss stops falling. `holdout_share` of the entities is never seen.
    `threads` 1 is fastest for networks of this size, whatever the number of cores, and
    makes the weights independent of the machine's cores; 0 means all cores.
    """

    seed: int = 0
    time_limit_seconds: float | None = None
    holdout_share: float = 0.1
    threads: int = 1


@dataclass(frozen=True, slots=True)
class FitProgress:
    """How far a fit has come: `fraction` 0..1 and never falling, a stage for people to read.

    `metrics` may hold train_loss, validation_loss, rows_per_second, eta_seconds.
    """

    fraction: float
    stage: str
    metrics: Mapping[str, float] = field(default_factory=dict)


Report = Callable[[FitProgress], None]
"""Called at least every 0.5 s while a fit works; may raise CancelledError to end it."""
