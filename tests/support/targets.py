"""Targets of an export for Arrow tables made in tests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from syntheflow_server.domain.schema import Column, Schema, SemanticType, Table
from syntheflow_server.domain.writing import WriteOptions
from syntheflow_server.export import BOOKS, ENCODERS, MAX_PIECE, FilePart, Target

_WORDS = {"date32[day]": "date32", "double": "float64"}


def target_of(options: WriteOptions | None = None, **tables: pa.Schema) -> Target:
    """Return a target of tables with these Arrow schemas, without keys."""
    made = tuple(
        Table(
            name=name,
            columns=tuple(
                Column(
                    name=field.name,
                    type=_WORDS.get(str(field.type), str(field.type)),
                    semantic_type=SemanticType.TEXT,
                )
                for field in schema
            ),
        )
        for name, schema in tables.items()
    )
    schema = Schema(tables=made)
    return Target(schema, schema.table_names, "made", options or WriteOptions())


def files_of(
    form: str, target: Target, tables: dict[str, pa.Table], work: Path, rows: int = 1 << 14
) -> dict[str, bytes]:
    """Return all files of an export, as a stream in batches of `rows` makes them."""
    batches = [(n, batch) for n, t in tables.items() for batch in t.to_batches(rows)]
    write = _bound if form in BOOKS else _encoded
    files: dict[str, io.BytesIO] = {}
    for part in write(form, target, batches, work):
        files.setdefault(part.file, io.BytesIO()).write(part.data)
    return {name: file.getvalue() for name, file in files.items()}


def _bound(
    form: str, target: Target, batches: list[tuple[str, pa.RecordBatch]], work: Path
) -> Iterator[FilePart]:
    book = BOOKS[form](target, work)
    for name, batch in batches:
        yield from book.add(name, batch)
    yield from book.end()


def _encoded(
    form: str, target: Target, batches: list[tuple[str, pa.RecordBatch]], work: Path
) -> Iterator[FilePart]:
    del work
    kind = ENCODERS[form]
    yield from kind.opening(target)
    begun: set[str] = set()
    for name, batch in batches:
        file = kind.file_of(target, name)
        for data in kind(target, name).batch(batch, first=name not in begun):
            assert 0 < len(data) <= MAX_PIECE
            yield FilePart(file, name, data)
        begun.add(name)
    yield from kind.closing(target)
