"""Numbers: which come back exactly, which are made anew, and on which grid."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding import Codec, fit_codec


def fitted(values: pa.Array, kind: str = "int64", meaning: str = "number") -> Codec:
    return fit_codec(Column(name="amount", type=kind, semantic_type=meaning), values, seed=0)


def there_and_back(codec: Codec, values: pa.Array, seed: int = 0) -> pa.Array:
    draws = np.random.default_rng(seed).random((len(values), codec.draws))
    return codec.decode(codec.encode(values), draws)


def test_values_held_by_three_rows_come_back_exactly_while_few_are_distinct() -> None:
    values = pa.array(np.repeat(np.arange(0, 400, 2), 3))
    codec = fitted(values)
    assert codec.draws == 0
    assert codec.sizes == (200,)
    assert there_and_back(codec, values).equals(values)


def test_a_value_held_by_one_row_never_decides_its_own_code() -> None:
    values = pa.array([0] * 300 + [7] * 300 + [10_007])
    codec = fitted(values)
    made = [there_and_back(codec, values, seed)[-1].as_py() for seed in range(40)]
    assert len(set(made)) > 20
    assert all(7 <= value <= 10_007 for value in made)


def test_a_spike_has_a_bin_of_its_own_among_continuous_values() -> None:
    rng = np.random.default_rng(0)
    amounts = np.where(rng.random(20_000) < 0.4, 0.0, rng.lognormal(3, 1, 20_000))
    values = pa.array(amounts)
    codec = fitted(values, "float64")
    back = there_and_back(codec, values).to_numpy()
    assert ((back == 0) == (amounts == 0)).all()
    assert codec.tokens[0].size <= 130


def test_many_repeated_values_take_two_exact_tokens() -> None:
    values = pa.array(np.random.default_rng(0).permutation(np.repeat(np.arange(1000) * 5, 25)))
    codec = fitted(values)
    assert len(codec.sizes) == 2
    assert codec.draws == 0
    assert codec.kinds == ("ordered", "ordered")
    assert there_and_back(codec, values).equals(values)


def test_near_unique_integers_stay_on_their_grid_and_near_their_value() -> None:
    numbers = np.random.default_rng(1).choice(10**6, 20_000, replace=False) * 25 + 7
    codec = fitted(pa.array(numbers))
    back = there_and_back(codec, pa.array(numbers)).to_numpy()
    assert ((back - 7) % 25 == 0).all()
    assert numbers.min() <= back.min()
    assert back.max() <= numbers.max()
    assert np.abs(back - numbers).max() < (numbers.max() - numbers.min()) / 64
    assert (back == numbers).mean() < 0.01


def test_floats_keep_their_decimals() -> None:
    numbers = np.round(np.random.default_rng(2).gamma(2, 50, 9_000), 2)
    back = there_and_back(fitted(pa.array(numbers), "float64"), pa.array(numbers)).to_numpy()
    assert (np.round(back, 2) == back).all()
    assert len(np.unique(back)) > 3_000


def test_integers_beyond_the_reach_of_floats_stay_exact() -> None:
    base = 2**62 + 1
    values = pa.array([base, base + 1, base + 3] * 50)
    assert there_and_back(fitted(values), values).equals(values)


def test_near_unique_integers_over_the_whole_range_do_not_overflow() -> None:
    numbers = np.random.default_rng(3).integers(-(2**63), 2**63 - 1, 5_000)
    back = there_and_back(fitted(pa.array(numbers)), pa.array(numbers)).to_numpy()
    assert np.abs(back.astype(float) - numbers.astype(float)).max() < 2.0**59


def test_repeated_decimals_of_thirty_digits_come_back_exactly() -> None:
    kind = "decimal128(38, 2)"
    values = pa.array([Decimal("12345678901234.56"), Decimal("-0.01"), None] * 40)
    values = values.cast(pa.decimal128(38, 2))
    assert there_and_back(fitted(values, kind), values).equals(values)


def test_infinite_values_are_refused_by_name_and_without_the_value() -> None:
    values = pa.array([1.0, float("-inf")])
    with pytest.raises(InvalidArgumentError, match="'amount' holds infinite values") as caught:
        fitted(values, "float64")
    assert caught.value.metadata == {"column": "amount"}


def test_not_a_number_is_missing() -> None:
    values = pa.array([1.0, float("nan"), None, 2.0] * 30)
    assert there_and_back(fitted(values, "float64"), values).null_count == 60


def test_places_tell_the_share_of_rows_below_a_code() -> None:
    codec = fitted(pa.array([1] * 50 + [2] * 30 + [3] * 20 + [None] * 10))
    places = codec.tokens[0].places
    assert places is not None
    assert np.allclose(places[:3], [0.25, 0.65, 0.9])
    assert np.isnan(places[3])


@pytest.mark.parametrize("rows", [1, 2, 50])
def test_tables_of_few_rows_can_be_learned(rows: int) -> None:
    values = pa.array(np.random.default_rng(0).normal(size=rows))
    codec = fitted(values, "float64")
    assert len(there_and_back(codec, values)) == rows


def test_decoded_values_follow_the_column_s_distribution() -> None:
    numbers = np.random.default_rng(5).gamma(2, 10, 20_000)
    back = there_and_back(fitted(pa.array(numbers), "float64"), pa.array(numbers)).to_numpy()
    shares = np.linspace(0.005, 0.995, 100)
    wide = numbers.std()
    assert np.abs(np.quantile(back, shares) - np.quantile(numbers, shares)).max() < 0.02 * wide
