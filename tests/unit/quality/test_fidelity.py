"""Metrics of single tables on tables whose truth is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.quality.fidelity.column_shapes import ColumnShapes
from syntheflow_server.quality.fidelity.detection import Detection
from syntheflow_server.quality.fidelity.null_shares import NullShares
from syntheflow_server.quality.fidelity.pair_trends import PairTrends
from unit.quality.worlds import people, shuffled, with_column


@pytest.fixture(scope="module")
def fair(ask):
    return ask(Detection(), people(900, 3))


@pytest.fixture(scope="module")
def independent(ask):
    return ask(Detection(), shuffled(people(900, 3), "income"))


class TestDetection:
    def test_another_sample_of_the_truth_makes_the_classifier_guess(self, fair):
        assert fair.score.raw == pytest.approx(0.5, abs=0.06)

    def test_a_shifted_column_is_found_and_named(self, ask):
        rows = people(900, 3)
        shifted = with_column(rows, "age", np.asarray(rows["age"]) + 15)
        answer = ask(Detection(), shifted)
        assert answer.score.raw > 0.8
        assert "age" in answer.score.detail
        assert "age" in {entry["column"] for entry in answer.details["people"]["give_away"][:3]}

    def test_a_lost_dependence_is_found_although_every_column_is_right(self, independent):
        assert independent.score.raw > 0.62
        assert independent.score.value < 0.75

    def test_the_value_follows_the_documented_formula(self, independent):
        chance = independent.details["people"]["chance"]
        expected = 1 - (independent.score.raw - chance) / (1 - chance)
        assert independent.score.value == pytest.approx(expected)

    def test_too_few_held_out_rows_are_not_guessed_at(self, ask):
        answer = ask(Detection(), people(900, 3), holdout=people(39, 2))
        assert answer.score is None
        assert answer.not_measured == (
            "Not measured: detection of people: fewer than 40 held-out rows.",
        )

    def test_numbers_that_passed_float32_are_no_give_away(self, ask, fair):
        rows = people(900, 3)
        income = rows["income"].cast(pa.float32(), safe=False).cast(pa.float64())
        narrow = rows.set_column(rows.column_names.index("income"), "income", income)
        assert ask(Detection(), narrow).score.raw == pytest.approx(fair.score.raw, abs=0.01)

    def test_the_numbers_of_keys_say_nothing(self, ask, fair):
        assert ask(Detection(), with_column(people(900, 3), "id", np.arange(900))) == fair


class TestColumnShapes:
    def test_the_worst_column_is_named_with_its_distance(self, ask):
        rows = people(900, 3)
        answer = ask(ColumnShapes(), with_column(rows, "town", ["Ulm"] * 900))
        assert "worst: town" in answer.score.detail
        # Three fifths of the truth live elsewhere.
        columns = answer.details["people"]["columns"]
        assert columns["town"]["raw"] == pytest.approx(0.4, abs=0.05)
        assert columns["age"]["value"] > 0.95

    def test_missing_values_are_part_of_the_shape(self, ask):
        rows = people(900, 3)
        filled = with_column(rows, "income", np.full(900, 20_000.0))
        dense = with_column(rows, "income", rows["income"].fill_null(24_500.0))
        assert ask(ColumnShapes(), filled).details["people"]["columns"]["income"]["raw"] < 0.7
        assert ask(ColumnShapes(), dense).details["people"]["columns"]["income"]["raw"] < 0.85

    def test_strings_without_repeats_are_judged_by_their_form(self, ask):
        digits = [str(number) for number in range(10**6, 10**6 + 900)]
        answer = ask(ColumnShapes(), with_column(people(900, 3), "name", digits))
        assert answer.details["people"]["columns"]["name"]["kind"] == "text"
        assert answer.details["people"]["columns"]["name"]["value"] < 0.6

    def test_keys_are_left_out(self, ask):
        assert "id" not in ask(ColumnShapes(), people(900, 3)).details["people"]["columns"]

    def test_a_table_without_synthetic_rows_scores_nothing(self, ask):
        assert ask(ColumnShapes(), people(1, 3).slice(1)).score.value == 0


class TestPairTrends:
    def test_independent_columns_keep_nothing(self, ask):
        rows = people(900, 3)
        for place, name in enumerate(rows.column_names):
            rows = shuffled(rows, name, seed=place)
        answer = ask(PairTrends(), rows)
        assert answer.score.value < 0.1
        assert answer.score.raw > 0.8, "the usual mean flatters them"

    def test_the_broken_pair_is_named(self, ask):
        answer = ask(PairTrends(), shuffled(people(900, 3), "born"))
        assert "worst: age with born" in answer.score.detail

    def test_turned_signs_are_seen(self, ask):
        rows = people(900, 3)
        turned = with_column(rows, "age", 97 - np.asarray(rows["age"]))
        pairs = ask(PairTrends(), turned).details["people"]["pairs"]
        pair = next(p for p in pairs if (p["left"], p["right"]) == ("age", "income"))
        assert pair["real"] > 0.8
        assert pair["synthetic"] < -0.8


class TestNullShares:
    def test_the_column_with_other_gaps_is_named(self, ask):
        rows = people(900, 3)
        gaps = with_column(rows, "town", [None] * 450 + rows["town"].to_pylist()[450:])
        answer = ask(NullShares(), gaps)
        assert "town of people is missing in 50.0%" in answer.score.detail
        assert answer.score.raw == pytest.approx(1 - 0.5 / 8, abs=0.01)

    def test_it_is_shown_and_not_counted(self):
        assert NullShares().weight == 0
