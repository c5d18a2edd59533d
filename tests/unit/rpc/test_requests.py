"""What requests may say, and how all their faults are told at once."""

from __future__ import annotations

import pytest

from support import scripted
from syntheflow.v1 import schema_pb2
from syntheflow.v1.synthesis_service_pb2 import (
    FORMAT_ARCHIVE,
    FORMAT_CSV,
    Completion,
    Condition,
    Existing,
    GenerateRequest,
    PrivacyBudget,
    RowRange,
    Scalar,
    TableRows,
    TrainRequest,
    ValueRange,
    ValueSet,
    ValueShare,
    ValueShares,
)
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.schema import SemanticType
from syntheflow_server.jobs import requests
from syntheflow_server.rpc.checks import Checks
from syntheflow_server.rpc.schemas import hint_of, schema_message, schema_of
from syntheflow_server.rpc.synthesis import generation_spec, training_settings


def broken_fields(work) -> set[str]:
    with pytest.raises(InvalidArgumentError) as seen:
        work()
    return {violation.field for violation in seen.value.violations}


def test_a_generate_request_says_what_to_make():
    request = GenerateRequest(
        model="models/hr",
        seed=3,
        scale=2.5,
        rows=[TableRows(table="people", rows=7)],
        tables=["people", "pets"],
        format=FORMAT_CSV,
    )
    assert generation_spec(request) == requests.GenerationSpec(
        model="models/hr",
        seed=3,
        scale=2.5,
        rows={"people": 7},
        tables=("people", "pets"),
        format="csv",
    )


def test_what_a_generate_request_leaves_out_has_its_default():
    spec = generation_spec(GenerateRequest(model="models/hr"))
    assert spec == requests.GenerationSpec(model="models/hr", scale=1.0, format="arrow")


def test_a_window_is_taken_over():
    window = RowRange(table="people", start_row=5, row_count=6)
    spec = generation_spec(GenerateRequest(model="models/hr", range=window))
    assert spec.range == requests.RowRange("people", 5, 6)


def values(*scalars: Scalar) -> ValueSet:
    return ValueSet(values=scalars)


def shares(**by_text: float) -> ValueShares:
    return ValueShares(
        shares=[ValueShare(value=Scalar(text=text), share=share) for text, share in by_text.items()]
    )


def test_conditions_are_taken_over_by_table():
    request = GenerateRequest(
        model="models/hr",
        temperature=0.5,
        conditions=[
            Condition(table="a", column="x", values=values(Scalar(text="A"), Scalar(missing=True))),
            Condition(table="b", column="x", range=ValueRange(low=Scalar(integer=3))),
            Condition(table="a", column="y", shares=shares(A=0.5, B=0.25)),
            Condition(table="a", column="z", values=values(Scalar(boolean=False))),
            Condition(
                table="a",
                column="w",
                range=ValueRange(low=Scalar(number=0.5), high=Scalar(number=1.5)),
            ),
        ],
    )
    spec = generation_spec(request)
    assert spec.temperature == 0.5
    assert spec.conditions == {
        "a": (
            requests.Condition("x", values=("A", None)),
            requests.Condition("y", shares=(("A", 0.5), ("B", 0.25))),
            requests.Condition("z", values=(False,)),
            requests.Condition("w", low=0.5, high=1.5),
        ),
        "b": (requests.Condition("x", low=3),),
    }


def test_completions_are_taken_over():
    request = GenerateRequest(
        model="models/hr",
        completions=[
            Completion(table="a", arrow_ipc=b"rows", fill_missing=True),
            Completion(table="b", dataset="datasets/some", fill_missing=True),
        ],
    )
    spec = generation_spec(request)
    assert spec.completions == (
        requests.GivenRows("a", b"rows"),
        requests.GivenRows("b", "datasets/some"),
    )
    assert spec.fill_missing


def test_existing_rows_and_orphans_are_taken_over():
    request = GenerateRequest(
        model="models/hr",
        existing=[
            Existing(table="a", arrow_ipc=b"rows"),
            Existing(table="b", dataset="datasets/some"),
        ],
        orphans=True,
    )
    spec = generation_spec(request)
    assert spec.orphans
    assert spec.existing == (
        requests.GivenRows("a", b"rows"),
        requests.GivenRows("b", "datasets/some"),
    )


