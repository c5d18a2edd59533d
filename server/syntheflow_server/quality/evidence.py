"""What a judgement rests on: real and synthetic tables, sampled with a fixed seed."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.schema import Schema, Table

MARGINAL_ROWS = 200_000
"""Rows a side that one-column and two-column figures look at."""


class Evidence:
    """Real rows (train, held out) and synthetic rows of all tables of a schema.

    Tables missing from `holdout` count as having no held-out rows. Those of `kept` come
    out as they are, so that nothing of their rows is judged. `whole` says that these are
    all rows, not a sample of entities. Raises
    InvalidArgumentError if a table or column of the schema is missing elsewhere.
    """

    def __init__(
        self,
        schema: Schema,
        train: Mapping[str, pa.Table],
        holdout: Mapping[str, pa.Table],
        synthetic: Mapping[str, pa.Table],
        seed: int,
        *,
        kept: Collection[str] = (),
        whole: bool = True,
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.kept = frozenset(kept)
        self.whole = whole
        self._train = {t.name: _fitting(t, train, "training") for t in schema.tables}
        self._synthetic = {t.name: _fitting(t, synthetic, "synthetic") for t in schema.tables}
        empty = {t.name: t.arrow.empty_table() for t in schema.tables}
        self._holdout = {
            t.name: _fitting(t, {**empty, **holdout}, "held-out") for t in schema.tables
        }

    def train(self, table: str) -> pa.Table:
        """Return the rows the model learned from."""
        return self._train[table]

    def holdout(self, table: str) -> pa.Table:
        """Return the real rows the model never saw; may be empty."""
        return self._holdout[table]

    def real(self, table: str) -> pa.Table:
        """Return training and held-out rows together, training rows first."""
        return pa.concat_tables([self._train[table], self._holdout[table]])

    def synthetic(self, table: str) -> pa.Table:
        """Return the generated rows."""
        return self._synthetic[table]

    def marginals(self, table: str) -> tuple[pa.Table, pa.Table]:
        """Return real and synthetic rows, at most MARGINAL_ROWS each."""
        real = self.sample(self.real(table), MARGINAL_ROWS, table, "real")
        return real, self.sample(self.synthetic(table), MARGINAL_ROWS, table, "synthetic")

    def rng(self, *labels: str) -> np.random.Generator:
        """Return the random generator that the seed and these labels fix."""
        return np.random.default_rng([self.seed, *(zlib.crc32(text.encode()) for text in labels)])

    def sample(self, rows: pa.Table, limit: int, *labels: str) -> pa.Table:
        """Return at most `limit` rows of the table, in their order."""
        if rows.num_rows <= limit:
            return rows
        return rows.take(pa.array(self.places(rows.num_rows, limit, *labels)))

    def places(self, rows: int, limit: int, *labels: str) -> np.ndarray:
        """Return at most `limit` of the row numbers 0..rows-1, ascending."""
        if rows <= limit:
            return np.arange(rows)
        return np.sort(self.rng(*labels).choice(rows, limit, replace=False))


def _fitting(table: Table, tables: Mapping[str, pa.Table], which: str) -> pa.Table:
    if table.name not in tables:
        rule = f"the {which} rows of table {table.name!r} are missing"
        raise InvalidArgumentError(
            f"Cannot judge: {rule}.",
            reason="TABLE_MISSING",
            violations=(Violation(field="tables", table=table.name, rule=rule),),
        )
    rows = tables[table.name]
    if missing := sorted(set(table.column_names) - set(rows.column_names)):
        rule = f"the {which} rows of table {table.name!r} lack the column {missing[0]!r}"
        raise InvalidArgumentError(
            f"Cannot judge: {rule}.",
            reason="COLUMN_MISSING",
            violations=(
                Violation(field="columns", table=table.name, column=missing[0], rule=rule),
            ),
        )
    return rows.select(list(table.column_names)).cast(table.arrow)
