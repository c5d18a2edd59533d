"""Opens databases: one place that knows drivers, how they connect and what their errors mean."""

from __future__ import annotations

import socket
import sqlite3
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.faults import database_error, driver_errors
from syntheflow_server.domain.errors import FailedPreconditionError, UnsupportedError
from syntheflow_server.domain.writing import Dialect

__all__ = ["Database", "database_error", "driver_errors", "open_database"]

_CONNECT_SECONDS = 15
_SQLALCHEMY = MappingProxyType(
    {
        Dialect.POSTGRESQL: "postgresql+pg8000://",
        Dialect.MYSQL: "mysql+pymysql://",
        Dialect.SQLITE: "sqlite://",
        Dialect.MSSQL: "mssql+pymssql://",
        Dialect.ORACLE: "oracle+oracledb://",
    }
)


class Database:
    """A database that can be connected to; each connection it gives is its caller's to close.

    `dialect` says whose SQL it speaks, `name` what it is called. Driver errors inside
    `guarded` become domain errors.
    """

    def __init__(self, address: Address, dialect: Dialect) -> None:
        self.address = address
        self.dialect = dialect
        self.name = address.place.name or (address.path.stem if address.path else "")

    def __repr__(self) -> str:
        return f"Database({self.address.place.url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if "engine" in self.__dict__:
            self.engine.dispose()

    @cached_property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, for reflection and DDL; DuckDB has none (UnsupportedError)."""
        if self.dialect not in _SQLALCHEMY:
            raise UnsupportedError(
                "DuckDB is opened by its own library, not by SQLAlchemy",
                reason="ENGINE_UNSUPPORTED",
            )
        return sa.create_engine(
            _SQLALCHEMY[self.dialect],
            creator=self.connect,
            poolclass=NullPool,
            # Statements and their values stay out of SQLAlchemy's own messages.
            hide_parameters=True,
        )

    def connect(self, *, reading: bool = False) -> Any:
        """Open a connection of the dialect's DB-API driver; DuckDB's own for DuckDB.

        With `reading` files are opened so that nothing can change in them.
        """
        with self.guarded("connect"):
            return _CONNECT[self.dialect](self.address, reading)

    def connect_columnar(self) -> Any:
        """Open an ADBC connection (PostgreSQL only), which moves rows as Arrow batches."""
        import adbc_driver_postgresql.dbapi

        with self.guarded("connect"):
            return adbc_driver_postgresql.dbapi.connect(_libpq_url(self.address))

    @contextmanager
    def guarded(self, doing: str, table: str = "") -> Iterator[None]:
        """Turn driver errors of the body into domain errors about `doing` (a verb)."""
        try:
            yield
        except driver_errors() as error:
            raise database_error(
                error, place=self.address.place, doing=doing, table=table
            ) from None


def open_database(address: Address) -> Database:
    """Return the database at `address`; a connection is opened only when asked for.

    Raises FailedPreconditionError (DRIVER_MISSING) naming the extra to install if the
    driver is not there, and InvalidArgumentError if the place is no database.
    """
    dialect = address.place.dialect
    if dialect is None:
        raise UnsupportedError(
            f"{address.place.url} is no database; give a URL such as postgresql://HOST/NAME",
            reason="PLACE_INVALID",
        )
    module = {Dialect.MSSQL: "pymssql", Dialect.ORACLE: "oracledb"}.get(dialect)
    if module is not None:
        _require(module, dialect)
    return Database(address, dialect)


def _require(module: str, dialect: Dialect) -> None:
    import importlib

    try:
        importlib.import_module(module)
    except ImportError:
        raise FailedPreconditionError(
            f"the server has no driver for {dialect.value}; install it with "
            f"pip install 'syntheflow[server,{dialect.value}]' and start the server again",
            reason="DRIVER_MISSING",
            metadata={"extra": dialect.value},
        ) from None


def _password(address: Address) -> str | None:
    return address.password.reveal() if address.password is not None else None


def _timeout(address: Address) -> int:
    return int(address.options.get("connect_timeout", _CONNECT_SECONDS)) or _CONNECT_SECONDS


def _socket(address: Address) -> socket.socket:
    """Connect to the address that was checked, not to what the name may mean by now."""
    place = address.place
    try:
        made = socket.create_connection((address.ip or place.host, place.port), _timeout(address))
    except OSError as error:
        # Other errors of the system, such as a full disk, are not the database's.
        raise ConnectionError(error.errno, "no connection") from error
    made.settimeout(None)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made


def _tls(mode: str) -> ssl.SSLContext:
    """Return what `sslmode` asks for, in libpq's words."""
    context = ssl.create_default_context()
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if mode.startswith("verify") else ssl.CERT_NONE
    return context


