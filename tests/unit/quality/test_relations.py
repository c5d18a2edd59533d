"""Metrics of related tables on tables whose truth is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.relations.aggregate_detection import AggregateDetection
from syntheflow_server.quality.relations.child_counts import ChildCounts
from syntheflow_server.quality.relations.key_integrity import BROKEN_CAP, KeyIntegrity
from unit.quality.worlds import SHOP, orders, shop, silent, with_column


@pytest.fixture
def ask():
    def measure(metric, synthetic, schema=SHOP):
        evidence = Evidence(schema, shop(900, 1), shop(300, 2), synthetic, seed=3)
        return metric.measure(evidence, silent)

    return measure


class TestKeyIntegrity:
    def test_an_unresolved_reference_is_found_counted_and_named(self, ask):
        tables = shop(300, 3)
        person = np.asarray(tables["orders"]["person"]).copy()
        person[:10] = -5
        tables["orders"] = with_column(tables["orders"], "person", person)
        answer = ask(KeyIntegrity(), tables)
        assert answer.tables["orders"].raw == pytest.approx(1 - 10 / len(person))
        assert "orders(person) -> people(id)" in answer.warnings[0]
        assert answer.cap == BROKEN_CAP

    def test_a_single_fault_in_many_rows_still_shows(self, ask):
        tables = shop(3000, 3)
        person = np.asarray(tables["orders"]["person"]).copy()
        person[0] = -5
        tables["orders"] = with_column(tables["orders"], "person", person)
        answer = ask(KeyIntegrity(), tables)
        assert answer.score.value < 1
        assert "only 99.9" in answer.score.detail

    def test_a_reference_may_be_missing(self, ask):
        tables = shop(300, 3)
        tables["orders"] = with_column(
            tables["orders"], "person", [None, *tables["orders"]["person"].to_pylist()[1:]]
        )
        rules = ask(KeyIntegrity(), tables).details["orders"]["rules"]
        shares = {rule["rule"]: rule["share"] for rule in rules}
        assert shares["reference orders(person) -> people(id) resolves"] == 1
        assert shares["primary key (person, line) is unique and present"] < 1

    def test_repeated_and_missing_primary_keys_are_found(self, ask):
        tables = shop(300, 3)
        ids = tables["people"]["id"].to_pylist()
        tables["people"] = with_column(tables["people"], "id", [None, ids[2], *ids[2:]])
        answer = ask(KeyIntegrity(), tables)
        shares = {rule["rule"]: rule["share"] for rule in answer.details["people"]["rules"]}
        assert shares["primary key (id) is unique and present"] == pytest.approx(297 / 300)
        assert shares["column id is present"] == pytest.approx(299 / 300)

    def test_parts_of_a_composite_key_may_repeat(self, ask):
        assert ask(KeyIntegrity(), shop(300, 3)).score.value == 1

    def test_a_composite_reference_needs_all_parts_of_one_row(self):
        def column(name):
            return Column(name=name, type="string", semantic_type=SemanticType.CODE)

        schema = Schema(
            tables=(
                Table(name="p", columns=(column("a"), column("b")), primary_key=("a", "b")),
                Table(name="c", columns=(column("x"), column("y"))),
            ),
            foreign_keys=(
                ForeignKey(
                    child_table="c",
                    child_columns=("x", "y"),
                    parent_table="p",
                    parent_columns=("a", "b"),
                ),
            ),
        )
        tables = {
            "p": pa.table({"a": ["1", "2"], "b": ["3", "4"]}),
            "c": pa.table({"x": ["1", "1", "2", "2"], "y": ["3", "4", None, "4"]}),
        }
        answer = KeyIntegrity().measure(Evidence(schema, tables, {}, tables, seed=1), silent)
        assert answer.tables["c"].raw == 0.75

    def test_tables_without_keys_have_nothing_to_check(self):
        column = Column(name="a", type="int64", semantic_type=SemanticType.INTEGER)
        tables = {"t": pa.table({"a": [1]})}
        schema = Schema(tables=(Table(name="t", columns=(column,)),))
        answer = KeyIntegrity().measure(Evidence(schema, tables, {}, tables, seed=1), silent)
        assert answer.score is None
        assert answer.cap == 1


class TestChildCounts:
    def test_wrong_counts_are_found(self, ask):
        tables = shop(900, 3)
        tables["orders"] = tables["orders"].slice(0, tables["orders"].num_rows // 3)
        answer = ask(ChildCounts(), tables)
        assert answer.score.value < 0.75
        assert "orders(person) -> people(id)" in answer.score.detail

    def test_parents_without_children_count(self, ask):
        tables = shop(900, 3)
        with_orders = np.isin(np.asarray(tables["people"]["id"]), tables["orders"]["person"])
        tables["people"] = tables["people"].filter(pa.array(with_orders))
        assert ask(ChildCounts(), tables).score.raw < 0.75

    def test_pictures_merge_counts_of_few_parents(self, ask):
        (picture,) = ask(ChildCounts(), shop(900, 3)).details["orders"]["references"]
        shown = np.array(picture["real"]) * 1200
        assert (shown > 4.5).all()
        assert sum(picture["real"]) == pytest.approx(1)
        assert sum(picture["synthetic"]) == pytest.approx(1)


class TestAggregateDetection:
    def test_children_given_to_the_wrong_parents_are_found(self, ask):
        tables = shop(900, 3)
        strangers = np.random.default_rng(0).permutation(np.asarray(tables["people"]["age"]))
        tables["orders"] = orders(with_column(tables["people"], "age", strangers), 3)
        answer = ask(AggregateDetection(), tables)
        assert answer.score.raw > 0.65
        assert answer.score.value < 0.7
        assert "orders.price" in answer.score.detail

    def test_children_of_right_parents_are_not(self, ask):
        assert ask(AggregateDetection(), shop(900, 3)).score.raw < 0.58

    def test_tables_without_children_are_no_matter(self, ask):
        answer = ask(AggregateDetection(), shop(900, 3))
        assert set(answer.tables) == {"people"}
        assert answer.not_measured == ()
