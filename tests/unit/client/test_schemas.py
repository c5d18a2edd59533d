"""Schema files: both forms, partial ones, and every fault by its place."""

from __future__ import annotations

import json

import pytest
import yaml

from syntheflow import Column, Schema, SyntheflowError, Table, messages, schemas


@pytest.fixture
def whole(client) -> dict:
    return schemas.to_dict(client.get_dataset("hr").schema)


def test_the_json_form_is_the_promised_one(whole):
    assert whole.keys() == {"tables", "foreign_keys", "rules"}
    assert whole["rules"] == []
    assert list(whole["tables"][0]) == ["name", "primary_key", "columns"]
    assert whole["tables"][0]["primary_key"] == ["id"]
    assert list(whole["tables"][0]["columns"][0]) == ["name", "type", "semantic_type", "nullable"]
    assert whole["foreign_keys"] == [
        {
            "child_table": "pets",
            "child_columns": ["owner"],
            "parent_table": "people",
            "parent_columns": ["id"],
        }
    ]


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_is_dumped_is_loaded_again(whole, tmp_path, form):
    path = tmp_path / f"schema.{form}"
    path.write_text(schemas.dump(whole, form), encoding="utf-8")
    assert schemas.load(path) == whole


def test_dumps_are_what_other_readers_read(whole):
    assert json.loads(schemas.dump(whole, "json")) == whole
    assert yaml.safe_load(schemas.dump(whole, "yaml")) == whole


def test_a_schema_value_can_be_given_back(client, whole):
    found = client.get_dataset("hr").schema
    assert isinstance(found, Schema)
    given = messages.schema(messages.schema_message(schemas.checked(found.to_dict())))
    assert given == found
    assert schemas.to_dict(given) == whole


def test_what_a_database_declares_goes_there_and_back():
    column = Column("id", "int64", "identifier", False, native_type="integer", identity=True)
    table = Table("people", ("id",), (column,), unique_keys=(("id",),), checks=("id > 0",))
    found = Schema((table,), dialect="postgresql")
    form = schemas.checked(schemas.to_dict(found))
    assert form["dialect"] == "postgresql"
    assert form["tables"][0]["unique_keys"] == [["id"]]
    assert messages.schema(messages.schema_message(form)) == found
    kept = schemas.merged(form, {"tables": [{"name": "people", "primary_key": []}]})
    assert messages.schema(messages.schema_message(kept)).tables[0].checks == ("id > 0",)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ([], "schema"),
        (None, "schema"),
        ({"tabels": []}, "schema.tabels"),
        ({"tables": {}}, "schema.tables"),
        ({"dialect": 3}, "schema.dialect"),
        ({"tables": [{"name": "t", "unique_keys": ["id"]}]}, "tables[0].unique_keys"),
        ({"tables": [{"name": "t", "checks": [1]}]}, "tables[0].checks"),
        ({"tables": ["people"]}, "tables[0]"),
        ({"tables": [{"columns": []}]}, "tables[0].name"),
        ({"tables": [{"name": "t", "primary_key": "id"}]}, "tables[0].primary_key"),
        ({"tables": [{"name": "t", "primary_key": [1]}]}, "tables[0].primary_key"),
        ({"tables": [{"name": "t", "columns": [{"type": "string"}]}]}, "tables[0].columns[0].name"),
        (
            {"tables": [{"name": "t", "columns": [{"name": "c", "nullable": "no"}]}]},
            "tables[0].columns[0].nullable",
        ),
        (
            {"tables": [{"name": "t", "columns": [{"name": "c", "semantic_type": "words"}]}]},
            "tables[0].columns[0].semantic_type",
        ),
        ({"foreign_keys": [{"child_table": "t"}]}, "foreign_keys[0].parent_table"),
        ({"rules": ["a < b"]}, "rules"),
    ],
)
def test_every_fault_is_named_by_its_place(fields, place):
    with pytest.raises(SyntheflowError) as seen:
        schemas.checked(fields)
    assert place in {violation.field for violation in seen.value.violations}


@pytest.mark.parametrize("text", ["tables: [", "\x00", "{'a': "])
def test_a_file_that_is_neither_form_is_told_in_one_line(tmp_path, text):
    path = tmp_path / "schema.yaml"
    path.write_text(text)
    with pytest.raises(SyntheflowError, match="neither YAML nor JSON") as seen:
        schemas.load(path)
    assert "\n" not in seen.value.message


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SyntheflowError, match="cannot be read"):
        schemas.load(tmp_path / "none.yaml")


def test_a_partial_schema_changes_only_what_it_says(whole):
    part = {
        "tables": [
            {"name": "people", "columns": [{"name": "name", "semantic_type": "category"}]},
            {"name": "pets", "primary_key": []},
        ]
    }
    merged = schemas.merged(whole, part)
    assert merged["tables"][0]["columns"][1] == {
        "name": "name",
        "type": "string",
        "semantic_type": "category",
        "nullable": False,
    }
    assert merged["tables"][0]["primary_key"] == ["id"]
    assert merged["tables"][1]["primary_key"] == []
    assert merged["foreign_keys"] == whole["foreign_keys"]


def test_a_list_of_keys_replaces_the_whole_list(whole):
    assert schemas.merged(whole, {"foreign_keys": []})["foreign_keys"] == []


def test_nothing_given_changes_nothing(whole):
    assert schemas.merged(whole, {}) == whole


@pytest.mark.parametrize(
    "part",
    [
        {"tables": [{"name": "cars"}]},
        {"tables": [{"name": "pets", "columns": [{"name": "colour"}]}]},
    ],
)
def test_unknown_tables_and_columns_are_refused(whole, part):
    with pytest.raises(SyntheflowError, match=r"no (table|column)"):
        schemas.merged(whole, part)
