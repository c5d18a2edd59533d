"""Characters that XML cannot have, written as `_xHHHH_`: in names of elements and in texts.

As in SQL/XML and in Excel's files: the code in 4 hexadecimal digits (8 beyond the basic
plane). An underscore that would begin such a word itself is `_x005F_`. Files that use it
in texts say so by the processing instruction `ESCAPES_MARK`.
"""

from __future__ import annotations

import re

MARK_TARGET, MARK_TEXT = "syntheflow", 'escapes="_xHHHH_"'
ESCAPES_MARK = f"<?{MARK_TARGET} {MARK_TEXT}?>"

_WORD = re.compile("_x([0-9A-F]{8}|[0-9A-F]{4})_")
_EMPTY = "_x_"
# Letters by the older rules of XML 1.0 too, which schema validators still follow.
_LETTERS = "A-Za-zÀ-ÖØ-öø-ıΣ-ώА-яぁ-ゔァ-ヺ一-龥가-힣"
_NOT_IN_NAME = re.compile(f"[^{_LETTERS}0-9_.-]|_(?=x)")
_NOT_FIRST = re.compile(f"[^{_LETTERS}_]|[Xx](?=[Mm][Ll])")


def escape(character: str) -> str:
    """Return the word for a character."""
    code = ord(character)
    return f"_x{code:04X}_" if code < 0x10000 else f"_x{code:08X}_"


def element_name(name: str) -> str:
    """Return the name of the XML element for any name; different names stay different."""
    if not name:
        return _EMPTY
    safe = _NOT_IN_NAME.sub(lambda match: escape(match[0]), name)
    return escape(safe[0]) + safe[1:] if _NOT_FIRST.match(safe) else safe


def unescaped(text: str) -> str:
    """Return the text of `escape`'s words in it, the name of an element too."""
    if text == _EMPTY:
        return ""
    if "_x" not in text:
        return text
    return _WORD.sub(lambda match: _character(int(match[1], 16), match[0]), text)


def _character(code: int, word: str) -> str:
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else word