def counted(**rule) -> dict:
    return {"conditions": [Condition(table="a", rows_of="b", **rule)]}


def test_a_condition_on_a_number_of_children_is_taken_over():
    spec = generation_spec(
        GenerateRequest(model="models/hr", **counted(range=ValueRange(low=Scalar(integer=3))))
    )
    assert spec.conditions == {"a": (requests.Condition(rows_of="b", low=3),)}
    assert spec.conditions["a"][0].fields() == {"rows_of": "b", "low": 3}


def test_conditions_on_numbers_of_several_children_go_together():
    conditions = [
        Condition(table="a", rows_of=child, values=values(Scalar(integer=0), Scalar(integer=2)))
        for child in ("b", "c")
    ]
    spec = generation_spec(GenerateRequest(model="models/hr", conditions=conditions))
    assert [rule.rows_of for rule in spec.conditions["a"]] == ["b", "c"]


def test_a_condition_that_says_only_what_it_says_reaches_the_engine():
    assert requests.Condition("x", low=0).fields() == {"column": "x", "low": 0}
    assert requests.Condition("x", values=(None,)).fields() == {"column": "x", "values": (None,)}


def wish(**rule) -> dict:
    return {"conditions": [Condition(table="a", column="x", **rule)]}


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        (wish(), {"conditions[0]"}),
        (wish(values=values()), {"conditions[0].values"}),
        (wish(values=values(Scalar())), {"conditions[0].values[0]"}),
        (wish(values=values(Scalar(missing=False))), {"conditions[0].values[0]"}),
        (wish(values=values(Scalar(text="x" * 100_001))), {"conditions[0].values[0]"}),
        (wish(values=values(*[Scalar(integer=1)] * 10_001)), {"conditions[0].values"}),
        (wish(range=ValueRange()), {"conditions[0].range"}),
        (wish(range=ValueRange(low=Scalar(missing=True))), {"conditions[0].range.low"}),
        (
            wish(range=ValueRange(low=Scalar(integer=3), high=Scalar(number=2.5))),
            {"conditions[0].range"},
        ),
        (wish(range=ValueRange(high=Scalar(number=float("nan")))), {"conditions[0].range.high"}),
        (wish(shares=ValueShares()), {"conditions[0].shares"}),
        (wish(shares=shares(A=0.75, B=0.5)), {"conditions[0].shares"}),
        (wish(shares=shares(A=-0.5)), {"conditions[0].shares.shares[0].share"}),
        (
            wish(shares=ValueShares(shares=[*shares(A=0.1).shares, *shares(A=0.2).shares])),
            {"conditions[0].shares"},
        ),
        (
            {"conditions": [Condition(table="", column="", values=values(Scalar(text="A")))]},
            {"conditions[0].table", "conditions[0].column"},
        ),
        (
            {"conditions": [*wish(values=values(Scalar(text="A")))["conditions"]] * 2},
            {"conditions[1]"},
        ),
        (counted(), {"conditions[0]"}),
        (counted(shares=shares(A=0.5)), {"conditions[0]"}),
        (counted(values=values(Scalar(integer=-1))), {"conditions[0]"}),
        (counted(values=values(Scalar(text="3"))), {"conditions[0]"}),
        (counted(values=values(Scalar(boolean=True))), {"conditions[0]"}),
        (counted(range=ValueRange(high=Scalar(number=2.5))), {"conditions[0]"}),
        (counted(column="x", range=ValueRange(low=Scalar(integer=3))), {"conditions[0]"}),
        (
            {"conditions": counted(values=values(Scalar(integer=1)))["conditions"] * 2},
            {"conditions[1]"},
        ),
        ({"existing": [Existing(table="a")]}, {"existing[0]"}),
        ({"existing": [Existing(table="a", dataset="hr")]}, {"existing[0].dataset"}),
        ({"existing": [Existing(table="a", arrow_ipc=b"x")] * 2}, {"existing"}),
        (
            {"existing": [Existing(arrow_ipc=b"x" * (3 * 2**20 + 1))]},
            {"existing[0].table", "existing[0].arrow_ipc"},
        ),
        ({"temperature": -0.5}, {"temperature"}),
        ({"temperature": 10.5}, {"temperature"}),
        ({"temperature": float("nan")}, {"temperature"}),
        ({"completions": [Completion(table="a")]}, {"completions[0]"}),
        ({"completions": [Completion(arrow_ipc=b"x")]}, {"completions[0].table"}),
        (
            {"completions": [Completion(table="a", arrow_ipc=b"")]},
            {"completions[0].arrow_ipc"},
        ),
        (
            {"completions": [Completion(table="a", arrow_ipc=b"x" * (3 * 2**20 + 1))]},
            {"completions[0].arrow_ipc"},
        ),
        (
            {"completions": [Completion(table="a", dataset="models/hr")]},
            {"completions[0].dataset"},
        ),
        ({"completions": [Completion(table="a", arrow_ipc=b"x")] * 2}, {"completions"}),
        (
            {
                "completions": [
                    Completion(table="a", arrow_ipc=b"x"),
                    Completion(table="b", arrow_ipc=b"x", fill_missing=True),
                ]
            },
            {"completions"},
        ),
    ],
)
def test_every_broken_rule_of_a_wish_is_named(fields, broken):
    request = GenerateRequest(**{"model": "models/hr", **fields})
    assert broken_fields(lambda: generation_spec(request)) == broken


