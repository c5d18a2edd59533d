"""Reads the bytes of one delimited file in tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest import IngestedTable, ingest


def read_text(data: str | bytes, **said: object) -> tuple[IngestedTable, pa.Table]:
    """Ingest a file of `data` with the options that are said; nothing else may be left."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        out = Path(folder) / "out"
        out.mkdir()
        options = ReadOptions.model_validate(said)
        try:
            (made,) = ingest(
                path, file_name="things.csv", table="", format="csv", out=out, options=options
            )
        except InvalidArgumentError:
            assert not list(out.iterdir()), "a refused file leaves nothing behind"
            raise
        assert sorted(out.iterdir()) == [made.path], "nothing else is left behind"
        return made, pq.read_table(made.path)


def refused(data: str | bytes, **said: object) -> InvalidArgumentError:
    """Return the error with which such a file is refused."""
    with pytest.raises(InvalidArgumentError) as caught:
        read_text(data, **said)
    return caught.value
