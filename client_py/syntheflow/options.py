"""How files are read and written, as plain mappings, and as the contract's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from syntheflow.errors import SyntheflowError, Violation
from syntheflow.v1 import reading_pb2, writing_pb2

READING = (
    "encoding", "separator", "quote", "escape", "comment", "header", "skip_rows", "decimal",
    "thousands", "date_order", "null_values", "sheets", "records", "tables", "on_bad_row",
    "header_rows", "types",
)  # fmt: skip
"""Names that `read` of `Client.upload` may have; see ReadOptions of the contract."""
WRITING = (
    "dialect", "copy_rows", "compression", "row_group_rows", "partition_by", "file_rows",
    "keep_formulas",
)  # fmt: skip
"""Names that `write` of `Client.generate` may have; see WriteOptions of the contract."""
DIALECTS = ("postgresql", "mysql", "sqlite", "mssql", "oracle", "duckdb")
COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "none")
MODES = ("create", "append", "truncate", "replace")
BAD_ROWS = ("fail", "skip", "report")
DATE_ORDERS = ("dmy", "mdy", "ymd")
_LISTS = frozenset({"null_values", "sheets", "tables"})
_WHOLE = frozenset({"header", "skip_rows", "header_rows", "row_group_rows", "file_rows"})
_YES_OR_NO = frozenset({"copy_rows", "keep_formulas"})


def read_message(said: Mapping[str, Any] | None) -> reading_pb2.ReadOptions | None:
    """Return the message of reading options; None if nothing is said."""
    fields = _checked(said or {}, READING, "read")
    if not fields:
        return None
    for name in _LISTS & fields.keys():
        fields[name] = reading_pb2.TextList(values=fields[name])
    how = fields.pop("on_bad_row", None)
    message = reading_pb2.ReadOptions(**fields)
    if how is not None:
        message.on_bad_row = _number(
            reading_pb2.OnBadRow, "ON_BAD_ROW_", how, BAD_ROWS, "read.on_bad_row"
        )
    return message


def write_message(said: Mapping[str, Any] | None) -> writing_pb2.WriteOptions | None:
    """Return the message of writing options; None if nothing is said."""
    fields = _checked(said or {}, WRITING, "write")
    if not fields:
        return None
    dialect = fields.pop("dialect", None)
    message = writing_pb2.WriteOptions(**fields)
    if dialect is not None:
        message.dialect = _number(
            writing_pb2.Dialect, "DIALECT_", dialect, DIALECTS, "write.dialect"
        )
    return message


def load_mode(word: str) -> Any:
    """Return the contract's number of create, append, truncate or replace."""
    return _number(writing_pb2.LoadMode, "LOAD_MODE_", word, MODES, "mode")


def _number(enum: Any, prefix: str, word: Any, known: Iterable[str], field: str) -> Any:
    """Return the number of an enum's word."""
    if word not in known:
        raise _invalid(field, f"must be one of {', '.join(known)}")
    return enum.Value(prefix + word.upper())


def _checked(said: Mapping[str, Any], known: tuple[str, ...], where: str) -> dict[str, Any]:
    """Return what is said (not None), each value of its kind."""
    fields = {name: value for name, value in said.items() if value is not None}
    for name, value in fields.items():
        field = f"{where}.{name}"
        if name not in known:
            raise _invalid(field, f"is unknown; known are {', '.join(known)}")
        if name in _LISTS or name == "partition_by":
            if isinstance(value, str) or not all(isinstance(text, str) for text in value):
                raise _invalid(field, "must be a list of texts")
            fields[name] = list(value)
        elif name == "types":
            fields[name] = _texts(value, field)
        elif name in _WHOLE and (isinstance(value, bool) or not isinstance(value, int)):
            raise _invalid(field, "must be a whole number")
        elif name in _YES_OR_NO and not isinstance(value, bool):
            raise _invalid(field, "must be true or false")
        elif name not in _WHOLE | _YES_OR_NO and not isinstance(value, str):
            raise _invalid(field, "must be a text")
    return fields


def _texts(value: Any, field: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(text, str) for pair in value.items() for text in pair
    ):
        raise _invalid(field, "must map names of columns to types")
    return dict(value)


def _invalid(field: str, rule: str) -> SyntheflowError:
    return SyntheflowError(
        f"{field} {rule}",
        code="INVALID_ARGUMENT",
        reason="OPTION_INVALID",
        violations=(Violation(field=field, rule=f"{field} {rule}"),),
    )
