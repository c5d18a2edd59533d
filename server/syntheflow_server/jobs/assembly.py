"""From encoded units to the chunks of a stream: beginnings, rows, ends."""

from __future__ import annotations

import asyncio
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from syntheflow_server.export import ENCODERS, FilePart, Target, split
from syntheflow_server.jobs.desks import End
from syntheflow_server.jobs.requests import Chunk
from syntheflow_server.jobs.sampling import RAW, Piece
from syntheflow_server.jobs.scribe import Scribe


class Assembly(ABC):
    """Makes the chunks of one stream out of the units' pieces, in order."""

    unit_format: str
    """What the workers are to send: the format itself, or RAW rows to be written here."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._next_row = dict.fromkeys(target.tables, 0)
        self._begun: set[str] = set()

    @abstractmethod
    async def begin(self) -> list[Chunk]:
        """Return what stands before the first rows."""

    @abstractmethod
    def add(self, pieces: list[Piece]) -> AsyncIterator[Chunk]:
        """Yield the chunks of one unit."""

    @abstractmethod
    def end(self) -> AsyncIterator[Chunk]:
        """Yield what stands after the last rows."""

    async def close(self) -> None:
        """Let go of all that was held, whether the stream came to its end or not."""
        await asyncio.sleep(0)

    def _start_at(self, piece: Piece) -> None:
        """Count rows from the first piece of a table on: a window begins anywhere."""
        if piece.table not in self._begun:
            self._begun.add(piece.table)
            self._next_row[piece.table] = piece.first_row

    def _chunks(self, parts: Iterable[FilePart]) -> Iterator[Chunk]:
        for file, table, data, rows in parts:
            first = self._next_row.get(table, 0)
            cut = list(split(data)) or ([b""] if rows else [])
            for piece in cut[:-1]:
                yield Chunk(table, first, 0, piece, file)
            if cut:
                yield Chunk(table, first, rows, cut[-1], file)
            if rows:
                self._next_row[table] = first + rows


class Encoded(Assembly):
    """A format whose rows come encoded from the workers."""

    def __init__(self, form: str, target: Target) -> None:
        super().__init__(target)
        self._encoder, self.unit_format = ENCODERS[form], form

    async def begin(self) -> list[Chunk]:
        """Return what stands before the first rows."""
        return list(self._chunks(self._encoder.opening(self.target)))

    async def add(self, pieces: list[Piece]) -> AsyncIterator[Chunk]:
        """Yield the pieces as they are: none is too large for a message."""
        for piece in pieces:
            self._next_row[piece.table] = piece.first_row + piece.row_count
            file = self._encoder.file_of(self.target, piece.table)
            yield Chunk(piece.table, piece.first_row, piece.row_count, piece.data, file)

    async def end(self) -> AsyncIterator[Chunk]:
        """Yield what stands after the last rows."""
        for chunk in self._chunks(self._encoder.closing(self.target)):
            yield chunk


class Bound(Assembly):
    """A format that is written by a book, in a process of its own."""

    unit_format = RAW

    def __init__(self, form: str, target: Target, root: Path | None) -> None:
        super().__init__(target)
        self._work = tempfile.TemporaryDirectory(prefix="syntheflow-", dir=root)
        self._scribe = Scribe(
            "syntheflow_server.jobs.desks:book_desk",
            form,
            target,
            Path(self._work.name),
            title=f"the format {form}",
        )
        self._scribe.start()

    async def begin(self) -> list[Chunk]:
        """Return nothing: a book begins with its first rows."""
        return []

    async def add(self, pieces: list[Piece]) -> AsyncIterator[Chunk]:
        """Yield what the book has given out so far."""
        for piece in pieces:
            self._start_at(piece)
            async for part in self._scribe.take(piece):
                for chunk in self._chunks([part]):
                    yield chunk

    async def end(self) -> AsyncIterator[Chunk]:
        """Yield the rest of the book."""
        async for part in self._scribe.finish(End()):
            for chunk in self._chunks([part]):
                yield chunk

    async def close(self) -> None:
        """End the process and remove the book's folder."""
        try:
            await self._scribe.end()
        finally:
            await asyncio.to_thread(self._work.cleanup)


def assembly(form: str, target: Target, root: Path | None = None) -> Assembly:
    """Return the assembly of a format; `root` is for what must wait on disk."""
    return Encoded(form, target) if form in ENCODERS else Bound(form, target, root)
