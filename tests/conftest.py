"""Fixtures of several rooms: one trained company, and servers that start from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cli import Cli
from support.company import DATASET, EMPLOYEES, MODEL, ORDERS, SEED, Trained, write_orders
from support.s3 import s3, s3_server
from support.servers import mariadb, mariadb_database, postgresql, postgresql_database
from syntheflow.local import LocalServer
from syntheflow.samples import hr

__all__ = ["mariadb", "mariadb_database", "postgresql", "postgresql_database", "s3", "s3_server"]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_developer() -> None:
    for name in [name for name in os.environ if name.startswith("SYNTHEFLOW_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a small HR company."""
    folder = tmp_path_factory.mktemp("hr")
    hr.write(folder, employees=EMPLOYEES, seed=SEED)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Trained:
    """Uploaded, learned and judged through the CLI, once for all tests."""
    folder = tmp_path_factory.mktemp("trained")
    html, figures = folder / "report.html", folder / "report.json"
    with LocalServer(folder / "data", workers=2) as server:
        cli = Cli(server.address, folder)
        uploaded = cli.run("upload", DATASET, *sorted(sources.glob("*.csv"))).stdout
        cli.run("upload", ORDERS, write_orders(folder / "orders.csv"))
        cli.run("train", ORDERS, "--seed", 7, "--time-limit", "8s")
        cli.run("train", DATASET, "--model", MODEL, "--seed", 7, "--time-limit", "15s")
        cli.run("validate", MODEL, "--report", html, "--json", figures)
    return Trained(folder / "data", sources, uploaded, html, figures)


@pytest.fixture(scope="session")
def start_server(
    tmp_path_factory: pytest.TempPathFactory, trained: Trained
) -> Iterator[Callable[..., LocalServer]]:
    """Starts a server of its own on a copy of the trained data; stopped at the session's end.

    It may read and write the tests' folders.
    """
    servers: list[LocalServer] = []

    def start(*, workers: int = 2) -> LocalServer:
        data_dir = tmp_path_factory.mktemp("server") / "data"
        shutil.copytree(trained.data_dir, data_dir)
        reach = {"SYNTHEFLOW_ALLOWED_FOLDERS": str(tmp_path_factory.getbasetemp())}
        server = LocalServer(data_dir, workers=workers, environment=reach)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server: Callable[..., LocalServer]) -> LocalServer:
    """The server that all tests share which do it no harm."""
    return start_server()


@pytest.fixture
def cli(server: LocalServer, tmp_path: Path) -> Cli:
    """The command line against the shared server, in a folder of the test's own."""
    return Cli(server.address, tmp_path)
