"""The course of every load: tables made ready, rows in blocks, keys and counters at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from syntheflow_server.connect.databases import Database, database_error, driver_errors
from syntheflow_server.domain.errors import SyntheflowError, Violation
from syntheflow_server.domain.writing import Dialect, LoadMode
from syntheflow_server.export.base import Target
from syntheflow_server.export.databases import faults
from syntheflow_server.export.databases.progress import Progress
from syntheflow_server.export.databases.slots import Slot, check_filled, matched
from syntheflow_server.export.databases.texts import Cutter, joined_columns
from syntheflow_server.export.ddl import dependency_order, fitting_name, quoted_name

BLOCK_ROWS = 131_072
"""Rows of a table that are sent at once."""
BLOCK_BYTES = 32 << 20
"""Bytes after which a table's rows are sent, however few they are."""
WAITING_BYTES = 96 << 20
"""Bytes of all tables' rows that wait at most."""
_TABLES_AT_ONCE = frozenset({Dialect.MYSQL, Dialect.ORACLE})
"""Databases that commit each table that is made: a crash may leave some of them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What stands in the database: rows written by table, and what went another way than usual."""

    rows: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Waiting:
    """Rows of one table that are not sent yet; `first` is the number of the first of them."""

    first: int
    batches: list[pa.RecordBatch]
    rows: int = 0
    bytes: int = 0


