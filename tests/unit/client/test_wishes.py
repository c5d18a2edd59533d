"""Conditions, given rows and guarded trainings, from the client's call to the server's ears."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from syntheflow import Condition, SyntheflowError
from syntheflow_server.domain.errors import DataLossError
from syntheflow_server.jobs import requests


def asked(served):
    return next(detail for method, detail in reversed(served.service.calls) if method == "generate")


def rows_of(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def test_conditions_are_texts_or_values(client, served):
    where = ["people.id >= 3", Condition("name", "people", shares=(("people 1", 0.5),))]
    client.tables("hr", where=where, temperature=0.5)
    spec = asked(served)
    assert spec.temperature == 0.5
    assert spec.conditions == {
        "people": (
            requests.Condition("id", low=3),
            requests.Condition("name", shares=(("people 1", 0.5),)),
        )
    }


def test_the_only_table_needs_no_name_in_a_condition(client, served):
    client.read("alone", rows=1, where=[Condition("id", values=(1, None))])
    assert asked(served).conditions == {"people": (requests.Condition("id", values=(1, None)),)}
    with pytest.raises(SyntheflowError, match="people, pets"):
        client.generate("hr", where=[Condition("id", low=1)])


def test_values_of_python_become_values_of_cells(client, served):
    values = (True, 3, 0.5, "x", dt.date(2024, 1, 2), dt.time(8), Decimal("1.50"), None)
    client.read("alone", rows=1, where=[Condition("name", "people", values=values)])
    assert asked(served).conditions["people"][0].values == (
        True, 3, 0.5, "x", "2024-01-02", "08:00:00", "1.50", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "condition",
    [
        Condition("id", "people"),
        Condition("id", "people", values=(1,), low=1),
        Condition("id", "people", values=(2**63,)),
        Condition("id", "people", values=([],)),
    ],
)
def test_a_condition_that_says_nothing_or_too_much_is_refused_at_once(client, condition):
    with pytest.raises(SyntheflowError) as seen:
        client.generate("alone", where=[condition])
    assert seen.value.code == "INVALID_ARGUMENT"


def test_a_temperature_of_nothing_is_refused(client):
    with pytest.raises(SyntheflowError, match="temperature"):
        client.generate("alone", temperature=0)


def test_given_rows_that_fit_go_along(client, served):
    given = pa.table({"name": ["a", "b"]})
    client.tables("alone", given={"people": given}, fill_missing=True)
    spec = asked(served)
    assert spec.fill_missing
    assert spec.completions[0].table == "people"
    assert rows_of(spec.completions[0].source).equals(given)
    assert not served.service.uploads


def test_an_arrow_file_goes_along_as_it_is(client, served, tmp_path):
    path = tmp_path / "given.arrow"
    feather.write_feather(pa.table({"name": ["a"]}), path)
    client.read("alone", rows=1, given={"people": path})
    assert asked(served).completions[0].source == path.read_bytes()


@pytest.mark.parametrize("kind", ["table", "file"])
def test_given_rows_that_do_not_fit_are_uploaded_and_deleted(client, served, tmp_path, kind):
    given = pa.table({"name": [f"name {n}" for n in range(400_000)]})
    if kind == "file":
        parquet.write_table(given.slice(0, 2), tmp_path / "x.parquet")
        given = tmp_path / "x.parquet"
    client.read("alone", rows=1, given={"people": given})
    source = asked(served).completions[0].source
    assert source.startswith("datasets/given-")
    assert [file.table for file in served.service.uploads[0][0].files] == ["people"]
    assert source not in served.service.datasets


def test_what_was_uploaded_is_deleted_also_after_a_failure(client, served, tmp_path):
    path = tmp_path / "given.csv"
    path.write_text("name\na\n")
    served.service.fail["generate"] = [DataLossError("The model is damaged.", reason="DAMAGED")]
    with pytest.raises(SyntheflowError, match="damaged"):
        list(client.generate("alone", given={"people": path}))
    assert list(served.service.datasets) == ["datasets/hr"]
    assert not client.get_dataset("hr").name.startswith("datasets/given")


def test_a_dataset_of_the_users_own_is_named_and_stays(client, served):
    client.tables("alone", given={"people": "datasets/hr"})
    assert asked(served).completions == (requests.GivenRows("people", "datasets/hr"),)
    assert "datasets/hr" in served.service.datasets


def test_existing_rows_go_along_in_the_form_of_given_ones(client, served, tmp_path):
    there = pa.table({"id": [1, 2]})
    client.tables("hr", existing={"people": there, "pets": "datasets/hr"}, orphans=True)
    spec = asked(served)
    assert spec.orphans
    assert rows_of(spec.existing[0].source).equals(there)
    assert spec.existing[1] == requests.GivenRows("pets", "datasets/hr")
    assert spec.completions == ()


def test_rows_that_fit_a_message_one_by_one_and_not_together_are_uploaded(client, served):
    much = pa.table({"id": range(250_000)})
    client.read("hr", table="people", rows=1, given={"people": much}, existing={"pets": much})
    spec = asked(served)
    assert isinstance(spec.completions[0].source, bytes)
    assert spec.existing[0].source.startswith("datasets/given-")
    assert list(served.service.datasets) == ["datasets/hr"]


def test_a_condition_on_a_number_of_children_reaches_the_server(client, served):
    client.tables("hr", where=["people.count(pets)>=2"])
    assert asked(served).conditions == {"people": (requests.Condition(rows_of="pets", low=2),)}


def test_a_condition_is_on_a_column_or_on_a_number(client):
    with pytest.raises(SyntheflowError, match="name a column, or a child table"):
        client.generate("hr", where=[Condition("id", "people", rows_of="pets", low=1)])
    with pytest.raises(SyntheflowError, match="name a column, or a child table"):
        client.generate("hr", where=[Condition(table="people", low=1)])


def test_a_training_can_keep_tables_and_learn_orphans(client, served):
    client.train("hr", keep=["pets"], epsilon=1, entity_rows=5, orphans=True, wait=False)
    settings = served.service.calls[-1][1][1]
    assert (settings["keep"], settings["entity_rows"], settings["orphans"]) == (("pets",), 5, True)


def test_filling_needs_given_rows(client):
    with pytest.raises(SyntheflowError, match="rows to be completed"):
        list(client.generate("alone", fill_missing=True))


def test_a_training_can_be_guarded_and_start_from_a_model(client, served):
    client.train("hr", rare_holders=5, base="hr", wait=False)
    settings = served.service.calls[-1][1][1]
    assert (settings["rare_holders"], settings["base_model"]) == (5, "models/hr")
    client.train("hr", epsilon=3, delta=1e-6, wait=False)
    settings = served.service.calls[-1][1][1]
    assert (settings["epsilon"], settings["delta"]) == (3.0, 1e-6)
    with pytest.raises(SyntheflowError, match="delta needs epsilon"):
        client.train("hr", delta=1e-6)
