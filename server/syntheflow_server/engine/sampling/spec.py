"""What a request for rows says."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.engine.graph.structure import Family


class SampleSpec(BaseModel):
    """How many rows to make and from which seed.

    `scale` multiplies the real sizes of all tables that no other owns; `rows` fixes the
    number of rows of single tables, owned ones included, exactly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    rows: dict[str, int] = Field(default_factory=dict)

    def checked(self, family: Family) -> SampleSpec:
        """Return self if it fits the model's tables, else raise InvalidArgumentError."""
        for table, rows in self.rows.items():
            if table not in family.structures:
                rule = f"rows: the model has no table {table!r}"
            elif rows < 0:
                rule = f"rows: table {table!r} cannot have a negative number of rows"
            elif rows and not family[table].rows:
                rule = f"rows: table {table!r} was empty, so there is nothing to make it from"
            else:
                continue
            fault = Violation(field="rows", table=table, rule=rule)
            raise InvalidArgumentError(rule, reason="ROWS_INVALID", violations=(fault,))
        return self

    def root_rows(self, family: Family, root: str) -> int:
        """Return the rows of a root table: asked for, or the real number scaled, at least 1."""
        if root in self.rows:
            return self.rows[root]
        real = family[root].rows
        return max(1, round(real * self.scale)) if real else 0
