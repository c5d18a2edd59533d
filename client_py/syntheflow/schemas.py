"""Schemas as files: reads, checks and writes the YAML and JSON form.

The form: {"tables": [{"name", "primary_key", "unique_keys", "checks", "columns":
[{"name", "type", "semantic_type", "nullable", "native_type", "identity"}]}],
"foreign_keys": [{"child_table", "child_columns", "parent_table", "parent_columns"}],
"dialect", "rules": []}. What only a database declares (native_type, identity,
unique_keys, checks, dialect) stands there only if there is any. A partial one names
only what shall be fixed: tables, columns and fields that it leaves out stay as they
are; a list of keys that it gives replaces the whole list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syntheflow.errors import SyntheflowError, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syntheflow.values import Schema

_TOP = {"tables": list, "foreign_keys": list, "dialect": str, "rules": list}
_TABLE = {"name": str, "primary_key": list, "columns": list, "unique_keys": list, "checks": list}
_COLUMN = {
    "name": str,
    "type": str,
    "semantic_type": str,
    "nullable": bool,
    "native_type": str,
    "identity": bool,
}
_KEY = {"child_table": str, "child_columns": list, "parent_table": str, "parent_columns": list}
_WORDS = {str: "a text", list: "a list", bool: "true or false"}
_TEXTS = frozenset({"primary_key", "child_columns", "parent_columns"})
_DECLARED = frozenset({"native_type", "identity", "unique_keys", "checks", "dialect"})
"""What only a database declares; left out of the form where there is none."""
SEMANTIC_TYPES = (
    "integer", "number", "boolean", "category", "date", "datetime", "time", "duration",
    "identifier", "code", "text",
)  # fmt: skip


def to_dict(schema: Schema) -> dict[str, Any]:
    """Return the schema in the form of its files."""
    whole = _without_undeclared(schema.to_dict())
    whole["tables"] = [
        {
            **_without_undeclared(table),
            "columns": [_without_undeclared(column) for column in table["columns"]],
        }
        for table in whole["tables"]
    ]
    return {**whole, "rules": []}


def _without_undeclared(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value or name not in _DECLARED}


def dump(fields: Mapping[str, Any], form: str) -> str:
    """Return the form's text, `yaml` or `json`, with a line feed at its end."""
    if form == "json":
        return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    import yaml

    text: str = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=100)
    return text


def load(path: str | Path) -> dict[str, Any]:
    """Return the checked form in a YAML or JSON file; SyntheflowError names each fault."""
    import yaml

    try:
        # YAML is a superset of JSON, so one reader does for both.
        fields = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _invalid(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place is not None else ""
        raise _invalid(f"{path}{where}: this is neither YAML nor JSON") from None
    return checked(fields)


def checked(fields: Any) -> dict[str, Any]:
    """Return `fields` if it has the form of a schema, maybe a partial one.

    Raises SyntheflowError (INVALID_ARGUMENT) with a violation for each fault.
    """
    faults: list[Violation] = []
    _check_record(fields, _TOP, "schema", faults, required=())
    if not faults:
        for at, table in enumerate(fields.get("tables") or ()):
            where = f"tables[{at}]"
            _check_record(table, _TABLE, where, faults, required=("name",))
            columns = table.get("columns") if isinstance(table, dict) else None
            for number, column in enumerate(columns or ()):
                spot = f"{where}.columns[{number}]"
                _check_record(column, _COLUMN, spot, faults, required=("name",))
                _check_semantic(column, spot, faults)
        for at, key in enumerate(fields.get("foreign_keys") or ()):
            _check_record(key, _KEY, f"foreign_keys[{at}]", faults, required=tuple(_KEY))
        if fields.get("rules"):
            rule = "rules are not supported by this version; leave the list empty"
            faults.append(Violation(field="rules", rule=rule))
    if faults:
        text = "; ".join(f"{fault.field}: {fault.rule}" for fault in faults[:3])
        raise _invalid(f"The schema is not well formed: {text}", tuple(faults))
    return dict(fields)


def _check_record(
    record: Any,
    fields: Mapping[str, type],
    where: str,
    faults: list[Violation],
    *,
    required: tuple[str, ...],
) -> None:
    if not isinstance(record, dict):
        faults.append(Violation(field=where, rule=f"must be a mapping with {', '.join(fields)}"))
        return
    faults += [
        Violation(field=f"{where}.{name}", rule="is missing")
        for name in required
        if not record.get(name)
    ]
    for name, value in record.items():
        kind = fields.get(name)
        if kind is None:
            rule = f"is unknown; known are {', '.join(fields)}"
            faults.append(Violation(field=f"{where}.{name}", rule=rule))
        elif value is not None and not isinstance(value, kind):
            faults.append(Violation(field=f"{where}.{name}", rule=f"must be {_WORDS[kind]}"))
        elif name in _TEXTS and not _are_texts(value or []):
            faults.append(
                Violation(field=f"{where}.{name}", rule="must list column names as texts")
            )
        elif name == "checks" and not _are_texts(value or []):
            faults.append(Violation(field=f"{where}.{name}", rule="must list conditions as texts"))
        elif name == "unique_keys" and not _are_keys(value):
            rule = "must list the columns of each key: [[a], [b, c]]"
            faults.append(Violation(field=f"{where}.{name}", rule=rule))


def _are_keys(items: Any) -> bool:
    return all(_are_texts(key) for key in items or [])


def _are_texts(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, str) for item in items)


def _check_semantic(column: Any, where: str, faults: list[Violation]) -> None:
    word = column.get("semantic_type") if isinstance(column, dict) else None
    if isinstance(word, str) and word not in SEMANTIC_TYPES:
        rule = f"must be one of {', '.join(SEMANTIC_TYPES)}"
        faults.append(Violation(field=f"{where}.semantic_type", rule=rule))


def merged(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return `whole` with what `part` says instead; both in the form of `to_dict`.

    SyntheflowError if `part` names a table or column that `whole` lacks.
    """
    tables = {table["name"]: dict(table) for table in whole["tables"]}
    for change in part.get("tables") or ():
        table = tables.get(change["name"])
        if table is None:
            raise _invalid(
                f"The dataset has no table {change['name']!r}; it has {', '.join(tables)}"
            )
        columns = {column["name"]: dict(column) for column in table["columns"]}
        for column in change.get("columns") or ():
            if column["name"] not in columns:
                raise _invalid(f"Table {change['name']!r} has no column {column['name']!r}")
            columns[column["name"]].update(
                {name: value for name, value in column.items() if value is not None}
            )
        table["columns"] = list(columns.values())
        for name in ("primary_key", "unique_keys", "checks"):
            if change.get(name) is not None:
                table[name] = change[name]
    said = {name: part[name] for name in ("foreign_keys", "dialect") if part.get(name) is not None}
    return {**whole, "tables": list(tables.values()), **said, "rules": []}


def _invalid(message: str, violations: tuple[Violation, ...] = ()) -> SyntheflowError:
    return SyntheflowError(
        message, code="INVALID_ARGUMENT", reason="SCHEMA_FILE_INVALID", violations=violations
    )
