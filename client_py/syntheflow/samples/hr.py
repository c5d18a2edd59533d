"""The HR company: seven related tables of an invented firm.

    departments <- positions <- employees -> employees (manager)
    employees <- salaries, reviews;   employees <- assignments -> projects -> departments

What belongs together in life belongs together here: field and country decide
pay, grade decides age, ratings decide raises, tenure decides how many salaries
and reviews a person has, and projects take people of their own department.
The same `employees` and `seed` give the same bytes.
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import exp, log
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from syntheflow.samples._catalogue import (
    ADVICE,
    DEPARTMENTS,
    GRADE_PAY,
    PRAISE,
    PROJECT_NOUNS,
    PROJECT_ROLES,
    PROJECT_VERBS,
    DepartmentKind,
)
from syntheflow.samples._columns import COLUMNS
from syntheflow.samples._people import COUNTRIES, Country

TODAY = date(2025, 6, 30)
_FOUNDED = date(1998, 3, 1)
_DOMAIN = "alderwick.example"
_SITES = tuple((country, city) for country in COUNTRIES for city in country.cities)
_ASCII = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "ß": "ss", "ı": "i", "'": ""})  # noqa: RUF001

Row = tuple[object, ...]


@dataclass(slots=True)
class _Department:
    id: int
    kind: DepartmentKind
    country: Country
    city: str
    opened: date
    positions: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Person:
    id: int
    department: _Department
    step: int
    country: Country
    hired: date
    left: date | None
    hours: float
    skill: float

    @property
    def grade(self) -> int:
        return self.department.kind.entry + self.step

    @property
    def last_day(self) -> date:
        return self.left or TODAY


def tables(employees: int = 1000, seed: int = 0) -> dict[str, pa.Table]:
    """Return the company's seven tables by name, parents first.

    `employees` is the number of rows of `employees`; the other tables grow with
    it. Raises ValueError if it is below 1.
    """
    if employees < 1:
        raise ValueError(f"a company needs at least 1 employee, not {employees}")
    departments = _departments(employees, _random(seed, "departments"))
    rows: dict[str, list[Row]] = {"positions": list(_positions(departments))}
    people = _people(departments, employees, _random(seed, "people"))
    rows["departments"] = list(_department_rows(departments, people, _random(seed, "budgets")))
    rows["employees"] = list(_employee_rows(people, _random(seed, "employees")))
    rows["salaries"], rows["reviews"] = _careers(people, _random(seed, "careers"))
    rows["projects"], rows["assignments"] = _projects(
        departments, people, _random(seed, "projects")
    )
    return {name: _table(columns, rows[name]) for name, columns in COLUMNS.items()}


def write(out: Path, employees: int = 1000, seed: int = 0) -> list[Path]:
    """Write the company as one CSV file a table into the folder `out`; return their paths.

    The folder is made if need be; files of the same names are replaced.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    options = csv.WriteOptions(quoting_style="needed")
    for name, table in tables(employees, seed).items():
        path = out / f"{name}.csv"
        csv.write_csv(table, path, options)
        paths.append(path)
    return paths


def _random(seed: int, purpose: str) -> random.Random:
    """Return a generator of its own for each purpose, so that one change moves one table."""
    return random.Random(f"syntheflow-hr/{seed}/{purpose}")  # noqa: S311 - not for secrets


def _table(columns: dict[str, pa.DataType], rows: list[Row]) -> pa.Table:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = [pa.array(column, kind) for column, kind in zip(values, columns.values(), strict=True)]
    return pa.table(arrays, schema=pa.schema(list(columns.items())))


