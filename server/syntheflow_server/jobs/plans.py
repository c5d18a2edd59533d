"""Sampling plans: made once per model, seed, sizes and tables, shared by streams and workers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from syntheflow_server.jobs.pool import Pool
from syntheflow_server.jobs.sampling import ModelRef, PlanTask, Spec
from syntheflow_server.jobs.seeds import Seeds


@dataclass(slots=True)
class _Plan:
    path: Path
    made: asyncio.Task[None]
    users: int = 0


class Plans:
    """Plan files in `directory` (emptied at the start); `keep` unused ones stay for the next."""

    def __init__(self, directory: Path, pool: Pool, keep: int) -> None:
        self._directory, self._pool, self._keep = directory, pool, keep
        self._plans: dict[str, _Plan] = {}
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)

    @asynccontextmanager
    async def use(
        self,
        stream: int,
        model: ModelRef,
        spec: Spec,
        tables: tuple[str, ...],
        seeds: tuple[Seeds, ...] = (),
        existing: tuple[Seeds, ...] = (),
    ) -> AsyncIterator[Path]:
        """Give the file of the plan for `tables`, made if need be; it stays while in use.

        The making is cancelled when the last stream that waits for it goes away.
        """
        key = _key(model, spec, tables, (*seeds, *existing))
        # To the end: the order of use decides which unused plan goes first.
        plan = self._plans.pop(key, None) or self._begin(
            stream, PlanTask(model, spec, tables, self._directory / f"{key}.plan", seeds, existing)
        )
        self._plans[key] = plan
        plan.users += 1
        try:
            await asyncio.shield(plan.made)
            yield plan.path
        finally:
            plan.users -= 1
            self._tidy()

    def close(self) -> None:
        """Remove all files."""
        for plan in self._plans.values():
            plan.made.cancel()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _begin(self, stream: int, task: PlanTask) -> _Plan:
        return _Plan(task.path, asyncio.create_task(self._make(stream, task)))

    async def _make(self, stream: int, task: PlanTask) -> None:
        await self._pool.submit(stream, task)

    def _tidy(self) -> None:
        unused = [key for key, plan in self._plans.items() if not plan.users]
        for key in unused:
            made = self._plans[key].made
            if not made.done():
                made.cancel()
                del self._plans[key]
            elif made.cancelled() or made.exception() is not None:
                del self._plans[key]
        kept = [key for key in unused if key in self._plans]
        for key in kept[: max(0, len(kept) - self._keep)]:
            _remove(self._plans.pop(key).path)


def _remove(path: Path) -> None:
    if path.is_dir():  # an engine may save its plan as a folder
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _key(model: ModelRef, spec: Spec, tables: tuple[str, ...], rows: tuple[Seeds, ...]) -> str:
    given = sorted((one.field, one.table.name, one.key) for one in rows)
    text = json.dumps([model.key, asdict(spec), sorted(tables), given], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
