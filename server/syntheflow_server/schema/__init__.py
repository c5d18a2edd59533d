"""What tables mean: types, keys and relations, inferred from data and checked against it."""

from __future__ import annotations

from syntheflow_server.schema.check import Finding, check
from syntheflow_server.schema.infer import infer

__all__ = ["Finding", "check", "infer"]
