"""Fetches the files of a folder or bucket that make a dataset, one file a table.

Files of equal columns in one folder below the place (TABLE/part-0.csv, TABLE/part-1.csv;
for Parquet also TABLE/year=2024/part.parquet) are parts of one table and are put together
here; every other file is a table of its own.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.places import PlaceKind
from syntheflow_server.connect.stores import open_store, store_errors
from syntheflow_server.domain.errors import (
    ExhaustedError,
    FailedPreconditionError,
    InvalidArgumentError,
    Violation,
)
from syntheflow_server.ingest.parts import join_parts, parts_of_one_table
from syntheflow_server.ingest.recognise import ENDINGS

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_PIECE = 4 << 20
_LONGEST_NAME = 200

Report = Callable[[float, str], None]
"""Told the share that is done and what is being done; may raise CancelledError."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What a place may hold at most: entries looked at, files fetched, bytes, folder levels."""

    entries: int = 100_000
    files: int = 10_000
    bytes: int = 100 * 2**30
    depth: int = 8


@dataclass(frozen=True, slots=True)
class _Found:
    """A file of the place: its path there, its parts below the place, its bytes."""

    path: str
    below: PurePosixPath
    bytes: int


def fetch_files(
    address: Address,
    patterns: Sequence[str],
    into: Path,
    limits: FetchLimits,
    report: Report,
) -> list[Path]:
    """Copy the files of a place into folders of their own in `into`; return them by name.

    `patterns` (`*.csv`, `sales/*`; `*` goes through slashes) are held against a file's name
    and its path below the place; without any, files of known endings are taken. Names that
    begin with `.` or `_` are passed over. Each path's stem is the table's name. Raises
    FailedPreconditionError NO_FILES, what the store raises, and ExhaustedError
    PLACE_TOO_LARGE.
    """
    files, base = open_store(address)
    report(0.0, f"listing {address.place.url}")
    found = _chosen(address, files, base, patterns, limits)
    whole, done = max(1, sum(file.bytes for file in found)), 0

    def moved(count: int, name: str) -> None:
        nonlocal done
        done += count
        if done > limits.bytes:
            raise _too_large(address, f"more than {limits.bytes:,} bytes")
        report(min(1.0, done / whole), f"fetching {name}")

    fetched: dict[PurePosixPath, Path] = {}
    for number, file in enumerate(found, start=1):
        folder = into / f"{number:05d}"
        folder.mkdir()
        target = folder / file.below.name
        with _opened(address, files, file) as source, target.open("xb") as sink:
            while piece := _read(address, source):
                sink.write(piece)
                moved(len(piece), str(file.below))
        fetched[file.below] = target
    return _one_file_a_table(fetched, into, limits.bytes)


def _chosen(
    address: Address,
    files: FileSystem,
    base: str,
    patterns: Sequence[str],
    limits: FetchLimits,
) -> list[_Found]:
    found = []
    for file in _listed(address, files, base, limits):
        name, path = file.below.name, str(file.below)
        if patterns:
            wanted = any(fnmatchcase(path, p) or fnmatchcase(name, p) for p in patterns)
        else:
            wanted = PurePosixPath(name.lower()).suffix in ENDINGS
        if wanted:
            found.append(_checked(file))
    if not found:
        hint = "no file matches the patterns" if patterns else "no file has a known ending"
        raise FailedPreconditionError(f"{address.place.url}: {hint}", reason="NO_FILES")
    if len(found) > limits.files:
        raise _too_large(address, f"more than {limits.files:,} files")
    return sorted(found, key=lambda file: str(file.below))


def _listed(
    address: Address, files: FileSystem, base: str, limits: FetchLimits
) -> Iterator[_Found]:
    """Yield all files, level by level, so that an endless place is left after `entries`."""
    from pyarrow.fs import FileSelector, FileType

    if address.place.kind is PlaceKind.STORE and address.place.path:
        with store_errors(address, "looking for it"):
            info = files.get_file_info(base)
        if info.type == FileType.File:  # the place is one object
            yield _Found(info.path, PurePosixPath(info.base_name), max(0, info.size or 0))
            return
    # Google's listing knows no folders but those with an object of their own.
    at_once = address.place.scheme == "gs"
    waiting, seen = [PurePosixPath()], 0
    while waiting:
        folder = waiting.pop()
        path = f"{base}/{folder}" if folder.parts else base
        selector = FileSelector(path, allow_not_found=bool(folder.parts), recursive=at_once)
        with store_errors(address, "listing its files"):
            infos = files.get_file_info(selector)
        for info in sorted(infos, key=lambda info: str(info.path)):
            seen += 1
            if seen > limits.entries:
                raise _too_large(address, f"more than {limits.entries:,} files and folders")
            below = folder / str(info.path).removeprefix(f"{path}/")
            if any(part.startswith((".", "_")) for part in below.parts):
                continue
            if info.type == FileType.File:
                yield _Found(info.path, below, max(0, info.size or 0))
            elif info.type == FileType.Directory and not (at_once or _is_link(address, info.path)):
                if len(below.parts) > limits.depth:
                    raise _too_large(address, f"more than {limits.depth} levels of folders")
                waiting.append(below)


