"""What the end-to-end tests share: a company, one table by itself, and where they lie."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

EMPLOYEES, SEED = 120, 11
DATASET, MODEL = "hr", "hr"
ORDERS = "orders"
"""Dataset, model and table of one table that nothing refers to: quick by the million."""


@dataclass(frozen=True)
class Trained:
    """A stopped server's data folder: models hr (with one report) and orders, and their data."""

    data_dir: Path
    sources: Path
    uploaded: str
    report_html: Path
    report_json: Path


def write_orders(path: Path, rows: int = 1_200) -> Path:
    """Write a table of six mixed columns."""
    rng = random.Random(4)
    lines = ["order_id,country,quantity,amount,ordered_on,express"]
    for number in range(1, rows + 1):
        country = rng.choices(("DE", "FR", "PL", "SE"), (5, 3, 2, 1))[0]
        quantity = 1 + int(rng.expovariate(0.4))
        amount = quantity * rng.lognormvariate(3, 0.7)
        day = f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        express = "" if rng.random() < 0.1 else str(quantity > 4).lower()
        lines.append(f"{number},{country},{quantity},{amount:.2f},{day},{express}")
    path.write_text("\n".join(lines) + "\n")
    return path
