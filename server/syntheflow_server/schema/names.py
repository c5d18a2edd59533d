"""What the names of tables and columns say: words, singulars, key words, roles."""

from __future__ import annotations

import re
from functools import cache

_WORD = re.compile(r"A+(?!a)|A?a+|9+")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEY_WORDS = _set(
    "id ids key pk uuid guid oid no nr nbr num number code cd ref sku isbn asin iata icao"
)
"""Words that end the name of a key."""
SEQUENCE_WORDS = _set(
    "sequence seq line position pos stint step rank index idx order ordinal version revision nth "
    "item row"
)
"""Words for a number that counts rows within a parent."""
_GENERIC = KEY_WORDS | _set(
    "name title type kind status state description date time year month day value count amount "
    "category class label text note notes"
)
_STAFF = _set("employee staff user worker person people member agent personnel")
_STAFF_ROLES = _set(
    "manager boss supervisor superior mentor lead leader head chief report reports rep "
    "representative salesperson seller clerk owner creator author assignee approver"
)
_SELF_ROLES = _set(
    "parent manager boss supervisor superior mentor report reports previous prev next "
    "predecessor successor original referrer referred root ancestor replaces super"
)
_PLACES = _set("airport station stop city place location port site depot warehouse")
_PLACE_ROLES = _set(
    "origin dest destination from to source src target departure arrival start end home "
    "pickup dropoff"
)


@cache
def words(name: str) -> tuple[str, ...]:
    """Return the lower-case words of a name: manager_staff_id, ManagerStaffID -> three words."""
    spans = (match.span() for match in _WORD.finditer(template(name)))
    return tuple(singular(name[start:stop].lower()) for start, stop in spans)


def template(text: str) -> str:
    """Return the shape of a text: digits as 9, capitals as A, other letters as a."""
    text = re.sub(r"[0-9]", "9", text)
    return re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isupper() else "a", text)


@cache
def singular(word: str) -> str:
    """Return one form for an English noun and its plural."""
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return "id" if word == "ids" else word
    if word.endswith(("ies", "ie")):  # city, cities and movie, movies meet alike
        return word[: word.rindex("ie")] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word.removesuffix("s")


def is_key_name(name: str) -> bool:
    """Tell whether a name reads like that of a key: id, order_no, customerID."""
    found = words(name)
    return bool(found) and (found[-1] in KEY_WORDS or found[0] in {"id", "uuid", "guid"})


def is_sequence_name(name: str) -> bool:
    """Tell whether a name reads like a place in a sequence: line, stop_sequence, stint."""
    found = words(name)
    return bool(found) and bool(SEQUENCE_WORDS & {found[-1], found[0]})


def is_generic(name: str) -> bool:
    """Tell whether a name says nothing of which thing it belongs to: id, name, code."""
    return all(word in _GENERIC for word in words(name))


def names_table(column: str, table: str) -> bool:
    """Tell whether a column is called after a table and `key`: film_id of film, id of any."""
    own, whole = words(table), words(column)
    rest = whole[len(own) :] if whole[: len(own)] == own else whole
    return bool(whole) and all(word in KEY_WORDS for word in rest)


def agreement(child_column: str, child_table: str, parent_key: str, parent_table: str) -> float:
    """Return 0..1: how much a column's name speaks for a reference to the parent's key.

    1 the key's own name, .9 the table's name with a key word, .8 either of them after a
    role (manager_staff_id), .6 a role alone (reports_to of employees, dest of airports)
    or a shared stem (ship_via of shippers).
    """
    child, key, table = words(child_column), words(parent_key), words(parent_table)
    itself = child_table == parent_table
    if itself and child_column == parent_key:
        return 0.0
    if child == key and not is_generic(parent_key):
        return 1.0
    bare = tuple(word for word in child if word not in KEY_WORDS)
    if not itself and bare and bare == table:
        return 0.9
    tails = [tail for tail in (key, table) if not all(word in _GENERIC for word in tail)]
    if any((len(bare) > len(t) and _ends(bare, t)) or _ends(child, t) for t in tails):
        return 0.8
    return 0.6 if _role(set(child), set(table), itself=itself) or _stem(bare, table) else 0.0


def _ends(whole: tuple[str, ...], tail: tuple[str, ...]) -> bool:
    return len(whole) > len(tail) and whole[-len(tail) :] == tail


def _role(child: set[str], table: set[str], *, itself: bool) -> bool:
    if itself:
        return bool(child & _SELF_ROLES)
    to_staff = bool(child & _STAFF_ROLES and table & _STAFF)
    return to_staff or bool(child & _PLACE_ROLES and table & _PLACES)


def _stem(bare: tuple[str, ...], table: tuple[str, ...]) -> bool:
    return any(
        min(len(a), len(b)) >= 4 and a != b and (a.startswith(b) or b.startswith(a))
        for a in bare
        for b in table
    )
