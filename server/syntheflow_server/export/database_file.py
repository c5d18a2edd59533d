"""What files that are databases share: their bytes, and the errors of writing them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from syntheflow_server.connect.faults import database_error
from syntheflow_server.connect.places import Place, PlaceKind
from syntheflow_server.domain.errors import FailedPreconditionError, SyntheflowError, Violation
from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.base import FilePart, Target

_PART = 1 << 20


def file_parts(path: Path, file: str) -> Iterator[FilePart]:
    """Yield the bytes of `path` as parts of `file`, then remove it."""
    with path.open("rb") as source:
        while data := source.read(_PART):
            yield FilePart(file, "", data)
    path.unlink()


def write_error(
    error: BaseException, file: str, dialect: Dialect, table: str = "", row: int | None = None
) -> SyntheflowError:
    """Return the domain error for what the database said; `row` of `table` counts from 1."""
    place = Place(kind=PlaceKind.DATABASE, url=file, dialect=dialect)
    made = database_error(error, place=place, doing="write the rows", table=table)
    if row is not None:
        fault = Violation(field="rows", rule=made.message, table=table, row=row)
        made = FailedPreconditionError(
            f"{made.message}; row {row}",
            reason=made.reason,
            violations=(fault,),
            metadata=made.metadata,
        )
    return made


def kept_references(target: Target, table: str) -> list[ForeignKey]:
    """Return the references of `table` whose parent is written too."""
    keys = dict.fromkeys(target.schema.references_from(table))
    return [key for key in keys if key.parent_table in target.tables]


def broken_reference(key: ForeignKey) -> FailedPreconditionError:
    """Return the error for a row whose parent is missing."""
    rule = f"the reference {key} is broken: a row refers to a row that is not there"
    fault = Violation(field="foreign_keys", rule=rule, table=key.child_table)
    return FailedPreconditionError(
        f"{rule}; write all rows of both tables, or take the reference out of the schema",
        reason="REFERENCE_BROKEN",
        violations=(fault,),
        metadata={"table": key.child_table},
    )
