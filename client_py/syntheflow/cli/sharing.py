"""Options that several commands share: how files are read, and how they are written."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

# The values are the names in small letters: the words of `syntheflow.options`.
Dialect = StrEnum("Dialect", ["POSTGRESQL", "MYSQL", "SQLITE", "MSSQL", "ORACLE", "DUCKDB"])
Compression = StrEnum("Compression", ["ZSTD", "SNAPPY", "GZIP", "LZ4", "NONE"])
BadRow = StrEnum("BadRow", ["FAIL", "SKIP", "REPORT"])
DateOrder = StrEnum("DateOrder", ["DMY", "MDY", "YMD"])
Mode = StrEnum("Mode", ["CREATE", "APPEND", "TRUNCATE", "REPLACE"])


def _option(kind: Any, *names: str, **more: Any) -> Any:
    return Annotated[kind | None, typer.Option(*names, show_default=False, **more)]


_READING: dict[str, Any] = {
    "separator": _option(str, metavar="TEXT", help="What separates cells: ';', '|', tab."),
    "quote": _option(str, metavar="CHAR", help="The quote around cells; '' for none."),
    "escape": _option(str, metavar="CHAR", help="Takes the next character's meaning."),
    "comment": _option(str, metavar="TEXT", help="Start of lines that are no rows."),
    "encoding": _option(str, metavar="NAME", help="utf-8, utf-16, cp1252, ..."),
    "header": _option(int, min=0, metavar="LINE", help="Line with the names; 0 for none."),
    "header_rows": _option(int, min=1, max=8, help="Lines that make up the header together."),
    "skip_rows": _option(int, min=0, help="Lines to leave out before the header."),
    "decimal": _option(str, metavar="CHAR", help="The decimal mark: , or ."),
    "thousands": _option(str, metavar="CHAR", help="Between thousands; '' for nothing."),
    "date_order": _option(DateOrder, help="Order of day, month, year in dates."),
    "null_values": _option(
        list[str], "--null", metavar="TEXT", help="A text that means no value; can be repeated."
    ),
    "sheets": _option(
        list[str], "--sheet", metavar="NAME", help="Only this sheet of a workbook; repeatable."
    ),
    "records": _option(str, metavar="PATH", help="Where the records are: data.items, /feed/entry."),
    "types": _option(
        list[str],
        "--type",
        metavar="COLUMN=TYPE",
        help="Stored type of a column (zip=string); a value that does not fit is a bad row.",
    ),
    "on_bad_row": _option(
        BadRow, help="Rows that cannot be read: fail (default), skip, or report (skip, and list)."
    ),
}
_WRITING: dict[str, Any] = {
    "dialect": _option(Dialect, help="SQL: whose words. Default: postgresql."),
    "copy_rows": Annotated[
        bool, typer.Option("--copy", help="SQL: COPY blocks instead of INSERT (PostgreSQL).")
    ],
    "compression": _option(Compression, help="Parquet. Default: zstd."),
    "row_group_rows": _option(int, min=1, help="Parquet: rows of a row group."),
    "partition_by": _option(
        list[str], metavar="COLUMN", help="Parquet: a folder for each value; can be repeated."
    ),
    "file_rows": _option(int, min=1, help="A new file of a table after so many rows."),
    "keep_formulas": Annotated[
        bool,
        typer.Option(
            "--keep-formulas",
            help="CSV: leave texts as they are that a spreadsheet would run as a formula.",
        ),
    ],
}
_TABS = {"\\t": "\t", "tab": "\t", "TAB": "\t"}


def reading(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading; its parameter `read` gets what was said."""
    return _with(function, "read", _READING, _read)


def writing(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of writing; its parameter `write` gets what was said."""
    return _with(function, "write", _WRITING, _written)


def _with(
    function: Callable[..., None],
    name: str,
    options: dict[str, Any],
    understood: Callable[[dict[str, Any]], dict[str, Any]],
) -> Callable[..., None]:
    signature = inspect.signature(function, eval_str=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(
            option, kind, default=False if annotation.__origin__ is bool else None,
            annotation=annotation,
        )
        for option, annotation in options.items()
    ]  # fmt: skip

    @functools.wraps(function)
    def run(*arguments: Any, **given: Any) -> None:
        said = {option: given.pop(option) for option in options}
        function(*arguments, **given, **{name: understood(said)})

    own = [one for one in signature.parameters.values() if one.name != name]
    run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    return run


def _read(said: dict[str, Any]) -> dict[str, Any]:
    found = _said(said)
    if "separator" in found:
        found["separator"] = _TABS.get(found["separator"], found["separator"])
    if "types" in found:
        pairs = [text.rpartition("=") for text in found["types"]]
        for (column, mark, kind), text in zip(pairs, found["types"], strict=True):
            if not (column and mark and kind):
                raise typer.BadParameter(f"--type takes COLUMN=TYPE, not {text!r}")
        found["types"] = {column: kind for column, _, kind in pairs}
    return found


def _written(said: dict[str, Any]) -> dict[str, Any]:
    return _said(said)


def _said(options: dict[str, Any]) -> dict[str, Any]:
    """Return what was said, as plain values."""
    return {
        name: str(value) if isinstance(value, StrEnum) else value
        for name, value in options.items()
        if value is not None and value is not False and value != []
    }