class Loader(ABC):
    """Writes the rows of all tables of a target into a database; one object for one load.

    `begin`, then `write` for each batch in its table's order (tables may alternate), then
    `finish`; `abort` instead of `finish` if something fails elsewhere. An error of any of
    them has ended the load: nothing needs to be called after it.

    Without a name (`load`) everything happens in one transaction, or, where the database
    ends transactions by itself when tables are made (MySQL, Oracle), is taken back on
    failure. With a name each block is committed together with a row of the table
    `syntheflow_loads` in the target; a later loader of the same name goes on from there.
    """

    dialect: ClassVar[Dialect]
    text_type: ClassVar[tuple[str, str]] = ("varchar(250)", "text")
    """Types of names and of longer texts in the table that keeps progress."""

    def __init__(
        self,
        database: Database,
        target: Target,
        mode: LoadMode,
        *,
        namespace: str = "",
        load: str = "",
    ) -> None:
        self.database = database
        self.target, self.mode, self.namespace, self.load = target, mode, namespace, load
        self.slots: dict[str, list[Slot]] = {}
        self.after: list[str] = []
        """Statements that `finish` runs when all rows are there."""
        self.undo: list[str] = []
        """Statements that take back what was committed already, the last one first."""
        self.notes: list[str] = []
        self.sending: tuple[str, int] | None = None
        """The table whose rows are being sent, and the number of the first of them."""
        self.written: dict[str, int] = dict.fromkeys(target.tables, 0)
        """Rows by table that were sent, those of an earlier run too."""
        self._waiting: dict[str, _Waiting] = {}
        self._joined: dict[str, set[str]] = {}
        self._cutter = Cutter()
        self._progress = Progress(self)

    # What callers do

    def begin(self) -> dict[str, int]:
        """Make the tables ready; return how many rows of each are there from an earlier run.

        Raises AlreadyExistsError or FailedPreconditionError, naming each table and column,
        where the target's tables do not suit the mode or the rows.
        """
        with self._ended_on_error():
            if self.load and self._progress.found():
                self.written.update(self._progress.rows())
                self.after = self._progress.statements()
                self._cutter.counts.update(self._progress.cut())
            else:
                self._prepare()
                if self.load:
                    self._progress.start(self.after)
                    self._commit()
            self._look_at_tables()
        return dict(self.written)

    def write(self, table: str, first_row: int, batch: pa.RecordBatch) -> None:
        """Take rows `first_row`, ... of the table; those that are there already are left out.

        Raises InvalidArgumentError naming table, column, row and rule where the table
        cannot take them, FailedPreconditionError where keys meet rows already there.
        """
        with self._ended_on_error():
            waiting = self._waiting.get(table)
            expected = waiting.first + waiting.rows if waiting else self.written[table]
            if first_row > expected:
                raise ValueError(f"row {first_row} of {table!r} came where {expected} was due")
            batch = batch.slice(expected - first_row)
            if not batch.num_rows:
                return
            if waiting is None:
                waiting = self._waiting[table] = _Waiting(expected, [])
            waiting.batches.append(batch)
            waiting.rows += batch.num_rows
            waiting.bytes += batch.nbytes
            if waiting.rows >= BLOCK_ROWS or waiting.bytes >= BLOCK_BYTES:
                self._send(table)
            while sum(w.bytes for w in self._waiting.values()) > WAITING_BYTES:
                self._send(max(self._waiting, key=lambda name: self._waiting[name].bytes))

    def finish(self) -> Loaded:
        """Send what waits, put keys and references on, set counters, make all of it final.

        Raises FailedPreconditionError naming table, constraint and rule if rows break one.
        """
        with self._ended_on_error():
            for table in list(self._waiting):
                self._send(table)
            self._check_before()
            for statement in self.after:
                self.run(statement)
            self._check()
            if self.mode is LoadMode.APPEND:
                self._check_keys()
            self._set_counters()
            self._conclude()
            if self.load:
                self._progress.end()
            self._commit()
        self._close()
        notes = [*dict.fromkeys(self.notes), *self._cutter.notes(self.slots)]
        return Loaded(dict(self.written), tuple(notes))

    def abort(self) -> None:
        """End the load: what is not committed is taken back. With a name, it can go on later."""
        try:
            self._rollback()
            if not self.load:
                for statement in reversed(self.undo):
                    self.run(statement)
                self._commit()
        finally:
            self._close()

    def discard(self) -> None:
        """Take back a named load in mode create, and forget it; instead of `begin`.

        Its tables are dropped, whatever rows they hold. A load that never began, or
        that has ended well, leaves nothing to do: tables of others are not touched.
        """
        with self._ended_on_error():
            if self.load and self.mode is LoadMode.CREATE and self._progress.found():
                self._drop_made()
        self._close()

    # What the parts of a load use

    def label(self, name: str) -> str:
        """Return a table's or column's name as it is in the database."""
        return fitting_name(self.dialect, name)

    def quoted(self, name: str) -> str:
        """Return a table's or column's name for a statement."""
        return quoted_name(self.dialect, name)

    def name_of(self, table: str) -> str:
        """Return the table's name for a statement, with its namespace."""
        return quoted_name(self.dialect, table, self.namespace)

    def literal(self, text: str) -> str:
        """Return `text` for a statement."""
        return "'" + text.replace("'", "''") + "'"

    def has_table(self, name: str) -> bool:
        """Say whether the database has this table."""
        return name in self._existing()

    def table_called(self, label: str) -> str:
        """Return the dataset's name of a table of the database; `label` if it has none."""
        return next((name for name in self.target.tables if self.label(name) == label), label)

    def _ended_on_error(self) -> faults.Guard:
        return faults.Guard(self)

    # The course

    def _prepare(self) -> None:
        labels = self._existing()
        wanted = self.target.tables
        there = [name for name in wanted if self.label(name) in labels]
        if self.mode is LoadMode.CREATE:
            if there:
                raise faults.tables_there(there)
            if self.load and self.dialect in _TABLES_AT_ONCE:
                self._progress.announce()
                self._commit()
        elif self.mode is not LoadMode.REPLACE:
            if missing := [name for name in wanted if name not in there]:
                raise faults.tables_missing(missing)
            self._look_at_tables()
        if self.mode is LoadMode.REPLACE:
            self._drop(there)
        if self.mode in {LoadMode.CREATE, LoadMode.REPLACE}:
            self._create()
            return
        self._set_aside()
        if self.mode is LoadMode.TRUNCATE:
            self._empty()

    def _drop_made(self) -> None:
        """Drop the tables that a named load in mode create has made, and forget it."""
        if self.dialect is Dialect.MYSQL:
            self.run("SET foreign_key_checks = 0")
        # References may be there already, and may close a circle.
        rest = " CASCADE" if self.dialect is Dialect.POSTGRESQL else ""
        for name in reversed(dependency_order(self.target.schema, self.target.tables)):
            if self.label(name) in self._existing():
                self.run(f"DROP TABLE {self.name_of(name)}{rest}")
        self._discard_rest()
        self._progress.end()
        self._commit()

    def _look_at_tables(self) -> None:
        found: list[Violation] = []
        for name in self.target.tables:
            self.slots[name], wrong = matched(self, name, self._slots(name))
            found += wrong
        if found:
            raise faults.unfit(found)
        for name in self.target.tables:
            held = self._joined.setdefault(name, joined_columns(self.target, name))
            if self.mode in {LoadMode.APPEND, LoadMode.TRUNCATE}:
                there = set().union(self._referring(name), *self._unique(name))
                held.update(slot.source for slot in self.slots[name] if slot.name in there)

    def _send(self, table: str) -> None:
        waiting = self._waiting.pop(table)
        rows = pa.Table.from_batches(waiting.batches)
        slots = self.slots[table]
        check_filled(self.target.table(table), slots, rows, waiting.first)
        joined = self._joined[table]
        rows, cut = self._cutter.fitted(table, slots, joined, rows, waiting.first)
        self.sending = (table, waiting.first)
        self._insert(table, rows, waiting.first)
        self.sending = None
        self.written[table] = waiting.first + waiting.rows
        self._cutter.add(table, cut)
        if self.load:
            self._progress.note(table, self.written[table])
            for column in cut:
                self._progress.note_cut(table, column, self._cutter.counts[table, column])
            self._commit()

    def _check_keys(self) -> None:
        """Look for keys that stand twice where the table itself does not forbid it."""
        for name in self.target.tables:
            key = self.target.table(name).primary_key
            labels = {slot.source: slot.name for slot in self.slots[name]}
            if not key or not set(key) <= labels.keys():
                continue
            wanted = {labels[column] for column in key}
            if any(unique <= wanted for unique in self._unique(name)):
                continue
            columns = ", ".join(self.quoted(labels[column]) for column in key)
            twice = f"SELECT {columns} FROM {self.name_of(name)} GROUP BY {columns}"  # noqa: S608
            if self.rows(f"SELECT count(*) FROM ({twice} HAVING count(*) > 1) t")[0][0]:  # noqa: S608
                raise faults.keys_meet(name, f"({', '.join(key)})", appending=True)

    # What databases differ in

    @abstractmethod
    def run(self, statement: str) -> None:
        """Run one statement."""

    @abstractmethod
    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""

    def explain(self, error: Exception) -> SyntheflowError | None:
        """Return the database's error without its values; None if it is none of the database."""
        if not isinstance(error, driver_errors()):
            return None
        table = self.sending[0] if self.sending else ""
        return database_error(error, place=self.database.address.place, doing="load", table=table)

    @abstractmethod
    def _existing(self) -> set[str]:
        """Return the names of the tables that are there."""

    @abstractmethod
    def _slots(self, table: str) -> list[Slot]:
        """Return the columns of a table that is there."""

    @abstractmethod
    def _create(self) -> None:
        """Make all tables; what is better done after the rows goes to `after`."""

    @abstractmethod
    def _drop(self, tables: list[str]) -> None:
        """Drop these tables, or keep them away until the load ends well."""

    @abstractmethod
    def _empty(self) -> None:
        """Remove the rows of all tables."""

    @abstractmethod
    def _set_aside(self) -> None:
        """Put references of tables that are there aside, so that rows may come in any order."""

    @abstractmethod
    def _insert(self, table: str, rows: pa.Table, first: int) -> None:
        """Send rows; `first` is the number of the first one."""

    @abstractmethod
    def _unique(self, table: str) -> list[set[str]]:
        """Return the columns of each unique key of a table that is there."""

    def _referring(self, table: str) -> set[str]:
        """Return the columns of a table that is there which foreign keys join to others."""
        del table
        return set()

    def _check_before(self) -> None:  # noqa: B027 - not all need it
        """Check rows before the statements of `after`, where those commit them."""

    def _check(self) -> None:  # noqa: B027 - not all need it
        """Check what the database has not checked by itself."""

    def _discard_rest(self) -> None:  # noqa: B027 - not all need it
        """Drop what else a named load has put beside its tables."""

    def _set_counters(self) -> None:  # noqa: B027 - not all need it
        """Set sequences so that the next row of an application gets a free number."""

    def _conclude(self) -> None:  # noqa: B027 - not all need it
        """Do what may only happen once all is checked."""

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _rollback(self) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...