def _is_link(address: Address, path: str) -> bool:
    return address.place.kind is PlaceKind.FOLDER and Path(path).is_symlink()


def _checked(file: _Found) -> _Found:
    name = file.below.name
    if len(name) > _LONGEST_NAME or not name.isprintable() or "\\" in name:
        rule = f"a file's name has at most {_LONGEST_NAME} printable characters, no backslash"
        raise InvalidArgumentError(
            rule, reason="FILE_NAME_INVALID", violations=(Violation(field="file", rule=rule),)
        )
    return file


def _opened(address: Address, files: FileSystem, file: _Found) -> BinaryIO:
    if address.place.kind is PlaceKind.FOLDER:
        return _opened_inside(address, Path(file.path))
    with store_errors(address, f"opening {file.below}"):
        stream: BinaryIO = files.open_input_stream(file.path, compression=None)
    return stream


def _opened_inside(address: Address, path: Path) -> BinaryIO:
    """Open a plain file and see where it really is: a link may have come in between."""
    assert address.path is not None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = os.fdopen(descriptor, "rb")
    except OSError as error:
        raise FailedPreconditionError(
            f"{path.name} cannot be opened: {os.strerror(error.errno or 0)}", reason="FILE_REFUSED"
        ) from None
    real = Path(f"/proc/self/fd/{descriptor}").readlink()
    plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if not plain or not real.is_relative_to(address.path):
        file.close()
        raise FailedPreconditionError(
            f"{path.name} is no plain file in the folder, but a link that leads out of it or "
            "a device; remove it or choose files by patterns",
            reason="PLACE_NOT_ALLOWED",
        )
    return file


def _read(address: Address, source: BinaryIO) -> bytes:
    with store_errors(address, "reading a file"):
        return source.read(_PIECE)


def _one_file_a_table(fetched: dict[PurePosixPath, Path], into: Path, most: int) -> list[Path]:
    """Put parts together and give files of equal stems names that tell them apart."""
    groups: dict[PurePosixPath, list[PurePosixPath]] = {}
    for below in fetched:
        groups.setdefault(_table_folder(below), []).append(below)
    tables: dict[str, Path] = {}
    for folder, members in groups.items():
        parts = [(below.relative_to(folder), fetched[below]) for below in members]
        if folder.parts and len(parts) > 1 and parts_of_one_table(parts):
            joined = into / f"joined-{len(tables):05d}"
            joined.mkdir()
            path = join_parts(parts, joined, folder.name, most)
            for _, part in parts:
                shutil.rmtree(part.parent)
            _name(tables, folder, path)
        else:
            for below in members:
                _name(tables, below, fetched[below])
    return [tables[name] for name in sorted(tables)]


def _table_folder(below: PurePosixPath) -> PurePosixPath:
    """Return the folder whose files may be one table: above hive's KEY=VALUE folders."""
    folder = below.parent
    while "=" in folder.name and folder.parent.parts:
        folder = folder.parent
    return folder


def _name(tables: dict[str, Path], below: PurePosixPath, path: Path) -> None:
    """Keep a table under its stem; the second of that stem gets its folder's name too."""
    stem, above = path.name.partition(".")[0].lower(), list(below.parent.parts)
    while stem in tables and above:
        path = path.rename(path.with_name(f"{above.pop()}_{path.name}"))
        stem = path.name.partition(".")[0].lower()
    tables[path.name if stem in tables else stem] = path


def _too_large(address: Address, what: str) -> ExhaustedError:
    return ExhaustedError(
        f"{address.place.url} holds {what}; choose fewer files by patterns or a deeper folder",
        reason="PLACE_TOO_LARGE",
    )
