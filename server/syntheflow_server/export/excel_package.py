"""The parts of an Excel workbook that are the same whatever its rows, and sheets' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from syntheflow_server.export.excel_cells import FORMATS, HEADER, column_letters, escaped

LONGEST_NAME = 31
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f\ufffe\uffff]")
_FIRST_OWN_FORMAT = 164
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PARTS = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


class SheetNames:
    """Gives each sheet a name that Excel takes, and that no other sheet has."""

    def __init__(self) -> None:
        # Excel keeps this name for itself.
        self._taken = {"history"}

    def name(self, table: str, number: int = 1) -> str:
        """Return the name of the table's sheet; `number` counts the sheets of one table."""
        plain = _FORBIDDEN.sub("_", table).strip().strip("'") or "Sheet"
        while True:
            ending = "" if number == 1 else f" ({number})"
            made = _cut(plain, LONGEST_NAME - len(ending)) + ending
            if made.casefold() not in self._taken:
                self._taken.add(made.casefold())
                return made
            number += 1


def _cut(text: str, length: int) -> str:
    """Return the beginning of `text` that has at most `length` UTF-16 code units."""
    units = text.encode("utf-16-le")[: 2 * length]
    return units.decode("utf-16-le", "ignore").rstrip("' ")


def sheet_head(names: Sequence[str], widths: Iterable[int]) -> bytes:
    """Return a worksheet up to and with its header row, which stays in view."""
    columns = "".join(
        f'<col min="{at}" max="{at}" width="{width}" customWidth="1"/>'
        for at, width in enumerate(widths, start=1)
    )
    cells = "".join(
        f'<c r="{column_letters(at)}1" s="{HEADER}" t="inlineStr">'
        f'<is><t xml:space="preserve">{escaped(name)}</t></is></c>'
        for at, name in enumerate(names)
    )
    text = (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        f"</sheetView></sheetViews><cols>{columns}</cols>"
        f'<sheetData><row r="1">{cells}</row>'
    )
    return text.encode()


def sheet_tail(columns: int, rows: int) -> bytes:
    """Return the end of a worksheet: numbers kept as text are no mistake."""
    area = f"A1:{column_letters(columns - 1)}{rows}"
    text = (
        f'</sheetData><ignoredErrors><ignoredError sqref="{area}" numberStoredAsText="1"/>'
        "</ignoredErrors></worksheet>"
    )
    return text.encode()


def package_parts(sheets: Sequence[str]) -> list[tuple[str, bytes]]:
    """Return names and contents of all files but the worksheets, which are numbered from 1."""
    return [
        ("[Content_Types].xml", _content_types(len(sheets))),
        ("_rels/.rels", _links([("officeDocument", "xl/workbook.xml")])),
        ("xl/workbook.xml", _workbook(sheets)),
        ("xl/_rels/workbook.xml.rels", _workbook_links(len(sheets))),
        ("xl/styles.xml", _styles()),
    ]


def sheet_path(number: int) -> str:
    """Return the name of a worksheet's file."""
    return f"xl/worksheets/sheet{number}.xml"


def _content_types(sheets: int) -> bytes:
    named = [("workbook.xml", "sheet.main"), ("styles.xml", "styles")]
    named += [(f"worksheets/sheet{at}.xml", "worksheet") for at in range(1, sheets + 1)]
    parts = "".join(
        f'<Override PartName="/xl/{name}" ContentType="{_PARTS}.{kind}+xml"/>'
        for name, kind in named
    )
    text = (
        f'{_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{parts}</Types>'
    )
    return text.encode()


def _workbook_links(sheets: int) -> bytes:
    paths = [("worksheet", f"worksheets/sheet{at}.xml") for at in range(1, sheets + 1)]
    return _links([*paths, ("styles", "styles.xml")])


def _links(targets: Sequence[tuple[str, str]]) -> bytes:
    parts = "".join(
        f'<Relationship Id="rId{at}" Type="{_LINKS}/{kind}" Target="{path}"/>'
        for at, (kind, path) in enumerate(targets, start=1)
    )
    return f'{_HEAD}<Relationships xmlns="{_RELATIONS}">{parts}</Relationships>'.encode()


def _workbook(sheets: Sequence[str]) -> bytes:
    parts = "".join(
        f'<sheet name="{escaped(name).replace(chr(34), "&quot;")}" sheetId="{at}" r:id="rId{at}"/>'
        for at, name in enumerate(sheets, start=1)
    )
    text = (
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>{parts}</sheets></workbook>'
    )
    return text.encode()


def _styles() -> bytes:
    formats, styles = "", ""
    own = sorted(set(FORMATS) - {"General", "@"})
    for at, form in enumerate(own, start=_FIRST_OWN_FORMAT):
        formats += f'<numFmt numFmtId="{at}" formatCode="{form.replace(chr(34), "&quot;")}"/>'
    for at, form in enumerate(FORMATS):
        known = {"General": 0, "@": 49}
        number = known[form] if form in known else _FIRST_OWN_FORMAT + own.index(form)
        font = 1 if at == HEADER else 0
        styles += (
            f'<xf numFmtId="{number}" fontId="{font}" fillId="0" borderId="0" xfId="0"'
            ' applyNumberFormat="1" applyFont="1"/>'
        )
    face = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
    text = (
        f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="{len(own)}">{formats}</numFmts>'
        f'<fonts count="2"><font>{face}</font><font><b/>{face}</font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>'
        f'</cellStyleXfs><cellXfs count="{len(FORMATS)}">{styles}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
        "</styleSheet>"
    )
    return text.encode()
