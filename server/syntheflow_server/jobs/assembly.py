"""From encoded units to the chunks of a stream: beginnings, rows, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pyarrow as pa

from syntheflow_server.export import Encoder, encoder, split
from syntheflow_server.jobs.requests import Chunk
from syntheflow_server.jobs.sampling import RAW, Piece


class Assembly:
    """Makes the chunks of one stream out of pieces in order.

    Stateless formats come encoded from the workers; the others (Parquet) are
    encoded here, in a thread, with one encoder a table for the whole stream.
    """

    def __init__(self, form: str, tables: dict[str, pa.Schema]) -> None:
        self._encoders: dict[str, Encoder] = {t: encoder(form, s) for t, s in tables.items()}
        self._encoded = all(e.stateless for e in self._encoders.values())
        self.unit_format = form if self._encoded else RAW
        """What the workers are to send: the format itself, or rows to be encoded here."""
        self._next_row = dict.fromkeys(tables, 0)
        self._end_row = dict.fromkeys(tables, 0)
        self._begun: set[str] = set()

    def begin(self) -> Iterator[Chunk]:
        """Yield what stands before the first row of each table."""
        for table, made in self._encoders.items():
            yield from self._rowless(table, made.begin())

    async def add(self, pieces: list[Piece]) -> AsyncIterator[Chunk]:
        """Yield the chunks of one unit."""
        for piece in pieces:
            if self._encoded:
                yield self._chunk(piece)
                continue
            for made in await asyncio.to_thread(self._encode, piece):
                yield self._chunk(made)

    async def end(self) -> list[Chunk]:
        """Return what stands after the last row of each table."""
        chunks: list[Chunk] = []
        for table, made in self._encoders.items():
            last = list(self._rowless(table, await asyncio.to_thread(made.end)))
            if table in self._begun and (waiting := self._end_row[table] - self._next_row[table]):
                last[-1] = replace(last[-1], row_count=waiting)
            chunks += last
        return chunks

    def _encode(self, piece: Piece) -> list[Piece]:
        made = self._encoders[piece.table]
        batch = pa.ipc.read_record_batch(pa.py_buffer(piece.data), made.schema)
        first = piece.table not in self._begun
        if first:
            self._begun.add(piece.table)
            self._next_row[piece.table] = piece.first_row
        self._end_row[piece.table] = piece.first_row + piece.row_count
        encoded: list[Piece] = []
        row = self._next_row[piece.table]
        for data, rows in made.pieces(batch, first=first):
            encoded.append(Piece(piece.table, row, rows, data))
            row += rows
        self._next_row[piece.table] = row
        return encoded

    def _chunk(self, piece: Piece) -> Chunk:
        self._next_row[piece.table] = piece.first_row + piece.row_count
        return Chunk(piece.table, piece.first_row, piece.row_count, piece.data)

    def _rowless(self, table: str, data: bytes) -> Iterator[Chunk]:
        for part in split(data):
            yield Chunk(table, self._next_row[table], 0, part)
