"""The beginning of a text file, by which its form is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from syntheflow_server.ingest.records import LINE_LIMIT
from syntheflow_server.ingest.tables import bad_file

_SAMPLE = 1 << 20


def sample_text(path: Path, table: str, *, skip: int = 0) -> str:
    """Return about 1 MiB of a UTF-8 file after `skip` lines, ending with a whole line.

    Raises InvalidArgumentError if the first line is longer than any that is read.
    """
    with path.open("rb") as file:
        _skip(file, skip)
        data = file.read(_SAMPLE)
        following = file.read(_SAMPLE)
        while following and b"\n" not in data and b"\r" not in data:
            data += following
            if len(data) > LINE_LIMIT:
                rule = f"line {skip + 1} is longer than {LINE_LIMIT >> 20} MiB"
                raise bad_file(table, rule, row=skip + 1)
            following = file.read(_SAMPLE)
    if following:
        # A CR may be half of a line's end.
        cut = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1))
        data = data[: cut + 1] if cut > 0 else data
    return data.decode("utf-8-sig", errors="ignore")


def _skip(file: BinaryIO, lines: int) -> None:
    """Read past lines of any length."""
    if not lines:
        return
    first = re.search(rb"\r\n|\n|\r", file.read(_SAMPLE))
    end = b"\r" if first is not None and first[0] == b"\r" else b"\n"
    file.seek(0)
    left = lines
    while left and (part := file.read(_SAMPLE)):
        count = part.count(end)
        if count < left:
            left -= count
            continue
        at = -1
        for _ in range(left):
            at = part.index(end, at + 1)
        file.seek(at + 1 - len(part), 1)
        left = 0
