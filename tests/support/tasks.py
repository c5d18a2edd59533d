"""Tasks for tests of processes; they run in spawned ones."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.jobs.process import Progress


def double(report, number):
    report(Progress(0.5, "doubling", {}))
    return number * 2


def hold(_report, size):
    return len(bytearray(b"x") * size)


def refuse(_report):
    raise InvalidArgumentError(
        "the rule", reason="RULE", violations=(Violation(field="f", rule="r", column="c"),)
    )


def leak(_report):
    raise ValueError("Mrs Secret")


def unpicklable(_report):
    return lambda: None


def kill(_report):
    os.kill(os.getpid(), signal.SIGKILL)


def leave(_report):
    os._exit(7)


def manners(_report):
    return os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


@dataclass
class Rows:
    """Rows that a desk works on for so long."""

    data: bytes
    seconds: float


class EchoDesk:
    """Answers each command so many times; texts make it fail or die."""

    def do(self, command):
        if command == "refuse":
            raise InvalidArgumentError("table 'orders': the rule", reason="RULE")
        if command == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if isinstance(command, Rows):
            time.sleep(command.seconds)
            return
        number, times, size = command
        for turn in range(times):
            yield number, turn, bytes(size)

    def close(self):
        pass


def echo_desk():
    return EchoDesk()
