"""Owners, joins, levels and codes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.graph.clusters import Featurizer, fit_codebook
from syntheflow_server.engine.graph.joins import NULL_ROW, ORPHAN_ROW, match_rows
from syntheflow_server.engine.graph.levels import filled, levels


def chunked(*values):
    return pa.chunked_array([pa.array(values)])


def test_composite_references_resolve_by_all_columns():
    found = match_rows(
        [
            (chunked(1, 2, 2, None, 9), chunked(1, 2, 2)),
            (chunked("a", "b", "a", "a", "a"), chunked("a", "a", "b")),
        ],
        "k",
    )
    assert found.tolist() == [0, 2, 1, NULL_ROW, ORPHAN_ROW]


def test_an_ambiguous_parent_key_is_refused():
    with pytest.raises(InvalidArgumentError, match="repeat"):
        match_rows([(chunked(1), chunked(1, 1))], "k")


def test_levels_count_from_the_top_and_know_circles():
    assert levels(np.array([-1, 0, 1, 3])).tolist() == [0, 1, 2, 0]
    assert levels(np.array([1, 0])) is None


def test_empty_levels_are_filled_from_below():
    assert filled(np.array([0, 2, 0, 3])) == [(1, 0), (3, 2)]


def test_a_code_stands_for_at_least_three_parents():
    rng = np.random.default_rng(0)
    tokens = [Token(20, np.linspace(0, 1, 20).astype(np.float32)), Token(5)]
    codes = np.stack([rng.integers(0, 20, 400), rng.integers(0, 5, 400)], 1).astype(np.uint16)
    book = fit_codebook(Featurizer.of(tokens, [1.0, 1.0], 0), codes, 10_000, 0)
    held = np.bincount(book.assign(codes))
    assert len(book.members) > 20
    assert held[held > 0].min() >= 3
