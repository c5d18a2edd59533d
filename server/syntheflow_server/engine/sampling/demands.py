"""What a request asks of a table's columns, read and checked against the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError, UnsupportedError
from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding.base import combined
from syntheflow_server.engine.graph.structure import LinkKind, Structure
from syntheflow_server.engine.layout import PieceKind
from syntheflow_server.engine.model import TableModel
from syntheflow_server.engine.relations.base import Ref
from syntheflow_server.engine.relations.cells import is_ordered, limits, numbers_of
from syntheflow_server.engine.relations.invert import refusal
from syntheflow_server.engine.sampling.rng import generator
from syntheflow_server.engine.sampling.scalars import array_of
from syntheflow_server.engine.sampling.spec import Condition, SampleSpec, condition_error

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """A condition in the column's type: a set of values, a range of numbers, or shares.

    With `rows_of` it is on how many rows of that table a row has, and `column` names it.
    """

    column: str
    values: pa.Array
    low: Any
    high: Any
    shares: tuple[float, ...] = ()
    rows_of: bool = False

    @property
    def fixed(self) -> bool:
        """True if the column holds one value in every row."""
        return len(self.values) == 1 and not self.shares


def demands_of(model: TableModel, spec: SampleSpec) -> tuple[Demand, ...]:
    """Return the demands on the model's table; InvalidArgumentError names what is wrong."""
    table = model.table.name
    conditions = spec.conditions.get(table, ())
    columns = [condition.column or condition.rows_of for condition in conditions]
    for condition in conditions:
        if condition.rows_of:
            _check_count(model, condition)
        elif condition.column not in model.table.column_names:
            raise condition_error(table, condition.column, "the table has no such column")
        name = condition.column or condition.rows_of
        if condition.shares and columns.count(name) > 1:
            rule = "a column with shares can have no other condition"
            raise condition_error(table, name, rule, rows_of=bool(condition.rows_of))
    return tuple(_demand(model, condition) for condition in conditions)


def _demand(model: TableModel, condition: Condition) -> Demand:
    table, counts = model.table.name, bool(condition.rows_of)
    if counts:
        name = condition.rows_of
        column = Column(name=name, type="int64", semantic_type=SemanticType.INTEGER)
    else:
        column = model.table.column(condition.column)
    kind = column.arrow
    low, high = limits(kind)
    try:
        if condition.shares:
            values = array_of([value for value, _ in condition.shares], kind)
            parts = tuple(share for _, share in condition.shares)
            return Demand(column.name, values, low, high, parts, rows_of=counts)
        if condition.values:
            values = array_of(condition.values, kind).unique()
            if values.null_count and not column.nullable:
                raise condition_error(table, column.name, "the column is never missing")
            return Demand(column.name, values, low, high, rows_of=counts)
        if not is_ordered(kind):
            raise condition_error(table, column.name, f"a {kind} column has no ranges")
        ends = array_of((condition.low, condition.high), kind)
    except ValueError as error:
        raise condition_error(table, column.name, str(error), rows_of=counts) from None
    numbers, missing = numbers_of(ends)
    low = low if missing[0] else numbers[0]
    high = high if missing[1] else numbers[1]
    if low > high:
        rule = "the range is empty: low is above high"
        raise condition_error(table, column.name, rule, rows_of=counts)
    return Demand(column.name, pa.array([], kind), low, high, rows_of=counts)


def _check_count(model: TableModel, condition: Condition) -> None:
    """Raise InvalidArgumentError unless rows of the named table are made for each row."""
    if model.layout.find(PieceKind.COUNT, condition.rows_of) is None:
        rule = (
            "no rows of such a table are made for each row: numbers of rows can be asked of"
            " tables whose rows belong to this one"
        )
        raise condition_error(model.table.name, condition.rows_of, rule, rows_of=True)


def refuse(
    model: TableModel, demands: tuple[Demand, ...], given: tuple[str, ...], known: frozenset[str]
) -> None:
    """Raise UnsupportedError if conditions or `given` columns are of a kind that cannot be met.

    `known` are the tables whose rows, with their keys, are there before any is drawn.
    """
    structure, table = model.structure, model.table.name
    asked = {demand.column for demand in demands if not demand.rows_of}
    if structure.kept:
        _refuse_kept(table, demands, given)
        return
    if structure.owner:
        _refuse_ordered(model, [d for d in demands if d.column in asked - set(given)])
    _refuse_keys(model, asked, set(given), known)
    network = model.network
    if (demands or given) and network is not None and not network.shape.any_given:
        raise _unsupported(table, "", "the model was trained before this was possible; train anew")
    if structure.owner:
        return
    fixed = set(given) | {
        demand.column for demand in demands if demand.fixed and not demand.rows_of
    }
    for relation in model.relations:
        if rule := refusal(relation, asked | set(given), fixed):
            raise _unsupported(table, min((asked | set(given)) & set(relation.makes)), rule)


def _refuse_keys(
    model: TableModel, asked: set[str], given: set[str], known: frozenset[str]
) -> None:
    """Raise UnsupportedError for keys and references that cannot be asked for or given."""
    structure, table = model.structure, model.table.name
    made = {name for maker in model.makers for name in maker.columns}
    unique = {name for names in structure.distinct for name in names}
    # A key within its owner may be given whole, the reference to the owner included.
    held = {n for names in structure.distinct if set(names) <= given for n in names}
    for name in sorted(asked | given):
        if name in structure.references and name in given:
            continue
        if name in structure.references and (rule := _unknown_parents(structure, name, known)):
            raise _unsupported(table, name, rule)
        if (name in unique or name in made) and not (name in given and name in made | held):
            rule = "it is part of a key that is made from row numbers; give it in rows instead"
            raise _unsupported(table, name, rule)
    for maker in model.makers:
        if given & set(maker.columns) and not set(maker.columns) <= given:
            rule = f"the key ({', '.join(maker.columns)}) must be given whole or not at all"
            raise _unsupported(table, maker.columns[0], rule)


