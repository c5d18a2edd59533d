"""Errors of a load: table, column, constraint, rule and what to do; never a value."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from syntheflow_server.domain.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    SyntheflowError,
    Violation,
)

if TYPE_CHECKING:
    from syntheflow_server.export.databases.loader import Loader


class Guard:
    """Ends a load that fails, and says why without values."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, trace
        if error is None:
            return
        told = None
        if isinstance(error, Exception) and not isinstance(error, SyntheflowError):
            told = self._loader.explain(error)
        try:
            self._loader.abort()
        except Exception as second:
            # The connection itself may be what failed: the first error tells more.
            if self._loader.explain(second) is None:
                raise
        if told is not None:
            # The driver's own error holds values: it is not shown as the cause.
            raise told from None


def tables_there(names: list[str]) -> SyntheflowError:
    """Return the error of mode create for tables that exist."""
    rule = "mode create makes new tables; use append, truncate or replace for those that exist"
    return AlreadyExistsError(
        f"The database has {_tables(names)} already: {rule}",
        reason="TARGET_TABLE_EXISTS",
        violations=tuple(Violation(field="tables", table=name, rule=rule) for name in names),
    )


def tables_missing(names: list[str]) -> SyntheflowError:
    """Return the error of modes append and truncate for tables that do not exist."""
    rule = "modes append and truncate need tables that exist; use create"
    return FailedPreconditionError(
        f"The database lacks {_tables(names)}: {rule}",
        reason="TARGET_TABLE_MISSING",
        violations=tuple(Violation(field="tables", table=name, rule=rule) for name in names),
    )


def unfit(violations: list[Violation]) -> SyntheflowError:
    """Return the error for tables whose columns do not suit the dataset's."""
    return FailedPreconditionError(
        "The database's tables do not fit: " + "; ".join(v.rule for v in violations[:5]),
        reason="TARGET_TABLE_UNFIT",
        violations=tuple(violations),
    )


def row_refused(table: str, column: str, row: int, rule: str) -> SyntheflowError:
    """Return the error for a value that its column in the database does not take."""
    text = f"column {column!r} of table {table!r} in the database {rule}"
    return InvalidArgumentError(
        f"Row {row}: {text}; widen the column, or make the tables anew with mode replace",
        reason="VALUE_REFUSED",
        violations=(Violation(field="rows", table=table, column=column, row=row, rule=text),),
    )


def keys_meet(table: str, constraint: str, *, appending: bool) -> SyntheflowError:
    """Return the error for a key that stands twice."""
    rule = f"unique constraint {constraint!r} of table {table!r}"
    todo = (
        "rows already there hold a key of the rows to be added: use mode truncate or "
        "replace, or move the keys that are there"
        if appending
        else "two of the rows have the same key"
    )
    return FailedPreconditionError(
        f"The rows break {rule}: {todo}",
        reason="KEYS_MEET" if appending else "UNIQUE_BROKEN",
        violations=(Violation(field="rows", table=table, rule=rule),),
        metadata={"table": table, "constraint": constraint},
    )


BROKEN = {
    "REFERENCE_BROKEN": ("foreign key", "a row refers to a row that is not in the other table"),
    "CHECK_BROKEN": ("check constraint", "relax it there, or leave the table out"),
    "NULL_REFUSED": ("NOT NULL constraint", "the column must have a value in each row"),
    "EXCLUSION_BROKEN": ("exclusion constraint", "two rows overlap"),
}
"""By reason: what was broken, and what that means."""


def broken(table: str, constraint: str, reason: str) -> SyntheflowError:
    """Return the error for rows that break a constraint; `reason` is one of BROKEN."""
    rule, meaning = BROKEN[reason]
    text = f"{rule} {constraint!r} of table {table!r}"
    return FailedPreconditionError(
        f"The rows break {text}: {meaning}",
        reason=reason,
        violations=(Violation(field="rows", table=table, rule=text),),
        metadata={"table": table, "constraint": constraint},
    )


def refused(text: str, *, reason: str, table: str = "") -> SyntheflowError:
    """Return the error for what the database refuses in another way; `text` holds no value."""
    return FailedPreconditionError(
        text, reason=reason, metadata={"table": table} if table else None
    )


def _tables(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"the table{'s' if len(names) > 1 else ''} {shown}{more}"
