"""Which encoding bytes that are not UTF-8 are likely in.

charset-normalizer judges by letter frequencies, which short lists of names lack; so its
order is only followed among encodings in which words look like words.
"""

from __future__ import annotations

import re

import charset_normalizer

# Windows text is far likelier than the rest, so the first of those that fit alike is taken.
_SINGLE = [
    "cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "mac_roman", "cp437", "cp850",
]  # fmt: skip
_MANY = ["shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]
_ALIKE = 0.02
_CONVINCING = 0.9
_WORD = re.compile(r"[^\s\d!-/:-@\[-`{-~]*[^\x00-\x7f][^\s\d!-/:-@\[-`{-~]*")


def likeliest_encoding(sample: bytes) -> str:
    """Return the Python name of an encoding; cp1252 where nothing speaks against it."""
    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=_SINGLE + _MANY))
    looks = {name: _wordlike(sample, name) for name in _SINGLE}
    best = max(looks.values())
    if matches and matches[0].encoding in _MANY and best < _CONVINCING:
        return str(matches[0].encoding)
    fitting = [name for name in _SINGLE if looks[name] >= best - _ALIKE]
    named = [({match.encoding, *match.could_be_from_charset}, match) for match in matches]
    ranked = [(names, match) for names, match in named if names & set(fitting)]
    if not ranked or ranked[0][1].coherence == 0:
        return fitting[0]
    top = ranked[0][1]
    for names, match in ranked:
        if match.chaos <= top.chaos and match.coherence >= top.coherence and fitting[0] in names:
            return fitting[0]
    return next(name for name in fitting if name in ranked[0][0])


def _wordlike(sample: bytes, encoding: str) -> float:
    """Return the share of words beyond ASCII that are letters in usual case; -1 if it fails.

    The symbols that stand alone in prose, such as a euro sign or a dash, are no fault.
    """
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return -1.0
    words = [word for word in _WORD.findall(text) if len(word) > 1]
    good = sum(w.isalpha() and (w.isupper() or w[1:] == w[1:].lower()) for w in words)
    return good / len(words) if words else 1.0
