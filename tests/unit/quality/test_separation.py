"""The two-sample classifier: AUC, folds, noise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from syntheflow_server.quality.features import Features
from syntheflow_server.quality.noise import between_halves, beyond, kolmogorov, variation
from syntheflow_server.quality.separation import Side, _folds, area, separate


def side(rows, shift, seed, groups=None):
    matrix = np.random.default_rng(seed).normal(shift, 1, (rows, 2))
    matrix[:, 1] = np.nan
    features = Features(matrix, ("a", "b"), np.zeros(2, dtype=bool))
    return Side(features, np.arange(rows) if groups is None else groups)


def test_the_area_agrees_with_scikit_learn_also_on_ties():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 5, 200).astype(float), rng.random(200) < 0.4
    auc, variance = area(scores, truth)
    assert auc == pytest.approx(roc_auc_score(truth, scores))
    assert 0 < variance < 0.01


def test_the_interval_holds_the_auc_of_two_normals():
    # Two normals one standard deviation apart: AUC = Phi(1 / sqrt 2) = .760.
    found = separate(side(800, 0, 1), side(800, 1, 2), np.random.default_rng(0), lambda _: None)
    assert found.low < 0.76 < found.high
    assert found.rows == 800


def test_sides_of_unequal_size_are_cut_to_the_smaller():
    found = separate(side(100, 0, 1), side(900, 0, 2), np.random.default_rng(0), lambda _: None)
    assert found.rows == 100


def test_rows_of_one_group_stay_in_one_fold():
    groups = np.random.default_rng(0).integers(0, 30, 500)
    folds = _folds(groups, 5, np.random.default_rng(1))
    assert all(len(set(folds[groups == group])) == 1 for group in range(30))
    assert np.bincount(folds, minlength=5).min() > 40


def test_few_groups_still_fill_every_fold():
    folds = _folds(np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5]), 5, np.random.default_rng(1))
    assert set(folds) == set(range(5))


def test_siblings_do_not_give_a_group_away():
    # Every group has a value of its own: with siblings in other folds AUC would be 1.
    def family(seed):
        groups = np.repeat(np.arange(60), 8)
        values = np.random.default_rng(seed).normal(0, 1, 60)[groups]
        features = Features(values[:, None], ("a",), np.zeros(1, dtype=bool))
        return Side(features, groups)

    found = separate(family(1), family(2), np.random.default_rng(0), lambda _: None)
    assert found.auc < 0.65


def test_real_noise_is_forgiven_and_differences_are_not():
    rng = np.random.default_rng(0)
    distance, noise = kolmogorov(rng.normal(0, 1, 400), rng.normal(0, 1, 400))
    assert beyond(distance, noise) < 0.05
    distance, noise = kolmogorov(rng.normal(0, 1, 400), rng.normal(1, 1, 400))
    assert beyond(distance, noise) > 0.3


def test_missing_shares_are_part_of_the_distance():
    full, half = np.zeros(100), np.where(np.arange(100) < 50, np.nan, 0.0)
    assert kolmogorov(full, half)[0] == pytest.approx(0.5)
    assert kolmogorov(np.full(10, np.nan), np.full(10, np.nan))[0] == 0


def test_total_variation_of_counts():
    assert variation(np.array([5, 5]), np.array([10, 0]))[0] == pytest.approx(0.5)
    assert variation(np.array([0, 0]), np.array([0, 0]))[0] == 0


def test_noise_of_halves_shrinks_with_size():
    assert between_halves(0.1, 100, 100) == pytest.approx(0.1 / np.sqrt(2))
