"""LocalServer says why a server did not start."""

from __future__ import annotations

import pytest

from syntheflow import SyntheflowError
from syntheflow.local import LocalServer


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHEFLOW_MAX_RUNNING_JOBS", "none")
    server = LocalServer(tmp_path / "data")
    with pytest.raises(SyntheflowError, match="ended while it started") as caught:
        server.start()
    assert "max_running_jobs" in caught.value.message.lower()
    assert not server.running


def test_a_server_that_was_never_started_can_be_stopped(tmp_path):
    server = LocalServer(tmp_path / "data")
    server.stop()
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.pid
