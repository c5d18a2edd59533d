"""Names of tables and columns as each database takes them."""

from __future__ import annotations

import hashlib
import re

from syntheflow_server.domain.writing import Dialect

_QUOTES = {Dialect.MYSQL: ("`", "`"), Dialect.MSSQL: ("[", "]")}
_LONGEST = {
    Dialect.POSTGRESQL: 63,
    Dialect.MYSQL: 64,
    Dialect.SQLITE: 1000,
    Dialect.MSSQL: 128,
    Dialect.ORACLE: 128,
    Dialect.DUCKDB: 1000,
}
# MySQL's names stay within the basic plane, Oracle's have no quotes.
_FORBIDDEN = {
    Dialect.MYSQL: re.compile("[\0\U00010000-\U0010ffff]|[ ]+$"),
    Dialect.ORACLE: re.compile('[\0"]'),
}
_NUL = re.compile("\0")
_RESERVED = {
    Dialect.POSTGRESQL: re.compile(r"tableoid|xmin|cmin|xmax|cmax|ctid"),
    Dialect.SQLITE: re.compile(r"sqlite_.*", re.IGNORECASE | re.DOTALL),
    Dialect.ORACLE: re.compile(r"rowid", re.IGNORECASE),
}


def fitting_name(dialect: Dialect, name: str) -> str:
    """Return `name`, or where the database cannot have it a name made of it and a digest.

    Too long names (PostgreSQL would cut them, and let two fall together), characters that
    are forbidden and words that are the system's are so changed; any two names stay apart.
    """
    fit = _FORBIDDEN.get(dialect, _NUL).sub("_", name)
    reserved = _RESERVED.get(dialect)
    if fit and reserved is not None and reserved.fullmatch(fit):
        fit = "_" + fit
    longest = _LONGEST[dialect]
    if fit == name and fit and _size(fit) <= longest:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    cut = fit.encode("utf-8", "replace")[: longest - 9].decode("utf-8", "ignore")
    return f"{cut}_{digest}"


def quoted_name(dialect: Dialect, name: str, namespace: str = "") -> str:
    """Return `name` (in `namespace`, a database schema, if given) quoted for a statement."""
    start, stop = _QUOTES.get(dialect, ('"', '"'))
    text = start + fitting_name(dialect, name).replace(stop, stop * 2) + stop
    return f"{quoted_name(dialect, namespace)}.{text}" if namespace else text


def quoted_list(dialect: Dialect, names: tuple[str, ...]) -> str:
    """Return names quoted, with commas, in brackets."""
    return "(" + ", ".join(quoted_name(dialect, name) for name in names) + ")"


def _size(name: str) -> int:
    return len(name.encode("utf-8", "replace"))
