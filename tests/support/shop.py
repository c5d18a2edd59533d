"""A schema with all that keys can be: composite, circular, to itself, odd names, every type."""

from __future__ import annotations

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
