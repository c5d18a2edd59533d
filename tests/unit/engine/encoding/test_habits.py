"""Dates: seasons and weekdays inside a stretch of days come back, other days stay rare."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding import Codec, fit_codec
from syntheflow_server.engine.encoding.habits import Habits

DAYS = np.arange(10_000, 20_000)
WEEKDAY = (DAYS + 3) % 7
MONTH = DAYS.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12


def drawn(chance: np.ndarray, rows: int = 1500) -> np.ndarray:
    return np.random.default_rng(1).choice(DAYS, rows, p=chance / chance.sum())


def redrawn(days: np.ndarray, kind: pa.DataType) -> np.ndarray:
    values = pa.array(days.astype("datetime64[D]")).cast(kind)
    codec = fitted(values)
    codes = np.repeat(codec.encode(values), 8, axis=0)
    made = codec.decode(codes, np.random.default_rng(2).random((len(codes), codec.draws)))
    return made.cast(pa.timestamp("us")).to_numpy().astype("datetime64[D]").astype(np.int64)


def fitted(values: pa.Array) -> Codec:
    kind = "date32" if pa.types.is_date(values.type) else str(values.type)
    return fit_codec(Column(name="born", type=kind, semantic_type="date"), values, 0)


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us")])
def test_a_summer_season_stays_in_summer(kind: pa.DataType) -> None:
    made = redrawn(drawn(np.isin(MONTH, [4, 5, 6, 7, 8]).astype(float)), kind)
    months = made.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    assert np.isin(months, [4, 5, 6, 7, 8]).mean() > 0.97


def test_weekdays_keep_their_shares() -> None:
    made = redrawn(drawn(np.where(WEEKDAY == 4, 6.0, 1.0)), pa.date32())
    assert np.isclose(((made + 3) % 7 == 4).mean(), 0.5, atol=0.05)


def test_even_days_have_no_habits() -> None:
    assert Habits.fit(drawn(np.ones(len(DAYS))), 3, None) is None


def test_what_one_entity_did_is_no_habit() -> None:
    days = drawn(np.isin(MONTH, [4, 5, 6]).astype(float))
    found = Habits.fit(days, 3, np.zeros(len(days), np.int64))
    assert found is None or np.ptp(found.season) < 0.1


def test_days_stay_between_the_two_that_are_given() -> None:
    found = Habits.fit(drawn(np.isin(MONTH, [4, 5, 6]).astype(float)), 3, None)
    assert found is not None
    low = np.arange(9_900, 20_100, 50)
    part = np.random.default_rng(0).random(len(low))
    made = found.between(low, low + 40, part)
    assert ((low <= made) & (made <= low + 40)).all()
    again = Habits.from_json(found.to_json())
    assert (again.between(low, low + 40, part) == made).all()
