"""The whole way on the HR company, through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, ipc, parquet

from support.cli import Cli
from support.company import DATASET, EMPLOYEES, MODEL, SEED, Trained
from syntheflow.samples import hr

PRIMARY_KEYS = {
    "departments": ["department_id"],
    "positions": ["position_id"],
    "employees": ["employee_id"],
    "salaries": ["salary_id"],
    "reviews": ["review_id"],
    "projects": ["project_id"],
    "assignments": ["employee_id", "project_id"],
}
REFERENCES = {
    ("positions", "department_id", "departments", "department_id"),
    ("employees", "department_id", "departments", "department_id"),
    ("employees", "position_id", "positions", "position_id"),
    ("employees", "manager_id", "employees", "employee_id"),
    ("salaries", "employee_id", "employees", "employee_id"),
    ("reviews", "employee_id", "employees", "employee_id"),
    ("projects", "department_id", "departments", "department_id"),
    ("assignments", "employee_id", "employees", "employee_id"),
    ("assignments", "project_id", "projects", "project_id"),
}


@pytest.fixture(scope="module")
def generated(server, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    Cli(server.address, folder).run("generate", MODEL, "--out", folder, "--seed", 3)
    return folder


def read(folder: Path) -> dict[str, pa.Table]:
    return {path.stem: parquet.read_table(path) for path in folder.glob("*.parquet")}


def test_upload_finds_the_tables_and_their_sizes(cli: Cli):
    dataset = cli.json("datasets", "show", DATASET)
    real = hr.tables(EMPLOYEES, seed=SEED)
    assert {t["name"]: t["rows"] for t in dataset["tables"]} == {
        name: table.num_rows for name, table in real.items()
    }


def test_upload_tells_what_it_found(trained: Trained):
    for name in PRIMARY_KEYS:
        assert name in trained.uploaded


def test_upload_infers_every_key_and_reference(cli: Cli):
    schema = json.loads(cli.run("schema", "show", DATASET, "--format", "json").stdout)
    assert {t["name"]: t["primary_key"] for t in schema["tables"]} == PRIMARY_KEYS
    found = {
        (key["child_table"], *key["child_columns"], key["parent_table"], *key["parent_columns"])
        for key in schema["foreign_keys"]
    }
    assert found == REFERENCES


def test_the_schema_shown_can_be_applied_again(cli: Cli):
    shown = cli.run("schema", "show", DATASET, "--format", "yaml").stdout
    (cli.folder / "schema.yaml").write_text(shown)
    cli.run("schema", "apply", DATASET, "schema.yaml")
    assert cli.run("schema", "show", DATASET, "--format", "yaml").stdout == shown


def test_generated_tables_have_the_columns_and_types_of_the_real_ones(generated: Path):
    real = hr.tables(EMPLOYEES, seed=SEED)
    made = read(generated)
    assert made.keys() == real.keys()
    for name, table in made.items():
        assert table.schema.names == real[name].schema.names
        assert [str(t) for t in table.schema.types] == [str(t) for t in real[name].schema.types]
        assert table.num_rows > 0


def test_generated_keys_are_unique_and_every_reference_resolves(generated: Path):
    made = read(generated)
    for table, key in PRIMARY_KEYS.items():
        rows = made[table].select(key).to_pylist()
        assert len({tuple(row.values()) for row in rows}) == len(rows), table
    for child, column, parent, key in REFERENCES:
        known = set(made[parent][key].to_pylist())
        assert set(made[child][column].to_pylist()) - {None} <= known, (child, column)


def test_generated_tables_are_about_as_large_as_the_real_ones(generated: Path):
    real = hr.tables(EMPLOYEES, seed=SEED)
    for name, table in read(generated).items():
        assert 0.4 < table.num_rows / real[name].num_rows < 2.5, name


def test_no_real_person_is_among_the_generated(generated: Path):
    real = {
        (r["first_name"], r["last_name"], r["birth_date"])
        for r in hr.tables(EMPLOYEES, seed=SEED)["employees"].to_pylist()
    }
    made = read(generated)["employees"].to_pylist()
    assert not real & {(r["first_name"], r["last_name"], r["birth_date"]) for r in made}


@pytest.mark.parametrize("kind", ["csv", "json", "arrow"])
def test_every_format_holds_the_same_rows(cli: Cli, generated: Path, kind: str):
    cli.run("generate", MODEL, "--out", "out", "--format", kind, "--seed", 3)
    path = next((cli.folder / "out").glob("salaries.*"))
    expected = parquet.read_table(generated / "salaries.parquet")
    if kind == "csv":
        options = csv.ConvertOptions(column_types=expected.schema)
        assert csv.read_csv(path, convert_options=options).equals(expected)
    elif kind == "json":
        rows = json.loads(path.read_text())
        assert [r["amount"] for r in rows] == expected["amount"].to_pylist()
        assert [r["valid_from"] for r in rows] == [
            str(d) for d in expected["valid_from"].to_pylist()
        ]
    else:
        assert ipc.open_stream(path).read_all().equals(expected)


def test_arrow_can_be_piped(cli: Cli, generated: Path):
    piped = cli.bytes(
        "generate", MODEL, "--out", "-", "--format", "arrow", "--table", "employees", "--seed", 3
    )
    assert (
        ipc.open_stream(piped)
        .read_all()
        .equals(parquet.read_table(generated / "employees.parquet"))
    )


def test_scale_makes_a_larger_company(cli: Cli, generated: Path):
    cli.run("generate", MODEL, "--out", "big", "--scale", 3, "--seed", 3)
    grown = read(cli.folder / "big")
    base = read(generated)
    small = sum(t.num_rows for t in base.values())
    large = sum(t.num_rows for t in grown.values())
    assert 2 < large / small < 4.5
    ids = set(grown["employees"]["employee_id"].to_pylist())
    for child in ("salaries", "reviews", "assignments"):
        assert set(grown[child]["employee_id"].to_pylist()) <= ids


def test_the_report_scores_the_model_and_names_its_parts(trained: Trained):
    report = json.loads(trained.report_json.read_text())
    assert 0 < report["quality"] <= 1
    parts = {part["name"]: part["value"] for part in report["parts"]}
    assert parts["key_integrity"] == 1
    assert {"detection", "column_shapes", "pair_trends", "child_counts", "copying"} <= parts.keys()
    assert {table["table"] for table in report["tables"]} == set(PRIMARY_KEYS)


def test_the_report_is_one_readable_page(trained: Trained):
    page = trained.report_html.read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "employees" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page


def test_too_low_a_quality_ends_with_an_exit_code(cli: Cli):
    ended = cli.run("validate", MODEL, "--min-quality", "1.0", check=False)
    assert ended.returncode != 0
    assert "quality" in (ended.stdout + ended.stderr).lower()


def test_an_unknown_model_is_told_in_one_sentence(cli: Cli):
    ended = cli.run("generate", "nobody", "--out", "x", check=False)
    assert ended.returncode != 0
    assert "nobody" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_bad_file_is_refused_and_leaves_nothing_behind(cli: Cli):
    (cli.folder / "good.csv").write_text("a,b\n1,2\n3,4\n")
    (cli.folder / "bad.jsonl").write_text('{"a": 1}\n{"a": oops}\n')
    ended = cli.run("upload", "broken", "good.csv", "bad.jsonl", check=False)
    assert ended.returncode != 0
    assert "bad" in ended.stderr
    assert "2" in ended.stderr
    names = [entry["name"] for entry in cli.json("datasets", "list")]
    assert not [name for name in names if "broken" in name]
