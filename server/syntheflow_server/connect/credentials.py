"""Where secrets come from: a connection's settings, the secrets file, the environment."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from syntheflow_server.connect.hosts import checked_host
from syntheflow_server.connect.places import Place
from syntheflow_server.connect.secret import Secret
from syntheflow_server.connect.settings import Connection
from syntheflow_server.domain.errors import FailedPreconditionError

_LARGEST = 1 << 20
_ENTRY = {"user", "password", "session_token"}
# A password of the environment is for the host of the environment, never for another one:
# else whoever may name a host would be sent it.
_SERVER_VARIABLES = {
    "postgresql": ("PGHOST", "PGUSER", "PGPASSWORD"),
    "mysql": ("MYSQL_HOST", "MYSQL_USER", "MYSQL_PWD"),
    "mariadb": ("MYSQL_HOST", "MYSQL_USER", "MYSQL_PWD"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A user (or key id) and the secrets that go with it."""

    user: str = ""
    password: Secret | None = None
    token: Secret | None = None


NO_CREDENTIALS = Found()


class Credentials:
    """Looks a place's secret up: its connection first, then the file, then the environment."""

    def __init__(self, secrets_file: Path | None, environment: Mapping[str, str]) -> None:
        self._file, self._environment = secrets_file, environment

    def __repr__(self) -> str:
        return "Credentials()"

    def of(self, place: Place, connection: Connection | None, name: str) -> Found:
        """Return what is known for `place`, which is the connection `name` if there is one.

        Raises FailedPreconditionError SECRET_UNREADABLE if a file cannot be trusted.
        """
        user = connection.user if connection else ""
        if connection and connection.password is not None:
            return Found(user, connection.password, connection.session_token)
        if connection and connection.password_file is not None:
            text = read_private(connection.password_file, "password_file")
            return Found(user, Secret(text.removesuffix("\n")), connection.session_token)
        filed = self._filed(place, name)
        if filed is not None:
            return Found(user or filed.user, filed.password, filed.token)
        found = self._from_environment(place, user or place.user)
        return Found(user or found.user, found.password, found.token)

    def _filed(self, place: Place, name: str) -> Found | None:
        if self._file is None:
            return None
        try:
            entries = tomllib.loads(read_private(self._file, "secrets_file"))
        except tomllib.TOMLDecodeError:
            raise _unreadable("secrets_file is not valid TOML") from None
        for key in (name, place.url):
            entry = entries.get(key) if key else None
            if entry is None:
                continue
            texts = isinstance(entry, dict) and all(isinstance(v, str) for v in entry.values())
            if not texts or not set(entry) <= _ENTRY:
                raise _unreadable(
                    "each table of secrets_file is a connection's name or URL and holds the "
                    "texts user, password, session_token"
                )
            secrets = [
                Secret(entry[k]) if k in entry else None for k in ("password", "session_token")
            ]
            return Found(entry.get("user", ""), *secrets)
        return None

    def _from_environment(self, place: Place, user: str) -> Found:
        get = self._environment.get
        if place.scheme in _SERVER_VARIABLES:
            host, login, password = _SERVER_VARIABLES[place.scheme]
            same_user = user in {"", get(login, "")}
            if checked_host(get(host, "")) == place.host and same_user and get(password):
                return Found(get(login, ""), Secret(get(password, "")))
        elif place.scheme == "s3" and get("AWS_ACCESS_KEY_ID") and get("AWS_SECRET_ACCESS_KEY"):
            token = get("AWS_SESSION_TOKEN")
            return Found(
                get("AWS_ACCESS_KEY_ID", ""),
                Secret(get("AWS_SECRET_ACCESS_KEY", "")),
                Secret(token) if token else None,
            )
        elif place.scheme == "abfs" and get("AZURE_STORAGE_ACCOUNT") == place.account:
            key = get("AZURE_STORAGE_KEY")
            return Found(place.account, Secret(key)) if key else NO_CREDENTIALS
        return NO_CREDENTIALS


def read_private(path: Path, setting: str) -> str:
    """Return the text of a file of secrets; FailedPreconditionError if others may touch it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)  # of the file that is open, not of a later one
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
                raise _unreadable(f"{setting} must be a plain file of at most 1 MiB")
            if facts.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise _unreadable(
                    f"{setting} may be touched by others than its owner; run chmod 600 on it"
                )
            return file.read(_LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        problem = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "cannot be read"
        raise _unreadable(f"{setting} {problem}") from None


def _unreadable(problem: str) -> FailedPreconditionError:
    return FailedPreconditionError(problem, reason="SECRET_UNREADABLE")
