"""SDV's GaussianCopula, CTGAN and TVAE with their default settings.

The columns' kinds are taken from the data and not from their names: SDV would replace a
column that is called 'country' by invented countries, which is not what is compared here.
"""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import torch
from sdv.metadata import Metadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer

from peers.child import Draw, Job, frame, main

SYNTHESIZERS = {
    "copula": GaussianCopulaSynthesizer,
    "ctgan": CTGANSynthesizer,
    "tvae": TVAESynthesizer,
}
LEARNED = {"numerical", "ordinal", "categorical", "boolean", "datetime"}
TABLE = "table"


def learn(job: Job, rows: Any) -> Draw:
    warnings.simplefilter("ignore")
    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 - SDV draws from the global generators
    torch.manual_seed(job.seed)
    torch.set_num_threads(1)
    facts = Metadata.detect_from_dataframes({TABLE: rows}, infer_keys=None)
    for name, column in facts.tables[TABLE].columns.items():
        kind = learned_kind(rows[name], column["sdtype"])
        if name == job.primary_key:
            kind = "id"
        if kind != column["sdtype"]:
            facts.update_column(table_name=TABLE, column_name=name, sdtype=kind)
    if job.primary_key:
        facts.set_primary_key(job.primary_key, table_name=TABLE)
    facts.validate()
    settings = {} if job.system == "copula" else {"enable_gpu": False}
    model = SYNTHESIZERS[job.system](facts, **settings)
    model.fit({TABLE: rows})
    return lambda count: model.sample(num_rows=count)[TABLE]


def learned_kind(column: Any, found: str) -> str:
    """Return SDV's kind of a column; what SDV found stands if it says how values are learned."""
    if found in LEARNED:
        return found
    return "numerical" if column.dtype.kind in "iuf" else "categorical"


if __name__ == "__main__":
    main(frame, learn)
