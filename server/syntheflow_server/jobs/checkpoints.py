"""Folders in which trainings keep what they need to go on after their process died."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from syntheflow_server.domain.ids import id_of


class Checkpoints:
    """One folder a job under `root`; it outlives the job's process and goes with its end."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def of(self, job: str) -> Path:
        """Return the folder of a job, made if need be."""
        folder = self._root / id_of(job, "jobs")
        folder.mkdir(exist_ok=True)
        return folder

    def drop(self, job: str) -> None:
        """Remove the folder of a job; nothing happens if there is none."""
        shutil.rmtree(self._root / id_of(job, "jobs"), ignore_errors=True)

    def sweep(self, jobs: Collection[str]) -> None:
        """Remove the folders of all but `jobs`; only for the start."""
        kept = {id_of(job, "jobs") for job in jobs}
        for folder in self._root.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
