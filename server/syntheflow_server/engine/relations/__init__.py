"""Exact relations: columns that are computed from others instead of being learned."""

from syntheflow_server.engine.relations.agree import agreed, tell_of_days
from syntheflow_server.engine.relations.base import Ref, Relation, given_of, told_by
from syntheflow_server.engine.relations.search import find_relations
from syntheflow_server.engine.relations.state import relation_from_state, relation_to_state

__all__ = [
    "Ref",
    "Relation",
    "agreed",
    "find_relations",
    "given_of",
    "relation_from_state",
    "relation_to_state",
    "tell_of_days",
    "told_by",
]
