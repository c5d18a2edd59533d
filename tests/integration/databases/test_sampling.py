"""A sample of a large database: whole entities, and no reference that leads nowhere."""

from __future__ import annotations

import duckdb
import pytest

from support.servers import TestDatabase, address_of
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.ingest.databases import read_database
from syntheflow_server.ingest.tables import IngestedTable

CREATE = """
CREATE TABLE country (id integer PRIMARY KEY, name varchar(40));
CREATE TABLE product (sku varchar(20) PRIMARY KEY, price numeric(8,2));
CREATE TABLE customer (id integer PRIMARY KEY, country_id integer NOT NULL, invited_by integer,
  FOREIGN KEY (country_id) REFERENCES country (id));
CREATE TABLE purchase (customer_id integer NOT NULL, number integer NOT NULL,
  PRIMARY KEY (customer_id, number), FOREIGN KEY (customer_id) REFERENCES customer (id));
CREATE TABLE line (id integer PRIMARY KEY, customer_id integer, number integer,
  sku varchar(20) NOT NULL, FOREIGN KEY (customer_id, number)
  REFERENCES purchase (customer_id, number), FOREIGN KEY (sku) REFERENCES product (sku));
CREATE TABLE visit (id integer PRIMARY KEY, customer_id integer,
  FOREIGN KEY (customer_id) REFERENCES customer (id));
"""
# {n} is a series of integers 1..N called n, in each database's own words.
FILL = [
    "INSERT INTO country SELECT n, 'land' FROM {n} s WHERE n <= 8",
    "INSERT INTO product SELECT concat('it''s-', n), n FROM {n} s WHERE n <= 500",
    (
        "INSERT INTO customer SELECT n, 1 + n % 8, CASE WHEN n % 3 = 0 THEN n / 3 END"
        " FROM {n} s WHERE n <= 2000"
    ),
    "INSERT INTO purchase SELECT c.n, k.n FROM {n} c, {n} k WHERE c.n <= 2000 AND k.n <= 3",
    (
        "INSERT INTO line SELECT (customer_id - 1) * 6 + number * 2 + k.n, customer_id, number,"
        " concat('it''s-', 1 + (customer_id * 7 + number) % 500)"
        " FROM purchase, {n} k WHERE k.n <= 2"
    ),
    "INSERT INTO line SELECT 100000 + n, NULL, NULL, 'it''s-7' FROM {n} s WHERE n <= 1000",
    "INSERT INTO visit SELECT n, 1 + n % 2000 FROM {n} s WHERE n <= 3000",
]
SERIES = {
    "postgresql_database": "(SELECT generate_series(1, 3000) AS n)",
    "mariadb_database": "(SELECT CAST(seq AS SIGNED) AS n FROM seq_1_to_3000)",
}
SERVERS = pytest.mark.parametrize("kind", list(SERIES))


@pytest.fixture
def shop(kind: str, request: pytest.FixtureRequest) -> TestDatabase:
    database: TestDatabase = request.getfixturevalue(kind)
    database.run(CREATE)
    for statement in FILL:
        series = SERIES[kind]
        text = statement.replace("n / 3", "n DIV 3") if "maria" in kind else statement
        database.run(text.replace("{n}", series))
    database.run("ALTER TABLE customer ADD FOREIGN KEY (invited_by) REFERENCES customer (id)")
    return database


def sample(database: TestDatabase, out, rows: int) -> dict[str, IngestedTable]:
    wanted = Wanted(sample_rows=rows)
    found = read_database(address_of(database), wanted, out, lambda *_: None)
    assert sorted(path.suffix for path in out.iterdir()) == [".parquet"] * len(found)
    return {table.name: table for table in found}


def sizes(local: duckdb.DuckDBPyConnection, rows: str, key: str) -> set[int]:
    return {n for (n,) in local.execute(f"SELECT count(*) FROM {rows} GROUP BY {key}").fetchall()}


@SERVERS
def test_entities_come_whole_and_every_reference_resolves(shop, tmp_path) -> None:
    found = sample(shop, tmp_path, 2_500)

    local = duckdb.connect()
    for table in found.values():
        local.execute(f"CREATE VIEW {table.name} AS FROM '{table.path}'")
    for table in found.values():
        for key in table.references:
            child = ", ".join(key.child_columns)
            parent = ", ".join(key.parent_columns)
            lost = local.execute(
                f"SELECT count(*) FROM {key.child_table} WHERE ({child}) NOT IN"
                f" (SELECT ({parent}) FROM {key.parent_table})"
                if len(key.child_columns) == 1
                else f"SELECT count(*) FROM {key.child_table} c WHERE number IS NOT NULL AND NOT"
                f" EXISTS (SELECT 1 FROM {key.parent_table} p WHERE p.customer_id = c.customer_id"
                " AND p.number = c.number)"
            ).fetchone()
            assert lost == (0,), key
    counts = {name: table.rows for name, table in found.items()}
    share = 2_500 / 26_508
    assert counts["country"] == 8
    assert share * 2000 * 0.7 < counts["customer"] < share * 2000 * 2.2
    # Each customer that was drawn brings all purchases, and each purchase both its lines.
    (whole,) = (
        local.execute("SELECT count(*) FROM purchase GROUP BY customer_id").fetchnumpy()[
            "count_star()"
        ],
    )
    assert set(whole.tolist()) == {3}
    assert set(
        local.execute(
            "SELECT count(*) FROM line WHERE number IS NOT NULL GROUP BY customer_id, number"
        ).fetchnumpy()["count_star()"]
    ) == {2}
    unowned = local.execute("SELECT count(*) FROM line WHERE number IS NULL").fetchone()[0]
    assert 40 < unowned < 200
    for name, table in found.items():
        keys = ", ".join(table.hint.primary_key)
        query = f"SELECT count(*) - count(DISTINCT ({keys})) FROM {name}"
        assert local.execute(query).fetchone() == (0,)
    assert any("drawn by entity" in text for text in found["line"].findings)
    assert not any("drawn by entity" in text for text in found["country"].findings)


@SERVERS
def test_a_sample_larger_than_the_database_is_all_of_it(shop, tmp_path) -> None:
    found = sample(shop, tmp_path, 1_000_000)
    assert {name: table.rows for name, table in found.items()} == {
        "country": 8,
        "product": 500,
        "customer": 2000,
        "purchase": 6000,
        "line": 13_000,
        "visit": 3000,
    }
