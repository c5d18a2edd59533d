"""MOSTLY AI's SDK on related tables, in its local mode with default settings.

A table has one context reference, after whose parent it is generated; the others are matched
afterwards. Keys of several columns, a table's reference to itself, and a primary key that is a
reference as well cannot be declared: those columns are learned as data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from mostlyai.sdk import MostlyAI
from scoring.database import above, below
from scoring.keys import Keys, Reference

from peers.child import frame_of
from peers.related_child import Draw, Job, main


class TrainingError(Exception):
    """The SDK says that a training ended without a model; why stands in its log."""


def learn(job: Job) -> tuple[Draw, list[str]]:
    keys, left_out = job.keys, []
    tables = []
    contexts = context_references(keys, job.root)
    for name in keys.tables:
        references = [r for r in keys.of(name) if _can(keys, r)]
        left_out += [r.name for r in keys.of(name) if r not in references]
        primary = keys.primary[name]
        columns = [r.columns[0] for r in references]
        has_key = len(primary) == 1 and primary[0] not in columns
        left_out += [] if has_key or not primary else [f"primary key of {name}"]
        tables.append(
            {
                "name": name,
                "data": frame_of(job.path(name)),
                "tabular_model_configuration": {"enable_model_report": False},
                **({"primary_key": primary[0]} if has_key else {}),
                "foreign_keys": [
                    {
                        "column": r.columns[0],
                        "referenced_table": r.parent,
                        "is_context": r == contexts.get(name),
                    }
                    for r in references
                ],
            }
        )
    client = MostlyAI(local=True, local_dir=str(Path(job.out) / "mostlyai"), quiet=True)
    settings: dict[str, Any] = {"name": "half", "tables": tables, "random_state": job.seed}
    model = client.train(config=settings, progress_bar=False)
    if model.training_status != "DONE":
        raise TrainingError(f"the training ended as {model.training_status}")

    def draw(folder: Path) -> None:
        made = client.generate(model, progress_bar=False).data(return_type="dict")
        for name, rows in made.items():
            table = pa.Table.from_pandas(rows, preserve_index=False)
            pq.write_table(table.replace_schema_metadata(None), folder / f"{name}.parquet")

    return draw, left_out


def context_references(keys: Keys, root: str) -> dict[str, Reference]:
    """Choose the reference to generate after: what leads to the entity, else the first.

    References in a circle are passed over.
    """
    under = {root, *below(keys, root)}
    chosen: dict[str, Reference] = {}
    for name in keys.tables:
        able = [r for r in keys.of(name) if _can(keys, r) and name not in above(keys, r.parent)]
        inner = [r for r in able if name in under and r.parent in under]
        for reference in (inner or able)[:1]:
            chosen[name] = reference
    return chosen


def _can(keys: Keys, reference: Reference) -> bool:
    """One column, to another table whose primary key can be declared."""
    key = keys.primary[reference.parent]
    taken = any(r.columns == key for r in keys.of(reference.parent))
    return (
        len(reference.columns) == 1
        and reference.child != reference.parent
        and key == reference.parent_columns
        and not taken
    )


if __name__ == "__main__":
    main(learn)
