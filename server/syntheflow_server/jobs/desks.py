"""What works in a Scribe's process: writes books, loads databases, delivers files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntheflow_server.connect.access import Address
from syntheflow_server.domain.errors import SyntheflowError
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export import BOOKS, FilePart, Target
from syntheflow_server.jobs.sampling import Piece


@dataclass(frozen=True, slots=True)
class End:
    """The last command: no more rows come."""


class BookDesk:
    """Writes the pieces of rows (RAW) that it gets into a book; answers FilePart."""

    def __init__(self, form: str, target: Target, work: Path) -> None:
        self._target = target
        self._book = BOOKS[form](target, work)

    def do(self, command: Piece | End) -> Iterator[FilePart]:
        """Take rows, or end the book."""
        if isinstance(command, End):
            yield from self._book.end()
        else:
            batch = batch_of(self._target, command)
            yield from self._book.add(command.table, batch)

    def close(self) -> None:
        """Nothing to undo: the front removes the folder."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The first command to a LoadDesk: make the tables ready; answers rows there by table."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Instead of End: take back whatever is there already.

    With `new_file` the database's file came with the load, and goes if nothing is in it.
    """

    new_file: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What is loaded: target and mode, and the name under which it can be taken up again."""

    target: Target
    mode: LoadMode
    namespace: str
    name: str


class LoadDesk:
    """Writes the pieces of rows (RAW) that it gets into a database; answers the end's Loaded."""

    def __init__(self, address: Address, load: Load) -> None:
        from syntheflow_server.export.databases import open_loader

        self._address, self._target = address, load.target
        self._ended = False
        self._loader = open_loader(
            address, load.target, load.mode, namespace=load.namespace, load=load.name
        )

    def do(self, command: Begin | Piece | End | Discard) -> Iterator[Any]:
        """Begin, take rows, or end the load; a failure has ended it too."""
        try:
            if isinstance(command, Begin):
                yield dict(self._loader.begin())
            elif isinstance(command, Piece):
                batch = batch_of(self._target, command)
                self._loader.write(command.table, command.first_row, batch)
            elif isinstance(command, Discard):
                self._ended = True
                self._loader.discard()
                if command.new_file:
                    remove_empty(self._address)
            else:
                self._ended = True
                yield self._loader.finish()
        except SyntheflowError:
            self._ended = True
            raise

    def close(self) -> None:
        """Take back what is not committed."""
        if not self._ended:
            self._loader.abort()


@dataclass(frozen=True, slots=True)
class Bytes:
    """The next bytes of a file."""

    file: str
    data: bytes


class DeliveryDesk:
    """Writes files into a folder or store; answers the files' names at the end."""

    def __init__(self, address: Address, *, overwrite: bool, work: Path) -> None:
        from syntheflow_server.export.files import Delivery

        self._delivery = Delivery(address, overwrite=overwrite, work=work)
        self._ended = False

    def do(self, command: Bytes | End) -> Iterator[list[str]]:
        """Take bytes, or let all files appear."""
        if isinstance(command, Bytes):
            self._delivery.write(command.file, command.data)
        else:
            self._ended = True
            yield self._delivery.finish()

    def close(self) -> None:
        """Leave no file that is not whole."""
        if not self._ended:
            self._delivery.abort()


def remove_empty(address: Address) -> None:
    """Remove the file of a database without any table; nothing happens to others."""
    from syntheflow_server.connect.databases import open_database

    path = address.path
    if path is None or address.place.dialect not in _CATALOGUES or not path.is_file():
        return
    with open_database(address) as database:
        connection = database.connect(reading=True)
        try:
            empty = connection.execute(_CATALOGUES[database.dialect]).fetchone() is None
        finally:
            connection.close()
    if empty:
        for ending in ("", "-journal", "-wal", "-shm", ".wal"):
            path.with_name(path.name + ending).unlink(missing_ok=True)


_CATALOGUES = {
    Dialect.SQLITE: "SELECT 1 FROM sqlite_master",
    Dialect.DUCKDB: "SELECT 1 FROM duckdb_tables() UNION ALL SELECT 1 FROM duckdb_views() "
    "WHERE NOT internal UNION ALL SELECT 1 FROM duckdb_sequences()",
}


def batch_of(target: Target, piece: Piece) -> pa.RecordBatch:
    """Return the rows of a RAW piece."""
    schema = target.table(piece.table).arrow
    return pa.ipc.read_record_batch(pa.py_buffer(piece.data), schema)


def book_desk(form: str, target: Target, work: Path) -> BookDesk:
    """Make the desk of a format."""
    return BookDesk(form, target, work)


def load_desk(address: Address, load: Load) -> LoadDesk:
    """Make the desk of a database."""
    return LoadDesk(address, load)


def delivery_desk(address: Address, overwrite: bool, work: Path) -> DeliveryDesk:  # noqa: FBT001 - crosses to a process by place
    """Make the desk of a folder or store."""
    return DeliveryDesk(address, overwrite=overwrite, work=work)