def test_a_broken_condition_names_its_table_and_column():
    request = GenerateRequest(model="models/hr", **wish(shares=shares(A=0.75, B=0.5)))
    with pytest.raises(InvalidArgumentError, match="table 'a', column 'x'") as seen:
        generation_spec(request)
    violation = seen.value.violations[0]
    assert (violation.table, violation.column) == ("a", "x")


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"model": "hr"}, {"model"}),
        ({"model": "datasets/hr"}, {"model"}),
        ({"seed": -1}, {"seed"}),
        ({"scale": -0.5}, {"scale"}),
        ({"scale": float("nan")}, {"scale"}),
        ({"scale": float("inf")}, {"scale"}),
        ({"rows": [TableRows(table="", rows=1)]}, {"rows[0].table"}),
        ({"rows": [TableRows(table="a", rows=-1)]}, {"rows[0].rows"}),
        ({"rows": [TableRows(table="a", rows=10**12 + 1)]}, {"rows[0].rows"}),
        ({"rows": [TableRows(table="a"), TableRows(table="a")]}, {"rows"}),
        ({"tables": ["a", "a"]}, {"tables"}),
        ({"tables": ["x" * 1_001]}, {"tables[0]"}),
        ({"tables": ["nul\0"]}, {"tables[0]"}),
        ({"tables": ["a"], "range": RowRange(table="a")}, {"tables"}),
        ({"range": RowRange(start_row=1)}, {"range.table"}),
        ({"range": RowRange(table="a", start_row=-1)}, {"range.start_row"}),
        ({"range": RowRange(table="a", row_count=-1)}, {"range.row_count"}),
        ({"format": FORMAT_ARCHIVE}, {"format"}),
        ({"format": 99}, {"format"}),
        ({"model": "", "seed": -1, "scale": -1}, {"model", "seed", "scale"}),
    ],
)
def test_every_broken_rule_of_a_generate_request_is_named(fields, broken):
    request = GenerateRequest(**{"model": "models/hr", **fields})
    assert broken_fields(lambda: generation_spec(request)) == broken


def test_a_training_can_be_guarded_and_start_from_a_model():
    request = TrainRequest(
        dataset="datasets/hr",
        rare_holders=5,
        privacy=PrivacyBudget(epsilon=3, delta=1e-6),
        base_model="models/hr",
    )
    settings = training_settings(request)
    assert {
        name: settings[name] for name in ("rare_holders", "epsilon", "delta", "base_model")
    } == {
        "rare_holders": 5,
        "epsilon": 3.0,
        "delta": 1e-6,
        "base_model": "models/hr",
    }


