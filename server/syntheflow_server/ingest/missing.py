"""Spellings of 'nothing here', and when each of them counts."""

# ruff: noqa: S608 - the SQL names only columns c0, c1, ...; texts are quoted by `duck`
from __future__ import annotations

import duckdb

from syntheflow_server.ingest.duck import one_row, quoted

MARKERS = (
    "", "NA", "N/A", "n/a", "N.A.", "#N/A", "NULL", "Null", "null", "None", "none", "\\N",
    "?", "-", "--", ".", "nan", "NaN", "NAN", "n.a.", "na", "NaT", "<NA>", "(null)", "(NULL)",
    "..", "...", ":", "*", "\u2013", "\u2014", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!",
    "#NULL!",
)  # fmt: skip
"""Missing in a column whose other values are all of one kind (numbers, dates ...)."""
_ALWAYS = (
    "N/A", "n/a", "#N/A", "NULL", "null", "\\N", "nan", "NaN", "NaT", "<NA>", "(null)", "(NULL)",
    "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!",
)  # fmt: skip
_SIGNS = ("?", "-")


def missing_in_text(
    con: duckdb.DuckDBPyConnection, source: str, column: str, seen: dict[str, int]
) -> tuple[str, ...]:
    """Return the markers that mean 'missing' in a column of free text.

    `seen` counts the markers that occur. NA is a value among two-letter codes (Namibia);
    a lone ? or - is one where other values are signs too, as in + and -.
    """
    chosen = [marker for marker in seen if marker in _ALWAYS]
    doubtful = [marker for marker in seen if marker == "NA" or marker in _SIGNS]
    if not doubtful:
        return tuple(chosen)
    known = ", ".join(quoted(marker) for marker in seen)
    rest = f"trim({column}) AS v FROM {source} WHERE {column} IS NOT NULL"
    others, no_codes, signs = one_row(
        con,
        "SELECT count(DISTINCT v), "
        "count(*) FILTER (regexp_full_match(v, '[A-Z0-9]{2}')) < 0.8 * count(*), "
        r"count(*) FILTER (regexp_full_match(v, '[^\p{L}\p{N}\s]+')) "
        f"FROM (SELECT {rest} AND trim({column}) NOT IN ({known}))",
    )
    chosen += [
        marker
        for marker in doubtful
        if (marker == "NA" and no_codes) or (marker in _SIGNS and others >= 2 and not signs)
    ]
    return tuple(chosen)
