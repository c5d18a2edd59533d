"""Files that are parts of one table: told by their columns, and put together."""

from __future__ import annotations

import codecs
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Self

import pyarrow as pa

from syntheflow_server.domain.errors import DataLossError, ExhaustedError

_TEXT = frozenset({".csv", ".tsv", ".tab", ".psv", ".txt", ".dat"})
_LINES = frozenset({".jsonl", ".ndjson"})
_PARQUET = frozenset({".parquet", ".pq"})
_PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_LONGEST_HEADER = 1 << 20
_PIECE = 4 << 20
_GROUP_ROWS = 131_072
# A line with a number in it is no header: files without one keep all their lines.
_NUMBER = re.compile(rb"""(?:^|[,;\t|])\s*["']?[-+]?\d+(?:[.,]\d+)?["']?\s*(?:$|[,;\t|])""")
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"PK", b"PAR1")

Parts = Sequence[tuple[PurePosixPath, Path]]
"""Each part's path below the table's folder, and where it lies."""


def parts_of_one_table(parts: Parts) -> bool:
    """Say whether files of one folder have equal columns and a form that can be put together.

    Texts must begin with the same header line, Parquet files have equal names of columns;
    JSON Lines have no header to differ in. Files that cannot be read are no parts: their
    own reader says why.
    """
    endings = {_ending(path) for _, path in parts}
    if len(endings) != 1:
        return False
    (ending,) = endings
    if ending in _PARQUET:
        return _equal_parquet(parts)
    if any("=" in part for below, _ in parts for part in below.parent.parts):
        return False  # values in the names of folders: only Parquet's are read
    if ending in _LINES:
        return all(_first_line(path) is not None for _, path in parts)
    if ending not in _TEXT:
        return False
    lines = {_first_line(path) for _, path in parts}
    return len(lines) == 1 and all(map(_is_header, lines))


def join_parts(parts: Parts, into: Path, table: str, most: int) -> Path:
    """Write the parts into one file of the folder `into`, called after the table; return it.

    Raises ExhaustedError if their text takes more than `most` bytes, DataLossError if a
    packed part is damaged.
    """
    ending = _ending(parts[0][1])
    path = into / (table + ending)
    if ending in _PARQUET:
        _join_parquet(parts, path)
        return path
    written = 0
    with path.open("xb") as sink:
        for number, (_, part) in enumerate(parts):
            for piece in _rows_of(part, without_header=bool(number) and ending in _TEXT):
                written += sink.write(piece)
                if written > most:
                    raise ExhaustedError(
                        f"the parts of table {table!r} hold more than {most:,} bytes of text; "
                        "choose fewer by patterns",
                        reason="PLACE_TOO_LARGE",
                    )
    return path


def _rows_of(part: Path, *, without_header: bool) -> Iterator[bytes]:
    """Yield a part's text in pieces that end with the end of a line."""
    try:
        with _unpacked(part) as source:
            if without_header:
                source.readline()
            last = b"\n"
            while piece := source.read(_PIECE):
                yield piece
                last = piece[-1:]
            if last != b"\n":
                yield b"\n"
    except OSError:
        raise DataLossError(
            f"{part.name} is damaged: it cannot be unpacked to its end", reason="FILE_DAMAGED"
        ) from None


def _ending(path: Path) -> str:
    """Return the ending that tells the form, without that of a packing."""
    name = Path(path.name.lower())
    return Path(name.stem).suffix if name.suffix in _PACKED else name.suffix


def _unpacked(path: Path) -> _Lines:
    """Open a file for reading lines, unpacked if its name says so."""
    packing = _PACKED.get(path.suffix.lower())
    stream = pa.input_stream(str(path), compression=packing, buffer_size=_PIECE)
    return _Lines(stream)


class _Lines:
    """A stream with `readline`, which pyarrow's have not, within bounds."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream, self._kept = stream, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def readline(self) -> bytes | None:
        """Return the first line without a byte order mark; None if it does not end."""
        text = self._kept
        while b"\n" not in text and len(text) < _LONGEST_HEADER:
            piece = self._stream.read(1 << 16)
            if not piece:
                break
            text += piece
        line, end, self._kept = text.partition(b"\n")
        if not end and len(text) >= _LONGEST_HEADER:
            return None
        return (line + end).removeprefix(codecs.BOM_UTF8)

    def read(self, count: int) -> bytes:
        """Return the next bytes."""
        kept, self._kept = self._kept, b""
        return kept or bytes(self._stream.read(count))


def _first_line(path: Path) -> bytes | None:
    """Return the first line; None if the text is none that can be put together."""
    try:
        with _unpacked(path) as source:
            line = source.readline()
    except OSError:
        return None
    if line is None or line.startswith((*_WIDE, b"#")) or b"\0" in line:
        return None
    return line.rstrip(b"\r\n")


def _is_header(line: bytes | None) -> bool:
    return bool(line and line.strip() and not _NUMBER.search(line))


def _equal_parquet(parts: Parts) -> bool:
    import pyarrow.parquet as pq

    try:
        schemas = [pq.read_schema(path) for _, path in parts]
    except (pa.ArrowException, OSError):
        return False
    keys = {tuple(_keys(below)) for below, _ in parts}
    # Equal types too: a column that is a number here and a text there is not one column.
    return len(keys) == 1 and all(schema.equals(schemas[0]) for schema in schemas)


def _keys(below: PurePosixPath) -> list[str]:
    return [part.partition("=")[0] for part in below.parent.parts]


def _join_parquet(parts: Parts, path: Path) -> None:
    """Copy row groups, with the values that hive's folders say added as columns."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    folder = path.parent / "parts"
    for below, part in parts:
        (folder / below).parent.mkdir(parents=True, exist_ok=True)
        part.rename(folder / below)
    places = [str(folder / below) for below, _ in parts]
    hive = ds.partitioning(flavor="hive") if _keys(parts[0][0]) else None
    source = ds.dataset(places, format="parquet", partitioning=hive, partition_base_dir=str(folder))
    scanner = source.scanner(
        batch_size=_GROUP_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False
    )
    with pq.ParquetWriter(path, source.schema, compression="zstd") as sink:
        for batch in scanner.to_batches():
            sink.write_batch(batch)
    shutil.rmtree(folder)
