from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from syntheflow_server.store.sql import _META, SqlDocuments


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(tmp_path):
    store = SqlDocuments.in_file(tmp_path / "meta.sqlite")
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), _META) == []
        mode = connection.execute(sa.text("PRAGMA journal_mode")).scalar_one()
    store.close()
    assert mode == "wal"
