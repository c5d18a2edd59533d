"""Opens a database for reading: one connection, one transaction, one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from syntheflow_server.connect.databases import Database
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.ingest.databases.source import Source


@contextmanager
def open_source(database: Database) -> Iterator[Source]:
    """Give the database in a transaction that sees one state and changes nothing."""
    if database.dialect is Dialect.POSTGRESQL:
        from syntheflow_server.ingest.databases.postgresql import PostgresqlSource

        with closing(database.connect_columnar()) as connection:
            yield PostgresqlSource(connection)
        return
    if database.dialect is Dialect.MYSQL:
        from syntheflow_server.ingest.databases.mysql import MysqlSource

        connection = database.connect(reading=True)
        try:
            yield MysqlSource(connection)
        finally:
            if connection.open:
                connection.close()
        return
    if database.dialect in {Dialect.MSSQL, Dialect.ORACLE}:
        from syntheflow_server.ingest.databases.reflected import ReflectedSource

        with database.engine.connect() as reflected:
            yield ReflectedSource(reflected, database.dialect)
        return
    with closing(database.connect(reading=True)) as connection:
        if database.dialect is Dialect.SQLITE:
            from syntheflow_server.ingest.databases.sqlite import SqliteSource

            yield SqliteSource(connection)
        else:
            from syntheflow_server.ingest.databases.duckdb_file import DuckdbSource

            yield DuckdbSource(connection)
