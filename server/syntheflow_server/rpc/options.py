"""Translates how files are read and written between messages and the domain."""

from __future__ import annotations

from typing import Any

from syntheflow.v1 import reading_pb2, writing_pb2
from syntheflow_server.domain.reading import DateOrder, OnBadRow, ReadOptions
from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.domain.writing import Dialect, LoadMode, WriteOptions
from syntheflow_server.rpc.checks import LONGEST_NAME, Checks

_MOST_TEXTS = 1_000
_MOST_LINES = 1_000_000
_MOST_HEADER_ROWS = 8
_MOST_GROUP_ROWS = 10_000_000
_MOST_FILE_ROWS = 10**12
_LENGTHS = {
    "encoding": (1, 64),
    "separator": (1, 16),
    "quote": (0, 1),
    "escape": (1, 1),
    "comment": (1, 16),
    "decimal": (1, 1),
    "thousands": (0, 1),
    "records": (0, LONGEST_NAME),
}
"""Characters that a text may have, from and to."""
_COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "none")
_DIALECTS = {
    writing_pb2.DIALECT_UNSPECIFIED: Dialect.POSTGRESQL,
    **{writing_pb2.Dialect.Value(f"DIALECT_{d.name}"): d for d in Dialect},
}
_MODES = {
    writing_pb2.LOAD_MODE_UNSPECIFIED: LoadMode.CREATE,
    **{writing_pb2.LoadMode.Value(f"LOAD_MODE_{m.name}"): m for m in LoadMode},
}
_BAD_ROWS = {
    reading_pb2.ON_BAD_ROW_UNSPECIFIED: OnBadRow.FAIL,
    **{reading_pb2.OnBadRow.Value(f"ON_BAD_ROW_{how.name}"): how for how in OnBadRow},
}


def read_options_of(message: reading_pb2.ReadOptions, field: str, checks: Checks) -> ReadOptions:
    """Return how a file is to be read; broken rules go to `checks`."""
    broken = Checks()
    said: dict[str, Any] = {}
    for name, (low, high) in _LENGTHS.items():
        if message.HasField(name):
            said[name] = text = getattr(message, name)
            rule = f"must have {low} to {high} characters"
            broken.rule(f"{field}.{name}", rule, holds=low <= len(text) <= high)
    for name in ("header", "skip_rows"):
        if message.HasField(name):
            said[name] = getattr(message, name)
            broken.between(f"{field}.{name}", said[name], 0, _MOST_LINES)
    if message.HasField("date_order"):
        said["date_order"] = message.date_order
        rule = f"must be one of {', '.join(DateOrder)}"
        broken.rule(f"{field}.date_order", rule, holds=message.date_order in set(DateOrder))
    _read_header(message, field, said, broken)
    _read_lists(message, field, said, broken)
    known = message.on_bad_row in _BAD_ROWS
    broken.rule(f"{field}.on_bad_row", "is not one of the contract's", holds=known)
    said["on_bad_row"] = _BAD_ROWS.get(message.on_bad_row, OnBadRow.FAIL)
    # Only well-formed settings become a value; the others are told together with the rest.
    return ReadOptions() if checks.take(broken) else ReadOptions(**said)


def _read_header(
    message: reading_pb2.ReadOptions, field: str, said: dict[str, Any], broken: Checks
) -> None:
    if message.HasField("header_rows"):
        said["header_rows"] = message.header_rows
        broken.between(f"{field}.header_rows", message.header_rows, 1, _MOST_HEADER_ROWS)
    if message.types:
        said["types"] = dict(message.types)
        for column, kind in message.types.items():
            with broken.about("", column):
                rule = "must be a stored type of the contract, see Column.type"
                broken.rule(f"{field}.types", rule, holds=_is_type(kind))


def _read_lists(
    message: reading_pb2.ReadOptions, field: str, said: dict[str, Any], broken: Checks
) -> None:
    for name in ("null_values", "sheets", "tables"):
        if message.HasField(name):
            texts = said[name] = tuple(getattr(message, name).values)
            rule = f"must have at most {_MOST_TEXTS:,} texts of at most {LONGEST_NAME:,} characters"
            fits = len(texts) <= _MOST_TEXTS and all(len(t) <= LONGEST_NAME for t in texts)
            broken.rule(f"{field}.{name}", rule, holds=fits)


def _is_type(text: str) -> bool:
    try:
        arrow_type(text)
    except ValueError:
        return False
    return True


def write_options_of(message: writing_pb2.WriteOptions, field: str, checks: Checks) -> WriteOptions:
    """Return the settings of a format; broken rules go to `checks`."""
    broken = Checks()
    known = message.dialect in _DIALECTS
    broken.rule(f"{field}.dialect", "is not one of the contract's", holds=known)
    compression = message.compression or "zstd"
    rule = f"must be one of {', '.join(_COMPRESSIONS)}"
    broken.rule(f"{field}.compression", rule, holds=compression in _COMPRESSIONS)
    broken.between(f"{field}.row_group_rows", message.row_group_rows, 0, _MOST_GROUP_ROWS)
    broken.between(f"{field}.file_rows", message.file_rows, 0, _MOST_FILE_ROWS)
    for at, column in enumerate(message.partition_by):
        broken.text(f"{field}.partition_by[{at}]", column)
    dialect = _DIALECTS.get(message.dialect, Dialect.POSTGRESQL)
    rule = "goes with the dialect postgresql only"
    copies = message.copy_rows and dialect is not Dialect.POSTGRESQL
    broken.rule(f"{field}.copy_rows", rule, holds=not copies)
    if checks.take(broken):
        return WriteOptions()
    groups = {"row_group_rows": message.row_group_rows} if message.row_group_rows else {}
    return WriteOptions(
        dialect=dialect,
        copy_rows=message.copy_rows,
        compression=compression,
        partition_by=tuple(message.partition_by),
        file_rows=message.file_rows,
        escape_formulas=not message.keep_formulas,
        **groups,
    )


def load_mode_of(number: int, field: str, checks: Checks) -> LoadMode:
    """Return what happens to tables that are there already."""
    checks.rule(field, "is not one of the contract's", holds=number in _MODES)
    return _MODES.get(number, LoadMode.CREATE)
