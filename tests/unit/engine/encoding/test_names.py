"""Categories: rare values are protected, many values take two tokens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding import Codec, best_guide, fit_codec


def fitted(values: pa.Array, guide: np.ndarray | None = None) -> Codec:
    column = Column(name="city", type=str(values.type), semantic_type="category")
    return fit_codec(column, values, 0, guide)


def decoded(codec: Codec, codes: np.ndarray) -> list:
    draws = np.random.default_rng(0).random((len(codes), codec.draws))
    return codec.decode(codes, draws).to_pylist()


def test_a_value_held_by_two_rows_is_never_put_out() -> None:
    values = pa.array(["Wien"] * 60 + ["Graz"] * 40 + ["Hall", "Hall", "Imst"])
    codec = fitted(values)
    assert codec.sizes == (3,)
    made = decoded(codec, np.full((2000, 1), 2))
    assert set(made) == {"Wien", "Graz"}
    assert 0.55 < np.mean([value == "Wien" for value in made]) < 0.65


def test_a_tiny_column_needs_three_holders_as_well() -> None:
    codec = fitted(pa.array(["a", "a", "a", "b", "b", "b", "c", "c"]))
    assert set(decoded(codec, codec.encode(pa.array(["a", "b"])))) == {"a", "b"}
    assert "c" not in decoded(codec, np.full((200, 1), codec.sizes[0] - 1))


def test_many_values_take_a_group_and_a_member_and_come_back_exactly() -> None:
    values = pa.array([f"town {i}" for i in range(1000) for _ in range(3)])
    codec = fitted(values)
    assert codec.sizes == (32, 32)
    assert decoded(codec, codec.encode(values)) == values.to_pylist()


def test_a_guide_puts_values_of_one_kind_into_one_group() -> None:
    names = [f"town {i}" for i in range(900)]
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.repeat(np.arange(900), 4))
    guide = (rows * 7919) % 9
    codec = fitted(pa.array([names[i] for i in rows]), guide)
    groups = codec.encode(pa.array([names[i] for i in rows]))[:, 0]
    mixed = sum(len(np.unique(guide[groups == g])) > 1 for g in np.unique(groups))
    assert mixed <= 9


def test_integer_codes_stay_integers() -> None:
    values = pa.array([4, 4, 4, 9, 9, 9, None, 4] * 20)
    codec = fitted(values)
    assert codec.kinds == ("nominal",)
    assert decoded(codec, codec.encode(values)) == values.to_pylist()


def test_the_guide_is_the_column_that_tells_the_values_apart() -> None:
    rng = np.random.default_rng(1)
    rows = rng.permutation(np.repeat(np.arange(400), 20))
    noise, close, many = rng.integers(0, 9, 8000), rows // 50, rows
    values = pa.array([f"town {i}" for i in rows])
    assert best_guide(values, [noise, many, close]) is close
    assert best_guide(values, [noise]) is None
    assert best_guide(pa.array(["a", "b"] * 4000), [close]) is None


def test_many_rare_names_are_composed_anew_in_their_share() -> None:
    rng = np.random.default_rng(3)
    letters = np.array(list("aeiounrstl"))
    rare = ["".join(rng.choice(letters, 7)).capitalize() for _ in range(60)]
    codec = fitted(pa.array(["Anna"] * 500 + ["Berta"] * 440 + rare))
    codes = codec.encode(pa.array(["Anna"] * 10 + rare))
    made = decoded(codec, codes)
    assert made[:10] == ["Anna"] * 10
    assert not set(made[10:]) & {*rare, "Anna", "Berta"}
    assert len(set(made[10:])) > 50


def test_composed_names_survive_the_artefact() -> None:
    rare = [f"{a}{b}" for a in "ABCDEFGH" for b in ("ena", "ora", "ilde", "ustav")]
    codec = fitted(pa.array(["Anna"] * 200 + rare))
    facts, arrays = codec.to_state()
    again = type(codec).from_state(facts, arrays)
    codes = np.full((50, 1), codec.sizes[0] - 1)
    assert decoded(again, codes) == decoded(codec, codes)


def test_a_handful_of_rare_names_still_gives_way_to_known_ones() -> None:
    codec = fitted(pa.array(["Anna"] * 500 + ["Berta"] * 440 + ["Carla", "Dora"]))
    assert set(decoded(codec, np.full((100, 1), 2))) <= {"Anna", "Berta"}
