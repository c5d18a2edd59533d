"""Real PostgreSQL and MariaDB servers, started from the machine's packages for one test session.

Each has a data folder and a port of its own, listens on 127.0.0.1 only, asks for a
password, and gives up durability for speed. It ends with the session, on Ctrl-C too; should
the session be killed, the kernel ends it.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pg8000.dbapi
import pymysql
import pytest
from pymysql.constants import CLIENT

from syntheflow_server.connect.access import Address
from syntheflow_server.connect.places import parse_place
from syntheflow_server.connect.secret import Secret

PASSWORD = "only-for-tests-7qX"
_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class TestServer:
    """A running server; `dialect` is postgresql or mysql. Its user may do everything."""

    __test__ = False

    dialect: str
    port: int
    user: str
    password: str = PASSWORD
    host: str = "127.0.0.1"

    @contextmanager
    def new_database(self) -> Iterator[TestDatabase]:
        """Give an empty database of its own, dropped afterwards with all connections to it."""
        name = f"t{uuid.uuid4().hex[:12]}"
        home = TestDatabase(self, "postgres" if self.dialect == "postgresql" else "mysql")
        home.run(f"CREATE DATABASE {name}")
        try:
            yield TestDatabase(self, name)
        finally:
            forced = " WITH (FORCE)" if self.dialect == "postgresql" else ""
            home.run(f"DROP DATABASE {name}{forced}")


@dataclass(frozen=True)
class TestDatabase:
    """One database of a server: how to name it, and plain SQL on it."""

    __test__ = False

    server: TestServer
    name: str

    @property
    def url(self) -> str:
        """The address with user and without password, as users write it."""
        server = self.server
        return f"{server.dialect}://{server.user}@{server.host}:{server.port}/{self.name}"

    @property
    def url_with_password(self) -> str:
        """The address as nobody should write it."""
        return self.url.replace("@", f":{self.server.password}@", 1)

    def connect(self) -> Any:
        """Open a DB-API connection (pg8000 or pymysql)."""
        server = self.server
        at: dict[str, Any] = {"host": server.host, "port": server.port, "database": self.name}
        if server.dialect == "postgresql":
            return pg8000.dbapi.connect(user=server.user, password=server.password, **at)
        flags = CLIENT.MULTI_STATEMENTS
        return pymysql.connect(
            user=server.user, password=server.password, client_flag=flags, local_infile=True, **at
        )

    def run(self, script: str) -> None:
        """Run a script of statements, each committed by itself."""
        connection = self.connect()
        try:
            if self.server.dialect == "postgresql":
                connection.autocommit = True
                # The simple protocol takes many statements at once.
                connection.execute_simple(script)
            else:
                connection.autocommit(True)
                with connection.cursor() as cursor:
                    cursor.execute(script)
                    while cursor.nextset():
                        pass
        finally:
            connection.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            connection.close()


@contextmanager
def postgresql_server() -> Iterator[TestServer]:
    """Run PostgreSQL."""
    programs = _folder_of("postgres", "initdb", newest_of="/usr/lib/postgresql/*/bin")
    if programs is None:
        missing("PostgreSQL", "postgresql")
    with _private_folder("pg") as folder:
        data, port = folder / "data", _free_port()
        secret = folder / "password"
        secret.write_text(PASSWORD)
        _give(secret)
        _run(
            [
                *(programs / "initdb", "--pgdata", data, "--username", "tester", "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", secret),
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions"),
            ],
            folder,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "128MB",
            "max_wal_size": "4GB",
            "autovacuum": "off",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        server = TestServer("postgresql", port, "tester")
        command = [programs / "postgres", "-D", data, *words]
        # SIGINT is the fast shutdown, which waits for no client.
        with _running(command, folder, signal.SIGINT, TestDatabase(server, "postgres").connect):
            yield server


@contextmanager
def mariadb_server() -> Iterator[TestServer]:
    """Run MariaDB."""
    programs = _folder_of("mariadbd", newest_of="/usr/sbin")
    installer = shutil.which("mariadb-install-db")
    if programs is None or installer is None:
        missing("MariaDB", "mariadb-server-core")
    with _private_folder("my") as folder:
        data, port, link = folder / "data", _free_port(), folder / "socket"
        small = ("--innodb-log-file-size=64M", "--innodb-flush-log-at-trx-commit=0")
        quick = (*small, "--innodb-doublewrite=0", "--sync-binlog=0")
        _run(
            [
                *(installer, "--no-defaults", f"--datadir={data}", "--skip-test-db", *small),
                "--auth-root-authentication-method=normal",
            ],
            folder,
        )
        command = [
            *(programs / "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={link}"),
            *(f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", *quick),
            # Tables made and dropped would wait for the disk else: half the time of tests.
            "--loose-debug-no-sync",
            *("--character-set-server=utf8mb4", "--local-infile=1", f"--tmpdir={folder}"),
        ]
        server = TestServer("mysql", port, "tester")

        def make_user() -> None:
            # PyMySQL leaves a socket open that nobody listens to.
            link.stat()
            with pymysql.connect(unix_socket=str(link), user="root") as connection:
                grant = f"GRANT ALL ON *.* TO tester IDENTIFIED BY '{PASSWORD}' WITH GRANT OPTION"
                connection.cursor().execute(grant)
            TestDatabase(server, "mysql").connect().close()

        with _running(command, folder, signal.SIGTERM, make_user):
            yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[TestServer]:
    """The PostgreSQL server of this session."""
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[TestServer]:
    """The MariaDB server of this session."""
    with mariadb_server() as server:
        yield server


@pytest.fixture
def postgresql_database(postgresql: TestServer) -> Iterator[TestDatabase]:
    """An empty PostgreSQL database of the test's own."""
    with postgresql.new_database() as database:
        yield database


