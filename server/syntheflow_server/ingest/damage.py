"""What the libraries that unpack and decode files raise when a file is damaged."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from syntheflow_server.ingest.tables import bad_file

_DAMAGE = (
    EOFError,
    UnicodeError,
    lzma.LZMAError,
    pa.ArrowException,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def damage(table: str) -> Iterator[None]:
    """Say that the file is damaged where a library found that and no reader said more."""
    try:
        yield
    except _DAMAGE as error:
        raise bad_file(
            table,
            "the file is damaged or is not of the format that it seems to be; write it again, "
            "or say its format",
            reason="FILE_DAMAGED",
        ) from error
