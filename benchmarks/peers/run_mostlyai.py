"""MOSTLY AI's engine (TabularARGN) with its default settings."""

from __future__ import annotations

from typing import Any

from mostlyai.engine import TabularARGN

from peers.child import Draw, Job, frame, main


def learn(job: Job, rows: Any) -> Draw:
    model = TabularARGN(
        random_state=job.seed, device="cpu", tgt_primary_key=job.primary_key or None
    )
    model.fit(rows)
    return lambda count: model.sample(n_samples=count)


if __name__ == "__main__":
    main(frame, learn)
