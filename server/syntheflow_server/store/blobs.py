"""Blobs: one folder a resource, which appears and disappears as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from syntheflow_server.domain.errors import DataLossError
from syntheflow_server.domain.ids import KINDS, new_id
from syntheflow_server.domain.resources import Dataset
from syntheflow_server.domain.tables import Tables
from syntheflow_server.store.documents import taken
from syntheflow_server.store.tables import open_tables


class Blobs:
    """Folders under `root` by resource name (datasets/{id}, models/{id}, reports/{id}).

    A folder is filled in the staging area, synced to the disk and moved into its
    place by one rename; what a crash leaves in the staging area is removed by `sweep`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / ".staging"
        self._staging.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            (root / kind).mkdir(exist_ok=True)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a fresh directory on the blobs' own disk; it is removed at the end."""
        directory = self._staging / new_id()
        directory.mkdir()
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def commit(self, staged: Path, name: str) -> None:
        """Move the directory `staged` to the place of `name`, durable and all at once.

        AlreadyExistsError if the place is taken.
        """
        place = self.path(name)
        for folder, _, files in os.walk(staged, topdown=False):
            for file in files:
                _sync(Path(folder) / file)
            _sync(Path(folder))
        if place.exists():
            raise taken(name)
        staged.rename(place)
        _sync(place.parent)

    def path(self, name: str) -> Path:
        """Return the directory of `name`, whether it is there or not."""
        kind, _, rest = name.partition("/")
        if kind not in KINDS or not rest or "/" in rest or rest.startswith("."):
            raise ValueError(f"{name!r} is no resource name")
        return self._root / kind / rest

    def delete(self, name: str) -> None:
        """Remove the directory of `name`, all at once; nothing happens if there is none."""
        grave = self._staging / new_id()
        try:
            self.path(name).rename(grave)
        except FileNotFoundError:
            return
        shutil.rmtree(grave, ignore_errors=True)

    def size(self, name: str) -> int:
        """Return the bytes of all files of `name`."""
        return size_of(self.path(name))

    def read(self, name: str, file: str) -> bytes:
        """Return the content of one file of `name`; DataLossError if it is missing."""
        try:
            return (self.path(name) / file).read_bytes()
        except FileNotFoundError as error:
            raise DataLossError(
                f"the stored file {file} of {name} is missing",
                reason="STORED_FILE_MISSING",
                metadata={"resource": name},
            ) from error

    def tables(self, dataset: Dataset) -> Tables:
        """Open the tables of a dataset, cast to the types of its schema."""
        return open_tables(self.path(dataset.name), dataset.data_schema)

    def sweep(self, known: Callable[[str], Collection[str]]) -> list[str]:
        """Remove staging leftovers and folders that no document names; return those names.

        `known` gives the names of a kind that have a document. Only for the start,
        when nobody else works here.
        """
        for leftover in self._staging.iterdir():
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        orphans: list[str] = []
        for kind in KINDS:
            names = set(known(kind))
            found = (f"{kind}/{folder.name}" for folder in (self._root / kind).iterdir())
            orphans += sorted(name for name in found if name not in names)
        for name in orphans:
            self.delete(name)
        return orphans


def size_of(directory: Path) -> int:
    """Return the bytes of all files below `directory`."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
