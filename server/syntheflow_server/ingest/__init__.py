"""Files in: one reader per format turns a file into Parquet tables of the canonical types."""

from __future__ import annotations

from syntheflow_server.ingest.ingest import FORMATS, ingest
from syntheflow_server.ingest.tables import IngestedTable

__all__ = ["FORMATS", "IngestedTable", "ingest"]
