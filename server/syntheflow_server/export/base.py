"""What all formats share: their faces, the size of pieces, and how text is cut into them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.errors import OutOfRangeError
from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.domain.writing import WriteOptions

TARGET_PIECE = 1 << 20
"""Bytes that a piece aims at."""
MAX_PIECE = 3_600_000
"""Bytes that no piece exceeds: 3.5 MiB less room for the message around it."""
_UNSAFE = frozenset('/\\:*?"<>|%')
_LONGEST_NAME = 200


class Piece(NamedTuple):
    """Bytes for one message and the number of rows that are complete with it."""

    data: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Target:
    """What is written: the dataset's schema, the tables asked for, the format's settings.

    `name` is of the whole (without ending), for formats that put all tables in one file.
    """

    schema: Schema
    tables: tuple[str, ...]
    name: str = "dataset"
    options: WriteOptions = field(default_factory=WriteOptions)

    def table(self, name: str) -> Table:
        """Return the table called `name`."""
        return self.schema.table(name)


class FilePart(NamedTuple):
    """The next bytes of a file: `table` is empty where they belong to no table alone.

    `rows` of `table` are complete with them; data may be empty to tell rows alone.
    """

    file: str
    table: str
    data: bytes
    rows: int = 0


class Encoder(ABC):
    """Turns batches of one table into bytes, in any process: each batch on its own.

    The bytes depend on the batch alone. What stands before the first and after the last
    row of all is said once, by `opening` and `closing`.
    """

    ending: ClassVar[str]
    """Ending of the file's name, with its dot."""

    def __init__(self, target: Target, table: str) -> None:
        self.target, self.table = target, target.table(table)
        self.schema: pa.Schema = self.table.arrow

    @classmethod
    def file_of(cls, target: Target, table: str) -> str:
        """Return the name of the file that the table's rows go to."""
        del target
        return file_stem(table) + cls.ending

    @classmethod
    def opening(cls, target: Target) -> Iterator[FilePart]:
        """Yield what stands before the first rows, and files that go with them."""
        for table in target.tables:
            yield FilePart(cls.file_of(target, table), table, cls(target, table).begin())

    @classmethod
    def closing(cls, target: Target) -> Iterator[FilePart]:
        """Yield what stands after the last rows."""
        for table in target.tables:
            yield FilePart(cls.file_of(target, table), table, cls(target, table).end())

    def begin(self) -> bytes:
        """Return what stands before the table's first row."""
        return b""

    @abstractmethod
    def pieces(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[Piece]:
        """Yield the batch's rows as pieces of about TARGET_PIECE, never above MAX_PIECE bytes.

        `first` says that no row of the table came before. A batch without rows yields
        nothing. Raises OutOfRangeError if a single row exceeds MAX_PIECE.
        """

    def batch(self, batch: pa.RecordBatch, *, first: bool) -> Iterator[bytes]:
        """Yield the bytes of `pieces`."""
        for piece in self.pieces(batch, first=first):
            yield piece.data

    def end(self) -> bytes:
        """Return what stands after the table's last row."""
        return b""

    def _expect(self, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(self.schema):
            raise ValueError("the batch's schema is not the encoder's")


class Book(ABC):
    """Writes files that need all their rows in one place: one object in a process of its own.

    `work` is an empty folder for what must wait on disk; memory stays flat. Parts may be
    of any size. After an error the object is thrown away.
    """

    def __init__(self, target: Target, work: Path) -> None:
        self.target, self.work = target, work

    @abstractmethod
    def add(self, table: str, batch: pa.RecordBatch) -> Iterator[FilePart]:
        """Take rows, in the table's order; tables may alternate. Yield what can go out."""

    @abstractmethod
    def end(self) -> Iterator[FilePart]:
        """Yield the rest of all files, those of tables without rows too."""


def split(data: bytes) -> Iterator[bytes]:
    """Yield `data` in parts of at most TARGET_PIECE bytes; nothing if it is empty."""
    for start in range(0, len(data), TARGET_PIECE):
        yield data[start : start + TARGET_PIECE]


def too_large_row(rows: int) -> OutOfRangeError:
    """Return the error for a row that fits no message."""
    return OutOfRangeError(
        f"a row of the batch of {rows} takes more than {MAX_PIECE} bytes in this format; "
        "shorten its longest text column or ask for fewer columns",
        reason="ROW_TOO_LARGE",
    )


def blocks(batch: pa.RecordBatch, limit: int) -> Iterator[pa.RecordBatch]:
    """Yield `batch` in slices of at most `limit` bytes where rows allow it, in order."""
    if batch.num_rows > 1 and batch.nbytes > limit:
        half = batch.num_rows // 2
        yield from blocks(batch.slice(0, half), limit)
        yield from blocks(batch.slice(half), limit)
    elif batch.num_rows:
        yield batch


def cut_lines(lines: pa.Array) -> Iterator[Piece]:
    """Yield a string array (one text a row, no nulls) as pieces that end with whole rows."""
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    offsets = offsets[lines.offset : lines.offset + len(lines) + 1]
    text = memoryview(lines.buffers()[2])
    row = 0
    while row < len(lines):
        start = int(offsets[row])
        stop_row = int(np.searchsorted(offsets, start + TARGET_PIECE, side="right")) - 1
        stop_row = max(stop_row, row + 1)
        stop = int(offsets[stop_row])
        if stop - start > MAX_PIECE:
            raise too_large_row(len(lines))
        yield Piece(bytes(text[start:stop]), stop_row - row)
        row = stop_row


def file_stem(table: str) -> str:
    """Return a file name for a table: unsafe characters become %XX, overlong names a digest."""
    text = "".join(
        "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        if char in _UNSAFE or not char.isprintable() or (at == 0 and char == ".")
        else char
        for at, char in enumerate(table)
    )
    if len(text.encode()) > _LONGEST_NAME:
        digest = hashlib.sha256(table.encode()).hexdigest()[:16]
        text = text.encode()[: _LONGEST_NAME - 20].decode("utf-8", "ignore") + "-" + digest
    return text or "%"
