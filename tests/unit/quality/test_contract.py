"""What every metric of the registry keeps; a new metric is tested here by itself."""

from __future__ import annotations

import json

import pytest

from syntheflow_server.domain.errors import CancelledError
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.metric import Goal
from syntheflow_server.quality.registry import METRICS
from unit.quality.worlds import MARKET, ORDERS, PEOPLE, SHOP, market, shop, silent

every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


@pytest.fixture(scope="module")
def fair():
    """Synthetic rows that are a further sample of the truth."""
    return Evidence(MARKET, market(900, 1), shop(300, 2), market(900, 3), seed=7)


@pytest.fixture(scope="module")
def beats():
    """The fractions that each metric reported, by name."""
    return {metric.name: [] for metric in METRICS}


@pytest.fixture(scope="module")
def answers(fair, beats):
    return {
        metric.name: metric.measure(fair, lambda done, _, m=metric: beats[m.name].append(done))
        for metric in METRICS
    }


def test_names_are_unique_and_weights_sum_to_one():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert sum(metric.weight for metric in METRICS) == pytest.approx(1.0)


@every_metric
def test_it_declares_itself(metric):
    assert metric.name.isidentifier()
    assert metric.title
    assert metric.question.endswith("?")
    assert metric.goal in Goal
    assert metric.minimum < metric.maximum
    assert metric.cost > 0


@every_metric
def test_another_sample_of_the_truth_is_as_good_as_real(metric, answers):
    answer = answers[metric.name]
    assert answer.score.name == metric.name
    assert answer.score.value > 0.9
    assert answer.cap == 1.0
    assert answer.warnings == ()


@every_metric
def test_raw_figures_lie_in_the_declared_range(metric, answers):
    answer = answers[metric.name]
    for score in [answer.score, *answer.tables.values()]:
        assert metric.minimum <= score.raw <= metric.maximum
        assert score.detail.endswith(".")


@every_metric
def test_answers_fit_json_and_name_known_tables(metric, answers):
    answer = answers[metric.name]
    json.dumps(answer.details, allow_nan=False)
    assert set(answer.tables) | set(answer.details) <= set(MARKET.table_names)


@every_metric
def test_the_same_evidence_gives_the_same_answer(metric, fair, answers):
    assert metric.measure(fair, silent) == answers[metric.name]


@every_metric
def test_it_reports_rising_progress_and_stops_when_told(metric, fair, answers, beats):
    heard = []

    def stop(fraction, at):
        heard.append(fraction)
        raise CancelledError("stopped", reason="CANCELLED")

    with pytest.raises(CancelledError):
        metric.measure(fair, stop)
    assert heard == [0]
    assert beats[metric.name] == sorted(beats[metric.name])
    assert all(0 <= fraction <= 1 for fraction in beats[metric.name])


@every_metric
def test_without_held_out_rows_it_measures_or_says_why_not(metric):
    tables = market(200, 1), market(200, 3)
    answer = metric.measure(Evidence(MARKET, tables[0], {}, tables[1], seed=7), silent)
    assert (answer.score is None) == bool(answer.not_measured)


@every_metric
def test_empty_tables_are_no_accident(metric):
    empty = {"people": PEOPLE.arrow.empty_table(), "orders": ORDERS.arrow.empty_table()}
    for train, synthetic in ((shop(60, 1), empty), (empty, shop(60, 1)), (empty, empty)):
        answer = metric.measure(Evidence(SHOP, train, {}, synthetic, seed=7), silent)
        assert answer.score is not None or answer.not_measured
