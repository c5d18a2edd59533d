"""Related tables through the real server: kept tables, parents with enough children, growth."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv

from support.cli import Cli

COUNTRIES = ["DE", "FR", "PL", "SE", "IT"]
STATES = ("open", "paid", "sent")


def write_shop(folder: Path) -> list[Path]:
    """Write countries, coupons, 300 customers and their orders, some of coupons long gone."""
    rng = random.Random(5)
    countries = ["code,name,rate"]
    countries += [f"{code},Country {code},{n * 3 + 7}" for n, code in enumerate(COUNTRIES)]
    coupons = ["number,discount", *(f"{n},{rng.randint(1, 30)}" for n in range(60))]
    customers, orders = ["id,country,age"], ["id,customer,coupon,state,amount"]
    for customer in range(300):
        age = rng.randint(18, 80)
        customers.append(f"{customer},{rng.choice(COUNTRIES)},{age}")
        for _ in range(rng.randint(0, 2 + age // 20)):
            coupon = rng.randrange(60) if rng.random() > 0.1 else 900 + rng.randrange(50)
            amount = age * rng.uniform(0.5, 1.5)
            orders.append(f"{len(orders)},{customer},{coupon},{rng.choice(STATES)},{amount:.2f}")
    lines = {"countries": countries, "coupons": coupons, "customers": customers, "orders": orders}
    for name, text in lines.items():
        (folder / f"{name}.csv").write_text("\n".join(text) + "\n")
    return [folder / f"{name}.csv" for name in lines]


SCHEMA = """
tables:
  - {name: countries, primary_key: [code]}
  - {name: coupons, primary_key: [number]}
  - {name: customers, primary_key: [id]}
  - {name: orders, primary_key: [id]}
foreign_keys:
  - child_table: customers
    child_columns: [country]
    parent_table: countries
    parent_columns: [code]
  - child_table: orders
    child_columns: [customer]
    parent_table: customers
    parent_columns: [id]
  - child_table: orders
    child_columns: [coupon]
    parent_table: coupons
    parent_columns: [number]
"""


@pytest.fixture(scope="module")
def shop(server, tmp_path_factory) -> Cli:
    """The command line in a folder with a trained shop."""
    cli = Cli(server.address, tmp_path_factory.mktemp("shop"))
    (cli.folder / "schema.yaml").write_text(SCHEMA)
    cli.run("upload", "shop", *write_shop(cli.folder), "--schema", "schema.yaml")
    cli.run("train", "shop", "--keep", "countries", "--orphans", "--time-limit", "8s")
    return cli


def generated(shop: Cli, *words: object) -> dict[str, pa.Table]:
    shop.run("generate", "shop", "--format", "csv", "--out", "made", *words)
    return {path.stem: csv.read_csv(path) for path in (shop.folder / "made").glob("*.csv")}


def test_a_kept_table_comes_out_as_it_is_and_the_card_says_so(shop):
    made = generated(shop, "--seed", 3)
    assert made["countries"].equals(csv.read_csv(shop.folder / "countries.csv"))
    assert set(made["customers"]["country"].to_pylist()) <= set(COUNTRIES)
    card = shop.json("models", "card", "shop")
    assert card["kept_tables"] == ["countries"]
    assert (card["settings"]["keep_tables"], card["settings"]["orphans"]) == (
        "countries",
        "learned",
    )
    orders = next(table for table in card["tables"] if table["table"] == "orders")
    assert any("customers" in text for text in orders["keys"])


def test_a_number_of_children_and_columns_of_children_can_be_asked_for(shop):
    made = generated(
        shop, "--rows", "customers=200", "--where", "customers.count(orders)>=3",
        "--where", "orders.state=open", "--where", "customers.age>=40",
    )  # fmt: skip
    counts = Counter(made["orders"]["customer"].to_pylist())
    assert made["customers"].num_rows == 200
    assert all(counts[customer] >= 3 for customer in made["customers"]["id"].to_pylist())
    assert set(made["orders"]["state"].to_pylist()) == {"open"}
    assert min(made["customers"]["age"].to_pylist()) >= 40


def test_customers_of_one_country_with_at_least_three_orders(shop):
    where = ("--where", "customers.country=DE", "--where", "customers.count(orders)>=3")
    made = generated(shop, "--rows", "customers=100", *where)
    assert set(made["customers"]["country"].to_pylist()) == {"DE"}
    counts = Counter(made["orders"]["customer"].to_pylist())
    assert all(counts[customer] >= 3 for customer in made["customers"]["id"].to_pylist())


def test_a_database_grows_without_its_rows_coming_again(shop):
    there = csv.read_csv(shop.folder / "customers.csv")
    made = generated(shop, "--existing", "customers=customers.csv", "--rows", "customers=100")
    old, new = set(there["id"].to_pylist()), set(made["customers"]["id"].to_pylist())
    assert len(new) == 100
    assert not old & new
    assert set(made["orders"]["customer"].drop_null().to_pylist()) <= old | new
    # All tables of the uploaded dataset at once: its orders' numbers are not given again either.
    grown = generated(shop, "--existing-dataset", "shop", "--rows", "customers=100")
    orders = csv.read_csv(shop.folder / "orders.csv")
    assert not set(orders["id"].to_pylist()) & set(grown["orders"]["id"].to_pylist())
    # A hundred customers have a third of the orders of three hundred, and need no new coupons.
    for found in (made, grown):
        assert orders.num_rows / 5 < found["orders"].num_rows < orders.num_rows / 2
    assert grown["coupons"].num_rows == 0


def test_given_parents_keep_their_keys_and_get_children(shop):
    there = csv.read_csv(shop.folder / "customers.csv").slice(0, 80)
    csv.write_csv(there, shop.folder / "some.csv")
    made = generated(shop, "--given", "customers=some.csv")
    assert made["customers"].select(there.column_names).equals(there)
    assert made["orders"].num_rows > 40
    assert set(made["orders"]["customer"].drop_null().to_pylist()) <= set(there["id"].to_pylist())


def test_orphans_come_only_if_they_are_asked_for(shop):
    for words, orphans in (([], False), (["--orphans"], True)):
        made = generated(shop, *words)
        known = set(made["coupons"]["number"].to_pylist())
        referred = set(made["orders"]["coupon"].drop_null().to_pylist())
        assert bool(referred - known) == orphans


def test_the_report_leaves_the_kept_table_out_and_tells_the_orphans(shop):
    report = shop.json("validate", "shop", "--report", "report.html")
    assert any(text.startswith("Not judged: countries: kept") for text in report["warnings"])
    assert any("refer to no row of coupons" in text for text in report["warnings"])
    assert {"hop_trends", "child_counts", "key_graph"} <= {part["name"] for part in report["parts"]}
    page = (shop.folder / "report.html").read_text()
    assert "Trends across tables" in page
    assert "orphans, real" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "shop", "--keep", "towns"], "has no table 'towns'"),
        (["train", "shop", "--keep", "customers"], "keep 'countries' too"),
        (
            ["generate", "shop", "--existing", "customers=bad.csv"],
            "'height' is none of the model's",
        ),
    ],
)
def test_what_cannot_be_is_told_by_name(shop, words, told):
    (shop.folder / "bad.csv").write_text("height\n3\n")
    ended = shop.run(*words, check=False)
    assert ended.returncode == 1
    assert told in " ".join(ended.stderr.split())