def _departments(employees: int, rng: random.Random) -> list[_Department]:
    found: list[_Department] = []
    kinds = DEPARTMENTS[: max(1, min(len(DEPARTMENTS), employees // 4))]
    for kind in kinds:
        count = min(len(_SITES), max(1, round(kind.share * employees / 45)))
        weights = [country.share / len(country.cities) for country, _ in _SITES]
        keys = {site: rng.random() ** (1 / w) for site, w in zip(_SITES, weights, strict=True)}
        sites = sorted(_SITES, key=lambda site: -keys[site])[:count]
        for country, city in sites:
            opened = _day(rng, _FOUNDED, date(2016, 1, 1))
            found.append(_Department(10 * (len(found) + 1), kind, country, city, opened))
    return found


def _department_rows(
    departments: list[_Department], people: list[_Person], rng: random.Random
) -> Iterator[Row]:
    heads = Counter(person.department.id for person in people)
    for unit in departments:
        name = f"{unit.kind.name} {unit.city}"
        cost = 52_000 * unit.kind.pay * unit.country.pay * (heads[unit.id] + 1)
        budget = 1000 * round(cost * exp(rng.gauss(0.25, 0.35)) / 1000)
        yield (
            unit.id, name, unit.kind.name, unit.city, unit.country.code,
            f"CC-{4000 + unit.id}", unit.opened, budget,
        )  # fmt: skip


def _positions(departments: list[_Department]) -> Iterator[Row]:
    number = 0
    for unit in departments:
        for step, title in enumerate(unit.kind.titles):
            number += 1
            unit.positions.append(number)
            grade = unit.kind.entry + step
            middle = GRADE_PAY[grade] * unit.kind.pay * unit.country.pay
            remote = unit.kind.projects > 0.5 and (grade > 2 or unit.kind.pay > 1)
            low, high = round(middle * 0.8, -2), round(middle * 1.3, -2)
            yield number, unit.id, title, grade, int(low), int(high), remote


def _people(departments: list[_Department], count: int, rng: random.Random) -> list[_Person]:
    sizes = [unit.kind.share * unit.country.share for unit in departments]
    homes = departments[:count] + rng.choices(
        departments, sizes, k=max(0, count - len(departments))
    )
    drawn = []
    for unit in homes:
        tenure = min(rng.expovariate(1 / 5.5), 26.0)
        hired = max(TODAY - timedelta(days=int(tenure * 365.25) + 20), unit.opened)
        years = (TODAY - hired).days / 365.25
        left = _day(rng, hired + timedelta(days=15), TODAY) if rng.random() < 0.11 else None
        ladder = len(unit.kind.titles)
        weights = [0.55**step * (1 + 0.12 * years * step) for step in range(ladder)]
        step = rng.choices(range(ladder), weights)[0]
        home = unit.country if rng.random() < 0.86 else _country(rng)
        part_time = rng.random() < (0.26 if unit.kind.pay < 0.9 else 0.13)
        full = {"FR": 35.0, "GB": 37.5, "DE": 38.5, "CH": 42.0}.get(unit.country.code, 40.0)
        hours = rng.choice((20.0, 24.0, 30.0, 32.0)) if part_time else full
        drawn.append(_Person(0, unit, step, home, hired, left, hours, rng.gauss(0, 0.7)))
    drawn.sort(key=lambda person: person.hired)
    for number, person in enumerate(drawn):
        person.id = 1001 + number
    return drawn


def _country(rng: random.Random) -> Country:
    return rng.choices(COUNTRIES, [country.share for country in COUNTRIES])[0]


def _managers(people: list[_Person], rng: random.Random) -> dict[int, int]:
    """Return employee -> manager: a tree, since managers stand earlier in the order of rank."""
    order = sorted(people, key=lambda p: (p.left is not None, -p.grade, p.hired, p.id))
    above: dict[int, list[_Person]] = defaultdict(list)
    first_of_kind: dict[str, _Person] = {}
    managers: dict[int, int] = {}
    for person in order:
        home = above[person.department.id]
        seniors = [other for other in home if other.grade > person.grade]
        if seniors:
            nearest = min(other.grade for other in seniors)
            boss = rng.choice([other for other in seniors if other.grade == nearest])
            managers[person.id] = boss.id
        elif person is not order[0]:
            boss = first_of_kind.get(person.department.kind.name, order[0])
            managers[person.id] = boss.id
        home.append(person)
        first_of_kind.setdefault(person.department.kind.name, person)
    return managers


def _employee_rows(people: list[_Person], rng: random.Random) -> Iterator[Row]:
    managers = _managers(people, rng)
    taken: Counter[str] = Counter()
    for person in people:
        unit, country = person.department, person.country
        first, last = rng.choice(country.first_names), rng.choice(country.family_names)
        part_time = person.hours < 35
        kind = "part-time" if part_time else ("temporary" if rng.random() < 0.06 else "full-time")
        age = 18.5 + person.grade * 1.9 + rng.gammavariate(2.2, 2.9)
        born = person.hired - timedelta(days=int(min(age, 62.0) * 365.25))
        yield (
            person.id, first, last, _email(first, last, taken), _phone(person, rng), born,
            person.hired, person.left, unit.id, unit.positions[person.step],
            managers.get(person.id), f"G{person.grade}", kind, person.hours,
        )  # fmt: skip


def _email(first: str, last: str, taken: Counter[str]) -> str:
    plain = unicodedata.normalize("NFKD", f"{first}.{last}".translate(_ASCII))
    name = plain.encode("ascii", "ignore").decode().lower()
    taken[name] += 1
    number = str(taken[name]) if taken[name] > 1 else ""
    return f"{name}{number}@{_DOMAIN}"


def _phone(person: _Person, rng: random.Random) -> str | None:
    missing = 0.55 if person.department.kind.pay < 0.79 else 0.12
    area, local = rng.randint(20, 99), rng.randint(1_000_000, 9_999_999)
    return None if rng.random() < missing else f"{person.department.country.dial} {area} {local}"


def _careers(people: list[_Person], rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Return salaries and reviews: one review a spring, and a raise that follows its rating."""
    salaries: list[Row] = []
    reviews: list[Row] = []
    for person in people:
        country = person.department.country
        years = (person.last_day - person.hired).days / 365.25
        target = GRADE_PAY[person.grade] * person.department.kind.pay * country.pay
        target *= country.rate * person.hours / 40 * exp(rng.gauss(0, 0.10))
        amount = target / 1.028**years
        unit = 1000 if country.rate > 50 else 100
        pay = round(amount / unit) * unit
        salaries.append((len(salaries) + 1, person.id, person.hired, pay, country.currency))
        for year in range(person.hired.year + 1, person.last_day.year + 1):
            day = date(year, 2, 1) + timedelta(days=rng.randint(0, 40))
            if not person.hired + timedelta(days=120) < day < person.last_day:
                continue
            rating = min(5, max(1, round(rng.gauss(3.3 + person.skill, 0.6))))
            reviews.append((len(reviews) + 1, person.id, day, rating, *_verdict(rating, rng)))
            raised = date(year, 4, 1)
            if rng.random() > 0.22 * rating or raised > person.last_day:
                continue
            amount *= 1 + max(0.004, rng.gauss(0.011 * rating, 0.008))
            new = round(amount / unit) * unit
            if new > pay:
                pay = new
                row = (len(salaries) + 1, person.id, raised, pay, country.currency)
                salaries.append(row)
    return salaries, reviews


def _verdict(rating: int, rng: random.Random) -> tuple[int, str | None]:
    goals = min(100, max(0, 5 * round(rng.gauss(18 * rating + 12, 9) / 5)))
    if rng.random() < 0.35:
        return goals, None
    praise, advice = rng.choice(PRAISE).capitalize(), rng.choice(ADVICE)
    if rating >= 4:
        return goals, f"{praise}."
    return goals, f"{praise}, but {advice}." if rating == 3 else f"{advice.capitalize()}."


def _projects(
    departments: list[_Department], people: list[_Person], rng: random.Random
) -> tuple[list[Row], list[Row]]:
    projects: list[Row] = []
    assignments: list[Row] = []
    staff: dict[int, list[_Person]] = defaultdict(list)
    for person in people:
        staff[person.department.id].append(person)
    weights = [unit.kind.projects * (1 + len(staff[unit.id])) ** 0.7 for unit in departments]
    numbers: Counter[int] = Counter()
    count = max(2, round(len(people) * 0.18))
    ages = sorted((min(rng.expovariate(1 / 900), 3600.0) for _ in range(count)), reverse=True)
    for number, age in enumerate(ages, start=1):
        unit = rng.choices(departments, weights)[0]
        start = TODAY - timedelta(days=int(age) - 60)
        length = max(30, int(rng.lognormvariate(log(260), 0.6)))
        finish = start + timedelta(days=length)
        status, end = _status(start, finish, rng)
        budget = 100 * round(rng.lognormvariate(log(1.8 * length), 0.9) * unit.country.pay)
        numbers[start.year] += 1
        code = f"PRJ-{start.year}-{numbers[start.year]:03d}"
        name = f"{rng.choice(PROJECT_NOUNS)} {rng.choice(PROJECT_VERBS)}"
        projects.append((number, code, name, unit.id, start, end, status, budget))
        if status != "planned":
            last = end or TODAY
            team = _team(unit, staff, people, (start, last), budget, rng)
            assignments += _assignments(number, team, (start, last), rng)
    return projects, assignments


def _status(start: date, finish: date, rng: random.Random) -> tuple[str, date | None]:
    if start > TODAY:
        return "planned", None
    if rng.random() < 0.08:
        return "cancelled", min(TODAY, start + (finish - start) * rng.uniform(0.1, 0.7))
    return ("completed", finish) if finish <= TODAY else ("active", None)


def _team(
    unit: _Department,
    staff: dict[int, list[_Person]],
    people: list[_Person],
    span: tuple[date, date],
    budget: int,
    rng: random.Random,
) -> list[_Person]:
    """Return who works on a project: mostly its own department, only who was there then."""
    size = min(40, 1 + int(rng.gammavariate(2.0, 2.6) + budget / 50_000))
    start, last = span
    there: dict[int, _Person] = {}
    for _ in range(3 * size):
        person = rng.choice(staff[unit.id] if staff[unit.id] and rng.random() < 0.75 else people)
        if len(there) < size and person.hired < last and person.last_day > start:
            there[person.id] = person
    return sorted(there.values(), key=lambda person: (-person.grade, person.id))


def _assignments(
    project: int, team: list[_Person], span: tuple[date, date], rng: random.Random
) -> Iterator[Row]:
    for place, person in enumerate(team):
        start = max(span[0], person.hired)
        days = max(1, (min(span[1], person.last_day) - start).days)
        assigned = start + timedelta(days=int(days * rng.random() ** 3 * 0.8))
        role = "lead" if place == 0 else rng.choices(PROJECT_ROLES[1:], (6, 2, 1))[0]
        share = {"lead": 0.30, "contributor": 0.25, "reviewer": 0.05, "advisor": 0.03}[role]
        hours = share * (days / 7) * person.hours * exp(rng.gauss(-0.1, 0.5))
        yield person.id, project, role, max(1.0, round(hours * 2) / 2), assigned


def _day(rng: random.Random, first: date, last: date) -> date:
    return first + timedelta(days=rng.randint(0, max(0, (last - first).days)))
