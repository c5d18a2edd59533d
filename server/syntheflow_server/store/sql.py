"""Documents in a relational database by SQLAlchemy: SQLite in WAL mode by default."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError, IntegrityError

from syntheflow_server.domain.errors import (
    DataLossError,
    FailedPreconditionError,
    NotFoundError,
)
from syntheflow_server.domain.resources import Resource
from syntheflow_server.store.documents import (
    KIND_OF,
    LEDGER_TIME,
    LedgerEntry,
    Page,
    R,
    changed,
    checked_page_size,
    sequence_of,
    taken,
    token_of,
)
from syntheflow_server.store.etag import etag_of

_META = sa.MetaData()
DOCUMENTS = sa.Table(
    "documents",
    _META,
    # Rises with every insert: the order of lists and what page tokens hold.
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(80), nullable=False, unique=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("documents_by_kind", "kind", "sequence"),
    sqlite_autoincrement=True,
)
REQUESTS = sa.Table(
    "requests",
    _META,
    sa.Column("kind", sa.String(40), primary_key=True),
    sa.Column("request_id", sa.String(128), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("response", sa.String(80), nullable=False),
    sa.Column("made", sa.Float, nullable=False, index=True),
)


class SqlDocuments:
    """Documents in two tables; brings the database to the newest migration when opened."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _sqlite_pragmas)
            # One writer at a time: ask for the write lock first, wait for it, never deadlock.
            sa.event.listen(self._engine, "begin", _sqlite_begin)
        try:
            _migrate(self._engine)
        except CommandError as error:
            raise FailedPreconditionError(
                "the metadata were written by a newer version of syntheflow; use that version",
                reason="METADATA_TOO_NEW",
            ) from error
        except DatabaseError as error:
            raise DataLossError(
                "the metadata store cannot be opened; it is damaged, or no database of ours",
                reason="METADATA_DAMAGED",
            ) from error

    @classmethod
    def in_file(cls, path: Path) -> SqlDocuments:
        """Open (or make) the SQLite file `path`."""
        return cls(sa.URL.create("sqlite", database=str(path)).render_as_string())

    def create(self, resource: Resource, *, entry: LedgerEntry | None = None) -> None:
        """Insert; AlreadyExistsError if the name is taken."""
        row = {
            "kind": KIND_OF[type(resource)],
            "name": resource.name,
            "body": resource.model_dump_json(),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(DOCUMENTS.insert(), row)
                _note(connection, entry)
        except IntegrityError as error:
            raise taken(resource.name) from error

    def get(self, kind: type[R], name: str) -> R:
        """Return the resource; NotFoundError if there is none."""
        with self._engine.begin() as connection:
            return _read(connection, kind, name)

    def list(self, kind: type[R], page_size: int = 0, page_token: str = "") -> Page[R]:
        """Return a page, newest first; InvalidArgumentError if the token is not one of ours."""
        size, folder = checked_page_size(page_size), KIND_OF[kind]
        query = (
            sa.select(DOCUMENTS.c.sequence, DOCUMENTS.c.body)
            .where(DOCUMENTS.c.kind == folder)
            .order_by(DOCUMENTS.c.sequence.desc())
            .limit(size + 1)
        )
        if page_token:
            query = query.where(DOCUMENTS.c.sequence < sequence_of(folder, page_token))
        with self._engine.begin() as connection:
            rows = connection.execute(query).all()
        items = tuple(kind.model_validate_json(row.body) for row in rows[:size])
        token = token_of(folder, rows[size - 1].sequence) if len(rows) > size else ""
        return Page(items, token)

    def replace(
        self, resource: Resource, *, etag: str = "", entry: LedgerEntry | None = None
    ) -> None:
        """Put `resource` in the place of the one of its name."""
        with self._engine.begin() as connection:
            stored = _read(connection, type(resource), resource.name)
            if etag and etag != etag_of(stored):
                raise changed(resource.name)
            connection.execute(
                DOCUMENTS.update()
                .where(DOCUMENTS.c.name == resource.name)
                .values(body=resource.model_dump_json())
            )
            _note(connection, entry)

    def delete(self, name: str, *, entry: LedgerEntry | None = None) -> None:
        """Remove; NotFoundError if there is none."""
        with self._engine.begin() as connection:
            gone = connection.execute(DOCUMENTS.delete().where(DOCUMENTS.c.name == name))
            if not gone.rowcount:
                raise NotFoundError.of(name)
            _note(connection, entry)

    def names(self, kind: type[Resource]) -> Iterator[str]:
        """Yield all names of a kind, newest first."""
        query = (
            sa.select(DOCUMENTS.c.name)
            .where(DOCUMENTS.c.kind == KIND_OF[kind])
            .order_by(DOCUMENTS.c.sequence.desc())
        )
        with self._engine.begin() as connection:
            names = connection.execute(query).scalars().all()
        yield from names

    def answered(self, kind: str, request_id: str) -> LedgerEntry | None:
        """Return the entry of a request of the last 24 hours, if there is one."""
        query = sa.select(REQUESTS).where(
            REQUESTS.c.kind == kind,
            REQUESTS.c.request_id == request_id,
            REQUESTS.c.made > _oldest(),
        )
        with self._engine.begin() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return LedgerEntry(row.kind, row.request_id, row.fingerprint, row.response)

    def check(self) -> None:
        """Raise whatever keeps the store from working."""
        with self._engine.begin() as connection:
            connection.execute(sa.select(DOCUMENTS.c.sequence).limit(1)).all()

    def close(self) -> None:
        """Give back files and connections."""
        self._engine.dispose()


def _read(connection: sa.Connection, kind: type[R], name: str) -> R:
    query = sa.select(DOCUMENTS.c.body).where(
        DOCUMENTS.c.name == name, DOCUMENTS.c.kind == KIND_OF[kind]
    )
    body = connection.execute(query).scalar_one_or_none()
    if body is None:
        raise NotFoundError.of(name)
    return kind.model_validate_json(body)


def _note(connection: sa.Connection, entry: LedgerEntry | None) -> None:
    if entry is None:
        return
    connection.execute(REQUESTS.delete().where(REQUESTS.c.made <= _oldest()))
    row = {
        "kind": entry.kind,
        "request_id": entry.request_id,
        "fingerprint": entry.fingerprint,
        "response": entry.response,
        "made": datetime.now(UTC).timestamp(),
    }
    connection.execute(REQUESTS.insert(), row)


def _oldest() -> float:
    return (datetime.now(UTC) - LEDGER_TIME).timestamp()


def _migrate(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", "syntheflow_server.store:migrations")
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    # The driver's own transactions are off, so that BEGIN IMMEDIATE below is ours to say.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=10000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
