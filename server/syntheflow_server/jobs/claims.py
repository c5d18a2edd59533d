"""Which resources work in progress reads or is about to make."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from syntheflow_server.domain.errors import FailedPreconditionError
from syntheflow_server.jobs.generation import Generator
from syntheflow_server.jobs.runner import Runner


@dataclass(frozen=True, slots=True)
class _Claim:
    reads: frozenset[str]
    makes: str


class Claims:
    """Names that jobs and streams hold; a claim ends with its job."""

    def __init__(self, runner: Runner, generator: Generator) -> None:
        self._runner, self._generator = runner, generator
        self._claims: dict[str, _Claim] = {}

    def add(self, job: str, *, reads: Collection[str], makes: str) -> None:
        """Note what a job that is about to be submitted reads and makes."""
        self._drop_ended()
        self._claims[job] = _Claim(frozenset(reads), makes)

    def drop(self, job: str) -> None:
        """Forget the claim of a job that was not taken."""
        self._claims.pop(job, None)

    def made(self, name: str) -> bool:
        """Return True if a job is making the resource `name`."""
        self._drop_ended()
        return any(claim.makes == name for claim in self._claims.values())

    def demand_unread(self, name: str) -> None:
        """Raise FailedPreconditionError if a job or a stream reads the resource `name`."""
        self._drop_ended()
        readers = [job for job, claim in self._claims.items() if name in claim.reads]
        if readers:
            raise FailedPreconditionError(
                f"{readers[0]} reads {name}; wait for it or cancel it first",
                reason="RESOURCE_IN_USE",
                metadata={"resource": name, "job": readers[0]},
            )
        if self._generator.reads[name] > 0:
            raise FailedPreconditionError(
                f"a stream reads {name}; let it end first",
                reason="RESOURCE_IN_USE",
                metadata={"resource": name},
            )

    def _drop_ended(self) -> None:
        for job in [j for j in self._claims if self._runner.live(j) is None]:
            del self._claims[job]
