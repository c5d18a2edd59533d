"""Reads one file of any known format into Parquet tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.archive import read_zip
from syntheflow_server.ingest.columnar import read_arrow, read_parquet
from syntheflow_server.ingest.damage import damage
from syntheflow_server.ingest.delimited import read_delimited
from syntheflow_server.ingest.duckdb_file import read_duckdb
from syntheflow_server.ingest.excel import read_excel
from syntheflow_server.ingest.json_file import read_json, read_json_lines
from syntheflow_server.ingest.recognise import recognise, stem_of
from syntheflow_server.ingest.sql_dump import read_sql
from syntheflow_server.ingest.sqlite_file import read_sqlite
from syntheflow_server.ingest.tables import IngestedTable, checked_table_name
from syntheflow_server.ingest.xml_file import read_xml


class Reader(Protocol):
    """Reads `path` into tables in `out`; `table` names the only table."""

    def __call__(
        self, path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
    ) -> tuple[IngestedTable, ...]:
        """Return the tables in the file's order."""
        ...


FORMATS: dict[str, Reader] = {
    "csv": read_delimited,
    "json": read_json,
    "jsonl": read_json_lines,
    "excel": read_excel,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "xml": read_xml,
    "sql": read_sql,
    "zip": read_zip,
    "sqlite": read_sqlite,
    "duckdb": read_duckdb,
}
"""Reader by format."""

_HEEDED: dict[str, frozenset[str]] = {
    "csv": frozenset(ReadOptions.model_fields) - {"sheets", "records", "tables"},
    "json": frozenset({"records", "null_values"}),
    "jsonl": frozenset({"null_values", "on_bad_row"}),
    "excel": frozenset({"sheets", "tables", "header", "skip_rows", "null_values"}),
    "xml": frozenset({"encoding", "records", "null_values"}),
    "sql": frozenset({"tables", "on_bad_row"}),
    "sqlite": frozenset({"tables"}),
    "duckdb": frozenset({"tables"}),
    "zip": frozenset(ReadOptions.model_fields),
}
"""Settings that a format has; the others are passed over, and the findings say so."""


def ingest(
    path: Path,
    *,
    file_name: str,
    table: str,
    format: str | None,  # noqa: A002 - the word of the contract
    out: Path,
    options: ReadOptions | None = None,
) -> tuple[IngestedTable, ...]:
    """Read the file at `path` into one Parquet file per table in the folder `out`.

    `file_name` is the name its user knows, `table` the table's name (empty: the file's
    name without its endings), `format` one of FORMATS or None to tell it by name and
    content; `options` replace what would be guessed. Raises InvalidArgumentError naming
    table, row and rule if the file is not fit; then `out` holds nothing new.
    """
    name = checked_table_name(table or stem_of(file_name))
    with damage(name):
        chosen = format or recognise(path, file_name)
    if chosen not in FORMATS:
        rule = f"format must be one of {', '.join(FORMATS)}"
        raise InvalidArgumentError(
            rule, reason="FORMAT_UNKNOWN", violations=(Violation(field="format", rule=rule),)
        )
    wanted = options or ReadOptions()
    before = set(out.iterdir())
    try:
        with damage(name):
            made = FORMATS[chosen](path, file_name=file_name, table=name, out=out, options=wanted)
    except BaseException:
        for left in set(out.iterdir()) - before:
            left.unlink()
        raise
    # What was said counts among the settings, whatever the format makes of it.
    vain = sorted(set(wanted.said()) - _HEEDED.get(chosen, frozenset()))
    notes = (f"settings that {chosen} files do not have: {', '.join(vain)}",) if vain else ()
    return tuple(
        replace(each, read_as={**wanted.texts(), **each.read_as}, findings=(*each.findings, *notes))
        for each in made
    )
