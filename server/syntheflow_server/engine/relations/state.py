"""Relations as JSON and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.relations.arithmetic import Linear
from syntheflow_server.engine.relations.around import Around
from syntheflow_server.engine.relations.base import Ref, Relation, State
from syntheflow_server.engine.relations.bounds import Bounded
from syntheflow_server.engine.relations.clock import Clock
from syntheflow_server.engine.relations.copies import Copied
from syntheflow_server.engine.relations.differences import Difference
from syntheflow_server.engine.relations.mapping import Mapping as Table
from syntheflow_server.engine.relations.moments import Part
from syntheflow_server.engine.relations.onehot import OneHot
from syntheflow_server.engine.relations.rising import Stretches
from syntheflow_server.engine.relations.strings import Composed

_KINDS: tuple[type[Relation], ...] = (
    Around,
    Bounded,
    Clock,
    Composed,
    Copied,
    Difference,
    Linear,
    OneHot,
    Part,
    Stretches,
    Table,
)


def relation_to_state(relation: Relation) -> State:
    """Return a JSON object and named arrays for `relation_from_state`."""
    facts, arrays = relation.to_state()
    common = {
        "relation": relation.kind,
        "makes": list(relation.makes),
        "needs": [list(ref) for ref in relation.needs],
        "hidden": [column.model_dump(mode="json") for column in relation.hidden],
        "hints": relation.hints,
    }
    return common | {"own": facts}, arrays


def relation_from_state(facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> Relation:
    """Return the relation that gave this state; ValueError if its kind is unknown."""
    common = {
        "makes": tuple(facts["makes"]),
        "needs": tuple(Ref(*ref) for ref in facts["needs"]),
        "hidden": tuple(Column.model_validate(item) for item in facts["hidden"]),
        "hints": bool(facts["hints"]),
    }
    for kind in _KINDS:
        if kind.kind == facts["relation"]:
            return kind.from_state(common, facts["own"], arrays)
    raise ValueError(f"unknown relation {facts['relation']!r}")
