"""A scripted server and a channel to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from support.scripted import Served, scripted


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with scripted(tmp_path, max_upload_bytes=1_000_000) as served:
        yield served


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.address) as channel:
        yield channel
