"""Places on the command line: URLs, paths and names, with passwords taken out at once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

import typer

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_DATABASE_FILES = {
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".duckdb": "duckdb",
}  # fmt: skip
DATABASES = (
    "postgresql", "postgres", "mysql", "mariadb", "sqlite", "duckdb", "mssql", "oracle",
)  # fmt: skip


@dataclass(frozen=True)
class Given:
    """A place as the server takes it (`text`), and the password that stood in it."""

    text: str
    password: str | None = field(default=None, repr=False)

    @property
    def is_database(self) -> bool | None:
        """True for databases, False for folders and buckets, None for a connection's name."""
        scheme, mark, _ = self.text.partition("://")
        return scheme.lower() in DATABASES if mark else None

    @property
    def file(self) -> Path | None:
        """The database's own file; None if it has none."""
        scheme, _, rest = self.text.partition("://")
        return Path(unquote(rest)) if scheme in {"sqlite", "duckdb"} else None


def given_place(text: str) -> Given:
    """Return the place that a user means; typer.BadParameter if it makes no sense.

    A path is a folder, or a database if it ends in .sqlite, .sqlite3, .db or .duckdb; a
    plain word is the name of a connection, whatever lies in the present folder.
    `sqlite:///NAME` and `sqlite://PATH` are relative to the present folder,
    `sqlite:///FOLDER/NAME` is the full path.
    """
    found = _URL.fullmatch(text)
    if not found:
        if _NAME.fullmatch(text):
            return Given(text)
        return Given(_path_url(Path(text).expanduser()))
    scheme, rest = found[1].lower(), found[2]
    if scheme in {"sqlite", "duckdb", "file"}:
        return Given(_file_url(scheme, rest))
    authority, slash, tail = rest.partition("/")
    user, at, host = authority.rpartition("@")
    name, colon, password = user.partition(":")
    if not colon:
        return Given(text)
    return Given(f"{scheme}://{name}{at if name else ''}{host}{slash}{tail}", unquote(password))


def refuse_password(place: Given, what: str) -> Given:
    """Return the place; typer.BadParameter if a password would go to a server of others."""
    if place.password is not None:
        raise typer.BadParameter(
            f"{what}: a password in a URL would be sent to the server and could stand in logs. "
            "Leave it out, and let the server know it: as a connection in its settings "
            "(SYNTHEFLOW_CONNECTIONS), in its secrets file, or as PGPASSWORD or MYSQL_PWD in "
            "its environment"
        )
    return place


def _path_url(path: Path) -> str:
    scheme = _DATABASE_FILES.get(path.suffix.lower(), "file")
    if path.is_dir():
        scheme = "file"
    elif scheme == "file" and path.is_file():
        raise typer.BadParameter(
            f"{path} is a file; give a folder, or send the file with: syntheflow upload"
        )
    return f"{scheme}://{quote(os.path.abspath(path))}"  # noqa: PTH100 - resolve() would follow links


def _file_url(scheme: str, rest: str) -> str:
    """Return the URL with its full path."""
    path = unquote(rest)
    plain = path.lstrip("/")
    # Nobody keeps a database in the root folder: three slashes and a name mean `here`.
    here = not path.startswith("/") or (scheme != "file" and "/" not in plain)
    full = os.path.abspath(plain) if here else "/" + plain  # noqa: PTH100 - as above
    return f"{scheme}://{quote(full)}"
