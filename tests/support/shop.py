"""A schema with all that keys can be: composite, circular, to itself, odd names, every type."""

# ruff: noqa: DTZ001 - the stored type has no zone
from __future__ import annotations

import datetime as dt
import decimal

import pyarrow as pa

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table

_MEANINGS = {"string": SemanticType.CODE, "int64": SemanticType.INTEGER}


def column(
    name: str,
    kind: str = "int64",
    *,
    native: str = "",
    identity: bool = False,
    nullable: bool = True,
    means: SemanticType | None = None,
) -> Column:
    """Return a column; codes are texts, integers whole numbers."""
    return Column(
        name=name,
        type=kind,
        semantic_type=means or _MEANINGS.get(kind, SemanticType.NUMBER),
        nullable=nullable,
        native_type=native,
        identity=identity,
    )


def key(child: str, columns: str, parent: str, parents: str) -> ForeignKey:
    """Return a reference; columns are parted by commas."""
    return ForeignKey(
        child_table=child,
        child_columns=tuple(columns.split(",")),
        parent_table=parent,
        parent_columns=tuple(parents.split(",")),
    )


EVERY_TYPE = (
    column("whole"),
    column("float", "float64"),
    column("truth", "bool"),
    column("text", "string", means=SemanticType.TEXT),
    column("day", "date32"),
    column("clock", "time64[us]"),
    column("moment", "timestamp[us]"),
    column("zoned", "timestamp[us, tz=UTC]"),
    column("span", "duration[us]"),
    column("price", "decimal128(9, 2)"),
    column("exact", "decimal128(30, 2)"),
)

PRODUCT = Table(
    name="Product",
    columns=(column("sku", "string", nullable=False), *EVERY_TYPE, column("xmin")),
    primary_key=("sku",),
)
ORDER = Table(
    name="order",
    columns=(
        column("id", identity=True, nullable=False),
        column("who", "string"),
        column("after"),
        column("top line"),
    ),
    primary_key=("id",),
    unique_keys=(("who",),),
)
LINES = Table(
    name='order\'s "lines" `x` [y]',
    columns=(
        column("order"),
        column("n"),
        column("sku", "string"),
        column('a"b`c]d', "string", means=SemanticType.TEXT),
        column("é" * 70, "bool"),
    ),
    primary_key=("order", "n"),
)
SHOP = Schema(
    tables=(LINES, ORDER, PRODUCT),
    foreign_keys=(
        key(LINES.name, "order", "order", "id"),
        key(LINES.name, "sku", "Product", "sku"),
        key("order", "after", "order", "id"),
        key("order", "id,top line", LINES.name, "order,n"),
    ),
)
"""Orders and their lines point at one another, an order at an earlier one."""

NASTY = (
    "it's 'quoted' \"twice\" `thrice`",
    "\\ back\\slashes \\' \\n \\. \\N",
    "\\.",
    "lines\nand\r\nmore\rof\tthem",
    "\nGO\n$(variable) :name %s ? @x",
    "GO",
    "--no comment",
    "/* nor */ this; DROP TABLE t;",
    '\'); DROP TABLE "order"; --',
    "日本語 😀 e\u0301 \u2028 \ufeff \ufffe",
    "NULL",
    "",
    " blanks ",
    "\x01\x02\x1a\x1b\x7f\x85",
    "=1+1",
    "x" * 5000,
)
"""Texts that are hard to write; without NUL, which not every database has."""


def shop_rows() -> dict[str, pa.Table]:
    """Return rows of SHOP whose references hold, with every type and missing values."""
    count = len(NASTY)
    products = {
        "sku": [f"s{i}" for i in range(count)],
        "whole": [-(2**63), 2**63 - 1, None, *range(count - 3)],
        "float": [1.5, -0.1, None, 1e300, 5e-324, *map(float, range(count - 5))],
        "truth": [True, False, None] + [True] * (count - 3),
        "text": list(NASTY),
        "day": [dt.date(2024, 2, 29), dt.date(1, 1, 1), None]
        + [dt.date(9999, 12, 31)] * (count - 3),
        "clock": [dt.time(23, 59, 59, 5), dt.time(0, 0), None] + [dt.time(1, 2, 3)] * (count - 3),
        "moment": [dt.datetime(2024, 1, 2, 3, 4, 5, 6), None]
        + [dt.datetime(1969, 7, 1)] * (count - 2),
        "zoned": [dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC), None]
        + [dt.datetime(1969, 7, 1, tzinfo=dt.UTC)] * (count - 2),
        "span": [dt.timedelta(hours=30, microseconds=1), None]
        + [-dt.timedelta(minutes=1)] * (count - 2),
        "price": [decimal.Decimal("-0.50"), None] + [decimal.Decimal("1234567.89")] * (count - 2),
        "exact": [decimal.Decimal("1234567890123456789012345678.91"), None]
        + [decimal.Decimal("-0.01")] * (count - 2),
        "xmin": [None] * count,
    }
    orders = {
        "id": [1, 2, 3],
        "who": ["ann", None, "bob"],
        "after": [3, None, 2],
        "top line": [1, None, 2],
    }
    lines = {
        "order": [1, 3, 3],
        "n": [1, 1, 2],
        "sku": ["s0", None, "s2"],
        'a"b`c]d': ["x", None, ""],
        "é" * 70: [True, None, False],
    }
    given = {"Product": products, "order": orders, LINES.name: lines}
    return {
        name: pa.table(columns, schema=SHOP.table(name).arrow) for name, columns in given.items()
    }
