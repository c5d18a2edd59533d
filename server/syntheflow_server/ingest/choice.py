"""Which tables of a file that holds many are taken."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from syntheflow_server.ingest.tables import bad_file


def chosen(names: Sequence[str], patterns: tuple[str, ...] | None, *, table: str) -> list[str]:
    """Return the names that a pattern fits, all of them without patterns.

    Raises InvalidArgumentError if a pattern fits none: it is surely misspelt.
    """
    if patterns is None:
        return list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            rule = f"nothing in the file fits the pattern {pattern!r}"
            raise bad_file(table, rule, reason="TABLE_UNKNOWN")
    return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]
