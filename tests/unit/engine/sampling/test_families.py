"""What can be asked of related tables: kept, given and existing rows, conditions across them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import World, learn, world

from syntheflow_server.domain.errors import InvalidArgumentError, UnsupportedError
from syntheflow_server.engine import FittedModel, Sampler, SampleSpec, holdout_rows, load
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.spec import Condition

Tables = Mapping[str, pa.Table]


def store() -> World:
    """Customers > orders (dated) > lines with a composite key; a tree of employees."""
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(150), rng.integers(1, 6, 150))
    lines = [(o, p) for o in range(len(owner)) for p in rng.permutation(20)[: 1 + o % 4]]
    days = [date(2020, 1, 1) + timedelta(int(d)) for d in rng.integers(0, 900, len(owner))]
    names = np.array([f"C{i:03d}x" for i in range(150)])
    tables = {
        "customer": {"id": names, "city": rng.choice(["Oslo", "Rome", "Kyiv"], 150)},
        "employee": {"id": np.arange(8) + 10, "boss": [None, 10, 10, 11, 11, 12, 12, 13]},
        "product": {"id": np.arange(20) + 1, "price": np.round(rng.gamma(2, 9, 20), 2)},
        "order": {
            "id": np.arange(len(owner)) + 1000,
            "customer": names[owner],
            "seller": rng.integers(10, 18, len(owner)),
            "day": pa.array(days, pa.date32()),
        },
        "line": {
            "order": [1000 + o for o, _ in lines],
            "product": [int(p) + 1 for _, p in lines],
            "amount": rng.integers(1, 9, len(lines)),
        },
    }
    keys = {"line": "order, product"}
    return world(
        {name: (pa.table(columns), keys.get(name, "id")) for name, columns in tables.items()},
        [
            "employee(boss) -> employee(id)",
            "order(customer) -> customer(id)",
            "order(seller) -> employee(id)",
            "line(order) -> order(id)",
            "line(product) -> product(id)",
        ],
    )


def rows_of(made: World) -> dict[str, pa.Table]:
    schema, tables = made
    return {
        name: pa.table({c: table.column(c) for c in schema.table(name).column_names}).cast(
            schema.table(name).arrow
        )
        for name, table in tables.items()
    }


@pytest.fixture(scope="module")
def real() -> dict[str, pa.Table]:
    return rows_of(store())


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return learn(store())


@pytest.fixture(scope="module")
def keeping() -> FittedModel:
    return learn(store(), keep=("product", "employee"))


def make(
    model: FittedModel, seeds: Tables | None = None, existing: Tables | None = None, **spec
) -> dict[str, pa.Table]:
    """Return all rows of a request and check that every reference resolves and no key repeats."""
    sampler, existing = Sampler(model), existing or {}
    plan = sampler.plan(SampleSpec(**spec), lambda: None, None, seeds or {}, existing)
    found: dict[str, list[pa.RecordBatch]] = {name: [] for name in model.schema.table_names}
    for unit in range(plan.unit_count):
        for fragment in sampler.sample(plan, unit):
            assert fragment.first_row == sum(b.num_rows for b in found[fragment.table])
            found[fragment.table].append(fragment.batch)
    out = {
        name: pa.Table.from_batches(batches, schema=model.schema.table(name).arrow)
        for name, batches in found.items()
    }
    assert {name: len(rows) for name, rows in out.items()} == plan.table_rows
    check(model, out, existing)
    return out


def check(model: FittedModel, out: Tables, existing: Tables) -> None:
    for key in model.schema.foreign_keys:
        held = tuples(out[key.parent_table], key.parent_columns)
        if key.parent_table in existing:
            held += tuples(existing[key.parent_table], key.parent_columns)
        named = [row for row in tuples(out[key.child_table], key.child_columns) if None not in row]
        assert set(named) <= set(held), str(key)
    for table in model.schema.tables:
        keys = tuples(out[table.name], table.primary_key)
        if table.name in existing:
            keys += tuples(existing[table.name], table.primary_key)
        assert len(set(keys)) == len(keys), table.name


def tuples(rows: pa.Table, names: tuple[str, ...]) -> list[tuple[object, ...]]:
    return list(zip(*[rows.column(name).to_pylist() for name in names], strict=True))


def children(out: Tables, child: str, column: str, parents: list[object]) -> list[int]:
    counts = Counter(out[child].column(column).to_pylist())
    return [counts[parent] for parent in parents]


# Kept tables


def test_a_kept_table_comes_out_row_for_row_and_others_refer_to_it(keeping, real, tmp_path):
    keeping.save(tmp_path)
    for fitted in (keeping, load(tmp_path)):
        out = make(fitted, scale=0.5)
        assert out["product"].equals(real["product"])
        assert out["employee"].equals(real["employee"])
        assert len(out["customer"]) == 75


def test_asking_for_other_rows_of_a_kept_table_is_an_error_that_says_so(keeping):
    with pytest.raises(InvalidArgumentError, match="'product' is kept as it is, with 20 rows"):
        make(keeping, rows={"product": 30})
    with pytest.raises(UnsupportedError, match="kept as it is"):
        make(keeping, conditions={"product": (Condition(column="price", low=3),)})
    with pytest.raises(InvalidArgumentError, match="kept as it is"):
        make(keeping, existing={"product": pa.table({"id": [1]})})


def test_a_kept_table_may_only_refer_to_kept_ones():
    with pytest.raises(InvalidArgumentError, match=r"keep: table 'order'.*'customer'"):
        learn(store(), keep=("order",))
    with pytest.raises(InvalidArgumentError, match="no such table"):
        learn(store(), keep=("absent",))


def test_a_kept_owner_has_about_as_many_children_as_the_real_row():
    rng = np.random.default_rng(3)
    sizes = np.where(np.arange(120) % 10 == 0, 40, 2)
    lands = pa.table({"code": [f"L{i:03d}" for i in range(120)], "part": ["x", "y"] * 60})
    towns = pa.table(
        {
            "id": np.arange(sizes.sum()),
            "land": [f"L{i:03d}" for i in np.repeat(np.arange(120), sizes)],
            "size": rng.integers(0, 9, sizes.sum()),
        }
    )
    made = world({"land": (lands, "code"), "town": (towns, "id")}, ["town(land) -> land(code)"])
    fitted = learn(made, keep=("land",))
    assert not holdout_rows(*made, 0.2, 0, ("land",))["land"].any()
    out = make(fitted)
    counts = np.array(children(out, "town", "land", out["land"].column("code").to_pylist()))
    assert out["land"].equals(rows_of(made)["land"])
    assert counts[sizes == 40].min() > 20
    assert counts[sizes == 2].max() < 10


def test_numbers_of_rows_can_be_asked_of_a_kept_table():
    parents = pa.table({"id": np.arange(150)})
    owner = np.repeat(np.arange(150), np.arange(150) % 6 + 1)
    rows = pa.table({"id": np.arange(len(owner)), "parent": owner, "v": owner % 7})
    made = world({"p": (parents, "id"), "c": (rows, "id")}, ["c(parent) -> p(id)"])
    fitted = learn(made, keep=("p",))
    out = make(fitted, conditions={"p": (Condition(rows_of="c", low=5, high=6),)})
    assert set(children(out, "c", "parent", list(range(150)))) <= {5, 6}


# Given rows


def test_given_parents_keep_their_keys_and_get_new_children(model, real):
    given = real["customer"].select(["id", "city"]).slice(7, 20)
    out = make(model, {"customer": given})
    assert out["customer"].select(["id", "city"]).equals(given)
    assert len(out["order"]) > 20
    assert set(out["order"].column("customer").to_pylist()) <= set(given.column("id").to_pylist())


def test_given_rows_of_owned_tables_come_out_cell_by_cell(model, real):
    given = real["order"].slice(0, 40)
    seeds = {"order": given, "customer": real["customer"], "employee": real["employee"]}
    out = make(model, {**seeds, "employee": real["employee"].select(["id"])})
    assert out["order"].equals(given)
    assert len(out["line"]) >= 40


def test_missing_columns_of_given_owned_rows_are_drawn(model, real):
    given = real["order"].select(["customer", "day"]).slice(3, 50)
    existing = {"customer": real["customer"].select(["id"])}
    out = make(model, {"order": given}, existing, rows={"customer": 0})
    assert out["order"].select(["customer", "day"]).equals(given)
    assert len(out["customer"]) == 0
    assert out["order"].column("seller").null_count == 0


def test_given_references_must_name_rows_that_are_there(model, real):
    given = real["order"].slice(0, 10)
    with pytest.raises(InvalidArgumentError, match=r"'customer' of table 'order'.*refer to no row"):
        make(model, {"order": given.select(["customer", "day"])})
    with pytest.raises(InvalidArgumentError, match="they belong to rows of 'customer'"):
        make(model, {"order": given.select(["day"])})
    known = real["customer"].slice(100)
    with pytest.raises(InvalidArgumentError, match="10 rows refer to no row of 'customer'"):
        make(model, {"order": given.select(["customer", "day"]), "customer": known})


# Existing rows


def test_new_rows_belong_to_and_refer_to_existing_ones(model, real):
    existing = {name: real[name].select(["id"]) for name in ("customer", "product", "employee")}
    none = dict.fromkeys(existing, 0)
    out = make(model, existing=existing, rows={**none, "order": 50})
    assert [len(out[name]) for name in ("customer", "product", "employee", "order")] == [
        0,
        0,
        0,
        50,
    ]
    held = set(existing["customer"].column("id").to_pylist())
    assert set(out["order"].column("customer").to_pylist()) <= held


def test_a_database_grows_and_no_key_meets_an_existing_one(model, real):
    out = make(model, existing=real, scale=0.2)
    assert {name: len(rows) for name, rows in out.items()}["customer"] == 30
    assert min(out["product"].column("id").to_pylist()) == 21
    assert len(out["order"]) == pytest.approx(0.2 * len(real["order"]), abs=25)


def test_new_parents_get_their_usual_rows_and_what_nobody_asked_for_does_not_grow(model, real):
    usual = 60 * len(real["order"]) / len(real["customer"])
    known = {"customer": real["customer"].select(["id"])}
    for existing, others in ((real, {"product": 0, "employee": 0}), (known, {})):
        out = make(model, existing=existing, rows={"customer": 60})
        assert len(out["order"]) == pytest.approx(usual, rel=0.25)
        assert {name: len(out[name]) for name in others} == others
        mine = set(out["customer"].column("id").to_pylist())
        assert set(out["order"].column("customer").to_pylist()) <= mine


def test_what_refers_to_a_table_that_grows_grows_in_proportion():
    parents = pa.table({"id": np.arange(100), "kind": ["a", "b"] * 50})
    rng = np.random.default_rng(4)
    rows = pa.table(
        {"id": np.arange(300), "one": rng.integers(0, 3, 300) + np.arange(300) // 3 % 9}
    )
    made = world({"p": (parents, "id"), "c": (rows, "id")}, ["c(one) -> p(id)"])
    fitted = learn(made)
    assert not fitted.family.owner_of("c")
    out = make(fitted, existing=rows_of(made), rows={"p": 20})
    assert {name: len(rows) for name, rows in out.items()} == {"p": 20, "c": 60}
    out = make(fitted, existing=rows_of(made), rows={"c": 10})
    assert {name: len(rows) for name, rows in out.items()} == {"p": 0, "c": 10}


def test_composite_keys_avoid_those_that_existing_rows_have(model, real):
    existing = {name: real[name] for name in ("customer", "order", "product", "line", "employee")}
    none = dict.fromkeys(("customer", "order", "product", "employee"), 0)
    out = make(model, existing=existing, rows={**none, "line": 1500})
    assert len(out["line"]) == 1500


def test_existing_rows_must_tell_their_keys(model, real):
    with pytest.raises(InvalidArgumentError, match=r"'id' of table 'customer': existing rows"):
        make(model, existing={"customer": real["customer"].select(["city"])})
    with pytest.raises(InvalidArgumentError, match="no such table"):
        make(model, existing={"absent": pa.table({"id": [1]})})


def test_an_only_child_is_not_made_for_a_parent_that_has_one():
    people = pa.table({"id": np.arange(80), "age": np.arange(80) % 50})
    passes = pa.table({"id": np.arange(60), "number": [f"P{i:04d}" for i in range(60)]})
    made = world({"person": (people, "id"), "pass": (passes, "id")}, ["pass(id) -> person(id)"])
    fitted = learn(made)
    out = make(fitted, existing=rows_of(made), rows={"person": 0, "pass": 15})
    assert set(out["pass"].column("id").to_pylist()) <= set(range(60, 80))
    with pytest.raises(InvalidArgumentError, match="'pass' can have at most 20 rows"):
        make(fitted, existing=rows_of(made), rows={"person": 0, "pass": 30})


def test_a_grid_of_keys_has_only_so_many_that_are_left():
    cells = [(a, b) for a in range(12) for b in range(10)][:100]
    grid = pa.table(
        {
            "a": pa.array([a for a, _ in cells], pa.int64()),
            "b": pa.array([b for _, b in cells], pa.int64()),
            "v": pa.array([float(a * b) for a, b in cells]),
        }
    )
    made = world({"t": (grid, "a, b")}, [])
    fitted = learn(made)
    half = rows_of(made)["t"].slice(0, 60)
    out = make(fitted, existing={"t": half}, rows={"t": 30})
    assert len(out["t"]) == 30
    with pytest.raises(InvalidArgumentError, match="unused different keys"):
        make(fitted, existing={"t": half}, rows={"t": 90})


# Conditions across tables


def test_parents_have_as_many_children_as_is_asked(model):
    ask = {
        "customer": (
            Condition(column="city", values=("Rome",)),
            Condition(rows_of="order", low=3),
        )
    }
    out = make(model, conditions=ask)
    ids = out["customer"].column("id").to_pylist()
    assert min(children(out, "order", "customer", ids)) >= 3
    assert set(out["customer"].column("city").to_pylist()) == {"Rome"}


def test_root_and_child_can_be_asked_for_together(model):
    ask = {
        "customer": (Condition(column="city", values=("Oslo", "Kyiv")),),
        "order": (Condition(rows_of="line", values=(2, 3)),),
        "line": (Condition(column="amount", low=3, high=5),),
    }
    out = make(model, conditions=ask)
    assert set(out["customer"].column("city").to_pylist()) <= {"Oslo", "Kyiv"}
    orders = out["order"].column("id").to_pylist()
    assert set(children(out, "line", "order", orders)) <= {2, 3}
    assert set(out["line"].column("amount").to_pylist()) <= {3, 4, 5}


def test_shares_hold_in_owned_tables(model):
    ask = {"line": (Condition(column="amount", shares=((8, 0.5), (1, 0.25))),)}
    found = Counter(make(model, conditions=ask)["line"].column("amount").to_pylist())
    assert found[8] / found.total() == pytest.approx(0.5, abs=0.01)
    assert found[1] / found.total() == pytest.approx(0.25, abs=0.01)


def test_the_dates_that_order_siblings_can_lie_within_a_range(model):
    low, high = date(2021, 3, 1), date(2021, 10, 31)
    ask = {"order": (Condition(column="day", low=str(low), high=str(high)),)}
    days = make(model, conditions=ask)["order"].column("day").to_pylist()
    assert low <= min(days) <= max(days) <= high
    assert len(set(days)) > 20


@pytest.mark.parametrize(
    ("table", "condition", "rule"),
    [
        (
            "customer",
            Condition(rows_of="order", low=1000),
            "number of rows of 'order' in table",
        ),
        ("customer", Condition(rows_of="line", low=1), "no rows of such a table are made"),
        ("line", Condition(column="amount", values=(77,)), "'amount' of table 'line'"),
        ("line", Condition(column="amount", low=77), "'amount' of table 'line'"),
        ("order", Condition(column="day", low="2031-01-01"), "'day' of table 'order'"),
        (
            "order",
            Condition(column="customer", values=("C001x",)),
            "whose rows are drawn",
        ),
        ("order", Condition(column="day", values=("2020-01-01", "2020-02-02")), "one another"),
        ("line", Condition(column="amount", rows_of="x", low=1), "exactly one of column"),
    ],
)
def test_what_cannot_be_met_is_refused_with_its_reason(model, table, condition, rule):
    with pytest.raises((InvalidArgumentError, UnsupportedError), match=rule):
        make(model, conditions={table: (condition,)})


# Plans


def test_a_stored_plan_serves_any_worker_in_any_order(model, real, tmp_path):
    given = {"customer": real["customer"].select(["id"])}
    ask = {"line": (Condition(column="amount", low=3),)}
    existing = {"order": real["order"], "product": real["product"]}
    spec = SampleSpec(conditions=ask, rows={"order": 90})
    plan = Sampler(model).plan(spec, lambda: None, None, {}, given | existing)
    plan.save(tmp_path / "plan")
    stored = SamplePlan.load(tmp_path / "plan")
    one, two = Sampler(model), Sampler(model)
    for unit in reversed(range(plan.unit_count)):
        ours = {f.table: f for f in one.sample(plan, unit)}
        theirs = {f.table: f for f in two.sample(stored, unit)}
        assert ours.keys() == theirs.keys()
        for table, fragment in ours.items():
            assert fragment.first_row == theirs[table].first_row
            assert fragment.batch.equals(theirs[table].batch)


def test_a_window_of_a_table_that_grows_holds_its_new_rows(model, real):
    sampler = Sampler(model)
    plan = sampler.plan(SampleSpec(rows={"customer": 5}), lambda: None, None, {}, real)
    for table, rows in plan.table_rows.items():
        units = plan.window(table, 0, rows)
        made = [f for unit in units for f in sampler.sample(plan, unit) if f.table == table]
        assert sum(f.batch.num_rows for f in made) == rows
