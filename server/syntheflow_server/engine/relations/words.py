"""Exact relations in words, for a model's card: names of columns, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syntheflow_server.engine.relations.arithmetic import Linear
from syntheflow_server.engine.relations.base import Ref, Relation
from syntheflow_server.engine.relations.bounds import Bounded
from syntheflow_server.engine.relations.copies import Copied

_VERBS = {
    "mapping": "follows from",
    "part": "is a part of the date or time",
    "difference": "is a whole distance from",
    "composed": "is written out of",
    "clock": "is the time counted by",
    "stretches": "changes in stretches along",
}
_OWNERS = ("", "the owner's ", "the owner's owner's ")


def in_words(relations: Iterable[Relation]) -> tuple[str, ...]:
    """Return one sentence for each relation."""
    return tuple(map(_sentence, relations))


def _sentence(relation: Relation) -> str:
    made = _listed(relation.makes)
    needed = [_name(ref) for ref in relation.needs]
    if isinstance(relation, Linear):
        return f"{made} = {_sum(relation, needed)}"
    if isinstance(relation, Bounded):
        lows, highs = needed[: relation.lows], needed[relation.lows :]
        bounds = [f"at least {_listed(lows)}"] * bool(lows)
        bounds += [f"at most {_listed(highs)}"] * bool(highs)
        return f"{made} is {' and '.join(bounds)}"
    if isinstance(relation, Copied):
        return f"{made} repeats {_listed(needed)}" + (" in many rows" if relation.hidden else "")
    if relation.kind == "onehot":
        return f"exactly one of {_listed(relation.makes)} is set"
    verb = _VERBS.get(relation.kind, "is computed from")
    return f"{made} {verb} {_listed(needed)}" if needed else f"{made} {verb} the row's number"


def _sum(relation: Linear, needed: Sequence[str]) -> str:
    if relation.product:
        return " x ".join(needed)
    text = ""
    for name, factor in zip(needed, relation.factors, strict=True):
        sign = " - " if factor < 0 else " + "
        text += name if not text and factor > 0 else f"{sign}{name}"
    return text.strip()


def _name(ref: Ref) -> str:
    return f"{_OWNERS[min(ref.above, 2)]}{ref.column}"


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
