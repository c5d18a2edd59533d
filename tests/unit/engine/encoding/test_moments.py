"""Dates, instants, times and durations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column, arrow_type
from syntheflow_server.engine.encoding import Codec, fit_codec


def there_and_back(values: pa.Array, kind: str, meaning: str) -> tuple[Codec, pa.Array]:
    codec = fit_codec(Column(name="at", type=kind, semantic_type=meaning), values, 0)
    draws = np.random.default_rng(0).random((len(values), codec.draws))
    return codec, codec.decode(codec.encode(values), draws)


def test_dates_held_by_many_rows_come_back_exactly() -> None:
    days = [date(2024, 1, 1) + timedelta(days=i % 366) for i in range(366 * 30)]
    values = pa.array(days, pa.date32())
    codec, back = there_and_back(values, "date32", "date")
    assert back.equals(values)
    assert codec.draws == 0


def test_instants_show_the_network_day_and_hour_and_keep_full_minutes() -> None:
    rng = np.random.default_rng(0)
    minutes = rng.integers(0, 365, 5000) * 1440 + rng.choice([480, 545, 1020], 5000)
    values = pa.array(minutes * 60_000_000, pa.timestamp("us"))
    codec, back = there_and_back(values, "timestamp[us]", "datetime")
    assert len(codec.sizes) >= 2
    clock = back.cast(pa.int64()).to_numpy() // 60_000_000 % 1440
    assert (clock == minutes % 1440).all()


def test_a_time_zone_is_kept_and_instants_are_utc_inside() -> None:
    kind = "timestamp[us, tz=America/New_York]"
    values = pa.array(
        [datetime(2024, 3, 10, 7, tzinfo=UTC), datetime(1969, 5, 1, 3, tzinfo=UTC)] * 30,
        arrow_type(kind),
    )
    assert there_and_back(values, kind, "datetime")[1].equals(values)


def test_spread_durations_stay_on_whole_seconds() -> None:
    seconds = np.random.default_rng(0).choice(100_000, 3000, replace=False)
    values = pa.array(seconds * 1_000_000, pa.duration("us"))
    _, back = there_and_back(values, "duration[us]", "duration")
    assert (back.cast(pa.int64()).to_numpy() % 1_000_000 == 0).all()
