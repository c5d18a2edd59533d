"""Numbers of rows of which the request asks something."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from syntheflow_server.engine.relations.cells import numbers_of
from syntheflow_server.engine.sampling.demands import demands_of
from syntheflow_server.engine.sampling.frame import Frame
from syntheflow_server.engine.sampling.plan import SamplePlan
from syntheflow_server.engine.sampling.runtime import Runtime

Ints = npt.NDArray[np.int64]


def asked_counts(above: Frame, child: str, rng: np.random.Generator) -> Ints:
    """Return how many rows of `child` the rows of `above` have, as is asked of them."""
    guide = above.counts[child]
    uniforms = rng.random((above.rows, guide.codec.draws))
    values = guide.decode(above.codes, uniforms, rng.random((above.rows, 2)))
    counts: Ints = values.to_numpy(zero_copy_only=False).astype(np.int64)
    return counts


def nearest_counts(
    runtime: Runtime, plan: SamplePlan, table: str, child: str, counts: Ints
) -> Ints:
    """Return numbers of rows of `child` as the conditions on the kept `table` want them."""
    for demand in demands_of(runtime.table(table), plan.spec):
        if not demand.rows_of or demand.column != child:
            continue
        if len(demand.values):
            allowed = np.sort(numbers_of(demand.values)[0].astype(np.int64))
            middle = (allowed[1:] + allowed[:-1]) / 2
            counts = allowed[np.searchsorted(middle, counts)]
        else:
            counts = np.clip(counts, demand.low, demand.high)
    return counts
