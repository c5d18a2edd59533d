"""The benchmarks are programs, not a package: their folder is put on the path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"

if str(BENCHMARKS) not in sys.path:
    sys.path.append(str(BENCHMARKS))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Boosting on a few hundred rows waits for its threads longer than it works."""
    with threadpool_limits(limits=1):
        yield
