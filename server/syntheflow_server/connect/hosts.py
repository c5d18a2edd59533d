"""Which hosts may be reached: names and addresses in one spelling, and what is internal."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Resolver = Callable[[str, int], list[str]]
"""Addresses of a host; raises OSError if it has none."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
# What some resolvers read as an address: 2130706433, 127.1, 0x7f.0.0.1, 0177.0.0.1.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
# Services of clouds that hand out credentials, some of them at public addresses.
_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200",
                     "fd00:ec2::254", "fd20:ce::254"))
)  # fmt: skip


def checked_host(text: str) -> str | None:
    """Return a host in its one spelling (IPv6 without brackets); None if it is none."""
    host = text.lower()
    try:
        if host.startswith("[") and "%" not in host:  # a zone would mean an interface of ours
            return str(IPv6Address(host.removeprefix("[").removesuffix("]")))
        host = host.removesuffix(".")
        if _NUMERIC_END.fullmatch(host):
            return str(IPv4Address(host))
    except ValueError:
        return None
    return host if _NAME.fullmatch(host) else None


def shown_host(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def is_address(host: str) -> bool:
    """Say whether a host in its one spelling is an address, not a name."""
    return ":" in host or host.replace(".", "").isdigit()


def is_internal(address: str) -> bool:
    """Say whether an address belongs to this machine, a private network or a cloud's inside."""
    ip = ip_address(address.partition("%")[0])
    inner: IPv4Address | IPv6Address | None = None
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if any(ip in network for network in _NAT64):
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if int(ip) >> 32 == 0 and int(ip) > 1:  # the old "IPv4-compatible" form ::a.b.c.d
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
    if inner is not None:
        return is_internal(str(inner))
    return ip in _METADATA or not ip.is_global or ip.is_multicast or ip.is_reserved


def is_link_local(address: str) -> bool:
    """Say whether an address is link-local or a cloud's metadata service."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip in _METADATA or ip.is_link_local


def resolve_host(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of `host`; OSError if there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry of `allowed_hosts`: `host`, `host:port`, `[v6]:port` or `*.domain`."""

    host: str
    port: int | None
    below: bool

    @classmethod
    def of(cls, entry: str) -> AllowedHost:
        """Read an entry; ValueError if it is none."""
        found = re.fullmatch(r"(\*\.)?(\[[^\[\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?", entry.strip())
        host = checked_host(found[2]) if found else None
        if not found or not host or (found[1] and is_address(host)):
            raise ValueError("an allowed host is HOST, HOST:PORT, [IPV6]:PORT or *.DOMAIN")
        return cls(host, int(found[3]) if found[3] else None, below=bool(found[1]))

    def allows(self, host: str, port: int) -> bool:
        """Say whether it stands for `host` and `port`."""
        if self.port not in {None, port}:
            return False
        return host.endswith("." + self.host) if self.below else host == self.host


def exactly(allowed: Iterable[AllowedHost], host: str, port: int) -> bool:
    """Say whether that very host is allowed, not only a domain above it."""
    return any(not entry.below and entry.allows(host, port) for entry in allowed)
