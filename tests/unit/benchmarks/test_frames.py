"""Tables as the scorers see them."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scoring.features import matrices
from scoring.frames import MissingColumnError, kinds_of, read, six_digits


def _file(folder: Path, **columns: object) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_a_detour_over_single_precision_is_no_difference():
    values = np.random.default_rng(0).lognormal(0, 9, 10_000)
    detour = values.astype(np.float32).astype(np.float64)
    assert np.mean(values == detour) < 0.01
    assert np.mean(six_digits(values) == six_digits(detour)) > 0.98


def test_six_digits_keep_missing_values_zero_and_tiny_numbers():
    kept = six_digits(np.array([np.nan, 0.0, 1.2345678e-10, -123456.78, 0.1]))
    assert np.isnan(kept[0])
    assert kept[1:].tolist() == [0.0, 1.23457e-10, -123457.0, 0.1]


@pytest.mark.parametrize("spelled", [[True, False, None], [1, 0, None], ["True", "False", None]])
def test_booleans_may_come_back_as_numbers_or_text(tmp_path: Path, spelled: list):
    real = _file(tmp_path, flag=[True, False, None])
    made = read(_file(tmp_path, flag=spelled), kinds_of(real))
    assert made.columns["flag"].values.tolist() == ["true", "false", ""]


def test_codes_that_come_back_as_floats_are_the_same_text(tmp_path: Path):
    real = _file(tmp_path, code=["7", "12"])
    made = read(_file(tmp_path, code=[7.0, 12.0]), kinds_of(real))
    assert made.columns["code"].values.tolist() == ["7", "12"]


@pytest.mark.parametrize(
    ("real", "made"),
    [
        (date(2024, 2, 29), datetime(2024, 2, 29)),  # noqa: DTZ001
        (date(2024, 2, 29), datetime(2024, 2, 29, 17, 5)),  # noqa: DTZ001
        (date(2024, 2, 29), "2024-02-29"),
        (time(13, 5), "13:05:00"),
    ],
)
def test_moments_may_come_back_in_another_type(tmp_path: Path, real: object, made: object):
    path = _file(tmp_path, at=[real, None])
    kinds = kinds_of(path)
    there, back = (read(p, kinds).columns["at"] for p in (path, _file(tmp_path, at=[made, None])))
    assert there.kind == "time"
    assert there.values[0] == back.values[0]
    assert np.isnan(back.values[1])


def test_a_column_that_is_not_there_is_named(tmp_path: Path):
    kinds = kinds_of(_file(tmp_path, a=[1], b=[2]))
    with pytest.raises(MissingColumnError, match="'b'"):
        read(_file(tmp_path, a=[1]), kinds)


def test_features_tell_the_parts_of_a_moment(tmp_path: Path):
    path = _file(tmp_path, at=[datetime(1970, 1, 5, 13, 30)])  # noqa: DTZ001 - a Monday
    (rows,) = matrices([read(path, kinds_of(path))])
    assert rows[0, 1:].tolist() == [13, 0, 4, 0]
