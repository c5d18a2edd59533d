r"""Values as literals of SQL, vectorised: each database's own escapes, none left to chance.

Programs that run scripts read them by lines and have words of their own (sqlite3 takes
`\r\n` for `\n`, sqlcmd knows GO and `$(x)` even within texts). Texts that they would
change are written by their bytes. NaN and infinities are NULL where a database has none.
Moments stand as in `value_text`, but with a blank for the T (not in SQL Server, whose
older types need it) and without the Z in MySQL, which knows no zones: they are UTC.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.writing import Dialect
from syntheflow_server.export.sql_types import holds_digits, kind_of
from syntheflow_server.export.string_bytes import StringBytes, replaced
from syntheflow_server.export.value_text import moment_text, plain_text

_MYSQL_ESCAPES = {
    b"\\": b"\\\\", b"'": b"\\'", b"\0": b"\\0", b"\n": b"\\n", b"\r": b"\\r", b"\x1a": b"\\Z",
}  # fmt: skip
_COPY_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r"}
_DOUBLED = {b"'": b"''"}
_TRUTHS = {Dialect.SQLITE: ("1", "0"), Dialect.MSSQL: ("1", "0")}
_NOT_FINITE = {
    Dialect.POSTGRESQL: ("'NaN'", "'Infinity'", "'-Infinity'"),
    Dialect.DUCKDB: ("'NaN'", "'Infinity'", "'-Infinity'"),
    Dialect.SQLITE: (None, "9e999", "-9e999"),
}
# What sqlcmd acts upon wherever it stands: variables, and lines that end a batch.
_SQLCMD = r"\$\(|(?mi:^\s*(?:GO\b|:|!!))"


def literals(values: pa.Array, dialect: Dialect, *, table: str, column: str) -> pa.Array:
    """Return `values` as literals; nulls stay null.

    Raises InvalidArgumentError for a NUL character in a text for PostgreSQL, which has none.
    """
    kind = kind_of(values.type)
    if kind == "int":
        return plain_text(values)
    if kind == "float":
        return _floats(values, _NOT_FINITE.get(dialect, (None, None, None)))
    if kind == "bool":
        yes, no = _TRUTHS.get(dialect, ("TRUE", "FALSE"))
        return pc.if_else(values, yes, no)
    if kind == "string":
        return _texts(values, dialect, table, column)
    text = _plain(values, kind, dialect)
    if kind == "decimal" and holds_digits(values.type, dialect):
        return text
    return _quoted(text)


def copy_cells(values: pa.Array, *, table: str, column: str) -> pa.Array:
    """Return `values` as cells of PostgreSQL's COPY in text format; nulls stay null."""
    kind = kind_of(values.type)
    if kind == "float":
        return _floats(values, ("NaN", "Infinity", "-Infinity"))
    if kind == "string":
        _refuse_nul(values, table, column)
        return replaced(values, _COPY_ESCAPES)
    return _plain(values, kind, Dialect.POSTGRESQL)


def _plain(values: pa.Array, kind: str, dialect: Dialect) -> pa.Array:
    if kind not in {"moment", "zoned"}:
        return plain_text(values)
    joint = "T" if dialect is Dialect.MSSQL else " "
    return moment_text(values, joint, "" if dialect is Dialect.MYSQL else "Z")


def _quoted(text: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise("'", text, "'", "")


def _floats(values: pa.Array, words: tuple[str | None, str | None, str | None]) -> pa.Array:
    text = plain_text(values)
    finite = pc.is_finite(values)
    if pc.all(finite).as_py() is not False:
        return text
    for test, word in zip(
        (pc.is_nan(values), pc.equal(values, np.inf), pc.equal(values, -np.inf)), words, strict=True
    ):
        text = pc.if_else(test, pa.scalar(word, pa.string()), text)
    return text


def _texts(values: pa.Array, dialect: Dialect, table: str, column: str) -> pa.Array:
    if dialect is Dialect.MYSQL:
        return _quoted(replaced(values, _MYSQL_ESCAPES))
    if dialect is Dialect.POSTGRESQL:
        _refuse_nul(values, table, column)
        return _quoted(replaced(values, _DOUBLED))
    text = replaced(values, _DOUBLED)
    sign = "N'" if dialect is Dialect.MSSQL else "'"
    text = pc.binary_join_element_wise(sign, text, "'", "")
    odd = _odd_rows(values, dialect)
    if not odd.any():
        return text
    odd &= np.asarray(values.is_valid())
    written = [_by_bytes(value, dialect) for value in values.filter(pa.array(odd)).to_pylist()]
    return pc.replace_with_mask(text, pa.array(odd), pa.array(written, pa.string()))


def _odd_rows(values: pa.Array, dialect: Dialect) -> npt.NDArray[np.bool_]:
    """Return which texts a program that runs the script would not hand on as they are."""
    source = StringBytes(values)
    if dialect is not Dialect.MSSQL:
        return source.rows_with(b"\r", b"\0")
    odd = source.rows_with(b"\0")
    if source.has(b"$", b"G", b"g", b":", b"!") and source.has(b"\n", b"\r", b"$"):
        # A text that begins with GO does not begin a line: N' stands before it.
        found = pc.match_substring_regex(pc.binary_join_element_wise("'", values, ""), _SQLCMD)
        odd = odd | np.asarray(pc.fill_null(found, fill_value=False))
    return odd


def _by_bytes(value: str, dialect: Dialect) -> str:
    if dialect is Dialect.SQLITE:
        return f"CAST(X'{value.encode().hex()}' AS TEXT)"
    if dialect is Dialect.DUCKDB:
        return f"decode(from_hex('{value.encode().hex()}'))"
    return f"CAST(0x{value.encode('utf-16-le').hex()} AS NVARCHAR(MAX))"


def _refuse_nul(values: pa.Array, table: str, column: str) -> None:
    if StringBytes(values).has(b"\0"):
        rule = f"table {table!r}, column {column!r}: PostgreSQL's texts hold no NUL character"
        raise InvalidArgumentError(
            f"{rule}; choose another dialect, or leave the table out",
            reason="TEXT_HAS_NUL",
            violations=(Violation(field="rows", table=table, column=column, rule=rule),),
        )
