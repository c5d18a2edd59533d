"""XML: elements that repeat are records; their attributes and elements become columns.

Elements that repeat within a record make tables of their own that refer to it, as arrays
of JSON do (`shred`). The document is read twice as a stream: for its shape, for its rows.
Documents that our own writer made say so: there names and texts are taken to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from syntheflow_server.domain.escapes import ESCAPES_MARK, unescaped
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.guess import TEXT_RULES, Rules
from syntheflow_server.ingest.plain_text import plain_text
from syntheflow_server.ingest.shred import Shredder
from syntheflow_server.ingest.tables import IngestedTable, bad_file
from syntheflow_server.ingest.workshop import workshop
from syntheflow_server.ingest.xml_shape import (
    Names,
    XmlNode,
    drop,
    entities_refused,
    events,
    find_records,
    is_nil,
    named_records,
    shape_of,
)

_HEAD = 1 << 16
_MARK_WITHIN = 256
_RECORD_LIMIT = 200_000
_TEXT_LIMIT = 1 << 24
_DECLARED = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")


def read_xml(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read the records of an XML document; `options.records` names their path."""
    with workshop(out) as work:
        text, encoding = _source(path, table, work, options)
        names = Names(escaped=_is_our_own(text))
        root = shape_of(text, table, encoding, names)
        if options.records:
            found = named_records(root, options.records)
        elif names.escaped:
            found = list(root.children.values())
        else:
            found = find_records(root)
        if not found:
            rule = "no element is at the path that was given for records"
            raise bad_file(table, rule, reason="TABLE_EMPTY")
        findings = [f"XML, records at {', '.join(node.path for node in found)}"]
        findings += _left_out(root, found)
        tables = {id(node): table if len(found) == 1 else node.name for node in found}
        with closing(Shredder(work, options.null_values or ())) as shredder:
            for node, record in _records(text, table, encoding, names, root, tables):
                shredder.add(tables[id(node)], record)
            made = shredder.settle(file_name, out, findings, _rules)
    if len(found) != 1:
        return made
    return tuple(replace(m, read_as={**m.read_as, "records": found[0].path}) for m in made)


def _is_our_own(path: Path) -> bool:
    with path.open("rb") as file:
        return ESCAPES_MARK.encode() in file.read(_MARK_WITHIN)


def _rules(_families: set[str]) -> Rules:
    return TEXT_RULES


def _source(path: Path, table: str, work: Path, options: ReadOptions) -> tuple[Path, str | None]:
    """Return the document and its encoding if that is not for its first line to say."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    declared = _DECLARED.search(head[:1024])
    if declared and options.encoding is None:
        text, encoding = path, None
    else:
        text = plain_text(path, table=table, work=work).path
        encoding = "utf-8"
        with text.open("rb") as file:
            head = file.read(_HEAD)
    if b"<!ENTITY" in head:
        raise entities_refused(table)
    return text, encoding


def _left_out(root: XmlNode, found: list[XmlNode]) -> list[str]:
    """Name the elements that are neither records nor around or in them."""
    kept = {id(node) for record in found for node in record.below()}
    around: set[int] = set()
    for record in found:
        node: XmlNode | None = record
        while node is not None:
            around.add(id(node))
            node = node.parent
    lost = [node.path for node in root.below() if id(node) not in kept | around]
    if not lost:
        return []
    more = f" and {len(lost) - 10} more" if len(lost) > 10 else ""
    return [f"left out beside the records: {', '.join(lost[:10])}{more}"]


def _records(
    path: Path,
    table: str,
    encoding: str | None,
    names: Names,
    root: XmlNode,
    wanted: dict[int, str],
) -> Iterator[tuple[XmlNode, Any]]:
    """Yield each record as nested values."""
    stack: list[XmlNode] = []
    inside = 0
    elements = 0
    for event, element in events(path, table, encoding):
        if event == "start":
            name = names.plain(element.tag, element.prefix)
            stack.append(stack[-1].children[name] if stack else root)
            if inside:
                elements += 1
                if elements > _RECORD_LIMIT:
                    rule = f"a record has more than {_RECORD_LIMIT:,} elements; name smaller ones"
                    raise bad_file(table, rule, row=element.sourceline)
            elif id(stack[-1]) in wanted:
                inside, elements = len(stack), 0
            continue
        node = stack.pop()
        if inside == len(stack) + 1:
            inside = 0
            made = _value(element, node, names, table)
            yield node, made if isinstance(made, dict) else {"value": made}
        if not inside:
            drop(element)


def _value(element: Any, node: XmlNode, names: Names, table: str) -> Any:
    """Return the element's text, or its parts by name; None if it has no value."""
    text = _text(element, table, escaped=names.escaped)
    if not node.children and not node.attributes:
        return None if is_nil(element) else text
    record: dict[str, Any] = {}
    for name, value in names.attributes(element):
        record[f"@{name}" if name in node.children else name] = value
    for part in element.iterchildren(tag="*"):
        name = names.plain(part.tag, part.prefix)
        below = node.children[name]
        value = _value(part, below, names, table)
        if below.repeated:
            record.setdefault(name, []).append(value)
        else:
            record[name] = value
    if text and not is_nil(element) and not names.escaped:
        record[""] = text
    return record


def _text(element: Any, table: str, *, escaped: bool) -> str | None:
    """Return the text right in the element; blanks around it count where all is escaped."""
    parts = [element.text or "", *(part.tail or "" for part in element.iterchildren())]
    text = "".join(parts) if escaped else "".join(parts).strip()
    if len(text) > _TEXT_LIMIT:
        rule = f"a text is longer than {_TEXT_LIMIT >> 20} MiB"
        raise bad_file(table, rule, row=element.sourceline)
    return unescaped(text) if escaped else text or None
