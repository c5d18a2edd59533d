"""What works in a Scribe's process: writes books, loads databases, delivers files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

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


def batch_of(target: Target, piece: Piece) -> pa.RecordBatch:
    """Return the rows of a RAW piece."""
    schema = target.table(piece.table).arrow
    return pa.ipc.read_record_batch(pa.py_buffer(piece.data), schema)


def book_desk(form: str, target: Target, work: Path) -> BookDesk:
    """Make the desk of a format."""
    return BookDesk(form, target, work)
