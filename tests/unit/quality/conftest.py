"""How the tests of metrics ask one metric about one table of people."""

from __future__ import annotations

import pytest

from syntheflow_server.quality.evidence import Evidence
from unit.quality.worlds import PEOPLE_ONLY, people, silent


@pytest.fixture(scope="session")
def ask():
    """Measure a metric on people: train and hold-out of the truth, synthetic as given."""

    def measure(metric, synthetic, *, train=None, holdout=None):
        evidence = Evidence(
            PEOPLE_ONLY,
            {"people": people(900, 1) if train is None else train},
            {"people": people(300, 2) if holdout is None else holdout},
            {"people": synthetic},
            seed=3,
        )
        return metric.measure(evidence, silent)

    return measure
