"""A folder for the pieces in between, beside the result and gone with the reading."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def workshop(out: Path) -> Iterator[Path]:
    """Yield a new folder in `out`; it is removed at the end, whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix=".work-", dir=out))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