def _unknown_parents(structure: Structure, name: str, known: frozenset[str]) -> str:
    """Return why nothing can be asked of a column that refers to another table, '' if it can."""
    keys = [link.key for link in structure.links] + ([structure.owner] if structure.owner else [])
    mine = [key for key in keys if name in key.child_columns]
    if len(mine) > 1 or len(mine[0].child_columns) > 1:
        return "it is part of a reference of several columns; leave it out, its rows are drawn"
    link = next((link for link in structure.links if link.key == mine[0]), None)
    if link is not None and (link.kind is not LinkKind.CODED or link.shared or link.fixed):
        return "which row it refers to follows from other references; leave it out"
    if mine[0].parent_table in known:
        return ""
    return (
        f"it refers to {mine[0].parent_table!r}, whose rows are drawn; leave it out, or keep that"
        " table when training, or give its rows with their keys"
    )


def _refuse_kept(table: str, demands: tuple[Demand, ...], given: tuple[str, ...]) -> None:
    """Raise UnsupportedError for what cannot be asked of a table that is kept as it is."""
    for demand in demands:
        if not demand.rows_of or demand.shares:
            raise _unsupported(table, demand.column, "the table is kept as it is")
    if given:
        raise _unsupported(table, given[0], "the table is kept as it is; do not give its rows")


def _refuse_ordered(model: TableModel, asked: list[Demand]) -> None:
    """Raise UnsupportedError for columns of an owned table that other rows decide.

    The column by which siblings follow one another may have a range if it need not differ
    between them.
    """
    sequence = model.structure.sequence
    for demand in asked:
        name = demand.column
        if sequence and name == sequence.order:
            keys = {column for names in model.structure.distinct for column in names}
            bound = sequence.strict or sequence.long or name in keys
            bound = bound or any(name in link.fixed for link in model.structure.links)
            free = demand.values.null_count == 0 and len(demand.values) < 2
            if bound or demand.shares or not free:
                rule = "its rows follow one another by it, from row to row; ask for other columns"
                raise _unsupported(model.table.name, name, rule)
            continue
        if name in model.made_by:
            needs = ", ".join(sorted({_told(ref) for ref in model.made_by[name].needs}))
            rule = f"it is computed from {needs}; ask for these instead"
            raise _unsupported(model.table.name, name, rule)


def _told(ref: Ref) -> str:
    return f"{ref.column} of its owner" if ref.above else ref.column


def checked_seeds(model: TableModel, seeds: pa.Table, *, fill_missing: bool) -> pa.Table:
    """Return the given rows in the model's types; InvalidArgumentError names what is wrong."""
    table, columns = model.table.name, {}
    for name in seeds.column_names:
        if name not in model.table.column_names:
            raise _bad_rows(table, name, "the model's table has no such column")
        if name in columns:
            raise _bad_rows(table, name, "the column is given twice")
        column = model.table.column(name)
        try:
            values = combined(seeds.column(name).cast(column.arrow))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise _bad_rows(table, name, f"its values are not all of type {column.type}") from None
        if pa.types.is_floating(values.type) and pc.any(pc.is_inf(values)).as_py():
            raise _bad_rows(table, name, "it holds infinite values")
        if values.null_count and not column.nullable and not fill_missing:
            raise _bad_rows(table, name, "the column is never missing, but given cells are")
        columns[name] = values
    if not columns:
        raise _bad_rows(table, "", "the given rows have no column")
    given = pa.table(columns)
    for maker in model.makers:
        if set(maker.columns) <= set(columns):
            _check_key(table, given.select(maker.columns))
    return given


def _check_key(table: str, keys: pa.Table) -> None:
    names = keys.column_names
    if any(keys.column(name).null_count for name in names):
        raise _bad_rows(table, names[0], "a key cannot be missing")
    if len(keys.group_by(names).aggregate([])) < len(keys):
        raise _bad_rows(table, names[0], f"the key ({', '.join(names)}) is not unique")


def _bad_rows(table: str, column: str, rule: str) -> InvalidArgumentError:
    return condition_error(table, column, f"given rows: {rule}")


def _unsupported(table: str, column: str, rule: str) -> UnsupportedError:
    where = f"column {column!r} of table {table!r}" if column else f"table {table!r}"
    return UnsupportedError(
        f"{where} cannot be conditioned: {rule}",
        reason="CONDITION_UNSUPPORTED",
        metadata={"table": table} | ({"column": column} if column else {}),
    )


def share_classes(
    shares: tuple[float, ...], rows: int, seed: int, table: str, unit: int, column: str
) -> Ints:
    """Return for each row which share it belongs to, `len(shares)` for the rest.

    Systematic: each share holds in the unit to within one row; which rows, is random.
    """
    rng = generator(seed, table, unit, f"shares {column}")
    ends = np.cumsum(shares)
    places = (np.arange(rows) + rng.random()) / max(rows, 1)
    if ends[-1] > 1 - 1e-9:
        ends[-1] = np.inf
    return rng.permutation(np.searchsorted(ends, places, side="right"))
