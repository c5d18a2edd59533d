"""How a table hangs together, in words for people: what its card says of its keys."""

from __future__ import annotations

from syntheflow_server.domain.schema import ForeignKey
from syntheflow_server.engine.graph.structure import Link, LinkKind, Structure
from syntheflow_server.engine.training.analysis import Analysis


def told_keys(structure: Structure, analysis: Analysis, *, orphans: bool) -> tuple[str, ...]:
    """Return what owner, links and keys of a table are; `orphans` says that they were learned."""
    told = [_owner(structure, analysis)] if structure.owner else []
    told += [_link(link, analysis, orphans=orphans) for link in structure.links]
    told += [f"{name} is made from the row's number" for name in structure.surrogate]
    if structure.per_owner:
        told.append(f"{_listed(structure.per_owner)} is made from the owner's number")
    if structure.grid:
        told.append(f"{_listed(structure.grid)} are places of a grid, each taken once")
    for names in structure.distinct:
        told.append(f"{_listed(names)} never comes twice with one owner")
    for names in structure.varied:
        told.append(f"{_listed(names)} never leads twice to the same row with one owner")
    if structure.kept:
        told.append("the table comes out as it is")
    return tuple(told)


def _owner(structure: Structure, analysis: Analysis) -> str:
    key = structure.owner
    assert key is not None
    each = "exactly one row is" if structure.always else "rows are"
    each = "at most one row is" if structure.once and not structure.always else each
    text = f"{_refers(key)}; {each} made for each row of {key.parent_table}"
    if structure.sequence and structure.sequence.order:
        text += f" in order of {structure.sequence.order}"
    return text + _lost(key, analysis, "not reproduced, and nothing is learned from them")


def _link(link: Link, analysis: Analysis, *, orphans: bool) -> str:
    text = _refers(link.key)
    if link.kind is LinkKind.IMPLIED:
        text += "; this follows from a wider reference"
    elif link.kind is LinkKind.RETURNED:
        text += ", to the row that refers back"
    elif link.kind is LinkKind.COPIED:
        text += "; it is what the owner's rows say"
    elif link.kind is LinkKind.LEVELS:
        text += f"; rows form trees of at most {link.levels} levels"
        text += ", each within one owner" if link.within else ""
    if link.shared:
        text += f", to a row with the same {_listed(link.shared)}"
    if link.unique:
        text += "; no two rows refer to the same row"
    if link.nullable:
        text += f"; null in {link.null_share:.1%} of the rows"
    if link.partial:
        text += ", in part or in whole"
    return text + _lost(link.key, analysis, "learned" if orphans else "not reproduced")


def _lost(key: ForeignKey, analysis: Analysis, what: str) -> str:
    lost = analysis.orphans.get(key, 0)
    if not lost:
        return ""
    return f"; {lost:,} of {analysis.rows[key.child_table]:,} rows refer to no row ({what})"


def _refers(key: ForeignKey) -> str:
    verb = "refers" if len(key.child_columns) == 1 else "refer"
    itself = key.child_table == key.parent_table
    return (
        f"{_listed(key.child_columns)} {verb} to {'its own table' if itself else key.parent_table}"
    )


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"
