"""A table with every kind of relation and known conditional shares, and its model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.engine import FittedModel, Sampler, SampleSpec

RISK = {"none": 0.1, "school": 0.3, "college": 0.6, "doctor": 0.9}
CODES = {"none": 1, "school": 4, "college": 7, "doctor": 10}
_ROWS = 6000


def people(rows: int, seed: int) -> pa.Table:
    """Return rows: income depends on education; sums, bounds, flags and dates hold exactly."""
    rng = np.random.default_rng(seed)
    level = rng.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    risk = np.array(list(RISK.values()))[level]
    casual = rng.poisson(20 + 10 * level, rows) * 2 + rng.integers(0, 30, rows)
    registered = rng.poisson(150, rows)
    low = np.round(rng.gamma(3, 10, rows), 2)
    day = rng.integers(15_000, 16_500, rows)
    months = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    way = rng.integers(0, 4, rows)
    city = rng.choice(["Oslo", "Rome", "Kyiv", "Bern", "Cork"], rows, p=[0.4, 0.3, 0.2, 0.06, 0.04])
    weight = np.round(60 + 5 * level + rng.normal(0, 9, rows), 1)
    return pa.table(
        {
            "id": np.arange(rows),
            "income": np.where(rng.random(rows) < risk, "high", "low"),
            "education": np.array(list(CODES))[level],
            "education_num": np.array(list(CODES.values()))[level],
            "casual": casual,
            "registered": registered,
            "cnt": casual + registered,
            "min": low,
            "max": np.round(low + rng.gamma(2, 8, rows), 2),
            "day": pa.array(day.astype(np.int32)).cast(pa.date32()),
            "month": months,
            **{f"way_{i}": way == i for i in range(4)},
            "city": pa.array(city, mask=rng.random(rows) < 0.05),
            "weight": pa.array(weight, mask=rng.random(rows) < 0.2),
        }
    )


def whole_rows(sampler: Sampler, plan, table: str = "person") -> pa.Table:
    """Return all rows of one table of a plan."""
    wanted = frozenset({table})
    units = [sampler.sample(plan, unit, wanted) for unit in plan.units_of(table)]
    return pa.Table.from_batches([fragment.batch for unit in units for fragment in unit])


@pytest.fixture(scope="session")
def trained(make) -> FittedModel:
    return make.learn(make.world({"person": (people(_ROWS, 0), "id")}, []), time_limit_seconds=5.0)


@pytest.fixture(scope="session")
def sampler(trained) -> Sampler:
    return Sampler(trained)


@pytest.fixture(scope="session")
def ask(sampler) -> Callable[..., pa.Table]:
    """Return rows for conditions, given as dictionaries, and for given rows."""

    def asked(*conditions, rows=None, given=None, **spec) -> pa.Table:
        if conditions:
            spec["conditions"] = {"person": conditions}
        if given is None:
            spec["rows"] = {"person": rows or 500}
        seeds = {} if given is None else {"person": given}
        return whole_rows(sampler, sampler.plan(SampleSpec(**spec), lambda: None, None, seeds))

    return asked
