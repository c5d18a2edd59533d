"""One server a data directory: a lock file that the system releases when its owner dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syntheflow_server.domain.errors import FailedPreconditionError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of `directory`; FailedPreconditionError if another process has it."""
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 32).decode(errors="replace").strip()
            raise FailedPreconditionError(
                f"another server (process {owner or 'unknown'}) uses the data directory "
                f"{directory}; stop it or choose another with --data-dir",
                reason="DATA_DIR_IN_USE",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)  # releases the lock
