"""Syntheflow as its users have it: a server, an upload, a training and a Generate to files."""

from __future__ import annotations

import atexit
from pathlib import Path

from peers.related_child import Draw, Job, main
from syntheflow import Client
from syntheflow.local import LocalServer

MODEL = "learned"


def learn(job: Job) -> tuple[Draw, list[str]]:
    """Upload with the true keys, train. The start of the server counts as training, too."""
    server = LocalServer(Path(job.out) / "server", workers=1)
    server.start()
    atexit.register(server.stop)
    client = Client(server.address)
    keys = job.keys
    schema = {
        "tables": [
            {"name": name, "primary_key": list(key), "columns": []}
            for name, key in keys.primary.items()
        ],
        "foreign_keys": [
            {
                "child_table": r.child,
                "child_columns": list(r.columns),
                "parent_table": r.parent,
                "parent_columns": list(r.parent_columns),
            }
            for r in keys.references
        ],
    }
    client.upload("half", {name: job.path(name) for name in keys.tables}, schema=schema)
    client.train("half", model=MODEL, seed=job.seed)

    def draw(folder: Path) -> None:
        client.generate_files(MODEL, folder, seed=job.seed)

    return draw, []


if __name__ == "__main__":
    main(learn)
