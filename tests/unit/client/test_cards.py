"""The card of a model: as text, as a page, as JSON."""

from __future__ import annotations

import json

import pytest

from support import scripted
from syntheflow import messages
from syntheflow.cards import privacy_spent, render_card
from syntheflow.values import Model
from syntheflow_server.domain.resources import PrivacySpending
from syntheflow_server.rpc.messages import model_message


@pytest.fixture
def model() -> Model:
    """A private model of two tables, as it comes over the wire."""
    plain = scripted.model()
    spent = PrivacySpending(spent_on="network", epsilon=1.5, delta=1e-6, mechanism="DP-SGD <b>")
    people = plain.tables[0].model_copy(
        update={
            "train_loss": 1.125,
            "stopped": "the validation loss stopped falling",
            "relations": ("total = net + tax", "code follows from name"),
            "keys": ("manager refers to people; 3 of 9 rows refer to nobody",),
            "privacy": (spent, spent),
        }
    )
    private = plain.model_copy(
        update={
            "tables": (people, plain.tables[1]),
            "settings": {"rare_holders": "5", "privacy.epsilon": "3.0"},
            "base_model": "models/before",
            "kept_tables": ("pets",),
        }
    )
    return messages.model(model_message(private))


FACTS = (
    "models/hr", "datasets/hr", "models/before", "2026-01-02 03:04:05 UTC", "12.5 s", "2,250",
    "1.125", "1.250", "the validation loss stopped falling", "total = net + tax", "network",
    "rare_holders 5", "torch 2", "epsilon 3, delta 2e-06",
    "manager refers to people; 3 of 9 rows refer to nobody", "kept as they are",
)  # fmt: skip


@pytest.mark.parametrize("form", ["text", "html"])
def test_the_card_tells_all(model, form):
    text = render_card(model, form)
    assert [fact for fact in FACTS if fact not in text] == []


def test_the_page_is_safe_and_needs_nothing_else(model):
    page = render_card(model, "html")
    assert "DP-SGD &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page
    assert page.startswith("<!doctype html>")


def test_the_card_as_json(model):
    facts = json.loads(render_card(model, "json"))
    assert facts["name"] == "models/hr"
    assert facts["tables"][0]["relations"] == ["total = net + tax", "code follows from name"]
    assert facts["tables"][0]["privacy"][0]["mechanism"] == "DP-SGD <b>"
    assert facts["tables"][0]["keys"] == ["manager refers to people; 3 of 9 rows refer to nobody"]
    assert facts["kept_tables"] == ["pets"]
    assert facts["privacy_spent"] == {"epsilon": 3.0, "delta": 2e-6}
    assert (facts["train_rows"], facts["parameters"]) == (4_500, 2_000)
    assert "schema" not in facts


def test_the_total_of_a_ledger_stands_for_its_entries():
    def entry(spent_on: str, epsilon: float) -> PrivacySpending:
        return PrivacySpending(spent_on=spent_on, epsilon=epsilon, delta=1e-6, mechanism="noise")

    plain = scripted.model()
    ledger = (entry("bins", 1.0), entry("training", 2.5), entry("total", 3.0))
    private = plain.tables[0].model_copy(update={"privacy": ledger})
    tables = {"tables": (private, plain.tables[1])}
    model = messages.model(model_message(plain.model_copy(update=tables)))
    assert privacy_spent(model) == (3.0, 1e-6)


def test_a_model_without_privacy_says_so():
    model = messages.model(model_message(scripted.model()))
    assert privacy_spent(model) == (None, 0.0)
    assert "without differential privacy" in render_card(model)
    assert "MECHANISM" not in render_card(model)
    assert json.loads(render_card(model, "json"))["privacy_spent"] is None
