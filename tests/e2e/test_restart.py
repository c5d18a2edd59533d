"""What the server keeps, it keeps over a restart."""

from __future__ import annotations

import psutil

from support.cli import Cli
from support.company import MODEL
from support.wire import connected, joined, synthesis
from syntheflow.v1.synthesis_service_pb2 import GenerateRequest


def everything(cli: Cli) -> dict[str, list]:
    return {kind: cli.json(kind, "list") for kind in ("datasets", "models", "jobs", "reports")}


def test_datasets_models_jobs_and_reports_survive_a_restart(start_server, tmp_path):
    server = start_server()
    before = everything(Cli(server.address, tmp_path))
    assert {kind: len(entries) for kind, entries in before.items()} == {
        "datasets": 2,
        "models": 2,
        "jobs": 3,
        "reports": 1,
    }
    request = GenerateRequest(model=f"models/{MODEL}", seed=4)
    with connected(server.address) as channel:
        rows = joined(synthesis(channel).Generate(request))
    server.stop()
    assert not server.running
    server.start()
    assert everything(Cli(server.address, tmp_path)) == before
    with connected(server.address) as channel:
        assert joined(synthesis(channel).Generate(request)) == rows
    server.stop()


def test_a_stopping_server_ends_with_success_and_takes_its_workers_along(start_server):
    server = start_server()
    family = psutil.Process(server.pid).children(recursive=True)
    assert family
    server.stop()
    assert server.exit_code == 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
