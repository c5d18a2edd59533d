"""Tells a file's format by its content first, then by its name."""

from __future__ import annotations

from pathlib import Path

_MAGIC = [
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow"),
    (b"PK\x03\x04", "excel"),
    (b"\xd0\xcf\x11\xe0", "excel"),
]
_BY_ENDING = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "csv", ".dat": "csv", ".psv": "csv",
    ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".xlsx": "excel", ".xlsm": "excel", ".xls": "excel", ".xlsb": "excel",
    ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
PACKINGS = (".gz", ".zst")
ENDINGS = frozenset(_BY_ENDING) | frozenset(PACKINGS)
"""Endings that are no part of a table's name."""


def recognise(path: Path, file_name: str) -> str:
    """Return the format of a file; text of no known name is read as CSV."""
    with path.open("rb") as file:
        head = file.read(8)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    name = Path(file_name.lower())
    if name.suffix in PACKINGS:
        name = Path(name.stem)
    return _BY_ENDING.get(name.suffix, "csv")
