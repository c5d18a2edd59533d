"""New strings come back as often as rare real ones do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding import Codec, codec_from_state, codec_to_state, fit_codec
from syntheflow_server.engine.encoding.pools import Pools

NAME = Column(name="name", type="string", semantic_type=SemanticType.TEXT)
LETTERS = np.array(list("abcdefghijklmnop"))


def names(count: int, length: int = 8) -> list[str]:
    rng = np.random.default_rng(count)
    return ["".join(rng.choice(LETTERS, length)).capitalize() for _ in range(count)]


def population(people: int, size: int) -> list[str]:
    """Return the names of `people`, drawn from `size` names that are equally frequent."""
    return [str(name) for name in np.random.default_rng(1).choice(names(size), people)]


def made(codec: Codec, values: Sequence[str], rows: int, seed: int = 5) -> list[str]:
    rng = np.random.default_rng(seed)
    codes = np.resize(codec.encode(pa.array(values)), (rows, len(codec.sizes)))
    uniforms = rng.random((rows, codec.draws))
    texts: list[str] = codec.apart(codes, uniforms, codec.decode(codes, uniforms)).to_pylist()
    return texts


def times(texts: Sequence[str]) -> Counter[int]:
    return Counter(Counter(texts).values())


def test_pairs_of_new_names_are_about_as_many_as_real_ones() -> None:
    real = population(2000, 4000)
    codec = fit_codec(NAME, pa.array(real), seed=0)
    found = times(made(codec, real, 2000))
    assert abs(found[2] - times(real)[2]) < 0.25 * times(real)[2]
    assert abs(found[1] - times(real)[1]) < 0.15 * times(real)[1]


def test_rare_names_of_a_category_repeat_as_well() -> None:
    real = ["Anna"] * 1500 + population(1000, 1500)
    codec = fit_codec(NAME, pa.array(real), seed=0)
    found, truth = times(made(codec, real, 2500)), times(real)
    assert codec.kind == "category"
    assert abs(found[2] - truth[2]) < 0.3 * truth[2]


def test_names_that_nobody_shares_stay_apart_though_there_are_few_places() -> None:
    real = [f"{a}{b}{c}" for a in "ABCDEFGH" for b in "ABCDEFGH" for c in "KLMNO"][:200]
    codec = fit_codec(NAME, pa.array(real), seed=0)
    texts = made(codec, real, 100)
    assert not set(texts) & set(real)
    assert times(texts)[1] >= 95


def test_a_larger_request_brings_new_names_as_growth_does() -> None:
    real = population(1000, 2000)
    codec = fit_codec(NAME, pa.array(real), seed=0)
    few, many = set(made(codec, real, 1000)), made(codec, real, 4000, seed=6)
    assert 1.3 * len(few) < len(set(many)) < 3000


def test_a_name_that_two_rows_hold_is_not_put_out() -> None:
    real = population(3000, 3000)
    rare = {name for name, count in Counter(real).items() if count < 3}
    codec = fit_codec(NAME, pa.array(real), seed=0)
    assert not rare & set(made(codec, real, 9000))


def test_units_that_draw_the_same_place_write_the_same_name() -> None:
    real = population(2000, 2000)
    codec = fit_codec(NAME, pa.array(real), seed=0)
    left, right = made(codec, real, 2000, seed=1), made(codec, real, 2000, seed=2)
    known = {name for name, count in Counter(real).items() if count >= 3}
    assert len((set(left) & set(right)) - known) > 100


def test_pools_survive_the_artefact() -> None:
    real = population(1000, 1500)
    codec = fit_codec(NAME, pa.array(real), seed=0)
    again = codec_from_state(*codec_to_state(codec))
    assert made(again, real, 300) == made(codec, real, 300)


def test_two_pairs_are_too_few_to_tell_of() -> None:
    kinds, counts = np.zeros(50, np.int64), np.ones(50, np.int64)
    counts[:2] = 2
    assert Pools.fit(counts, kinds, np.ones(50, np.bool_), 1, needed=3) is None