def _libpq_url(address: Address) -> str:
    place = address.place
    options = {
        "host": place.host,
        "port": str(place.port),
        "connect_timeout": str(_timeout(address)),
        "application_name": "syntheflow",
        "keepalives": "1",
    }
    if address.ip:
        options["hostaddr"] = address.ip
    if "sslmode" in address.options:
        options["sslmode"] = address.options["sslmode"]
    secret = _password(address)
    login = quote(address.user, safe="") + (f":{quote(secret, safe='')}" if secret else "")
    query = "&".join(f"{key}={quote(text, safe='')}" for key, text in options.items())
    return f"postgresql://{login}@/{quote(place.name, safe='')}?{query}"


def _postgresql(address: Address, _reading: bool) -> Any:  # noqa: FBT001 - of a table of functions
    import pg8000.dbapi

    mode = address.options.get("sslmode", "prefer")
    plain: dict[str, bool | None] = {"disable": False, "allow": None, "prefer": None}
    made = _socket(address)
    try:
        return pg8000.dbapi.connect(
            user=address.user,
            password=_password(address),
            host=address.place.host,
            database=address.place.name,
            sock=made,
            ssl_context=plain[mode] if mode in plain else _tls(mode),
            application_name="syntheflow",
        )
    except BaseException:
        made.close()
        raise


def _mysql(address: Address, _reading: bool) -> Any:  # noqa: FBT001 - of a table of functions
    from syntheflow_server.connect.mysql_rows import RowsConnection

    mode = address.options.get("sslmode", "prefer")
    secured = {"ssl": _tls(mode)} if mode in {"require", "verify-ca", "verify-full"} else {}
    connection = RowsConnection(
        user=address.user,
        password=_password(address) or "",
        host=address.place.host,
        port=address.place.port,
        database=address.place.name or None,
        charset="utf8mb4",
        connect_timeout=_timeout(address),
        local_infile=True,
        defer_connect=True,
        **({"ssl_disabled": True} if mode == "disable" else secured),
    )
    connection.connect(_socket(address))
    return connection


def _sqlite(address: Address, reading: bool) -> Any:  # noqa: FBT001 - as above
    assert address.path is not None
    file = f"file:{quote(str(address.path))}?mode={'ro' if reading else 'rwc'}"
    # Transactions are begun and ended by the caller's own words.
    return sqlite3.connect(file, uri=True, isolation_level=None, check_same_thread=False)


def _duckdb(address: Address, reading: bool) -> Any:  # noqa: FBT001 - as above
    import duckdb

    assert address.path is not None
    # A file may not make the server read other files.
    safe = {"enable_external_access": "false", "autoinstall_known_extensions": "false"}
    return duckdb.connect(str(address.path), read_only=reading, config=safe)


def _mssql(address: Address, _reading: bool) -> Any:  # noqa: FBT001 - of a table of functions
    import pymssql

    return pymssql.connect(
        server=address.ip or address.place.host,
        port=str(address.place.port),
        user=address.user,
        password=_password(address),
        database=address.place.name,
        login_timeout=_timeout(address),
        appname="syntheflow",
        encryption=address.options.get("encryption"),
    )


def _oracle(address: Address, _reading: bool) -> Any:  # noqa: FBT001 - of a table of functions
    import oracledb

    return oracledb.connect(
        user=address.user,
        password=_password(address),
        host=address.ip or address.place.host,
        port=address.place.port,
        service_name=address.place.name,
        tcp_connect_timeout=_timeout(address),
    )


_CONNECT: Mapping[Dialect, Callable[[Address, bool], Any]] = MappingProxyType(
    {
        Dialect.POSTGRESQL: _postgresql,
        Dialect.MYSQL: _mysql,
        Dialect.SQLITE: _sqlite,
        Dialect.DUCKDB: _duckdb,
        Dialect.MSSQL: _mssql,
        Dialect.ORACLE: _oracle,
    }
)
