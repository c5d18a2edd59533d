"""SDV's HMA with its default settings, where it runs: five tables at most, two levels deep.

Keys of several columns and a table's reference to itself are not declared, since it knows
neither. The columns' kinds are taken from the data, as for SDV's single tables.
"""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scoring.keys import Keys, Reference
from sdv.metadata import Metadata
from sdv.multi_table import HMASynthesizer

from peers.child import frame_of
from peers.related_child import Draw, Job, main
from peers.run_sdv import learned_kind


def learn(job: Job) -> tuple[Draw, list[str]]:
    warnings.simplefilter("ignore")
    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 - SDV draws from the global generators
    torch.manual_seed(job.seed)
    torch.set_num_threads(1)
    keys = job.keys
    tables = {name: frame_of(job.path(name)) for name in keys.tables}
    references = [r for r in keys.references if _can(keys, r)]
    facts = _metadata(keys, references, tables)
    model = HMASynthesizer(facts, verbose=False)
    model.fit(tables)

    def draw(folder: Path) -> None:
        for name, rows in model.sample(scale=1.0).items():
            table = pa.Table.from_pandas(rows, preserve_index=False)
            pq.write_table(table.replace_schema_metadata(None), folder / f"{name}.parquet")

    left_out = [r.name for r in keys.references if r not in references]
    left_out += [f"primary key of {name}" for name, key in keys.primary.items() if len(key) > 1]
    return draw, left_out


def _metadata(keys: Keys, references: list[Reference], tables: dict[str, Any]) -> Any:
    facts = Metadata.detect_from_dataframes(tables, infer_keys=None)
    for name in keys.tables:
        hidden = {r.columns[0] for r in references if r.child == name}
        primary = keys.primary[name]
        hidden |= set(primary) if len(primary) == 1 else set()
        for column, found in facts.tables[name].columns.items():
            kind = learned_kind(tables[name][column], found["sdtype"])
            kind = "id" if column in hidden else kind
            if kind != found["sdtype"]:
                facts.update_column(table_name=name, column_name=column, sdtype=kind)
        if len(primary) == 1:
            facts.set_primary_key(primary[0], table_name=name)
    for r in references:
        facts.add_relationship(r.parent, r.child, r.parent_columns[0], r.columns[0])
    facts.validate()
    return facts


def _can(keys: Keys, reference: Reference) -> bool:
    return (
        len(reference.columns) == 1
        and reference.child != reference.parent
        and keys.primary[reference.parent] == reference.parent_columns
    )


if __name__ == "__main__":
    main(learn)
