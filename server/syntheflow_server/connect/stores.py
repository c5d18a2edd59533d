"""Opens object stores and folders by pyarrow's file systems, with explicit settings only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.places import PlaceKind, endpoint_of, invalid_place
from syntheflow_server.domain.errors import (
    FailedPreconditionError,
    SyntheflowError,
    UnavailableError,
)

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_CONNECT_SECONDS = 10.0
_REQUEST_SECONDS = 60.0
_RETRY_SECONDS = 60.0
# What the stores' libraries say, in words of ours: their own texts may hold keys.
_FAULTS = (
    (("NO_SUCH_BUCKET", "NoSuchBucket", "ContainerNotFound"), "the bucket does not exist"),
    (
        ("ACCESS_DENIED", "AccessDenied", "Forbidden", "INVALID_ACCESS_KEY", "SIGNATURE",
         "InvalidAccessKeyId", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNRECOGNIZED_CLIENT",
         "AuthenticationFailed", "AuthorizationFailure", "HTTP Status 403", "HTTP Status 401"),
        "the store refuses these credentials, or they may not do this",
    ),
    (("NO_SUCH_KEY", "NoSuchKey", "does not exist", "NOT_FOUND"), "the object does not exist"),
    (("PermanentRedirect", "301"), "the bucket is in another region; give the option region"),
)  # fmt: skip


def open_store(address: Address) -> tuple[FileSystem, str]:
    """Return the file system of a store or folder, and the path in it where the place begins.

    No request is sent yet, but for the region of an S3 bucket that says none. Raises
    InvalidArgumentError if the place is a database, FailedPreconditionError or
    UnavailableError if the store does not answer as it should.
    """
    place = address.place
    if place.kind is PlaceKind.DATABASE:
        raise invalid_place("a folder or an object store is needed here, not a database")
    if place.kind is PlaceKind.FOLDER:
        from pyarrow.fs import LocalFileSystem

        assert address.path is not None
        return LocalFileSystem(), str(address.path)
    with store_errors(address, "opening it"):
        files = {"s3": _s3, "gs": _google, "abfs": _azure}[place.scheme](address)
    return files, f"{place.name}/{place.path}".rstrip("/")


@contextmanager
def store_errors(address: Address, doing: str) -> Iterator[None]:
    """Turn what the store's library raises into a domain error without its text."""
    try:
        yield
    except SyntheflowError:
        raise
    except (OSError, ValueError, KeyError) as error:  # pyarrow raises all of them
        text = str(error)
        for marks, problem in _FAULTS:
            if any(mark in text for mark in marks):
                raise FailedPreconditionError(
                    f"{address.place.url}: {problem} (while {doing})", reason="STORE_REFUSED"
                ) from None
        raise UnavailableError(
            f"{address.place.url} did not answer as expected while {doing}; check that the "
            "server can reach it and try again",
            reason="STORE_FAILED",
        ) from None


def _s3(address: Address) -> FileSystem:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    options = address.options
    host, port = endpoint_of(options)
    settings: dict[str, Any] = {
        # Parts are sent while rows are made, one after the other: memory stays flat.
        "background_writes": False,
        "connect_timeout": _CONNECT_SECONDS,
        "request_timeout": _REQUEST_SECONDS,
        "retry_strategy": AwsStandardS3RetryStrategy(max_attempts=4),
        "force_virtual_addressing": options.get("force_virtual_addressing") == "true",
    }
    if host:
        settings |= _endpoint(options, host, port)
        settings["region"] = options.get("region") or "us-east-1"
    else:
        settings["region"] = options.get("region") or resolve_s3_region(address.place.name)
    if options.get("anonymous") == "true":
        settings["anonymous"] = True
    elif address.password is not None:
        settings["access_key"] = address.user
        settings["secret_key"] = address.password.reveal()
        settings["session_token"] = address.token.reveal() if address.token else None
    return S3FileSystem(**settings)


def _google(address: Address) -> FileSystem:
    from datetime import UTC, datetime, timedelta

    from pyarrow.fs import GcsFileSystem

    options = address.options
    host, port = endpoint_of(options)
    settings: dict[str, Any] = {"retry_time_limit": timedelta(seconds=_RETRY_SECONDS)}
    if host:
        settings |= _endpoint(options, host, port)
    if "project_id" in options:
        settings["project_id"] = options["project_id"]
    if options.get("anonymous") == "true":
        settings["anonymous"] = True
    elif address.token is not None:
        settings["access_token"] = address.token.reveal()
        # Whoever gave the token knows when it ends; the library only wants some moment.
        settings["credential_token_expiration"] = datetime.now(UTC) + timedelta(hours=1)
    return GcsFileSystem(**settings)


def _azure(address: Address) -> FileSystem:
    from pyarrow.fs import AzureFileSystem

    settings: dict[str, Any] = {"account_name": address.place.account}
    host, port = endpoint_of(address.options)
    if host:
        endpoint = _endpoint(address.options, host, port)
        for service in ("blob_storage", "dfs_storage"):
            settings[f"{service}_authority"] = endpoint["endpoint_override"]
            settings[f"{service}_scheme"] = endpoint["scheme"]
    if address.token is not None:
        settings["sas_token"] = address.token.reveal()
    elif address.password is not None:
        settings["account_key"] = address.password.reveal()
    return AzureFileSystem(**settings)


def _endpoint(options: Mapping[str, str], host: str, port: int) -> dict[str, str]:
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if options["endpoint_override"].startswith("http://") else "https"
    return {"endpoint_override": f"{shown}:{port}", "scheme": scheme}
