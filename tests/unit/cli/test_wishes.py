"""generate --where, --share, --given, --temperature; train's guards; models card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import scripted
from syntheflow_server.domain.resources import JobState
from syntheflow_server.jobs.requests import Condition, GivenRows


def asked(served):
    return next(detail for method, detail in reversed(served.service.calls) if method == "generate")


def told(ended) -> str:
    return " ".join(ended.stderr.replace("│", " ").split())


def test_conditions_and_shares_and_the_temperature_are_handed_on(shell, served):
    shell.run(
        "generate", "hr", "--out", "o", "--temperature", 0.8, "--where", "people.id>=3",
        "--where", "people.id<9", "--share", "name:>50K=0.5,<=50K=25%",
    )  # fmt: skip
    spec = asked(served)
    assert spec.temperature == 0.8
    assert spec.conditions == {
        "people": (
            Condition("id", low=3, high=8),
            Condition("name", shares=((">50K", 0.5), ("<=50K", 0.25))),
        )
    }


def test_a_model_of_one_table_needs_no_table(shell, served):
    shell.run("generate", "alone", "--rows", 2, "--out", "o", "--where", "name in [A, 'B, C']")
    assert asked(served).conditions == {"people": (Condition("name", values=("A", "B, C")),)}


def test_given_rows_are_handed_on(shell, served):
    Path("people.csv").write_text("name\na\nb\n")
    shell.run("generate", "hr", "--out", "o", "--given", "people.csv", "--fill-missing")
    spec = asked(served)
    assert spec.fill_missing
    assert spec.completions[0].table == "people"
    assert served.service.uploads[0][1] == {"people.csv": b"name\na\nb\n"}
    assert list(served.service.datasets) == ["datasets/hr"]


def test_a_given_file_can_be_for_a_table_of_another_name(shell, served):
    Path("some.csv").write_text("name\na\n")
    shell.run("generate", "hr", "--out", "o", "--given", "people=some.csv")
    assert asked(served).completions[0].table == "people"
    shell.run("generate", "alone", "--out", "o", "--given", "some.csv")
    assert asked(served).completions[0].table == "people"


def test_numbers_of_children_existing_rows_and_orphans_are_handed_on(shell, served):
    Path("people.csv").write_text("id\n1\n")
    shell.run(
        "generate", "hr", "--out", "o", "--where", "people.count(pets)>=3",
        "--existing", "people.csv", "--orphans",
    )  # fmt: skip
    spec = asked(served)
    assert spec.conditions == {"people": (Condition(rows_of="pets", low=3),)}
    assert [rows.table for rows in spec.existing] == ["people"]
    assert spec.orphans


def test_an_existing_dataset_gives_all_tables_that_the_model_has(shell, served):
    shell.run("generate", "alone", "--out", "o", "--existing-dataset", "hr")
    assert asked(served).existing == (GivenRows("people", "datasets/hr"),)
    Path("later.csv").write_text("id\n1\n")
    shell.run(
        "generate", "hr", "--out", "o", "--existing-dataset", "hr", "--existing", "pets=later.csv"
    )
    sources = {rows.table: rows.source for rows in asked(served).existing}
    assert sources["people"] == "datasets/hr"
    assert sources["pets"].startswith("datasets/given-")


def test_kept_tables_are_no_part_of_an_existing_dataset(shell, served):
    model = served.service.models["models/hr"]
    served.service.models["models/hr"] = model.model_copy(update={"kept_tables": ("pets",)})
    shell.run("generate", "hr", "--out", "o", "--existing-dataset", "hr")
    assert [rows.table for rows in asked(served).existing] == ["people"]


def test_given_rows_may_lie_on_the_server(shell, served):
    shell.run("generate", "hr", "--out", "o", "--given", "people=datasets/hr")
    assert asked(served).completions == (GivenRows("people", "datasets/hr"),)


@pytest.mark.parametrize(
    ("words", "words_told"),
    [
        (["--existing", "none.csv"], "no table 'none'"),
        (["--existing", "people=none.csv"], "--existing: none.csv is not a file"),
        (["--existing", "people=empty.csv"], "empty.csv is empty"),
        (["--where", "pets.count(people)>=1"], "no table 'people' refers to pets"),
        (["--where", "height>3"], "no table has such a column"),
        (["--where", "people.id=x"], "'x' is no int64"),
        (["--where", "people.id=1", "--where", "people.id>3"], "cannot be put together"),
        (["--share", "people.id=3"], "COLUMN:VALUE=SHARE"),
        (["--given", "none.csv"], "no table 'none'"),
        (["--given", "people=none.csv"], "none.csv is not a file"),
        (["--given", "people.csv", "--given", "people=people.csv"], "two files"),
        (["--fill-missing"], "needs --given"),
        (["--temperature", "11"], "temperature"),
    ],
)
def test_wishes_that_make_no_sense_are_told(shell, words, words_told):
    Path("people.csv").write_text("name\na\n")
    Path("empty.csv").touch()
    assert words_told in told(shell.run("generate", "hr", *words, code=2))


def test_a_training_is_guarded_and_starts_from_a_model(shell, served):
    served.service.jobs["jobs/one"] = [
        scripted.job(state=JobState.SUCCEEDED, result="models/hr", progress=1.0)
    ]
    shell.run("train", "hr", "--epsilon", 3, "--delta", 1e-6)
    shell.run("train", "hr", "--rare-holders", 5, "--base", "alone")
    private, warm = (call[1][1] for call in served.service.calls if call[0] == "train")
    assert (private["epsilon"], private["delta"], private["base_model"]) == (3.0, 1e-6, "")
    assert (warm["rare_holders"], warm["base_model"], warm["epsilon"]) == (5, "models/alone", None)
    assert "starts anew" in told(shell.run("train", "hr", "--epsilon", 3, "--base", "x", code=2))
    assert "--delta needs --epsilon" in told(shell.run("train", "hr", "--delta", 1e-6, code=2))


def test_a_training_keeps_tables_bounds_persons_and_learns_orphans(shell, served):
    served.service.jobs["jobs/one"] = [
        scripted.job(state=JobState.SUCCEEDED, result="models/hr", progress=1.0)
    ]
    words = ["--keep", "pets", "--keep", "pets", "--epsilon", 3, "--entity-rows", 9, "--orphans"]
    shell.run("train", "hr", *words)
    settings = next(call[1][1] for call in served.service.calls if call[0] == "train")
    assert (settings["keep"], settings["entity_rows"], settings["orphans"]) == (("pets",), 9, True)
    told_why = told(shell.run("train", "hr", "--entity-rows", 9, code=2))
    assert "--entity-rows needs --epsilon" in told_why


def test_a_models_card_is_written(shell):
    text = shell.run("models", "card", "hr").stdout
    assert "trained on  " in text
    assert "rare_holders 3" in text
    assert shell.json("models", "card", "hr")["settings"] == {"rare_holders": "3", "seed": "7"}
    shell.run("models", "card", "hr", "--format", "html", "--out", "card.html")
    assert Path("card.html").read_text().startswith("<!doctype html>")
    assert json.loads(shell.run("models", "card", "hr", "--format", "json").stdout)


def test_a_model_is_shown_with_its_settings(shell):
    shown = shell.run("models", "show", "hr").stdout
    for words in ("settings", "without differential privacy", "PARAMETERS", "2,250"):
        assert words in shown
    assert "MADE FOR" not in shown  # an empty column says nothing
