"""The thin ends of a column of numbers: neither cut off nor given back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding import Codec, codec_from_state, codec_to_state, fit_codec
from syntheflow_server.engine.encoding.tails import _stretched

RNG = np.random.default_rng(3)
HEAVY = {
    "incomes": RNG.lognormal(10, 1.5, 12_000),
    "losses": -(RNG.pareto(1.5, 12_000) * 1000),
    "counts": np.floor(RNG.pareto(1.2, 12_000) * 40).astype(np.int64),
    "cents": np.round(RNG.lognormal(3, 2, 3_000), 2),
}


def learned(numbers: np.ndarray) -> Codec:
    kind = "int64" if numbers.dtype == np.int64 else "float64"
    column = Column(name="c", type=kind, semantic_type="number")
    return fit_codec(column, pa.array(numbers), seed=0)


def made(codec: Codec, numbers: np.ndarray, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed).random((len(numbers), codec.draws))
    return codec.decode(codec.encode(pa.array(numbers)), draws).to_numpy()


@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_tail_keeps_its_weight(name: str) -> None:
    numbers = HEAVY[name]
    codec = learned(numbers)
    means = [made(codec, numbers, seed).mean() for seed in range(8)]
    assert np.mean(means) == pytest.approx(numbers.mean(), rel=0.05)


@pytest.mark.parametrize("name", HEAVY)
def test_the_extreme_is_near_but_nobody_s(name: str) -> None:
    size = np.abs(HEAVY[name])
    codec = learned(HEAVY[name])
    largest = np.array([np.abs(made(codec, HEAVY[name], seed)).max() for seed in range(20)])
    assert not (largest == size.max()).any()
    assert np.sort(size)[-30] < np.median(largest)
    assert largest.max() < 2 * size.max()


def test_a_natural_bound_is_never_crossed() -> None:
    shares = np.append(RNG.beta(0.5, 0.5, 5_000), [0.999, 0.001])
    back = made(learned(shares), shares)
    assert back.min() >= 0
    assert back.max() <= 1


def test_a_cap_stays_a_cap() -> None:
    values = np.minimum(RNG.gamma(2, 200_000, 8_000), 500_001).round()
    back = made(learned(values), values)
    assert back.max() == 500_001
    assert (back == 500_001).mean() == pytest.approx((values == 500_001).mean(), abs=1e-9)


def test_tails_are_part_of_the_artefact() -> None:
    codec = learned(HEAVY["incomes"])
    again = codec_from_state(*codec_to_state(codec))
    assert (made(again, HEAVY["incomes"]) == made(codec, HEAVY["incomes"])).all()


def test_exact_values_with_a_rare_end_keep_the_end_as_means_of_several_rows() -> None:
    delays = np.append(np.repeat(np.arange(300), 100), np.arange(310, 1310, 10))
    codec = learned(delays.astype(np.int64))
    assert len(codec.sizes) == 2
    back = made(codec, delays)
    assert (back[:30_000] == delays[:30_000]).all()
    assert 1200 < back.max() < 1300
    assert back.mean() == pytest.approx(delays.mean(), rel=0.001)


@pytest.mark.parametrize("shape", [0.0, 0.4, -0.4])
def test_the_far_end_of_a_long_tail_is_a_number(shape):
    ends = _stretched(np.array([0.0, 0.5, 1.0]), shape, 3.0 if shape < 0 else 1e8)
    assert np.isfinite(ends).all()
    assert (ends >= 0).all()
    assert ends.max() <= 1.0
