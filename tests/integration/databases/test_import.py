"""From a database to a dataset's schema: what it declares is what is learned."""

from __future__ import annotations

from pathlib import Path

from support.rental import POSTGRESQL
from support.servers import TestDatabase, address_of
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.resources import ImportOrder
from syntheflow_server.domain.schema import SemanticType
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.ddl import add_constraints, create_tables
from syntheflow_server.jobs.tasks import import_place


def test_a_whole_database_becomes_a_schema_that_can_be_made_anew(
    postgresql_database: TestDatabase, tmp_path: Path
) -> None:
    postgresql_database.run(POSTGRESQL)
    place = address_of(postgresql_database)
    order = ImportOrder(
        dataset="rental",
        source=place.place.url,
        wanted=Wanted(namespace="*"),
        options=ReadOptions(),
    )

    found = import_place(lambda _: None, place, order, tmp_path)

    schema = found.schema
    assert schema.dialect == "postgresql"
    assert len(schema.foreign_keys) == 6
    film = schema.table("film")
    assert film.primary_key == ("film_id",)
    assert film.column("rating").semantic_type is SemanticType.CATEGORY
    assert not film.column("title").nullable
    assert film.column("release year").nullable
    with postgresql_database.server.new_database() as empty:
        names = schema.table_names
        for statement in create_tables(schema, names, Dialect.POSTGRESQL, references=False):
            empty.run(statement)
        for statement in add_constraints(schema, names, Dialect.POSTGRESQL):
            empty.run(statement)
        (count,) = empty.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")[0]
        assert count == 6
