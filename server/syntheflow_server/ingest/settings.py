"""What may be said of a delimited file's reading: checked before, told after."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Sequence

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.schema import arrow_type
from syntheflow_server.ingest.dialect import Dialect
from syntheflow_server.ingest.guess import ColumnPlan

_ENDS = frozenset("\r\n\0")
# Python calls these text encodings, but no file is written in them, or they run for ages.
_NO_ENCODINGS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape",
                           "mbcs", "oem", "utf_7", "utf-7"})  # fmt: skip


def check_options(options: ReadOptions, table: str) -> None:
    """Raise InvalidArgumentError for settings that no file can be read with.

    Names the setting, the rule and what to say instead.
    """
    for setting, rule in _faults(options):
        raise _bad_setting(setting, rule, table)
    for column, kind in (options.types or {}).items():
        try:
            arrow_type(kind)
        except ValueError as error:
            raise _bad_setting("types", str(error), table, column) from None


def check_types(options: ReadOptions, names: Sequence[str], table: str) -> None:
    """Raise InvalidArgumentError if a type is said of a column that is not there."""
    for column in options.types or {}:
        if column not in names:
            raise _bad_setting("types", "the table has no column of that name", table, column)


def _faults(options: ReadOptions) -> Iterable[tuple[str, str]]:
    """Yield the settings at fault, each with the rule it breaks."""
    if options.encoding is not None and not _is_encoding(options.encoding):
        yield "encoding", "no such text encoding; name one such as utf-8, utf-16, cp1252, latin-1"
    yield from _mark_faults(options)
    yield from _number_faults(options)
    if options.header and (options.skip_rows or 0) >= options.header:
        yield "header", "it counts lines from the file's first, so it must be beyond skip_rows"
    if options.header == 0 and options.header_rows is not None:
        yield "header_rows", "header 0 says that there is no header; leave one of them out"


def _mark_faults(options: ReadOptions) -> Iterable[tuple[str, str]]:
    marks = {name: getattr(options, name) for name in ("separator", "quote", "escape", "comment")}
    for name, mark in marks.items():
        if mark and _ENDS & set(mark):
            yield name, "it must not hold a line end or a zero byte"
        if name != "separator" and mark and (options.separator or "").startswith(mark):
            yield name, "it must differ from the beginning of the separator"
        if name in {"quote", "escape"} and mark == " ":
            yield name, "it must not be a blank"
    if options.comment and options.comment == options.quote:
        yield "comment", "it must differ from the quote"


def _number_faults(options: ReadOptions) -> Iterable[tuple[str, str]]:
    for name in ("decimal", "thousands"):
        sign = getattr(options, name)
        if sign and (sign.isalnum() or sign in "+-()" or sign in _ENDS):
            yield name, "it must be a sign, not a letter, a digit, a bracket, + or -"
    if options.decimal is not None and options.decimal == options.thousands:
        yield "thousands", "it must differ from the decimal sign"


def _is_encoding(name: str) -> bool:
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    known = getattr(info, "_is_text_encoding", True) and info.incrementaldecoder is not None
    return known and info.name not in _NO_ENCODINGS


def _bad_setting(setting: str, rule: str, table: str, column: str = "") -> Exception:
    violation = Violation(field=f"options.{setting}", rule=rule, table=table, column=column)
    place = f"table {table!r}, " + (f"column {column!r}, " if column else "")
    return InvalidArgumentError(
        f"{place}setting {setting}: {rule}",
        reason="READ_OPTION_INVALID",
        violations=(violation,),
        metadata={"table": table, "setting": setting} | ({"column": column} if column else {}),
    )


def settings_used(
    options: ReadOptions, dialect: Dialect, encoding: str, plans: Sequence[ColumnPlan]
) -> dict[str, str]:
    """Return the settings used, guessed or said, by the names of ReadOptions.

    Given back they read the file the same way; so a decimal sign, an order of dates or
    texts for missing values that differ between columns are told in findings only.
    """
    marks = dialect.marks
    used = {
        "encoding": encoding,
        "separator": marks.separator,
        "quote": marks.quote,
        "escape": marks.escape,
        "header": str(dialect.header_line),
        "skip_rows": str((dialect.header_line or dialect.data_line) - 1),
        "on_bad_row": options.on_bad_row.value,
    }
    if dialect.header_rows:
        used["header_rows"] = str(dialect.header_rows)
    if marks.comment:
        used["comment"] = marks.comment
    for name in ("decimal", "date_order"):
        said = getattr(options, name)
        signs = {value for plan in plans for key, value in plan.reads if key == name}
        if said is not None:
            used[name] = str(said)
        elif len(signs) == 1:
            used[name] = signs.pop()
    groups = {value for plan in plans for key, value in plan.reads if key == "thousands"}
    if options.thousands is not None:
        used["thousands"] = options.thousands
    elif len(groups) < 2:
        used["thousands"] = groups.pop() if groups else ""
    used |= _missing_used(options, plans)
    if options.types:
        used["types"] = json.dumps(options.types, ensure_ascii=False)
    return used


def _missing_used(options: ReadOptions, plans: Sequence[ColumnPlan]) -> dict[str, str]:
    if options.null_values is not None:
        return {"null_values": json.dumps(list(options.null_values), ensure_ascii=False)}
    missing = {marker for plan in plans for marker in plan.missing if marker}
    if missing & {marker for plan in plans for marker in plan.kept}:
        return {}
    return {"null_values": json.dumps(sorted(missing), ensure_ascii=False)}
