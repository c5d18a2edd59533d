"""The company that the end-to-end tests share: its size, its names, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EMPLOYEES, SEED = 120, 11
DATASET, MODEL = "hr", "hr"


@dataclass(frozen=True)
class Trained:
    """A stopped server's data folder: the dataset hr, the model hr and one report on it."""

    data_dir: Path
    sources: Path
    uploaded: str
    report_html: Path
    report_json: Path
