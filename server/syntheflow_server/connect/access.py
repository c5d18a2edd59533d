"""Who may go where, and with which secret: the one door to everything outside.

Nothing is reached that an operator did not allow. A name is resolved here, once, and the
address that was checked is the one to connect to (`Address.ip`), so that a name cannot
mean something harmless when checked and something inside a moment later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from syntheflow_server.connect.credentials import NO_CREDENTIALS, Credentials, Found
from syntheflow_server.connect.hosts import (
    AllowedHost,
    Resolver,
    exactly,
    is_address,
    is_internal,
    is_link_local,
    resolve_host,
)
from syntheflow_server.connect.places import Place, PlaceKind, endpoint_of, parse_place
from syntheflow_server.connect.secret import Secret
from syntheflow_server.connect.settings import NAME, Connection
from syntheflow_server.domain.errors import FailedPreconditionError, InvalidArgumentError

__all__ = ["Access", "Address", "Connection", "Secret"]


@dataclass(frozen=True, slots=True)
class Address:
    """A place that was allowed, with all that is needed to open it.

    `place` may be shown. `ip` is the checked address of a server ("" where there is
    none): connect there, and use `place.host` for nothing but the name in certificates.
    `path` is the checked real path of a folder or a database file. For stores `user` is
    the key's id, `password` the key, `token` a session's token. `options` are those of the
    URL with those of the configured connection over them.
    """

    place: Place
    user: str = ""
    password: Secret | None = None
    token: Secret | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    ip: str = ""
    path: Path | None = None

    def __repr__(self) -> str:
        return f"Address({self.place.url})"


class Access:
    """What the settings allow; each argument is the setting of that name.

    `environment` is where PGPASSWORD, AWS_SECRET_ACCESS_KEY and the like may stand.
    Raises ValueError if an allow-list holds something that cannot be understood.
    """

    def __init__(
        self,
        *,
        allowed_hosts: Iterable[str] = (),
        allowed_folders: Iterable[Path] = (),
        allowed_buckets: Iterable[str] = (),
        connections: Mapping[str, Connection] | None = None,
        secrets_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        resolver: Resolver = resolve_host,
    ) -> None:
        self._hosts = tuple(map(AllowedHost.of, allowed_hosts))
        self._folders = tuple(Path(folder).absolute() for folder in allowed_folders)
        self._buckets = tuple(parse_place(bucket) for bucket in allowed_buckets)
        self._connections = dict(connections or {})
        self._by_url = {parse_place(c.url).url: name for name, c in self._connections.items()}
        self._credentials = Credentials(secrets_file, environment or {})
        self._resolver = resolver

    def __repr__(self) -> str:
        return f"Access({len(self._connections)} connections)"

    def place(self, text: str) -> Place:
        """Return the place of a URL or of a configured connection; no check whether allowed.

        Raises InvalidArgumentError (PLACE_INVALID, PASSWORD_IN_URL, CONNECTION_UNKNOWN).
        """
        return self._find(text)[0]

    def resolve(self, text: str, *, writing: bool) -> Address:
        """Return the address of a URL, or of the connection called `text`, if it is allowed.

        May ask the name service and read secret files: call it where waiting is allowed.
        Raises FailedPreconditionError (PLACE_NOT_ALLOWED says which setting to change,
        SECRET_UNREADABLE, HOST_UNKNOWN) and what `place` raises.
        """
        place, connection = self._find(text)
        if connection is not None and connection.read_only and writing:
            raise not_allowed(
                "this connection is only for reading (read_only in the server's settings)"
            )
        name = self._by_url.get(place.url, "") if connection is not None else ""
        options = {**place.options, **(connection.options if connection else {})}
        found = (
            NO_CREDENTIALS
            if options.get("anonymous") == "true"
            else self._credentials.of(place, connection, name)
        )
        trusted = connection is not None
        ip, path = "", None
        if place.kind is PlaceKind.STORE:
            self._check_bucket(place, trusted=trusted)
            host, port = endpoint_of(options)
            # The store's own library resolves the name: only a host that was named will do.
            if host and not trusted and not exactly(self._hosts, host, port):
                raise not_allowed(
                    f"the endpoint {host}:{port} is not allowed; add that very host to "
                    "allowed_hosts in the server's settings"
                )
        elif place.host:
            ip = self._checked_ip(place, trusted=trusted)
        else:
            path = self._checked_path(place, writing=writing, trusted=trusted)
        return _address(place, found, options, ip, path)

    def _find(self, text: str) -> tuple[Place, Connection | None]:
        if text in self._connections:
            connection = self._connections[text]
            return parse_place(connection.url), connection
        if NAME.fullmatch(text):
            raise InvalidArgumentError(
                "no connection of that name is configured; give a URL, or the path of a folder "
                f"(./{text}), or add it to connections in the server's settings",
                reason="CONNECTION_UNKNOWN",
            )
        place = parse_place(text)
        name = self._by_url.get(place.url)
        return place, self._connections[name] if name else None

    def _checked_ip(self, place: Place, *, trusted: bool) -> str:
        host, port = place.host, place.port
        if not trusted and not any(entry.allows(host, port) for entry in self._hosts):
            raise not_allowed(
                f"the host {host}:{port} is not allowed; an operator can add it to "
                "allowed_hosts in the server's settings (SYNTHEFLOW_ALLOWED_HOSTS)"
            )
        very_host = trusted or exactly(self._hosts, host, port)
        try:
            found = [host] if is_address(host) else self._resolver(host, port)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise FailedPreconditionError(
                f"the host {host} has no address; check its spelling and the name service",
                reason="HOST_UNKNOWN",
            )
        for ip in found:
            named = is_address(host) and very_host
            if (is_link_local(ip) and not named) or (is_internal(ip) and not very_host):
                raise not_allowed(
                    f"the host {host} has an internal address; an operator who wants that must "
                    "add that very host (a metadata or link-local one: the address) to "
                    "allowed_hosts"
                )
        return found[0]

    def _check_bucket(self, place: Place, *, trusted: bool) -> None:
        for allowed in self._buckets:
            same = (allowed.scheme, allowed.account, allowed.name) == (
                place.scheme,
                place.account,
                place.name,
            )
            below = not allowed.path or f"{place.path}/".startswith(f"{allowed.path}/")
            if same and below:
                return
        if not trusted:
            raise not_allowed(
                f"the bucket {place.name} (with this prefix) is not allowed; an operator can "
                "add it to allowed_buckets in the server's settings (SYNTHEFLOW_ALLOWED_BUCKETS)"
            )

    def _checked_path(self, place: Place, *, writing: bool, trusted: bool) -> Path:
        """Return the real path; what is outside is refused alike, whether it exists or not."""
        wanted = Path(place.path)
        roots = [*self._folders, *([wanted] if trusted else [])]
        real = _real(wanted)
        inside = any(
            wanted.is_relative_to(root) or wanted.is_relative_to(_real(root)) for root in roots
        ) and any(real.is_relative_to(_real(root)) for root in roots)
        if not inside:
            raise not_allowed(
                f"{place.url} is not in an allowed folder; an operator can add its folder to "
                "allowed_folders in the server's settings (SYNTHEFLOW_ALLOWED_FOLDERS)"
            )
        kind = "folder" if place.kind is PlaceKind.FOLDER else "file"
        fits = real.is_dir() if kind == "folder" else real.is_file()
        if not fits and (real.exists() or not writing):
            problem = f"is no {kind}" if real.exists() else "does not exist"
            raise FailedPreconditionError(f"{place.url} {problem}", reason="PLACE_MISSING")
        return real


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links leads nowhere
        return Path("/dev/null/nowhere")


def _address(
    place: Place, found: Found, options: Mapping[str, str], ip: str, path: Path | None
) -> Address:
    return Address(
        place=place,
        user=found.user or place.user,
        password=found.password,
        token=found.token,
        options=dict(options),
        ip=ip,
        path=path,
    )


def not_allowed(message: str) -> FailedPreconditionError:
    """Return the error for a place that the settings do not allow."""
    return FailedPreconditionError(message, reason="PLACE_NOT_ALLOWED")
