"""The harness sees what it is there to see: deaths, hangs, growth and unexpected errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fuzz.harness import Child

_BROKEN = """
import importlib, os, time
from fuzz.child import main
from syntheflow_server.domain.errors import InvalidArgumentError

def broken(path, **more):
    what = path.read_text()
    if what == "die":
        os.kill(os.getpid(), 11)
    if what == "hang":
        while True:
            pass
    if what == "grow":
        kept = [bytearray(os.urandom(1 << 20)) * 64 for _ in range(16)]
        time.sleep(30)
    if what == "leave":
        (more["out"] / "x").write_text("")
        raise InvalidArgumentError("no", reason="NO")
    if what == "nothing":
        return ()
    raise KeyError("unexpected")

importlib.import_module("syntheflow_server.ingest.ingest").ingest = broken
main()
"""


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A child whose reader is broken in many ways."""
    program = tmp_path_factory.mktemp("broken") / "program.py"
    program.write_text(_BROKEN)
    with Child(program=program, cpu_seconds=0.5, memory=600 << 20) as started:
        yield started


@pytest.mark.parametrize(
    ("what", "kind", "told"),
    [
        ("die", "crash", "Segmentation fault"),
        ("hang", "hang", "broken"),
        ("grow", "memory", "MiB"),
        ("leave", "bad", "left files"),
        ("nothing", "bad", "no table"),
        ("other", "bad", "KeyError"),
    ],
)
def test_each_kind_of_finding_is_seen(child: Child, what: str, kind: str, told: str) -> None:
    outcome = child.read(what.encode(), "x.csv")
    assert outcome.is_finding
    assert outcome.kind == kind
    assert told in outcome.what
    assert child.read(b"other", "x.csv").kind == "bad", "the next file has a child again"
