"""References to rows that do not exist, made only if a request asks for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.errors import InvalidArgumentError, Violation
from syntheflow_server.engine.encoding.plain import from_numbers, to_numbers
from syntheflow_server.engine.graph.structure import Link, LinkKind, Structure
from syntheflow_server.engine.model import FittedModel
from syntheflow_server.engine.sampling.spec import SampleSpec

Ints = npt.NDArray[np.int64]
LOST = -2
"""Parent row of a reference to a row that does not exist."""


def check_orphans(model: FittedModel, spec: SampleSpec) -> None:
    """Raise InvalidArgumentError if orphans are asked for that the model did not learn."""
    if spec.orphans and not model.settings.orphans:
        rule = (
            "orphans: the model did not learn which rows refer to rows that do not exist;"
            " train it with orphans, or ask without"
        )
        fault = Violation(field="orphans", rule=rule)
        raise InvalidArgumentError(rule, reason="ORPHANS_UNKNOWN", violations=(fault,))


def may_be_lost(structure: Structure, link: Link) -> bool:
    """Return whether rows of this link may refer to nobody: not where keys depend on it."""
    apart = link not in structure.settled and bool(set(link.key.child_columns) - set(link.shared))
    return link.orphan_share > 0 and apart


def lost_rows(link: Link, found: Ints, drawn: Ints, rng: np.random.Generator) -> Ints:
    """Return the parents `found` with LOST where the parent does not exist.

    For coded links `drawn` [n] says so; in trees it is the tops, or any rows by their share.
    """
    if link.kind is not LinkKind.LEVELS:
        return np.where(drawn > 0, LOST, found)
    if link.null_share == link.orphan_share:
        return np.where(found < 0, LOST, found)
    share = link.orphan_share / max(1 - link.null_share, link.orphan_share)
    return np.where((found >= 0) & (rng.random(len(found)) < share), LOST, found)


def lost_values(
    link: Link, name: str, count: int, values: Callable[[], pa.Array], rng: np.random.Generator
) -> pa.Array:
    """Return `count` values for the column `name` that no parent has.

    `values` gives the column of all parents. The last column that is the link's own is what
    nobody has; others hold a parent's.
    """
    known = pc.unique(values()).drop_null()
    free = [column for column in link.key.child_columns if column not in link.shared]
    if not len(known):
        return pa.nulls(count, known.type)
    if name != free[-1]:
        return known.take(pa.array(rng.integers(0, len(known), count)))
    place = rng.integers(0, max(link.orphan_keys, 1), count)
    if pa.types.is_string(known.type):
        return _words(known, place, rng)
    numbers, _ = to_numbers(known, name)
    step = np.diff(np.unique(numbers))
    unit = step.min() if len(step) else 1
    return from_numbers(numbers.max() + (place + 1) * unit, None, known.type, 0)


def _words(known: pa.Array, place: Ints, rng: np.random.Generator) -> pa.Array:
    """Return words in the manner of the known ones that are none of them."""
    words = known.take(pa.array(place % len(known))).to_pylist()
    held, made = set(known.to_pylist()), {}
    for number in np.unique(place).tolist():
        word = words[int(np.flatnonzero(place == number)[0])]
        letters = list(word)
        for _ in range(64):
            spots = [i for i, letter in enumerate(letters) if letter.isalnum()]
            if not spots:
                break
            spot = spots[int(rng.integers(0, len(spots)))]
            letters[spot] = _another(letters[spot], rng)
            if "".join(letters) not in held:
                break
        fresh = "".join(letters)
        made[number] = fresh if fresh not in held else f"{word}{number + 2}x"
    return pa.array([made[number] for number in place.tolist()], known.type)


def _another(letter: str, rng: np.random.Generator) -> str:
    if letter.isdigit():
        return str(int(rng.integers(0, 10)))
    other = chr(ord("a") + int(rng.integers(0, 26)))
    return other.upper() if letter.isupper() else other
