"""Rows that a request hands over: where they lie, and how they become a model's rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.resources import Dataset
from syntheflow_server.domain.schema import Table
from syntheflow_server.store.tables import StoredTable, file_of

MOST_ROWS = 10_000_000
_FILE_MARK = b"ARROW1"


@dataclass(frozen=True, slots=True)
class StoredRows:
    """A table of an uploaded dataset, in the folder `directory`; `key` tells its state.

    `dataset` is empty for rows that were read from elsewhere for one job alone.
    """

    dataset: str
    key: str
    directory: Path
    table: Table


@dataclass(frozen=True, slots=True)
class Seeds:
    """Rows given for `table` of a model; they are read by the worker that makes the plan.

    `field` is the request's field that gave them: completions or existing.
    """

    table: Table
    source: bytes | StoredRows
    fill_missing: bool = False
    field: str = "completions"

    @property
    def key(self) -> str:
        """A text that is the same for the same rows."""
        if isinstance(self.source, bytes):
            return hashlib.sha256(self.source).hexdigest()
        return f"{self.source.dataset}@{self.source.key}/{self.source.table.name}"

    def read(self) -> pa.Table:
        """Return the rows with the types of the model's table, columns in their given order.

        Raises InvalidArgumentError naming the column and the rule that it breaks.
        """
        columns = self._inline() if isinstance(self.source, bytes) else self._stored(self.source)
        for name, values in columns.items():
            if len(values) > MOST_ROWS:
                raise self._fault(f"at most {MOST_ROWS:,} rows can be given at once", "")
            columns[name] = self._typed(name, values)
        return pa.table(columns)

    def _inline(self) -> dict[str, pa.ChunkedArray]:
        assert isinstance(self.source, bytes)
        file = self.source.startswith(_FILE_MARK)
        try:
            with (pa.ipc.open_file if file else pa.ipc.open_stream)(self.source) as reader:
                rows = reader.read_all()
                rows.validate(full=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError):
            rows = None  # Arrow's own message may quote what it read
        if rows is None:
            raise self._fault("the bytes are no whole Arrow IPC stream or file", "")
        self._demand_columns(rows.column_names)
        return dict(zip(rows.column_names, rows.columns, strict=True))

    def _stored(self, source: StoredRows) -> dict[str, pa.ChunkedArray]:
        self._demand_columns(source.table.column_names)
        stored = StoredTable(source.directory / file_of(source.table.name), source.table)
        return {name: stored.column(name) for name in source.table.column_names}

    def _demand_columns(self, names: tuple[str, ...] | list[str]) -> None:
        known = self.table.column_names
        if not names:
            raise self._fault("the given rows have no column", "")
        for name in names:
            if name not in known:
                rule = f"the given column {name!r} is none of the model's: {', '.join(known)}"
                raise self._fault(rule, name)
            if list(names).count(name) > 1:
                raise self._fault(f"the given column {name!r} stands twice", name)

    def _typed(self, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
        column = self.table.column(name)
        try:
            if pa.types.is_dictionary(values.type):
                values = values.cast(values.type.value_type)
            typed = values.cast(column.arrow)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            typed = None  # as above: Arrow's message quotes the value
        if typed is None:
            rule = f"column {name!r}: not every given value can be read as {column.type}"
            raise self._fault(rule, name)
        if typed.null_count and not column.nullable and not self.fill_missing:
            rule = f"column {name!r} is never missing, but {typed.null_count} given cells are"
            if self.field == "completions":
                rule += "; ask for missing cells to be filled"
            raise self._fault(rule, name)
        return typed

    def _fault(self, rule: str, column: str) -> InvalidArgumentError:
        return fault(self.table.name, rule, column, self.field)


def fault(
    table: str, rule: str, column: str = "", field: str = "completions"
) -> InvalidArgumentError:
    """Return the error for rows of `table` that cannot be taken."""
    told = (
        f"{field}: table {table!r}: {rule}" if field == "existing" else f"table {table!r}: {rule}"
    )
    return InvalidArgumentError(
        told,
        reason="EXISTING_INVALID" if field == "existing" else "COMPLETION_INVALID",
        violations=(Violation(field=field, table=table, column=column, rule=told),),
        metadata={"table": table},
    )


def stored_rows(
    dataset: Dataset, key: str, directory: Path, table: str, field: str = "completions"
) -> StoredRows:
    """Return the rows that a dataset holds for `table`: its table of that name or its only one."""
    tables = dataset.data_schema.tables
    found = [t for t in tables if t.name == table] or [t for t in tables if len(tables) == 1]
    if not found:
        names = ", ".join(t.name for t in tables)
        rule = f"{dataset.name} has no table of that name; it has {names}"
        raise fault(table, rule, field=field)
    return StoredRows(dataset.name, key, directory, found[0])
