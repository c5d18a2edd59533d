"""Codes that never met in the data never meet in what is generated."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.engine import load
from syntheflow_server.engine.support import Keeper, Support

ROWS = 1200


def answers():
    """A question that is asked of some, and what follows where it is not; and noise."""
    rng = np.random.default_rng(5)
    asked = rng.random(ROWS) < 0.7
    many = rng.choice(["one", "two", "three"], ROWS)
    sex = rng.choice(["f", "m"], ROWS)
    kin = np.where(
        sex == "f", rng.choice(["wife", "child"], ROWS), rng.choice(["man", "son"], ROWS)
    )
    size = rng.integers(0, 400, ROWS)
    return pa.table(
        {
            "asked": np.where(asked, rng.choice(["yes", "maybe"], ROWS), "no"),
            "many": np.where(asked, many, "not asked"),
            "size": pa.array(size, mask=~asked),
            "sex": sex,
            "kin": kin,
            "noise": rng.choice(list("abc"), ROWS),
        }
    )


@pytest.fixture(scope="module")
def model(make):
    return make.learn(make.world({"row": (answers(), "")}, []), time_limit_seconds=0.5)


def broken(rows):
    """Return how many rows break one of the three rules."""
    data = rows.to_pydict()
    asked = np.array(data["asked"]) != "no"
    many = np.array(data["many"]) != "not asked"
    size = np.array([value is not None for value in data["size"]])
    woman = np.array(data["sex"]) == "f"
    kin = np.isin(data["kin"], ["wife", "child"])
    return int(((asked != many) | (asked != size) | (woman != kin)).sum())


def test_no_generated_row_breaks_what_no_real_row_breaks(make, model):
    assert broken(answers()) == 0
    assert broken(make.generate(model, rows={"row": 6000})["row"]) == 0


def test_the_rules_survive_the_artefact(make, model, tmp_path):
    model.save(tmp_path)
    made = make.generate(load(tmp_path), rows={"row": 3000})["row"]
    assert made.equals(make.generate(model, rows={"row": 3000})["row"])


def test_columns_without_ties_have_no_rules():
    codes = np.random.default_rng(0).integers(0, 5, (3000, 4))
    found = Support.learn(codes, np.ones(codes.shape, bool), [5] * 4, range(4))
    assert found.pairs == ()


def test_a_rare_pair_that_is_merely_unseen_is_no_rule():
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 4, 2000), rng.integers(0, 4, 2000)
    left[:3], right[left == 4] = 4, 0
    codes = np.stack([left, right], axis=1)
    assert Support.learn(codes, np.ones(codes.shape, bool), [5, 4], range(2)).pairs == ()


def test_what_is_drawn_first_decides_the_rest_in_either_order():
    codes = np.array([[i % 3, i % 3] for i in range(600)])
    support = Support.learn(codes, np.ones(codes.shape, bool), [3, 3], range(2))
    hook = Keeper(support).after(lambda *_: None, np.array([[False, True], [True, False]]))
    drawn, weights = np.array([[0, 2], [1, 0]]), np.ones((2, 3), np.float32)
    hook(0, slice(0, 2), drawn, weights)
    assert weights.tolist() == [[0, 0, 1], [1, 1, 1]]
    weights = np.ones((2, 3), np.float32)
    hook(1, slice(0, 2), drawn, weights)
    assert weights.tolist() == [[1, 1, 1], [0, 1, 0]]


def test_a_rule_gives_way_to_a_demand_against_it():
    codes = np.array([[i % 3, i % 3] for i in range(600)])
    support = Support.learn(codes, np.ones(codes.shape, bool), [3, 3], range(2))
    weights = np.array([[0, 0.5, 0]], np.float32)
    Keeper(support).after(lambda *_: None)(1, slice(0, 1), np.array([[0, 0]]), weights)
    assert weights.tolist() == [[0, 0.5, 0]]


def test_rows_that_break_a_rule_are_found_by_their_earlier_tokens():
    codes = np.array([[i % 3, i % 3] for i in range(600)])
    keeper = Keeper(Support.learn(codes, np.ones(codes.shape, bool), [3, 3], range(2)))
    begun = np.array([[0, 0], [1, 0], [2, 0]])
    assert keeper.broken(1, begun, np.array([0, 2, 2])).tolist() == [1]
    assert keeper.broken(0, begun, np.array([0, 2, 2])).tolist() == []
    weights = np.ones((3, 3), np.float32)
    keeper.narrow(1, begun, weights)
    assert weights.tolist() == np.eye(3).tolist()


def test_a_column_without_tokens_has_no_rule_with_itself():
    codes = np.array([[i % 3] for i in range(600)])
    assert Support.learn(codes, np.ones(codes.shape, bool), [3], [0, 0]).pairs == ()