def test_a_training_can_keep_tables_bound_entities_and_learn_orphans():
    settings = training_settings(
        TrainRequest(
            dataset="datasets/hr",
            privacy=PrivacyBudget(epsilon=3),
            keep_tables=["countries", "airports"],
            entity_rows=20,
            orphans=True,
        )
    )
    assert settings["keep"] == ("countries", "airports")
    assert (settings["entity_rows"], settings["orphans"]) == (20, True)
    plain = training_settings(TrainRequest(dataset="datasets/hr"))
    assert (plain["keep"], plain["entity_rows"], plain["orphans"]) == ((), None, False)


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"rare_holders": 0}, {"rare_holders"}),
        ({"rare_holders": 1_000_001}, {"rare_holders"}),
        ({"privacy": PrivacyBudget()}, {"privacy.epsilon"}),
        ({"privacy": PrivacyBudget(epsilon=float("inf"))}, {"privacy.epsilon"}),
        ({"privacy": PrivacyBudget(epsilon=1, delta=0)}, {"privacy.delta"}),
        ({"privacy": PrivacyBudget(epsilon=1, delta=1)}, {"privacy.delta"}),
        ({"base_model": "hr"}, {"base_model"}),
        ({"keep_tables": ["a", "a"]}, {"keep_tables"}),
        ({"keep_tables": ["a", ""]}, {"keep_tables[1]"}),
        ({"entity_rows": 5}, {"entity_rows"}),
        ({"entity_rows": 0, "privacy": PrivacyBudget(epsilon=1)}, {"entity_rows"}),
        ({"dataset": "", "seed": -1}, {"dataset", "seed"}),
    ],
)
def test_every_broken_rule_of_a_train_request_is_named(fields, broken):
    request = TrainRequest(**{"dataset": "datasets/hr", **fields})
    assert broken_fields(lambda: training_settings(request)) == broken


def test_a_schema_survives_the_way_there_and_back():
    assert schema_of(schema_message(scripted.schema())) == scripted.schema()


@pytest.mark.parametrize("semantic", SemanticType)
def test_every_semantic_type_is_in_the_contract(semantic):
    column = scripted.schema().tables[0].columns[0].model_copy(update={"semantic_type": semantic})
    table = scripted.schema().tables[0].model_copy(update={"columns": (column,)})
    whole = scripted.one_table().model_copy(update={"tables": (table,)})
    assert schema_of(schema_message(whole)) == whole


def test_a_whole_schema_must_not_leave_out_types():
    message = schema_pb2.Schema(
        tables=[schema_pb2.Table(name="t", columns=[schema_pb2.Column(name="c")])]
    )
    assert broken_fields(lambda: schema_of(message)) == {
        "schema.tables.t.columns.c.type",
        "schema.tables.t.columns.c.semantic_type",
    }


def test_a_schema_that_contradicts_itself_is_refused():
    message = schema_message(scripted.schema())
    message.tables[1].name = "people"
    assert "schema.tables" in broken_fields(lambda: schema_of(message))
    unknown = schema_message(scripted.schema())
    unknown.foreign_keys[0].parent_table = "nobody"
    assert broken_fields(lambda: schema_of(unknown)) == {"foreign_keys"}


def test_an_upload_may_fix_only_a_part_of_the_schema():
    message = schema_pb2.Schema(
        tables=[
            schema_pb2.Table(
                name="t",
                columns=[
                    schema_pb2.Column(name="zip", type="string"),
                    schema_pb2.Column(name="x", semantic_type=schema_pb2.SEMANTIC_TYPE_CODE),
                ],
            )
        ]
    )
    checks = Checks()
    hint = hint_of(message, checks)
    checks.done()
    columns = hint.tables[0].columns
    assert [(c.name, c.type, c.semantic_type) for c in columns] == [
        ("zip", "string", None),
        ("x", "", SemanticType.CODE),
    ]
    assert hint.foreign_keys == ()


def test_an_unknown_semantic_type_is_refused_and_not_guessed():
    column = schema_pb2.Column(name="c", type="string", semantic_type=77)
    message = schema_pb2.Schema(tables=[schema_pb2.Table(name="t", columns=[column])])
    checks = Checks()
    hint_of(message, checks)
    assert broken_fields(checks.done) == {"header.schema.tables[0].columns[0].semantic_type"}
