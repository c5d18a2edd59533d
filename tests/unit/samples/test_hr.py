"""The HR company is whole, plausible, seeded, and of the size asked for."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv

from syntheflow.samples import hr

NAMES = [
    "departments", "positions", "employees", "salaries", "reviews", "projects", "assignments",
]  # fmt: skip
REFERENCES = [
    ("positions", "department_id", "departments", "department_id"),
    ("employees", "department_id", "departments", "department_id"),
    ("employees", "position_id", "positions", "position_id"),
    ("employees", "manager_id", "employees", "employee_id"),
    ("salaries", "employee_id", "employees", "employee_id"),
    ("reviews", "employee_id", "employees", "employee_id"),
    ("projects", "department_id", "departments", "department_id"),
    ("assignments", "employee_id", "employees", "employee_id"),
    ("assignments", "project_id", "projects", "project_id"),
]


@pytest.fixture(scope="module")
def company() -> dict[str, pa.Table]:
    return hr.tables(employees=600, seed=3)


def rows(company: dict[str, pa.Table], name: str) -> list[dict]:
    return company[name].to_pylist()


def test_the_tables_come_parents_first(company):
    assert list(company) == NAMES


@pytest.mark.parametrize("count", [1, 2, 7, 60, 600])
def test_every_reference_resolves_at_every_size(count):
    company = hr.tables(employees=count, seed=1)
    assert company["employees"].num_rows == count
    for child, column, parent, key in REFERENCES:
        keys = set(company[parent][key].to_pylist())
        assert set(company[child][column].to_pylist()) - {None} <= keys, (child, column)


def test_a_company_without_people_is_refused():
    with pytest.raises(ValueError, match="at least 1 employee"):
        hr.tables(employees=0)


def test_keys_emails_and_codes_are_unique(company):
    keys = [
        ("departments", "department_id"), ("departments", "name"), ("positions", "position_id"),
        ("employees", "employee_id"), ("employees", "email"), ("salaries", "salary_id"),
        ("reviews", "review_id"), ("projects", "project_id"), ("projects", "code"),
    ]  # fmt: skip
    for table, column in keys:
        values = company[table][column].to_pylist()
        assert len(set(values)) == len(values), (table, column)
    pairs = [(r["employee_id"], r["project_id"]) for r in rows(company, "assignments")]
    assert len(set(pairs)) == len(pairs) > 300


def test_managers_form_one_tree(company):
    boss = {r["employee_id"]: r["manager_id"] for r in rows(company, "employees")}
    assert list(boss.values()).count(None) == 1
    for start in boss:
        person, seen = start, set()
        while boss[person] is not None:
            assert person not in seen, "a circle of managers"
            seen.add(person)
            person = boss[person]


def test_a_position_belongs_to_its_holders_department(company):
    home = {r["position_id"]: r["department_id"] for r in rows(company, "positions")}
    for person in rows(company, "employees"):
        assert home[person["position_id"]] == person["department_id"]


def test_emails_are_made_of_names(company):
    assert hr.tables(50, seed=0)["employees"]["email"][0].as_py().endswith("@alderwick.example")
    plain = [r for r in rows(company, "employees") if (r["first_name"] + r["last_name"]).isascii()]
    assert plain
    for person in plain:
        last = person["last_name"].replace("'", "")
        assert person["email"].startswith(f"{person['first_name']}.{last}".lower())


def test_dates_are_in_order(company):
    for person in rows(company, "employees"):
        assert (person["hire_date"] - person["birth_date"]).days > 18 * 365
        assert person["left_on"] is None or person["left_on"] > person["hire_date"]
    for project in rows(company, "projects"):
        assert project["end_date"] is None or project["end_date"] > project["start_date"]
    span = {r["project_id"]: r for r in rows(company, "projects")}
    for row in rows(company, "assignments"):
        assert row["assigned_on"] >= span[row["project_id"]]["start_date"]


def test_salaries_rise_from_the_day_of_hiring(company):
    hired = {r["employee_id"]: r["hire_date"] for r in rows(company, "employees")}
    series = defaultdict(list)
    for row in rows(company, "salaries"):
        series[row["employee_id"]].append((row["valid_from"], row["amount"], row["currency"]))
    assert series.keys() == hired.keys()
    for person, steps in series.items():
        assert steps[0][0] == hired[person]
        for (day, pay, money), (later, more, same) in pairwise(steps):
            assert day < later
            assert pay < more
            assert money == same


def test_tenure_decides_how_many_salaries_there_are(company):
    counts = Counter(company["salaries"]["employee_id"].to_pylist())
    people = [r for r in rows(company, "employees") if r["left_on"] is None]
    years = [(hr.TODAY - r["hire_date"]).days for r in people]
    assert statistics.correlation(years, [counts[r["employee_id"]] for r in people]) > 0.8


def test_good_ratings_bring_raises(company):
    raised = {(r["employee_id"], r["valid_from"].year) for r in rows(company, "salaries")}
    chances = defaultdict(list)
    for review in rows(company, "reviews"):
        chances[review["rating"]].append(
            (review["employee_id"], review["review_date"].year) in raised
        )
    assert statistics.mean(chances[2]) + 0.25 < statistics.mean(chances[5])


def test_grades_decide_pay(company):
    grade = {r["employee_id"]: int(r["salary_grade"][1:]) for r in rows(company, "employees")}
    euros = [r for r in rows(company, "salaries") if r["currency"] == "EUR"]
    grades = [grade[r["employee_id"]] for r in euros]
    assert statistics.correlation(grades, [r["amount"] for r in euros]) > 0.6


def test_some_values_are_missing_and_budgets_are_skewed(company):
    employees = company["employees"].num_rows
    assert 0.1 < company["employees"]["phone"].null_count / employees < 0.5
    assert 0.05 < company["employees"]["left_on"].null_count / employees < 0.95
    budgets = company["projects"]["budget"].to_pylist()
    assert statistics.mean(budgets) > 1.2 * statistics.median(budgets)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path):
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        paths = hr.write(tmp_path / folder, employees=40, seed=seed)
        assert [path.name for path in paths] == [f"{name}.csv" for name in NAMES]
    same = [(tmp_path / f / "employees.csv").read_bytes() for f in "abc"]
    assert same[0] == same[1] != same[2]


def test_the_files_say_what_the_tables_say(tmp_path: Path):
    hr.write(tmp_path, employees=40, seed=2)
    for name, table in hr.tables(40, seed=2).items():
        options = csv.ConvertOptions(column_types=table.schema, strings_can_be_null=True)
        assert csv.read_csv(tmp_path / f"{name}.csv", convert_options=options).equals(table)
