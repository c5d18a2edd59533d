"""`syntheflow clone` from a real SQLite database into a new one, as a user does it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from support.cli import COMMAND, Cli, clean_environment
from support.company import MODEL
from syntheflow.local import LocalServer

SHOP = """
CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  country TEXT NOT NULL REFERENCES countries (code),
  age INTEGER CHECK (age >= 0)
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  amount NUMERIC(10, 2) NOT NULL,
  ordered_on DATE NOT NULL
);
CREATE TABLE audit_log (at TEXT, what TEXT);
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clone") / "shop.sqlite"
    with sqlite3.connect(path) as base:
        base.executescript(SHOP)
        countries = [("DE", "Germany"), ("FR", "France"), ("US", "United States")]
        base.executemany("INSERT INTO countries VALUES (?, ?)", countries)
        base.executemany(
            "INSERT INTO customers VALUES (?, ?, ?, ?)",
            [(n, f"Name {n % 37}", countries[n % 3][0], 18 + n * 7 % 60) for n in range(1, 201)],
        )
        base.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)",
            [
                (n, 1 + n * 13 % 200, f"{n % 97}.{n % 100:02}", f"2024-{1 + n % 12:02}-11")
                for n in range(1, 801)
            ],
        )
        base.execute("INSERT INTO audit_log VALUES ('2024-01-01', 'nothing')")
    base.close()
    return path


def clone(
    folder: Path, *words: object, server: LocalServer | None = None
) -> subprocess.CompletedProcess[str]:
    """Clone by a server of its own, or by one that is there."""
    where = ["--server", server.address] if server else []
    return subprocess.run(
        [COMMAND, "clone", *map(str, words), *where],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def cloned(shop: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    into = shop.with_name("new.sqlite")
    ended = clone(
        shop.parent, shop.name, "--into", into.name, "--scale", 0.5, "--keep", "countries",
        "--exclude", "audit_*", "--exclude", "customers.age", "--time-limit", "5s",
        "--report", "report.html",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended, into


def test_a_clone_has_the_shape_the_counts_and_the_keys_that_were_asked_for(cloned):
    _, into = cloned
    base = sqlite3.connect(into)
    base.execute("PRAGMA foreign_keys = ON")
    tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    assert tables == {"countries", "customers", "orders"}
    counts = {t: base.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}
    assert counts == {"countries": 3, "customers": 100, "orders": counts["orders"]}
    assert 300 <= counts["orders"] <= 500
    assert base.execute("PRAGMA foreign_key_check").fetchall() == []
    references = {row[2:5] for row in base.execute("PRAGMA foreign_key_list(orders)")}
    assert references == {("customers", "customer_id", "id")}
    columns = {
        row[1]: (row[2], row[3], row[5]) for row in base.execute("PRAGMA table_info(orders)")
    }
    assert columns["id"] == ("INTEGER", columns["id"][1], 1)
    assert columns["amount"][:2] == ("NUMERIC(10, 2)", 1)
    assert [row[1] for row in base.execute("PRAGMA table_info(customers)")] == [
        "id",
        "name",
        "country",
    ]
    # A reference may be one that is looked at with the commit: `base` commits at its end.
    with pytest.raises(sqlite3.IntegrityError), base:
        base.execute("INSERT INTO orders VALUES (1000000, 999999, 1, '2024-01-01')")
    base.close()


def test_an_application_gets_plausible_answers(cloned):
    _, into = cloned
    base = sqlite3.connect(into)
    rows = base.execute(
        "SELECT c.code, count(*), sum(o.amount) FROM countries c "
        "JOIN customers k ON k.country = c.code JOIN orders o ON o.customer_id = k.id "
        "GROUP BY c.code"
    ).fetchall()
    base.close()
    assert {code for code, _, _ in rows} == {"DE", "FR", "US"}
    assert all(count > 20 and amount > 100 for _, count, amount in rows)


def test_it_tells_what_it_did(cloned):
    ended, into = cloned
    assert f"sqlite://{into}" in ended.stdout
    for word in (
        "customers",
        "200",
        "100",
        "copied as it is",
        "orders(customer_id) -> customers(id)",
    ):
        assert word in ended.stdout
    assert "Quality" in ended.stdout
    assert "<html" in into.with_name("report.html").read_text(encoding="utf-8").lower()


def test_tables_that_are_there_are_not_touched(cloned, shop, server):
    _, into = cloned
    before = into.read_bytes()
    ended = clone(
        shop.parent, shop, "--into", into, "--time-limit", "1s", "--tables", "customers",
        "--tables", "countries", "--output", "json", server=server,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "customers" in ended.stderr
    assert into.read_bytes() == before


def test_a_clone_into_files_is_told_as_json(shop, tmp_path, server):
    ended = clone(
        tmp_path, shop, "--into", "./out", "--format", "csv", "--tables", "customers", "--tables",
        "countries", "--time-limit", "1s", "--output", "json", server=server,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["read"] == {"countries": 3, "customers": 200}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "customers.csv",
        "countries.csv",
    }


def test_a_plain_word_that_names_no_connection_is_refused_with_advice(cli: Cli, shop, tmp_path):
    (tmp_path / "out").mkdir()
    for ended in (
        clone(tmp_path, shop, "--into", "out"),
        cli.run("export", MODEL, "out", check=False),
        cli.run("import", "new", "out", check=False),
    ):
        assert ended.returncode != 0
        assert "./out" in ended.stderr


def test_rows_are_added_to_tables_that_hold_some(cli: Cli, tmp_path):
    target = tmp_path / "grown.sqlite"
    cli.run("export", MODEL, target, "--seed", 1)
    with closing(sqlite3.connect(target)) as base:
        (before,) = base.execute("SELECT count(*) FROM employees").fetchone()
    cli.run("export", MODEL, target, "--seed", 1, "--mode", "append", "--rows", "employees=30")
    with closing(sqlite3.connect(target)) as base:
        assert base.execute("SELECT count(*) FROM employees").fetchone() == (before + 30,)
        keys = base.execute("SELECT count(DISTINCT employee_id) FROM employees").fetchone()
        assert keys == (before + 30,)
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
