"""Parents as one row with what their children come to: counts, means, distinct values, spans.

The features of a C2ST on aggregates, as in SynthCity's and GCFM's C2ST-Agg.
"""

from __future__ import annotations

import numpy as np

from scoring.database import Database
from scoring.frames import Column, Floats, Frame, six_digits
from scoring.keys import Ints, Reference


def aggregates(data: Database, parent: str) -> Frame:
    """Return a parent's data columns and, for each reference to it, aggregates of the children.

    Numbers give their mean; categories and other references the number of distinct values;
    moments the first, the last and the span. Where there is no child these are missing.
    """
    columns = dict(data.frames[parent].columns)
    rows = data.rows(parent)
    for reference in data.keys.to(parent):
        owners = data.links[reference]
        there = np.flatnonzero(owners >= 0)
        name = _title(data, reference)
        counts = np.bincount(owners[there], minlength=rows).astype(np.float64)
        columns[f"count({name})"] = Column("number", counts)
        for column, values in data.frames[reference.child].columns.items():
            for title, made in _summed(values.take(there), owners[there], rows).items():
                columns[f"{title}({name}.{column})"] = made
        for other in data.keys.of(reference.child):
            if other != reference and other.columns != reference.columns:
                targets = data.links[other][there]
                known = targets >= 0
                distinct = _distinct(targets[known], owners[there][known], rows)
                distinct[counts == 0] = np.nan
                columns[f"distinct({name}>{'+'.join(other.columns)})"] = Column("number", distinct)
    return Frame(columns, rows)


def _title(data: Database, reference: Reference) -> str:
    """Name the children; their columns too if two references lead to the same parent."""
    twins = [r for r in data.keys.to(reference.parent) if r.child == reference.child]
    return reference.child + (f"[{'+'.join(reference.columns)}]" if len(twins) > 1 else "")


def _summed(column: Column, owners: Ints, rows: int) -> dict[str, Column]:
    known = column.present
    owners = owners[known]
    if column.kind == "number":
        mean = _mean(column.values[known], owners, rows)
        return {"mean": Column("number", six_digits(mean), rounded=True)}
    if column.kind == "time":
        low, high = np.full(rows, np.inf), np.full(rows, -np.inf)
        np.minimum.at(low, owners, column.values[known])
        np.maximum.at(high, owners, column.values[known])
        empty = np.isinf(low)
        low[empty] = high[empty] = np.nan
        return {
            "first": Column("time", low),
            "last": Column("time", high),
            "span": Column("number", high - low),
        }
    codes = np.unique(column.values[known].astype(str), return_inverse=True)[1]
    distinct = _distinct(codes.astype(np.int64), owners, rows)
    distinct[np.bincount(owners, minlength=rows) == 0] = np.nan
    return {"distinct": Column("number", distinct)}


def _mean(values: Floats, owners: Ints, rows: int) -> Floats:
    counts = np.bincount(owners, minlength=rows)
    added = np.bincount(owners, weights=values, minlength=rows)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(counts > 0, added / counts, np.nan))


def _distinct(codes: Ints, owners: Ints, rows: int) -> Floats:
    size = int(codes.max(initial=0)) + 1
    pairs = np.unique(owners * size + codes)
    return np.bincount(pairs // size, minlength=rows).astype(np.float64)
