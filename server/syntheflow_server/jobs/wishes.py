"""What a request for rows may ask of a model."""

from __future__ import annotations

from collections.abc import Iterator

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.resources import Model
from syntheflow_server.export import check_format
from syntheflow_server.jobs.requests import GenerationSpec

_MOST_ROWS = 10**12
_HOTTEST = 10.0


def tables_of(model: Model, spec: GenerationSpec) -> tuple[str, ...]:
    """Return the tables that are streamed, in the schema's order."""
    if spec.range is not None:
        return (spec.range.table,)
    wanted = set(spec.tables)
    return tuple(t for t in model.data_schema.table_names if not wanted or t in wanted)


def check_spec(model: Model, spec: GenerationSpec) -> None:
    """Raise InvalidArgumentError naming all that is wrong with `spec` for this model."""
    check_format(spec.format)
    faults = (*_number_faults(spec), *_table_faults(model, spec), *_wish_faults(model, spec))
    if faults:
        raise InvalidArgumentError(
            "; ".join(f.rule for f in faults[:3]), reason="GENERATION_INVALID", violations=faults
        )


def _number_faults(spec: GenerationSpec) -> Iterator[Violation]:
    if not 0 < spec.scale <= 1e9:
        yield Violation(field="scale", rule="scale must be above 0, at most 10^9")
    if not 0 < spec.temperature <= _HOTTEST:
        rule = f"temperature must be above 0, at most {_HOTTEST:g}"
        yield Violation(field="temperature", rule=rule)
    if spec.range is not None:
        for field, value in (("start_row", spec.range.start), ("row_count", spec.range.count)):
            if not 0 <= value <= _MOST_ROWS:
                yield Violation(field=f"range.{field}", rule=f"{field} must be 0 to 10^12")
    for table, rows in spec.rows.items():
        if not 0 <= rows <= _MOST_ROWS:
            rule = f"rows of table {table!r} must be 0 to 10^12"
            yield Violation(field="rows", table=table, rule=rule)


def _table_faults(model: Model, spec: GenerationSpec) -> Iterator[Violation]:
    named = [("rows", t) for t in spec.rows] + [("tables", t) for t in spec.tables]
    named += [("conditions", t) for t in spec.conditions]
    named += [("completions", given.table) for given in spec.completions]
    named += [("existing", given.table) for given in spec.existing]
    rules = [rule for conditions in spec.conditions.values() for rule in conditions]
    named += [("conditions", rule.rows_of) for rule in rules if rule.rows_of]
    if spec.range is not None:
        named.append(("range", spec.range.table))
        if spec.tables:
            yield Violation(field="tables", rule="give either tables or a range")
    for field, table in named:
        if table not in model.data_schema.table_names:
            rule = f"the model has no table {table!r}"
            yield Violation(field=field, table=table, rule=rule)


def _wish_faults(model: Model, spec: GenerationSpec) -> Iterator[Violation]:
    known = {table.name: table.column_names for table in model.data_schema.tables}
    for table, conditions in spec.conditions.items():
        for condition in conditions:
            child = condition.rows_of
            if table in known and child in known:
                if not any(
                    key.parent_table == table for key in model.data_schema.references_from(child)
                ):
                    rule = (
                        f"table {child!r} does not refer to table {table!r}; it has no rows of it"
                    )
                    yield Violation(field="conditions", table=table, rule=rule)
            elif table in known and not child and condition.column not in known[table]:
                yield Violation(
                    field="conditions",
                    table=table,
                    column=condition.column,
                    rule=f"table {table!r} has no column {condition.column!r}",
                )
    for given in spec.completions:
        if given.table in spec.rows:
            rule = f"table {given.table!r} has as many rows as are given; leave out its rows"
            yield Violation(field="rows", table=given.table, rule=rule)
    if spec.orphans and not model.orphans:
        rule = f"{model.name} did not learn orphans; train with orphans to have them reproduced"
        yield Violation(field="orphans", rule=rule)
    if spec.fill_missing and not spec.completions:
        rule = "fill_missing needs rows to be completed"
        yield Violation(field="completions", rule=rule)
