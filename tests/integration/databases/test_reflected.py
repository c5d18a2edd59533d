"""What SQLAlchemy's inspector tells is enough to read a database, as SQL Server and Oracle are.

Neither of the two is there in tests: their way of reading is walked here on the servers
that are.
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from support.servers import TestDatabase, address_of
from syntheflow_server.connect.databases import Database, open_database
from syntheflow_server.connect.secret import Secret
from syntheflow_server.domain.errors import FailedPreconditionError
from syntheflow_server.domain.reading import Wanted
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases import opening, read, read_database
from syntheflow_server.ingest.databases.reflected import ReflectedSource

CREATE = """
CREATE TABLE parent (id integer PRIMARY KEY, code char(4) NOT NULL UNIQUE,
  price numeric(8,2) CHECK (price > 0), rate double precision, born date, at timestamp,
  photo {binary}, big numeric(12,0));
CREATE TABLE child (parent_id integer NOT NULL, number integer NOT NULL, note varchar(20),
  PRIMARY KEY (parent_id, number), FOREIGN KEY (parent_id) REFERENCES parent (id));
CREATE VIEW shown AS SELECT id FROM parent;
INSERT INTO parent VALUES
  (1, 'ab', 9.99, 0.5, '2024-02-29', '2024-02-29 12:00:00', NULL, 123456789012),
  (2, 'cd', NULL, NULL, NULL, '2024-02-29 12:00:00', NULL, NULL);
INSERT INTO child VALUES (1, 1, 'hello'), (1, 2, NULL), (2, 1, '');
"""


@pytest.mark.parametrize(
    ("kind", "binary"), [("postgresql_database", "bytea"), ("mariadb_database", "blob")]
)
def test_tables_are_read_by_what_the_inspector_tells(
    kind: str,
    binary: str,
    request: pytest.FixtureRequest,
    tmp_path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: TestDatabase = request.getfixturevalue(kind)
    given.run(CREATE.replace("{binary}", binary))

    @contextmanager
    def by_inspector(database: Database):
        with database.engine.connect() as connection:
            yield ReflectedSource(connection, database.dialect)

    monkeypatch.setattr(read, "open_source", by_inspector)
    found = {
        table.name: table
        for table in read_database(address_of(given), Wanted(), tmp_path, lambda *_: None)
    }

    assert {name: table.rows for name, table in found.items()} == {"parent": 2, "child": 3}
    parent, child = found["parent"], found["child"]
    assert (parent.hint.primary_key, parent.hint.unique_keys) == (("id",), (("code",),))
    assert child.hint.primary_key == ("parent_id", "number")
    assert [str(key) for key in child.references] == ["child(parent_id) -> parent(id)"]
    # SQLAlchemy tells no CHECKs of MariaDB's columns.
    assert len(parent.hint.checks) == (1 if kind.startswith("postgresql") else 0)
    native = {c.name: c.native_type.lower() for c in child.hint.columns}
    assert native["note"] == "varchar(20)"
    assert any("column 'photo' left out" in text for text in parent.findings)
    row = min(pq.read_table(parent.path).to_pylist(), key=lambda row: row["id"])
    assert (row["code"], row["price"], row["rate"]) == ("ab", Decimal("9.99"), 0.5)
    assert (str(row["born"]), str(row["at"])) == ("2024-02-29", "2024-02-29 12:00:00")
    assert row["big"] == 123_456_789_012
    assert pq.read_schema(parent.path).field("big").type == pa.int64()


def test_checks_that_a_driver_cannot_tell_are_said_to_be_left_out(
    postgresql_database: TestDatabase, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql_database.run(CREATE.replace("{binary}", "bytea"))

    def untold(*_: object, **__: object) -> None:
        raise NotImplementedError

    @contextmanager
    def by_inspector(database: Database):
        with database.engine.connect() as connection:
            source = ReflectedSource(connection, database.dialect)
            source._inspector.get_check_constraints = untold
            yield source

    monkeypatch.setattr(read, "open_source", by_inspector)
    found = read_database(address_of(postgresql_database), Wanted(), tmp_path, lambda *_: None)
    for table in found:
        assert "CHECK constraints cannot be read from this kind of database" in table.findings


@pytest.mark.parametrize("dialect", [Dialect.MSSQL, Dialect.ORACLE])
def test_names_and_samples_are_written_in_the_database_s_own_words(dialect: Dialect) -> None:
    """Without a server: what would be sent is compared with what their manuals ask for."""
    source = ReflectedSource.__new__(ReflectedSource)
    source.dialect = dialect
    source._connection = sa.create_mock_engine(
        {"mssql": "mssql+pymssql://", "oracle": "oracle+oracledb://"}[dialect.value],
        lambda *_: None,
    )

    if dialect is Dialect.MSSQL:
        assert source.quote("a]b") == "[a]]b]"
        assert source.hash(["id"]) == (
            "(CONVERT(bigint, SUBSTRING(HASHBYTES('MD5', CONCAT([id], '')), 1, 4)) % 1073741824)"
        )
    else:
        assert (source.quote("id"), source.quote("Mixed")) == ("id", '"Mixed"')
        assert source.hash(["id", "n"]) == "ORA_HASH(id || '|' || n, 1073741823)"
    assert source.literal("it's") == "'it''s'"
    assert source.literal(value=True) == "1"


@pytest.mark.parametrize("url", ["mssql://sa@127.0.0.1:1/db", "oracle://scott@127.0.0.1:1/XE"])
def test_a_server_that_does_not_answer_is_told(url: str) -> None:
    address = address_of(url, password=Secret("never-told"))
    with (
        open_database(address) as database,
        pytest.raises(FailedPreconditionError) as told,
        database.guarded("read"),
        opening.open_source(database),
    ):
        pass
    assert told.value.reason == "DATABASE_UNREACHABLE"
    assert "never-told" not in f"{told.value!r} {told.value.metadata}"
