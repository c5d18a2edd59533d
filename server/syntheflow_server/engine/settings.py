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
    A value held by fewer than `rare_holders` rows is never put out as it is.
    With `epsilon` the fit is (epsilon, delta)-differentially private, each row (in
    related tables: each root entity) being one person; `delta` None means one in ten
    times the number of persons.
    `device` is torch's name of where networks train ("cpu", "cuda", "cuda:1"); "" means a
    GPU where there is one. Models are the same from run to run on one kind of device only.
    `keep` names tables that come out row for row as they are (countries, airports).
    With `epsilon` at most `entity_rows` rows of one table are learned from for each root
    entity; None lets the engine choose. With `orphans` it is learned which rows refer to
    rows that do not exist.
    """

    seed: int = 0
    time_limit_seconds: float | None = None
    holdout_share: float = 0.1
    threads: int = 1
    rare_holders: int = 3
    epsilon: float | None = None
    delta: float | None = None
    device: str = ""
    keep: tuple[str, ...] = ()
    entity_rows: int | None = None
    orphans: bool = False


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
