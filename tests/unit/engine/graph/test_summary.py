"""Rows of one child table know what the owner's rows in another one come to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from tests.unit.engine.conftest import generate, learn, world

from syntheflow_server.engine import FittedModel, load
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.graph.clusters import Featurizer
from syntheflow_server.engine.graph.summary import elder, summary


def clinic() -> FittedModel:
    """Patients whose tests and drugs tell of the same illness, which no column names."""
    rng = np.random.default_rng(8)
    ill = rng.random(400) < 0.5
    tests, drugs = np.repeat(np.arange(400), 3), np.repeat(np.arange(400), 2)
    finding = np.where(ill[tests] ^ (rng.random(1200) < 0.05), "bad", "good")
    drug = np.where(ill[drugs] ^ (rng.random(800) < 0.05), "strong", "mild")
    made = world(
        {
            "patients": (pa.table({"id": np.arange(400), "age": rng.integers(1, 90, 400)}), "id"),
            "tests": (pa.table({"patient": tests, "finding": finding}), ""),
            "drugs": (pa.table({"patient": drugs, "drug": drug}), ""),
        },
        ["tests(patient) -> patients(id)", "drugs(patient) -> patients(id)"],
    )
    return learn(made, time_limit_seconds=None)


def test_a_summary_is_the_mean_point_and_the_number_of_rows() -> None:
    history = Featurizer.of([Token(2), Token(3)], [1.0, 1.0], 0)
    codes = np.array([[0, 1], [1, 2], [1, 0]], np.uint16)
    found = summary(history, codes, np.array([0, 0, 2]), 3)
    points = history.points(codes)
    assert np.allclose(found[0, :-1], points[:2].mean(axis=0))
    assert not found[1].any()
    assert np.allclose(found[2, :-1], points[2])
    assert np.allclose(found[:, -1] * 3, np.log1p([2, 0, 1]))


def test_two_child_tables_of_one_owner_agree(tmp_path) -> None:
    model = clinic()
    assert elder(model.family, "drugs") == ("tests",)
    assert elder(model.family, "tests") == ()
    made = generate(model, seed=1)
    bad, strong = np.zeros(400), np.zeros(400)
    np.add.at(
        bad, made["tests"]["patient"].to_numpy(), made["tests"]["finding"].to_numpy() == "bad"
    )
    np.add.at(
        strong, made["drugs"]["patient"].to_numpy(), made["drugs"]["drug"].to_numpy() == "strong"
    )
    assert np.corrcoef(bad, strong)[0, 1] > 0.4
    model.save(tmp_path)
    assert generate(load(tmp_path), seed=1) == made
