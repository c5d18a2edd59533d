"""What a training may be asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.resources import Dataset, Model, TrainOrder

_LARGEST_HOLDOUT = 0.5
_LARGEST_EPSILON = 1_000.0
_MOST_HOLDERS = 1_000_000
_MOST_ENTITY_ROWS = 1_000_000


def check_order(order: TrainOrder, engines: Collection[str]) -> None:
    """Raise InvalidArgumentError naming all that is wrong with a training's settings."""
    limit, epsilon, delta = order.time_limit_seconds, order.epsilon, order.delta
    known = ", ".join(engines)
    rules = (
        ("engine", f"engine must be one of {known}", order.engine in engines),
        ("time_limit", "time_limit must be above 0", limit is None or limit > 0),
        (
            "holdout_share",
            "holdout_share must be 0 to 0.5",
            0 <= order.holdout_share <= _LARGEST_HOLDOUT,
        ),
        (
            "rare_holders",
            "rare_holders must be 1 to 1,000,000",
            1 <= order.rare_holders <= _MOST_HOLDERS,
        ),
        (
            "privacy.epsilon",
            "privacy.epsilon must be above 0, at most 1,000",
            epsilon is None or 0 < epsilon <= _LARGEST_EPSILON,
        ),
        (
            "privacy.delta",
            "privacy.delta must be above 0 and below 1",
            delta is None or 0 < delta < 1,
        ),
        (
            "privacy.delta",
            "privacy.delta needs privacy.epsilon",
            delta is None or epsilon is not None,
        ),
        (
            "base_model",
            "base_model cannot go with privacy, whose budget paid for nothing that it knows",
            not order.base_model or epsilon is None,
        ),
        (
            "entity_rows",
            "entity_rows must be 1 to 1,000,000",
            order.entity_rows is None or 1 <= order.entity_rows <= _MOST_ENTITY_ROWS,
        ),
        (
            "entity_rows",
            "entity_rows needs privacy, whose noise it bounds",
            order.entity_rows is None or epsilon is not None,
        ),
    )
    _refuse(tuple(Violation(field=f, rule=rule) for f, rule, fine in rules if not fine))


def check_keep(order: TrainOrder, dataset: Dataset) -> None:
    """Raise InvalidArgumentError unless the tables of `order.keep` can stay as they are."""
    _refuse(tuple(_keep_faults(order, dataset)))


def _keep_faults(order: TrainOrder, dataset: Dataset) -> Iterator[Violation]:
    schema = dataset.data_schema
    for table in order.keep:
        if table not in schema.table_names:
            known = ", ".join(schema.table_names)
            rule = f"keep_tables: {dataset.name} has no table {table!r}; it has {known}"
            yield Violation(field="keep_tables", table=table, rule=rule)
            continue
        for key in schema.references_from(table):
            if key.parent_table not in order.keep:
                rule = (
                    f"keep_tables: table {table!r} refers to {key.parent_table!r} ({key}), which is"
                    f" not kept; keep {key.parent_table!r} too"
                )
                yield Violation(
                    field="keep_tables", table=table, column=key.child_columns[0], rule=rule
                )
    if set(schema.table_names) <= set(order.keep):
        rule = "keep_tables: every table is kept, so there is nothing to learn; leave one out"
        yield Violation(field="keep_tables", rule=rule)


def check_base(order: TrainOrder, base: Model, dataset: Dataset) -> None:
    """Raise InvalidArgumentError unless a training on `dataset` can start from `base`."""
    faults = [*_shape_faults(base, dataset)]
    if base.engine != order.engine:
        rule = f"base_model: {base.name} was made by the engine {base.engine}, not {order.engine}"
        faults.append(Violation(field="base_model", rule=rule))
    _refuse(tuple(faults))


def _shape_faults(base: Model, dataset: Dataset) -> Iterator[Violation]:
    old, new = base.data_schema, dataset.data_schema
    for table in sorted(set(old.table_names) ^ set(new.table_names)):
        has, lacks = (base, dataset) if table in old.table_names else (dataset, base)
        rule = f"base_model: {has.name} has the table {table!r}, {lacks.name} has not"
        yield Violation(field="base_model", table=table, rule=rule)
    for name in sorted(set(old.table_names) & set(new.table_names)):
        types = [{c.name: c.type for c in s.table(name).columns} for s in (old, new)]
        for column in sorted(types[0].keys() | types[1].keys()):
            before, now = (t.get(column, "not there") for t in types)
            if before != now:
                rule = (
                    f"base_model: column {column!r} of table {name!r} is {before} in {base.name}"
                    f" and {now} in {dataset.name}"
                )
                yield Violation(field="base_model", table=name, column=column, rule=rule)


def _refuse(faults: tuple[Violation, ...]) -> None:
    if faults:
        raise InvalidArgumentError(
            "; ".join(f.rule for f in faults[:3]), reason="TRAINING_INVALID", violations=faults
        )