@pytest.fixture
def mariadb_database(mariadb: TestServer) -> Iterator[TestDatabase]:
    """An empty MariaDB database of the test's own."""
    with mariadb.new_database() as database:
        yield database


def _folder_of(*programs: str, newest_of: str) -> Path | None:
    """Return the folder that has all the programs; the highest number wins."""
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    found = sorted(Path("/").glob(newest_of.lstrip("/")), key=_version, reverse=True)
    for folder in [*found, *places]:
        if all((folder / program).exists() for program in programs):
            return folder
    return None


def _version(folder: Path) -> float:
    digits = folder.parent.name
    return float(digits) if digits.replace(".", "", 1).isdigit() else 0.0


def demand(program: str, package: str) -> None:
    """Skip the test if the program is not there; with CI=true, fail it."""
    if shutil.which(program) is None:
        missing(f"The program {program}", package)


def missing(server: str, package: str) -> Any:
    told = (
        f"{server} is not installed: `tests/support/packages` installs it (as root), "
        f"or install the package {package}"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


@contextmanager
def _private_folder(kind: str) -> Iterator[Path]:
    # Not pytest's tmp_path: that one is closed to the user which the server runs as, and
    # too long for the name of a socket.
    folder = Path(tempfile.mkdtemp(prefix=f"syntheflow-{kind}-", dir="/tmp"))
    _give(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, *_nobody())


def _nobody() -> tuple[str, int]:
    import pwd

    return "nobody", pwd.getpwnam("nobody").pw_gid


def _as_nobody() -> dict[str, Any]:
    """Return how to start a program: servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    user, group = _nobody()
    return {"user": user, "group": group, "extra_groups": []}


def _run(command: Sequence[object], folder: Path) -> None:
    words = list(map(str, command))
    ended = subprocess.run(
        words, capture_output=True, text=True, cwd=folder, check=False, **_as_nobody()
    )
    assert ended.returncode == 0, f"{words[0]} failed:\n{ended.stdout}\n{ended.stderr}"


@contextmanager
def _running(
    command: Sequence[object], folder: Path, stop: signal.Signals, ready: Callable[[], Any]
) -> Iterator[None]:
    """Run a server until the body ends; `ready` fails as long as it does not answer."""
    words = list(map(str, command))
    if ender := shutil.which("setpriv"):
        words = [ender, "--pdeathsig", stop.name.removeprefix("SIG"), *words]
    log = folder / "log"
    with log.open("wb") as sink:
        # A session of its own: Ctrl-C reaches the tests, which then end the server.
        process = subprocess.Popen(
            words,
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
            **_as_nobody(),
        )
    try:
        _wait(process, ready, log)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], Any], log: Path) -> None:
    end = time.monotonic() + _WITHIN_SECONDS
    while (fault := _fault_of(ready)) is not None:
        told = f"{fault}\n{log.read_text(errors='replace')[-2000:]}"
        assert process.poll() is None, f"the server ended: {told}"
        assert time.monotonic() < end, f"the server does not answer: {told}"
        time.sleep(0.05)


def _fault_of(ready: Callable[[], Any]) -> Exception | None:
    try:
        opened = ready()
    except (pg8000.dbapi.Error, pymysql.Error, OSError) as error:
        return error
    if opened is not None:
        opened.close()
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address_of(given: TestDatabase | str, **changes: Any) -> Address:
    """Return the address of a database, or of a URL, as the server makes it from settings.

    `changes` are of the address; host, port and name are of its place.
    """
    if isinstance(given, TestDatabase):
        text, secret = given.url, Secret(given.server.password)
    else:
        text, secret = given, None
    place = parse_place(text)
    of_place = {name: changes.pop(name) for name in ("host", "port", "name") if name in changes}
    place = dataclasses.replace(place, **of_place)
    path = Path(place.path) if place.path else None
    made = Address(place=place, user=place.user, password=secret, ip=place.host, path=path)
    return dataclasses.replace(made, **changes)
