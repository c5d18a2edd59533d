"""Tables that are kept as they are: what they may be, and what of them others read."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.schema import Schema, Table
from syntheflow_server.domain.tables import Tables, TableSource
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.structure import Structure

_MOST_NAMES = 1024
"""A text with more different values tells others nothing that they could learn."""


def check_keep(schema: Schema, keep: Collection[str]) -> None:
    """Raise InvalidArgumentError unless `keep` are tables that refer to kept ones only."""
    for name in keep:
        if name not in schema.table_names:
            raise _fault(name, "the dataset has no such table")
        for key in schema.references_from(name):
            if key.parent_table not in keep:
                rule = (
                    f"its rows refer to {key.parent_table!r} by {key}, whose rows are made anew;"
                    f" keep {key.parent_table!r} too, or drop the foreign key"
                )
                raise _fault(name, rule)


def kept_structure(table: Table, source: TableSource) -> Structure:
    """Return the structure of a kept table: a root that refers to nothing.

    Its columns are known to what reads it, names with up to 1,024 values included: they
    are nobody's secret, since they come out as they are.
    """
    modelled = [column.name for column in table.columns if _tells(source, column.name)]
    return Structure(table=table.name, rows=source.num_rows, kept=True, modelled=tuple(modelled))


def kept_rows(schema: Schema, tables: Tables, keep: Collection[str]) -> dict[str, pa.Table]:
    """Return all rows of the kept tables in the schema's columns and types."""
    return {
        name: pa.table(
            {
                column: combined(tables[name].column(column))
                for column in schema.table(name).column_names
            },
            schema=schema.table(name).arrow,
        )
        for name in schema.table_names
        if name in keep
    }


def _tells(source: TableSource, name: str) -> bool:
    values = source.column(name)
    return not pa.types.is_string(values.type) or (pc.count_distinct(values).as_py() <= _MOST_NAMES)


def _fault(table: str, rule: str) -> InvalidArgumentError:
    rule = f"keep: table {table!r}: {rule}"
    fault = Violation(field="keep", table=table, rule=rule)
    return InvalidArgumentError(rule, reason="KEEP_INVALID", violations=(fault,))
