"""Where a place outside is: URLs read strictly, once, and shown without secrets.

Every library that opens a URL reads it in its own way, with its own options; so none of
them is ever given the text. It is taken apart here and only what is known goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import quote, unquote

from syntheflow_server.connect.hosts import checked_host, shown_host
from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.writing import Dialect

_LONGEST = 4_096


class PlaceKind(StrEnum):
    """What sort of thing a place is."""

    DATABASE = "database"
    STORE = "store"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Place:
    """A place outside, as it may be shown, kept and logged: it holds no secret.

    `url` is the one normal spelling. `host` and `port` are of a database server or of a
    store's own endpoint; `name` is the database, bucket or container, `path` the absolute
    path of a folder or of a database file, or the prefix in a bucket (no slash at its
    ends), `account` the Azure account. `options` are the settings the URL may carry.
    """

    kind: PlaceKind
    url: str
    dialect: Dialect | None = None
    scheme: str = ""
    user: str = ""
    host: str = ""
    port: int = 0
    name: str = ""
    path: str = ""
    account: str = ""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class _Server:
    dialect: Dialect
    port: int


_SERVERS = {
    "postgresql": _Server(Dialect.POSTGRESQL, 5432),
    "mysql": _Server(Dialect.MYSQL, 3306),
    "mariadb": _Server(Dialect.MYSQL, 3306),
    "mssql": _Server(Dialect.MSSQL, 1433),
    "oracle": _Server(Dialect.ORACLE, 1521),
}
_FILES = {"sqlite": Dialect.SQLITE, "duckdb": Dialect.DUCKDB}
_ALIASES = {"postgres": "postgresql", "gcs": "gs", "abfss": "abfs"}
_SCHEMES = (*_SERVERS, *_FILES, "s3", "gs", "abfs", "file")

_NUMBER = re.compile(r"[0-9]{1,4}")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TRUE = re.compile(r"true|false")
_TLS = re.compile(r"disable|allow|prefer|require|verify-ca|verify-full")
_ENDPOINT = re.compile(r"(?:(https?)://)?([^/@?#\\\s]{1,300})/?")
_OPTIONS: Mapping[str, Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "postgresql": {"sslmode": _TLS, "connect_timeout": _NUMBER},
        "mysql": {"sslmode": _TLS, "connect_timeout": _NUMBER},
        "mariadb": {"sslmode": _TLS, "connect_timeout": _NUMBER},
        "mssql": {
            "encryption": re.compile(r"off|request|require"),
            "connect_timeout": _NUMBER,
        },
        "oracle": {"connect_timeout": _NUMBER},
        # The region becomes part of a host name: nothing but a region may stand there.
        "s3": {
            "region": re.compile(r"[a-z0-9-]{1,40}"),
            "endpoint_override": _ENDPOINT,
            "anonymous": _TRUE,
            "force_virtual_addressing": _TRUE,
        },
        "gs": {"endpoint_override": _ENDPOINT, "anonymous": _TRUE, "project_id": _WORD},
        "abfs": {"endpoint_override": _ENDPOINT},
    }
)
"""By scheme: the options a URL may carry. No file names, no commands, no second host."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?(#.*)?", re.DOTALL)
# PostgreSQL's library takes a database called `host=...` or `postgresql://...` for settings.
_DATABASE = re.compile(r"[^\W][\w .$+-]{0,127}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_CONTAINER = re.compile(r"[a-z0-9$][a-z0-9-]{2,62}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_AZURE_HOSTS = (".dfs.core.windows.net", ".blob.core.windows.net")


def parse_place(text: str) -> Place:
    """Return the place that `text` means: a URL, or the full path of a folder.

    Raises InvalidArgumentError, with no part of the text in it, if it is not exactly of
    a known form: PASSWORD_IN_URL if it holds a password, else PLACE_INVALID.
    """
    if len(text) > _LONGEST or not text.strip() or not text.isprintable():
        raise invalid_place(f"a place has 1 to {_LONGEST} characters, none of them control")
    if text.startswith("/"):
        return _folder(text)
    found = _URL.fullmatch(text)
    if not found:
        raise invalid_place(
            "a place is a URL such as postgresql://USER@HOST/DATABASE or s3://BUCKET/PREFIX, "
            "the full path of a folder (beginning with /), or the name of a connection"
        )
    scheme = _ALIASES.get(found[1].lower(), found[1].lower())
    if scheme not in _SCHEMES:
        raise invalid_place(f"the scheme of a place must be one of {', '.join(_SCHEMES)}")
    if found[5] is not None:
        raise invalid_place("a place has no part after '#'; write %23 for that sign")
    if "\\" in text or " " in found[2]:
        raise invalid_place("a place holds no backslash, and no space before its path")
    user, rest = _split_user(found[2])
    return _place(scheme, user, rest, found[3] or "", _options(scheme, found[4] or ""))


def _place(scheme: str, user: str, rest: str, path: str, options: dict[str, str]) -> Place:
    if scheme in _SERVERS:
        return _server(scheme, user, rest, path, options)
    if scheme == "abfs":
        return _azure(user, rest, path, options)
    if user:
        raise invalid_place(f"{scheme}:// takes no user; configure credentials on the server")
    if scheme in {"s3", "gs"}:
        return _bucket(scheme, rest, path, options)
    if rest:
        raise invalid_place(f"{scheme}:// is followed by a path: {scheme}:///FOLDER/NAME")
    return _folder(_unquoted(path)) if scheme == "file" else _file(scheme, _unquoted(path))


def _split_user(authority: str) -> tuple[str, str]:
    user, at, rest = authority.rpartition("@")
    if "@" in user:
        raise invalid_place("there is more than one '@' before the path; write %40 in a user name")
    if ":" in user:
        raise InvalidArgumentError(
            "a place must not hold a password; give it in the server's settings (connections), "
            "in its environment or in its secrets file",
            reason="PASSWORD_IN_URL",
            violations=(Violation(field="place", rule="no password in the URL"),),
        )
    if at and not user:
        raise invalid_place("the user before '@' is empty")
    return _unquoted(user), rest


def _options(scheme: str, query: str) -> dict[str, str]:
    allowed = _OPTIONS.get(scheme, {})
    options: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        key, _, raw = item.partition("=")
        value = _unquoted(raw)
        if key.lower() in {"password", "pwd", "secret", "token", "secret_key", "access_key"}:
            raise InvalidArgumentError(
                "a place must not hold a secret; configure it on the server",
                reason="PASSWORD_IN_URL",
                violations=(Violation(field="place", rule="no secret in the URL"),),
            )
        if key not in allowed or key in options:
            known = ", ".join(allowed) or "none"
            raise invalid_place(
                f"a URL of {scheme}:// may carry each of these options once: {known}; "
                "others belong into a connection of the server's settings"
            )
        if not allowed[key].fullmatch(value):
            raise invalid_place(f"the option {key} has no valid value")
        options[key] = value
    return options


def _server(scheme: str, user: str, authority: str, path: str, options: dict[str, str]) -> Place:
    server = _SERVERS[scheme]
    host, port = split_port(authority, server.port)
    name = _unquoted(path.removeprefix("/"))
    if not _DATABASE.fullmatch(name):
        raise invalid_place(
            f"{scheme}:// needs a database's name after the host: letters, digits, '_', '-', "
            "'.', '$' and spaces"
        )
    shown = f"{quote(user, safe='')}@" * bool(user) + shown_host(host)
    shown += f":{port}" * (port != server.port)
    return Place(
        PlaceKind.DATABASE,
        f"{scheme}://{shown}/{quote(name, safe='')}{_shown(options)}",
        server.dialect,
        scheme=scheme,
        user=user,
        host=host,
        port=port,
        name=name,
        options=options,
    )


def _folder(path: str) -> Place:
    plain = _plain_path(path)
    return Place(PlaceKind.FOLDER, f"file://{quote(plain)}", scheme="file", path=plain)


def _file(scheme: str, path: str) -> Place:
    plain = _plain_path("/" + path.lstrip("/"))  # SQLAlchemy writes a full path with four
    if plain == "/":
        raise invalid_place(f"{scheme}:/// needs the full path of a database file")
    url = f"{scheme}://{quote(plain)}"
    return Place(PlaceKind.DATABASE, url, _FILES[scheme], scheme=scheme, path=plain)


def _plain_path(path: str) -> str:
    if not path.startswith("/"):
        raise invalid_place("a folder or file is given by its full path, beginning with /")
    parts = [part for part in path.split("/") if part]
    if "." in parts or ".." in parts:
        raise invalid_place("a path must not hold '.' or '..'")
    return "/" + "/".join(parts)


def _bucket(scheme: str, bucket: str, path: str, options: dict[str, str]) -> Place:
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise invalid_place(f"{scheme}:// needs a bucket's name: small letters, digits, . _ -")
    prefix = _prefix(path)
    host, port = endpoint_of(options)
    shown = f"{scheme}://{bucket}" + f"/{quote(prefix)}" * bool(prefix) + _shown(options)
    return Place(
        PlaceKind.STORE, shown, scheme=scheme, host=host, port=port, name=bucket, path=prefix,
        options=options,
    )  # fmt: skip


def _azure(container: str, authority: str, path: str, options: dict[str, str]) -> Place:
    account = authority.lower()
    for ending in _AZURE_HOSTS:
        account = account.removesuffix(ending)
    if not _CONTAINER.fullmatch(container) or not _ACCOUNT.fullmatch(account):
        raise invalid_place(
            "an Azure store is abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX"
        )
    prefix = _prefix(path)
    host, port = endpoint_of(options)
    shown = f"abfs://{container}@{account}{_AZURE_HOSTS[0]}" + f"/{quote(prefix)}" * bool(prefix)
    return Place(
        PlaceKind.STORE, shown + _shown(options), scheme="abfs", host=host, port=port,
        name=container, path=prefix, account=account, options=options,
    )  # fmt: skip


def _prefix(path: str) -> str:
    prefix = _unquoted(path).strip("/")
    if prefix and any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise invalid_place("a prefix must not hold '.', '..' or two slashes in a row")
    return prefix


def endpoint_of(options: Mapping[str, str]) -> tuple[str, int]:
    """Return host and port of the option `endpoint_override`; ("", 0) without it."""
    found = _ENDPOINT.fullmatch(options.get("endpoint_override", ""))
    if not found:
        return "", 0
    return split_port(found[2], 80 if found[1] == "http" else 443)


def split_port(authority: str, default: int) -> tuple[str, int]:
    """Return host (normal spelling) and port of `host`, `host:port` or `[v6]:port`."""
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?", authority)
    host = checked_host(found[1]) if found else None
    port = int(found[2]) if found and found[2] else default
    if host is None or not 1 <= port <= 65535:
        raise invalid_place(
            "the host must be one plain name, an IPv4 address of four decimal numbers or an "
            "IPv6 address in brackets, with a port from 1 to 65535"
        )
    return host, port


def _shown(options: Mapping[str, str]) -> str:
    text = "&".join(f"{key}={quote(value, safe=':/')}" for key, value in sorted(options.items()))
    return f"?{text}" if text else ""


def _unquoted(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise invalid_place("'%' in a URL must be followed by two hexadecimal digits")
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise invalid_place("percent-encoded parts of a URL must be UTF-8") from None
    if not plain.isprintable():
        raise invalid_place("a URL holds no control characters, not even percent-encoded")
    return plain


def invalid_place(rule: str) -> InvalidArgumentError:
    """Return the error for a place that breaks `rule`."""
    return InvalidArgumentError(
        rule, reason="PLACE_INVALID", violations=(Violation(field="place", rule=rule),)
    )
