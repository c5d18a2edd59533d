"""Databases in: their tables as declared, read in one snapshot and bounded memory."""

from __future__ import annotations

from syntheflow_server.ingest.databases.keys import KeysWanted, read_keys
from syntheflow_server.ingest.databases.read import read_database, read_database_file

__all__ = ["KeysWanted", "read_database", "read_database_file", "read_keys"]
