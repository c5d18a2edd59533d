"""Frames as numbers for scikit-learn: the same encoding for all frames that are compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scoring.frames import Column, Floats, Frame, six_digits

_DAY = 86_400


def matrices(frames: Sequence[Frame], *, by_name: bool = True) -> list[Floats]:
    """Return one matrix [rows, features] for each frame; NaN is missing.

    Numbers stand at six significant digits; moments are given with hour, day of the week, day
    and month; categories are ranked by how frequent they are in all frames together; long or
    nearly unique texts give their shape (length, words, digits, capitals) and their rank, or,
    unless `by_name`, only how often they occur in all frames together.
    """
    blocks: list[list[Floats]] = [[] for _ in frames]
    for name in frames[0].columns:
        columns = [frame.columns[name] for frame in frames]
        for block, part in zip(blocks, _encoded(columns, by_name=by_name), strict=True):
            block.append(part)
    return [
        np.concatenate(block, axis=1) if block else np.empty((frame.rows, 0))
        for block, frame in zip(blocks, frames, strict=True)
    ]


def _encoded(columns: Sequence[Column], *, by_name: bool) -> list[Floats]:
    kind = columns[0].kind
    if kind == "number":
        return [six_digits(column.values)[:, None] for column in columns]
    if kind == "time":
        return [_calendar(column.values) for column in columns]
    telling = by_name or kind == "category"
    parts = [part[:, None] for part in (ranks(columns) if telling else _frequencies(columns))]
    if kind == "text":
        return [
            np.concatenate([part, _shape(column.values)], axis=1)
            for part, column in zip(parts, columns, strict=True)
        ]
    return parts


def ranks(columns: Sequence[Column]) -> list[Floats]:
    """Return each value's rank by frequency over all columns; texts that occur once share one."""
    together = np.concatenate([column.values for column in columns]).astype(str)
    _, codes, counts = np.unique(together, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    if columns[0].kind == "text":
        rank[counts == 1] = len(order)
    found = rank[codes]
    ends = np.cumsum([len(column.values) for column in columns])[:-1]
    return list(np.split(found, ends))


def _frequencies(columns: Sequence[Column]) -> list[Floats]:
    """Return how often each value occurs over all columns."""
    together = np.concatenate([column.values for column in columns]).astype(str)
    _, codes, counts = np.unique(together, return_inverse=True, return_counts=True)
    ends = np.cumsum([len(column.values) for column in columns])[:-1]
    return list(np.split(counts[codes].astype(np.float64), ends))


def _calendar(seconds: Floats) -> Floats:
    missing = np.isnan(seconds)
    whole = np.where(missing, 0, seconds).astype(np.int64)
    days = whole // _DAY
    dates = days.astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype(np.int64) % 12
    day = (dates - dates.astype("datetime64[M]")).astype(np.int64)
    parts = np.stack([seconds, whole % _DAY // 3600, (days + 3) % 7, day, month], axis=1)
    parts[missing] = np.nan
    return parts


def _shape(texts: npt.NDArray[np.object_]) -> Floats:
    rows = [
        (
            len(text),
            text.count(" "),
            sum(map(str.isdigit, text)),
            sum(map(str.isupper, text)),
        )
        if text
        else (np.nan,) * 4
        for text in texts
    ]
    return np.array(rows, dtype=np.float64).reshape(len(texts), 4)
