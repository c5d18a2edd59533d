"""Sequential CART as synthpop does it (synthpop-py), with its default settings."""

from __future__ import annotations

from typing import Any

import pandas as pd
from synthpop import Synthesiser

from peers.child import Draw, Job, frame, main


def learn(job: Job, rows: Any) -> Draw:
    """It knows no dates, so that these are given as seconds and turned back."""
    moments = {name: kind for name, kind in rows.dtypes.items() if kind.kind == "M"}
    for name in moments:
        rows[name] = _seconds(rows[name])
    model = Synthesiser(random_seed=job.seed).fit(rows)
    drawn = 0

    def draw(count: int) -> Any:
        nonlocal drawn
        drawn += 1
        made = model.generate(count, random_seed=job.seed * 1000 + drawn)
        for name, kind in moments.items():
            aware = isinstance(kind, pd.DatetimeTZDtype)
            made[name] = pd.to_datetime(made[name].round(), unit="s", utc=aware)
        return made

    return draw


def _seconds(column: Any) -> Any:
    """Seconds since 1970 as floats; missing stays missing."""
    naive = column.dt.tz_convert(None) if column.dt.tz is not None else column
    return (naive - pd.Timestamp(0)).dt.total_seconds()


if __name__ == "__main__":
    main(frame, learn)
