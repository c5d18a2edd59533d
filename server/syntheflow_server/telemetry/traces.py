"""Where an exception came from, without what it said: its words may quote private values."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path


def trace_of(error: BaseException) -> tuple[str, ...]:
    """Return the types and places of an exception and its causes, without any message."""
    return tuple(_places(error))


def _places(error: BaseException) -> Iterator[str]:
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        yield f"{type(step).__module__}.{type(step).__qualname__}"
        for frame in traceback.extract_tb(step.__traceback__):
            yield f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}"
        step = step.__cause__ or step.__context__
