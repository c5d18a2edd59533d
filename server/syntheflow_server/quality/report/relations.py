"""How a table hangs together with others, as small tables of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syntheflow_server.quality.metric import percent
from syntheflow_server.quality.report import pictures

_WORST = 3


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text; `numbers` says which columns are aligned right."""

    title: str
    note: str
    heads: Sequence[str]
    numbers: Sequence[bool]
    rows: Sequence[Sequence[str]]


def grids(found: Mapping[str, Mapping[str, Any]]) -> list[Grid]:
    """Return what the metrics of relations found of one table, in the order of the page."""
    made = (
        _references(found.get("key_integrity", {}).get("references", [])),
        _sequences(found.get("event_order", {}).get("sequences", [])),
        _trends(found.get("hop_trends", {}).get("paths", [])),
    )
    return [grid for grid in made if grid.rows]


def _references(entries: Sequence[Mapping[str, Any]]) -> Grid:
    rows = [
        [
            entry["reference"],
            *(_share(entry[f"{side}_missing"], entry[f"{side}_rows"]) for side in _SIDES),
            *(f"{entry[f'{side}_orphans']:,}" for side in _SIDES),
        ]
        for entry in entries
    ]
    return Grid(
        title="References",
        note="Missing: the row refers to nothing. Orphans: it refers to a row that does not "
        "exist; synthetic rows do so only if orphans are asked for.",
        heads=["reference", "missing, real", "synthetic", "orphans, real", "synthetic"],
        numbers=[False, True, True, True, True],
        rows=rows,
    )


_SIDES = ("real", "synthetic")


def _sequences(entries: Sequence[Mapping[str, Any]]) -> Grid:
    return Grid(
        title="Order of events",
        note="Share of parents along whose rows the column never falls.",
        heads=["column", "rows of one parent by", "real", "synthetic"],
        numbers=[False, False, True, True],
        rows=[
            [
                entry["column"],
                entry["reference"],
                percent(entry["real"]),
                percent(entry["synthetic"]),
            ]
            for entry in entries
        ],
    )


def _trends(entries: Sequence[Mapping[str, Any]]) -> Grid:
    return Grid(
        title="Trends across tables",
        note="How much of the dependence between columns of the rows and of a row that they "
        "refer to, directly or over others, is kept.",
        heads=["way", "to", "kept", "similarity", "pairs most off"],
        numbers=[False, False, True, True, False],
        rows=[
            [
                entry["path"],
                entry["parent_table"],
                pictures.percent(entry["kept"]),
                f"{entry['similarity']:.3f}",
                ", ".join(_off(entry["worst"])),
            ]
            for entry in sorted(entries, key=lambda entry: (entry["hops"], entry["kept"]))
        ],
    )


def _off(pairs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for pair in pairs[:_WORST]:
        if pair["error"] > 0:
            yield f"{pair['left']} with {pair['right']}"


def _share(part: int, whole: int) -> str:
    return pictures.percent(part / whole) if whole else "no rows"
