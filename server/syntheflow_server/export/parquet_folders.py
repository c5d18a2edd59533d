"""Hive-style folders: rows with the same values in some columns go to a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError, OutOfRangeError, Violation
from syntheflow_server.export.base import Target
from syntheflow_server.export.value_text import plain_text

MOST_FOLDERS = 10_000
"""Folders that one table may be cut into."""
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_LONGEST = 200


def check_columns(target: Target) -> None:
    """Raise InvalidArgumentError if a column of partition_by is nowhere, or is all of a table."""
    wanted = target.options.partition_by
    columns = {name: target.table(name).column_names for name in target.tables}
    for name in wanted:
        if not any(name in there for there in columns.values()):
            rule = f"partition_by names the column {name!r}, which no table has"
            raise _wrong(rule, Violation(field="partition_by", column=name, rule=rule))
    for table, there in columns.items():
        if wanted and set(there) <= set(wanted):
            rule = f"partition_by names all columns of table {table!r}; one must stay in its files"
            raise _wrong(rule, Violation(field="partition_by", table=table, rule=rule))


class Folders:
    """Cuts the batches of one table at the values of those of `by` that it has."""

    def __init__(self, table: str, schema: pa.Schema, by: tuple[str, ...]) -> None:
        self._table = table
        self.by = tuple(dict.fromkeys(name for name in by if name in schema.names))
        kept = [name for name in schema.names if name not in self.by]
        self._kept = kept
        self.schema = pa.schema([schema.field(name) for name in kept])
        self._seen: set[str] = set()

    def cut(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield each folder that the batch has rows for with these, in the table's order."""
        parts: list[str | pa.Array] = []
        for name in self.by:
            values = pc.fill_null(self._names(name, batch.column(name)), NO_VALUE)
            parts += [f"{'/' if parts else ''}{_safe(name)}=", values]
        folders = pc.binary_join_element_wise(*parts, "").dictionary_encode()
        codes = folders.indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        rows = batch.select(self._kept)
        ends = np.cumsum(np.bincount(codes, minlength=len(folders.dictionary)))
        start = 0
        for folder, stop in zip(folders.dictionary.to_pylist(), ends.tolist(), strict=True):
            self._check(folder)
            # A copy: a slice would keep the whole batch in memory for as long as it waits.
            yield folder, rows.take(pa.array(order[start:stop]))
            start = stop

    def _names(self, column: str, values: pa.Array) -> pa.Array:
        """Return values as they stand in folders' names; few are distinct: each is made once."""
        distinct = plain_text(values).dictionary_encode()
        names = [_safe(text) for text in distinct.dictionary.to_pylist()]
        if NO_VALUE in names:
            raise self._refused(f"a text of {column!r} is the word for a missing value in folders")
        return pa.array(names, pa.string()).take(distinct.indices)

    def _check(self, folder: str) -> None:
        if folder in self._seen:
            return
        self._seen.add(folder)
        columns = ", ".join(map(repr, self.by))
        if len(self._seen) > MOST_FOLDERS:
            raise self._refused(f"partition_by {columns} makes more than {MOST_FOLDERS} folders")
        if any(len(step) > _LONGEST for step in folder.split("/")):
            raise self._refused(f"a value of {columns} is too long for a folder's name")

    def _refused(self, rule: str) -> OutOfRangeError:
        return OutOfRangeError(
            f"table {self._table!r}: {rule}; choose columns with few, short values",
            reason="PARTITIONS_UNFIT",
            violations=(Violation(field="partition_by", table=self._table, rule=rule),),
        )


def _safe(text: str) -> str:
    return quote(text, safe=" ")


def _wrong(rule: str, fault: Violation) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{rule}; name other columns", reason="PARTITION_INVALID", violations=(fault,)
    )
