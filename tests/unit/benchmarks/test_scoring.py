"""The judge of single_table.py: it sees what is wrong, and nothing where nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scoring import copying, detection, marginals
from scoring.frames import Column, Frame
from scoring.judge import Question, judge
from scoring.relations import broken_shares, relations
from scoring.utility import utility


def _frame(seed: int, rows: int = 800, *, tied: bool = True) -> Frame:
    """Two numbers that go together (unless not `tied`), a category of three, near-unique."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=rows)
    other = base if tied else rng.permutation(base)
    return Frame(
        {
            "a": Column("number", base),
            "b": Column("number", other + rng.normal(0, 0.3, rows), rounded=True),
            "c": Column(
                "category", np.array(["x", "y", "z"], dtype=object)[rng.integers(3, size=rows)]
            ),
        },
        rows,
    )


def _changed(frame: Frame, **columns: np.ndarray) -> Frame:
    new = {n: Column(frame.columns[n].kind, values) for n, values in columns.items()}
    return Frame(frame.columns | new, frame.rows)


def test_rows_of_the_same_source_cannot_be_told():
    assert detection.c2st(_frame(1), _frame(2)) < 0.57


def test_rows_without_the_tie_between_columns_can_be_told():
    assert detection.c2st(_frame(1), _frame(2, tied=False)) > 0.75


def test_the_column_that_gives_rows_away_is_named_and_its_drop_is_large():
    real, made = _frame(1, 400), _frame(2, 400)
    made = _changed(made, b=made.columns["b"].values + 2)
    alone = detection.column_aucs(real, made)
    assert next(iter(alone)) == "b"
    whole = detection.c2st(real, made)
    assert detection.drops(real, made, whole, ["b"])["b"] > 0.3


def test_shapes_see_a_shifted_column_and_trends_a_lost_tie():
    real = _frame(1)
    same, loose = _frame(2), _frame(2, tied=False)
    assert marginals.shapes(real, same) > 0.94
    assert marginals.shapes(real, _changed(same, a=same.columns["a"].values + 9)) < 0.7
    assert marginals.trends(real, same) > 0.93
    assert marginals.trends(real, loose) < marginals.trends(real, same) - 0.1


def test_missing_values_belong_to_a_columns_shape():
    real = _frame(1)
    gaps = real.columns["a"].values.copy()
    gaps[: real.rows // 2] = np.nan
    assert marginals.shapes(real, _changed(real, a=gaps)) == pytest.approx(1 - 0.5 / 3)


def test_training_rows_given_back_are_nearer_to_training_and_fresh_ones_are_not():
    train, holdout = _frame(1), _frame(2)
    assert copying.nearer_to_train(train, holdout, train) > 0.9
    assert copying.nearer_to_train(train, holdout, _frame(3)) == pytest.approx(0.5, abs=0.06)


def test_copies_and_reused_values_are_counted():
    train, fresh = _frame(1), _frame(2)
    half = train.take(np.arange(400)).joined(fresh.take(np.arange(400)))
    assert copying.copies(train, half) == 0.5
    assert copying.reused(train, half) == {"a": 0.5, "b": 0.5}


def test_utility_falls_when_the_target_is_shuffled():
    train, holdout = _frame(1), _frame(2)
    good = utility(train, holdout, "b", "regression")
    rng = np.random.default_rng(0)
    bad = utility(
        _changed(train, b=rng.permutation(train.columns["b"].values)), holdout, "b", "regression"
    )
    assert good > 0.8
    assert bad < 0.2


def test_a_class_that_was_never_learned_counts_as_not_known():
    rng = np.random.default_rng(0)
    sizes = rng.normal(size=300)
    names = np.where(sizes > 0, "large", "small").astype(object)
    real = Frame({"s": Column("number", sizes), "t": Column("category", names)}, 300)
    third = names.copy()
    third[:100] = "other"
    assert utility(real, real, "t", "classification") > 0.99
    assert utility(real, _changed(real, t=third), "t", "classification") < 0.9


def _exact(rows: int = 600) -> Frame:
    rng = np.random.default_rng(5)
    kind = rng.integers(6, size=rows)
    left, right = rng.integers(1, 50, rows).astype(float), rng.integers(1, 50, rows).astype(float)
    return Frame(
        {
            "kind": Column("category", kind.astype(str).astype(object)),
            "group": Column("category", (kind // 2).astype(str).astype(object)),
            "left": Column("number", left),
            "right": Column("number", right),
            "total": Column("number", left + right),
            **{f"is{n}": Column("number", (kind // 2 == n).astype(float)) for n in range(3)},
        },
        rows,
    )


def test_exact_relations_are_found_and_held_against_the_rows():
    real = _exact()
    rules = relations(real)
    words = {rule.words for rule in rules}
    assert {
        "kind determines group",
        "total = left + right",
        "left <= total",
        "exactly one of is0 .. is2 (3)",
    } <= words
    assert broken_shares(rules, real) == (0.0, {})
    wrong = real.columns["total"].values.copy()
    wrong[:60] += 1
    share, each = broken_shares(rules, _changed(real, total=wrong))
    assert share == pytest.approx(0.1)
    assert each == {"total = left + right": pytest.approx(0.1)}


def test_no_relation_is_found_between_independent_columns():
    assert relations(_frame(1)) == []


def test_a_relation_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="product"):
        relations(_exact(), [{"kind": "product"}])


def test_the_judge_gives_every_figure_of_the_table(tmp_path: Path):
    rng = np.random.default_rng(0)
    paths = {}
    for name, rows in (("train", 400), ("holdout", 100), ("synthetic", 400)):
        size = rng.normal(size=rows)
        columns = {"id": rng.permutation(9_999)[:rows], "size": size, "large": size > 0}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        paths[name] = str(tmp_path / f"{name}.parquet")
    question = Question(
        **paths,
        identifiers=["id"],
        target="large",
        task="classification",
        relations=[],
        learners=["hgb"],
    )
    scores = judge(question)
    assert json.loads(json.dumps(scores)) == scores
    wanted = {"c2st_hgb", "c2st_with_ids", "ids_reused", "columns_auc", "drops", "shapes"}
    wanted |= {"trends", "utility", "utility_real", "nearer", "copies", "copies_holdout"}
    wanted |= {"reuse", "reuse_holdout", "reuse_worst", "relations", "relations_broken"}
    assert wanted <= set(scores)
    assert scores["reuse"] == 0
    assert scores["utility"] > 0.98
