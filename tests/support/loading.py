"""Databases of four kinds to load into, and rows to load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.servers import address_of
from support.shop import column
from syntheflow_server.connect.access import Address
from syntheflow_server.connect.databases import open_database
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import Loaded, Loader, open_loader
from syntheflow_server.export.ddl import quoted_name

KINDS = ("postgresql", "mariadb", "sqlite", "duckdb")


@dataclass(frozen=True)
class Home:
    """A database with plain SQL on it; `kept` is a connection for all of it, if any."""

    address: Address
    kept: Any = None

    @property
    def dialect(self) -> Dialect:
        """Whose SQL it speaks."""
        assert self.address.place.dialect is not None
        return self.address.place.dialect

    def run(self, *statements: str) -> None:
        """Run statements, each committed by itself."""
        with self._cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._cursor() as cursor:
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        (found,) = self.rows(f"SELECT count(*) FROM {quoted_name(self.dialect, table)}")
        return int(found[0])

    def tables(self) -> set[str]:
        """Return the names of all tables."""
        where = {
            Dialect.POSTGRESQL: "table_schema = 'public'",
            Dialect.MYSQL: "table_schema = database()",
            Dialect.DUCKDB: "true",
        }
        if self.dialect is Dialect.SQLITE:
            query = (
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        else:
            query = f"SELECT table_name FROM information_schema.tables WHERE {where[self.dialect]}"
        return {name for (name,) in self.rows(query)}

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        if self.kept is not None:
            yield self.kept.cursor()
            return
        with open_database(self.address) as database:
            connection = database.connect()
            try:
                cursor = connection.cursor()
                yield cursor
                if self.dialect not in {Dialect.SQLITE, Dialect.DUCKDB}:
                    connection.commit()
            finally:
                connection.close()


def home_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Home:
    """Return an empty database of this kind; file databases go into `folder`."""
    if kind in {"postgresql", "mariadb"}:
        database = request.getfixturevalue(f"{kind}_database")
        kept = database.connect()
        request.addfinalizer(kept.close)
        # Nothing stays locked between statements.
        if kind == "postgresql":
            kept.autocommit = True
        else:
            kept.autocommit(True)
        return Home(address_of(database), kept)
    return Home(address_of(f"{kind}://{folder}/loaded.{kind}"))


PEOPLE = Schema(
    tables=(
        Table(
            name="visit",
            columns=(
                column("id", identity=True, nullable=False),
                column("person_id", nullable=False),
                column("day", "date32"),
                column("cost", "decimal128(8, 2)"),
            ),
            primary_key=("id",),
        ),
        Table(
            name="person",
            columns=(
                column("id", identity=True, nullable=False),
                Column(name="name", type="string", semantic_type=SemanticType.TEXT),
                Column(name="code", type="string", semantic_type=SemanticType.CODE),
                column("weight", "float64"),
            ),
            primary_key=("id",),
            unique_keys=(("code",),),
        ),
    ),
    foreign_keys=(
        ForeignKey(
            child_table="visit",
            child_columns=("person_id",),
            parent_table="person",
            parent_columns=("id",),
        ),
    ),
)
"""Visits come before the persons that they refer to."""


def people(persons: int, visits: int, *, first: int = 1) -> dict[str, pa.Table]:
    """Return rows of PEOPLE whose numbers begin with `first`."""
    ids = range(first, first + persons)
    return {
        "visit": pa.table(
            {
                "id": pa.array(range(first, first + visits), pa.int64()),
                "person_id": pa.array([first + at % persons for at in range(visits)], pa.int64()),
                "day": pa.array(
                    [None if at % 5 == 0 else at for at in range(visits)], pa.int32()
                ).cast(pa.date32()),
                "cost": pa.array([f"{at}.25" for at in range(visits)]).cast(pa.decimal128(8, 2)),
            }
        ),
        "person": pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "name": pa.array([None if at % 7 == 0 else f"N'é\\\t\n\"{at}" for at in ids]),
                "code": pa.array([f"c{at}" for at in ids]),
                "weight": pa.array([at / 3 for at in ids]),
            }
        ),
    }


def loader_of(home: Home, mode: LoadMode, schema: Schema = PEOPLE, **settings: str) -> Loader:
    """Return a loader of all tables of a schema, not begun."""
    return open_loader(home.address, Target(schema, schema.table_names), mode, **settings)


def load(
    home: Home,
    tables: dict[str, pa.Table],
    mode: LoadMode = LoadMode.CREATE,
    schema: Schema = PEOPLE,
    *,
    rows: int = 100,
) -> Loaded:
    """Load tables in turns of so many rows."""
    loader = loader_of(home, mode, schema)
    loader.begin()
    for first in range(0, max(t.num_rows for t in tables.values()), rows):
        for name, table in tables.items():
            for batch in table.slice(first, rows).combine_chunks().to_batches():
                loader.write(name, first, batch)
    return loader.finish()
