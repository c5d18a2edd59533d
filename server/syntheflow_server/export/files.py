"""Puts files into a folder or an object store: all of them whole, or none to be seen."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.places import PlaceKind
from syntheflow_server.connect.stores import open_store, store_errors
from syntheflow_server.domain.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    UnavailableError,
    Violation,
)

_PIECE = 4 << 20
_PART = 8 << 20
_MODE = 0o644
_LONGEST_NAME = 1_024

# A stream to S3 can only be completed or held: pyarrow has no way to give it up, and
# completes it when its object goes. So each is held here until `complete`; those given up
# to the process's end, when the library sends nothing any more. Parts that were sent are
# never seen as an object (a rule of the bucket can remove them: AbortIncompleteMultipartUpload).
_HELD: list[Any] = []


class Delivery:
    """Files on their way to a folder or store; they appear under their names in `finish`.

    Files are written in any order and in turns, each name relative to the place, with
    folders where it has slashes. Without `overwrite` a file that is there already refuses
    the delivery. `work` is a folder for what a store must be sent in one go (Google and
    Azure); the system's temporary folder if None. Call `finish` or `abort` once.
    """

    def __init__(
        self, target: Address | Path, *, overwrite: bool = False, work: Path | None = None
    ) -> None:
        self._way: _Way
        if isinstance(target, Path):
            self._way = _FolderWay(target, overwrite=overwrite)
        elif target.place.kind is PlaceKind.FOLDER:
            assert target.path is not None
            self._way = _FolderWay(target.path, overwrite=overwrite)
        elif target.place.scheme == "s3":
            self._way = _S3Way(target, overwrite=overwrite)
        else:
            self._way = _SpooledWay(target, overwrite=overwrite, work=work)
        self._open: dict[str, IO[bytes] | Any] = {}

    def write(self, file: str, data: bytes) -> None:
        """Append bytes to `file`, which begins to be with its first call, even an empty one.

        Raises InvalidArgumentError if the name is no name, FailedPreconditionError
        FILE_EXISTS if it is there, STORE_REFUSED or FOLDER_REFUSED; UnavailableError.
        """
        stream = self._open.get(file)
        if stream is None:
            stream = self._open[file] = self._way.begin(checked_file_name(file))
        self._way.append(stream, data)

    def finish(self) -> list[str]:
        """Let all files appear; return their names in the order of their first bytes.

        If one cannot be completed, those that were are taken away again (one that stood
        there before, with `overwrite`, is lost then).
        """
        names = list(self._open)
        done: list[str] = []
        try:
            for name in names:
                self._way.complete(name, self._open[name])
                done.append(name)
        except BaseException:
            self._way.take_back(done)
            self.abort()
            raise
        self._open.clear()
        self._way.end()
        return names

    def abort(self) -> None:
        """Leave no file."""
        streams, self._open = list(self._open.values()), {}
        for stream in streams:
            self._way.give_up(stream)
        self._way.end()


class _Way(ABC):
    """How one kind of place takes files."""

    @abstractmethod
    def begin(self, name: str) -> Any:
        """Return a new stream for the file `name`."""

    @abstractmethod
    def append(self, stream: Any, data: bytes) -> None:
        """Send bytes."""

    @abstractmethod
    def complete(self, name: str, stream: Any) -> None:
        """Let the file appear."""

    @abstractmethod
    def give_up(self, stream: Any) -> None:
        """Let the file not appear."""

    @abstractmethod
    def take_back(self, names: list[str]) -> None:
        """Remove files that appeared."""

    def end(self) -> None:  # noqa: B027 - most ways leave nothing
        """Remove what is left of the way itself."""


@dataclass(slots=True)
class _Spooled:
    """A file of this machine that is being written."""

    name: str
    path: Path
    file: IO[bytes]


class _Spool(_Way):
    """Keeps files in a hidden temporary folder until they are complete."""

    def __init__(self) -> None:
        self._temporary: Path | None = None
        self._count = 0

    def _spooled(self, name: str, folder: Path | None) -> _Spooled:
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix=".delivery-", dir=folder))
        self._count += 1
        path = self._temporary / str(self._count)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        return _Spooled(name, path, os.fdopen(descriptor, "wb", buffering=0))

    def append(self, stream: _Spooled, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[stream.file.write(rest) :]
        except OSError as error:
            raise _refused(error) from None

    def give_up(self, stream: _Spooled) -> None:
        stream.file.close()

    def end(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


class _FolderWay(_Spool):
    """The temporary folder lies in the folder itself: the same disk, so one rename each."""

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        super().__init__()
        self._folder, self._overwrite = folder, overwrite
        self._made: list[Path] = []

    def begin(self, name: str) -> _Spooled:
        try:
            self._make(self._folder)
            self._check_free(name)
            return self._spooled(name, self._folder)
        except OSError as error:
            raise _refused(error) from None

    def complete(self, name: str, stream: _Spooled) -> None:
        final = self._folder / name
        try:
            os.fsync(stream.file.fileno())
            stream.file.close()
            self._make(final.parent)
            if not final.parent.resolve().is_relative_to(self._folder.resolve()):
                raise FailedPreconditionError(
                    f"the folder of {name} is a link that leads out of the place",
                    reason="PLACE_NOT_ALLOWED",
                )
            self._check_free(name)
            stream.path.replace(final)
        except OSError as error:
            raise _refused(error) from None

    def take_back(self, names: list[str]) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # somebody else's file is in it: it stays
                folder.rmdir()

    def _check_free(self, name: str) -> None:
        final = self._folder / name
        if final.is_dir() or (not self._overwrite and os.path.lexists(final)):
            raise _exists(name)

    def _make(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for part in reversed(missing):
            part.mkdir(exist_ok=True)
            self._made.append(part)


class _StoreWay(_Way):
    """What all object stores share."""

    def __init__(self, address: Address, *, overwrite: bool) -> None:
        self._address, self._overwrite = address, overwrite
        self._store, self._base = open_store(address)

    def _key(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _check_free(self, name: str) -> None:
        from pyarrow.fs import FileType

        if not self._overwrite:
            with store_errors(self._address, "looking for a file of that name"):
                found = self._store.get_file_info(self._key(name))
            if found.type != FileType.NotFound:
                raise _exists(name)

    def take_back(self, names: list[str]) -> None:
        for name in names:
            # The error that led here is the one to tell.
            with contextlib.suppress(OSError):
                self._store.delete_file(self._key(name))


class _S3Way(_StoreWay):
    """Multipart uploads: an object appears when its last request completes it."""

    def begin(self, name: str) -> Any:
        self._check_free(name)
        with store_errors(self._address, "beginning a file"):
            stream = self._store.open_output_stream(self._key(name), buffer_size=_PART)
        _HELD.append(stream)
        return stream

    def append(self, stream: Any, data: bytes) -> None:
        with store_errors(self._address, "writing a file"):
            stream.write(data)

    def complete(self, name: str, stream: Any) -> None:
        with store_errors(self._address, f"completing {name}"):
            stream.close()
        _HELD.remove(stream)

    def give_up(self, stream: Any) -> None:
        """Do nothing: held as it is, it is never completed."""


class _SpooledWay(_StoreWay, _Spool):
    """Stores whose streams show files half written: spooled here, sent whole at the end."""

    def __init__(self, address: Address, *, overwrite: bool, work: Path | None) -> None:
        _StoreWay.__init__(self, address, overwrite=overwrite)
        _Spool.__init__(self)
        self._work = work

    def begin(self, name: str) -> _Spooled:
        self._check_free(name)
        return self._spooled(name, self._work)

    def complete(self, name: str, stream: _Spooled) -> None:
        stream.file.close()
        key = self._key(name)
        try:
            with (
                store_errors(self._address, f"sending {name}"),
                stream.path.open("rb") as source,
                self._store.open_output_stream(key) as sink,
            ):
                shutil.copyfileobj(source, sink, _PIECE)
        except BaseException:
            self.take_back([name])
            raise


def checked_file_name(name: str) -> str:
    """Return a file's name relative to its place; InvalidArgumentError if it could leave it."""
    parts = name.split("/")
    fits = 0 < len(name) <= _LONGEST_NAME and name.isprintable() and "\\" not in name
    if not fits or any(part in {"", ".", ".."} or part.startswith(".delivery-") for part in parts):
        rule = "a file's name is made of plain parts with '/' between, none of them '.' or '..'"
        raise InvalidArgumentError(
            rule, reason="FILE_NAME_INVALID", violations=(Violation(field="file", rule=rule),)
        )
    return str(PurePosixPath(name))


def _exists(name: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"{name} is there already; choose an empty folder, or ask to overwrite",
        reason="FILE_EXISTS",
        metadata={"file": name},
    )


def _refused(error: OSError) -> UnavailableError | FailedPreconditionError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return UnavailableError("the disk of the folder is full", reason="DISK_FULL")
    return FailedPreconditionError(
        f"the folder cannot be written: {os.strerror(error.errno or errno.EIO)}",
        reason="FOLDER_REFUSED",
    )
