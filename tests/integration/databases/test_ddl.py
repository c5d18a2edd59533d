"""Real servers take the tables, keys and references of a dataset."""

from __future__ import annotations

import pytest

from support.servers import TestDatabase
from support.shop import LINES, SHOP
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.ddl import (
    add_constraints,
    create_tables,
    fitting_name,
    fix_identities,
    quoted_name,
)


@pytest.fixture(params=["postgresql_database", "mariadb_database"])
def database(request: pytest.FixtureRequest) -> TestDatabase:
    return request.getfixturevalue(request.param)


def test_a_real_server_has_all_tables_columns_and_references(database: TestDatabase) -> None:
    dialect, names = Dialect(database.server.dialect), SHOP.table_names
    order = quoted_name(dialect, "order")
    for statement in create_tables(SHOP, names, dialect):
        database.run(statement)
    database.run(f"INSERT INTO {order} VALUES (7, 'a', NULL, NULL), (9, 'b', 7, NULL)")
    for statement in (
        *add_constraints(SHOP, names, dialect),
        *fix_identities(SHOP, names, dialect),
    ):
        database.run(statement)
    found = database.rows(
        "SELECT column_name FROM information_schema.columns "
        f"WHERE table_name = '{LINES.name.replace(chr(39), chr(39) * 2)}' ORDER BY ordinal_position"
    )
    assert [row[0] for row in found] == [fitting_name(dialect, c) for c in LINES.column_names]
    counted = database.rows(
        "SELECT count(*) FROM information_schema.referential_constraints "
        f"WHERE constraint_schema IN ('public', '{database.name}')"
    )
    assert counted == [(4,)]
    who = quoted_name(dialect, "who")
    database.run(f"INSERT INTO {order} ({who}) VALUES ('c')")
    assert database.rows(f"SELECT id FROM {order} WHERE {who} = 'c'") == [(10,)]
    with pytest.raises(Exception, match=r"foreign key|Duplicate|unique"):
        database.run(f"INSERT INTO {order} VALUES (20, 'd', 19, NULL)")
