"""Rows into databases: bulk loads with keys, references and counters in order at the end."""

from __future__ import annotations

import importlib

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.databases import open_database
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases.loader import Loaded, Loader

__all__ = ["Loaded", "Loader", "open_loader"]

# By dialect: module and class; each is imported, with its driver, when it is used.
_LOADERS = {
    Dialect.POSTGRESQL: ("postgresql", "PostgresqlLoader"),
    Dialect.MYSQL: ("mysql", "MysqlLoader"),
    Dialect.SQLITE: ("sqlite", "SqliteLoader"),
    Dialect.DUCKDB: ("duckdb", "DuckdbLoader"),
    Dialect.MSSQL: ("mssql", "MssqlLoader"),
    Dialect.ORACLE: ("oracle", "OracleLoader"),
}


def open_loader(
    address: Address, target: Target, mode: LoadMode, *, namespace: str = "", load: str = ""
) -> Loader:
    """Return a loader of `target`'s tables into the database at `address`, not begun.

    `namespace` is the database's schema to load into, its default if empty. `load` is a
    name under which the load can be taken up again after a failure; without it a failure
    leaves nothing behind.
    """
    database = open_database(address)
    module, name = _LOADERS[database.dialect]
    made: type[Loader] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return made(database, target, mode, namespace=namespace, load=load)
