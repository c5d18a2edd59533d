"""A kind: one way to read the texts of a column.

It says which texts fit (a regular expression that Python and RE2 read alike), how DuckDB
turns a fitting text `{v}` into its value, and what makes the reading evident where the
same texts could mean something else.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to read a column of texts; `note` goes into the findings.

    `evidence` is an SQL aggregate over `{v}` that must be true for an ambiguous reading,
    unless another column of the file with the same `family` is evident; if it is not
    `required`, it only speaks for the family. `reads` are the settings of ReadOptions
    that the reading amounts to.
    """

    arrow: pa.DataType
    pattern: str
    value: str
    note: str = ""
    evidence: str = ""
    family: str = ""
    needs_missing: bool = False
    required: bool = True
    reads: tuple[tuple[str, str], ...] = ()


def matched(pattern: str) -> str:
    """Return SQL that is true where the whole of `{v}` matches."""
    return "regexp_full_match({v}, '" + pattern.replace("'", "''") + "')"


def seen(pattern: str) -> str:
    """Return an SQL aggregate that is true where any whole `{v}` matches."""
    return f"count(*) FILTER ({matched(pattern)}) > 0"
