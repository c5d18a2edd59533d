"""The shape of an XML document: which elements repeat, and so which of them are records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from syntheflow_server.domain.escapes import unescaped
from syntheflow_server.ingest.tables import bad_file

_PATH_LIMIT = 20_000
# Each is looked for among all of its element: more would take time that grows with the square.
_ATTRIBUTE_LIMIT = 2_000
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_SAFE: dict[str, Any] = {
    "events": ("start", "end"),
    "resolve_entities": False,
    "no_network": True,
    "huge_tree": False,
    "load_dtd": False,
    "dtd_validation": False,
    "attribute_defaults": False,
    "remove_comments": True,
    "remove_pis": True,
}


@dataclass(slots=True)
class XmlNode:
    """All elements at one path: `repeated` if some parent has two of them."""

    name: str
    parent: XmlNode | None
    children: dict[str, XmlNode] = field(default_factory=dict)
    attributes: bool = False
    repeated: bool = False

    @property
    def path(self) -> str:
        """Names from the root, with a slash before each."""
        return (self.parent.path if self.parent else "") + "/" + self.name

    def below(self) -> Iterator[XmlNode]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children.values():
            yield from child.below()


class Names:
    """Plain names of elements and attributes; a second name space shows its prefix.

    With `escaped` the document's names are those that our own writer made.
    """

    def __init__(self, *, escaped: bool = False) -> None:
        self.escaped = escaped
        self._of: dict[str, str] = {}
        self._space: dict[str, str] = {}

    def plain(self, tag: str, prefix: str | None = None) -> str:
        """Return the name of `{space}local`."""
        known = self._of.get(tag)
        if known is None:
            space, _, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
            owner = self._space.setdefault(local, space)
            known = local if owner == space else f"{prefix or 'other'}_{local}"
            known = self._of[tag] = unescaped(known) if self.escaped else known
        return known

    def attributes(self, element: Any) -> list[tuple[str, str]]:
        """Return names and values of attributes, without those of XML Schema."""
        return [
            (tag.rpartition("}")[2], value)
            for tag, value in element.items()
            if not tag.startswith(f"{{{_INSTANCE}}}")
        ]


def is_nil(element: Any) -> bool:
    """Tell whether the element says that it has no value."""
    return element.get(f"{{{_INSTANCE}}}nil") in {"true", "1"}


def events(path: Path, table: str, encoding: str | None) -> Iterator[tuple[str, Any]]:
    """Yield starts and ends of elements; nothing outside the file is ever read.

    Raises InvalidArgumentError if the document is not well formed or declares entities.
    """
    first = True
    with path.open("rb") as file:
        try:
            for event, element in etree.iterparse(file, encoding=encoding, **_SAFE):
                if first:
                    _check_root(element, table)
                    first = False
                yield event, element
        except etree.XMLSyntaxError as error:
            rule = "the file is not well-formed XML from this line on, or its values are too large"
            raise bad_file(table, rule, row=error.lineno) from error


def _check_root(root: Any, table: str) -> None:
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise entities_refused(table)
    # A damaged file may have a name that lxml itself would not accept.
    if str(root.tag).rpartition("}")[2].lower() == "html":
        raise bad_file(table, "the file is a web page; send the data behind it")


def entities_refused(table: str) -> Exception:
    """Return the error for documents that declare entities."""
    rule = "the document declares entities, which are not read; write their text out"
    return bad_file(table, rule, reason="XML_ENTITIES")


def drop(element: Any) -> None:
    """Let go of an element that has ended and of those before it."""
    element.clear(keep_tail=False)
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def shape_of(path: Path, table: str, encoding: str | None, names: Names) -> XmlNode:
    """Read the whole document once and return the root's node."""
    root: XmlNode | None = None
    stack: list[tuple[XmlNode, set[str]]] = []
    count = 0
    for event, element in events(path, table, encoding):
        if event == "end":
            stack.pop()
            drop(element)
            continue
        name = names.plain(element.tag, element.prefix)
        if not stack:
            node = root = XmlNode(name, None)
        else:
            parent, seen = stack[-1]
            found = parent.children.get(name)
            if found is None:
                count += 1
                if count > _PATH_LIMIT:
                    rule = f"the document has more than {_PATH_LIMIT:,} different elements"
                    raise bad_file(table, rule, row=element.sourceline, reason="TOO_MANY_COLUMNS")
                found = parent.children[name] = XmlNode(name, parent)
            if name in seen:
                found.repeated = True
            seen.add(name)
            node = found
        if len(element.attrib) > _ATTRIBUTE_LIMIT:
            rule = f"an element has more than {_ATTRIBUTE_LIMIT:,} attributes"
            raise bad_file(table, rule, row=element.sourceline, reason="TOO_MANY_COLUMNS")
        node.attributes = node.attributes or bool(names.attributes(element))
        stack.append((node, set()))
    if root is None:
        raise bad_file(table, "the document has no element", reason="TABLE_EMPTY")
    return root


def find_records(root: XmlNode) -> list[XmlNode]:
    """Return the outermost elements that repeat, and lone ones in boxes like theirs.

    Where nothing repeats the root itself is the only record.
    """
    found: list[XmlNode] = []

    def visit(node: XmlNode) -> None:
        if node.repeated:
            found.append(node)
            return
        for child in node.children.values():
            visit(child)

    visit(root)
    depths = {_depth(node) for node in found}
    lone = [
        node
        for node in root.below()
        if node not in found
        and _depth(node) in depths
        and node.parent is not None
        and node.parent.parent is root
        and not node.parent.attributes
        and len(node.parent.children) == 1
        and (node.children or node.attributes)
    ]
    order = {id(node): place for place, node in enumerate(root.below())}
    return sorted([*found, *lone], key=lambda n: order[id(n)]) or [root]


def named_records(root: XmlNode, path: str) -> list[XmlNode]:
    """Return the outermost elements at `path`: from the root if it begins with a slash."""
    found: list[XmlNode] = []
    wanted = path.strip("/").split("/")

    def visit(node: XmlNode) -> None:
        own = node.path.strip("/").split("/")
        if own == wanted or (not path.startswith("/") and own[-len(wanted) :] == wanted):
            found.append(node)
            return
        for child in node.children.values():
            visit(child)

    visit(root)
    return found


def _depth(node: XmlNode) -> int:
    return 0 if node.parent is None else 1 + _depth(node.parent)
