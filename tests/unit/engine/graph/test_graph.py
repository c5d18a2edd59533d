"""Owners, joins, levels and codes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.graph.clusters import Featurizer, fit_codebook
from syntheflow_server.engine.graph.joins import NULL_ROW, ORPHAN_ROW, match_rows
from syntheflow_server.engine.graph.levels import filled, levels
from syntheflow_server.engine.graph.ownership import choose_owners


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


def _keys(text: str) -> list[ForeignKey]:
    found = []
    for part in text.split():
        child, parent = part.split(">")
        found.append(
            ForeignKey(
                child_table=child,
                child_columns=(f"{parent}_id",),
                parent_table=parent,
                parent_columns=("id",),
            )
        )
    return found


def _schema(text: str) -> Schema:
    keys = _keys(text)
    tables = []
    for name in dict.fromkeys(n for key in keys for n in (key.parent_table, key.child_table)):
        columns = ["id", *(c for key in keys if key.child_table == name for c in key.child_columns)]
        made = [
            Column(name=c, type="int64", semantic_type=SemanticType.IDENTIFIER) for c in columns
        ]
        tables.append(Table(name=name, columns=tuple(made), primary_key=("id",)))
    return Schema(tables=tuple(tables), foreign_keys=tuple(keys))


@pytest.mark.parametrize(("posts", "owned"), [(100, False), (400, True)])
def test_few_parents_do_not_own_what_more_tables_refer_to(posts, owned):
    schema = _schema("person>post pay>person review>person")
    rows = {"post": posts, "person": 2000, "pay": 4000, "review": 4000}
    found = {
        key: np.arange(rows[key.child_table]) % rows[key.parent_table]
        for key in schema.foreign_keys
    }
    forest = choose_owners(schema, found, rows)
    assert forest.owner_of("person") == ("post" if owned else "")
    assert forest.owner_of("pay") == forest.owner_of("review") == "person"
