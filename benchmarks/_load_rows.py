"""The shop that loads into databases are measured on: customers, and orders that refer to them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table

BATCH = 16_384
CUSTOMERS_IN = 10


def _column(name: str, kind: str, native: str = "") -> Column:
    return Column(
        name=name,
        type=kind,
        semantic_type=SemanticType.TEXT,
        nullable=name != "id",
        native_type=native,
        identity=name == "id",
    )


SHOP = Schema(
    tables=(
        Table(
            name="customers",
            columns=(
                _column("id", "int64"),
                _column("name", "string"),
                _column("email", "string"),
                _column("born", "date32"),
                _column("active", "bool"),
                _column("balance", "decimal128(12, 2)"),
            ),
            primary_key=("id",),
        ),
        Table(
            name="orders",
            columns=(
                _column("id", "int64"),
                _column("customer_id", "int64"),
                _column("status", "string"),
                _column("amount", "decimal128(12, 2)"),
                _column("weight", "float64"),
                _column("placed", "timestamp[us]"),
                _column("due", "date32"),
                _column("gift", "bool"),
                _column("note", "string"),
            ),
            primary_key=("id",),
        ),
    ),
    foreign_keys=(
        ForeignKey(
            child_table="orders",
            child_columns=("customer_id",),
            parent_table="customers",
            parent_columns=("id",),
        ),
    ),
)
BARE = SHOP.model_copy(
    update={
        "tables": tuple(
            t.model_copy(
                update={
                    "primary_key": (),
                    "columns": tuple(
                        c.model_copy(update={"identity": False, "nullable": True})
                        for c in t.columns
                    ),
                }
            )
            for t in SHOP.tables
        ),
        "foreign_keys": (),
    }
)
TABLES = SHOP.table_names


def make_rows(rows: int, folder: Path) -> None:
    """Write one Arrow file a table, in batches as they are generated."""
    rng = np.random.default_rng(0)
    customers = max(rows // CUSTOMERS_IN, 1)
    for name, count in (("customers", customers), ("orders", rows - customers)):
        schema = SHOP.table(name).arrow
        with pa.ipc.new_file(folder / f"{name}.arrow", schema) as file:
            for first in range(0, count, BATCH):
                size = min(BATCH, count - first)
                columns = _rows_of(name, rng, first, size, customers)
                file.write_batch(pa.record_batch(columns, schema=schema))


def _rows_of(
    name: str, rng: np.random.Generator, first: int, size: int, customers: int
) -> list[pa.Array]:
    ids = pa.array(np.arange(first + 1, first + size + 1))
    cents = pc.cast(pa.array(rng.integers(0, 10_000_000, size)), pa.decimal128(19, 0))
    money = pc.multiply(cents, pa.scalar(Decimal("0.01"))).cast(pa.decimal128(12, 2))
    days = pa.array(rng.integers(5_000, 19_000, size).astype(np.int32)).cast(pa.date32())
    if name == "customers":
        words = np.array(["Ada", "Émile", "Grace", "Alan", "Radia", "Edsger"])
        names = pa.array(words[rng.integers(0, 6, size)])
        mail = pc.binary_join_element_wise(names, pc.cast(ids, pa.string()), "@example.org", ".")
        return [ids, names, mail, days, pa.array(rng.random(size) < 0.9), money]
    states = np.array(["paid", "open", "late", "cancelled"])
    notes = np.char.add("note about the order ", rng.integers(0, 1_000_000, size).astype(str))
    moments = rng.integers(1_500_000_000_000_000, 1_700_000_000_000_000, size)
    return [
        ids,
        pa.array(rng.integers(1, customers + 1, size)),
        pa.array(states[rng.integers(0, 4, size)]),
        money,
        pa.array(rng.normal(10, 2, size)),
        pa.array(moments).cast(pa.timestamp("us")),
        days,
        pa.array(rng.random(size) < 0.1),
        pa.array(notes, mask=rng.random(size) < 0.3),
    ]


def batches(folder: Path, table: str) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a table."""
    # Not mapped: pages of the file would count as memory of the process.
    with pa.OSFile(str(folder / f"{table}.arrow")) as source:
        file = pa.ipc.open_file(source)
        for at in range(file.num_record_batches):
            yield file.get_batch(at)


def in_turns(folder: Path) -> Iterator[tuple[str, int, pa.RecordBatch]]:
    """Yield table, first row and batch as they come from a stream: a customer's orders with it."""
    sources = {name: batches(folder, name) for name in TABLES}
    first = dict.fromkeys(TABLES, 0)
    turn = ["customers", *["orders"] * (CUSTOMERS_IN - 1)]
    while sources:
        for name in turn:
            batch = next(sources[name], None) if name in sources else None
            if batch is None:
                sources.pop(name, None)
                continue
            yield name, first[name], batch
            first[name] += batch.num_rows
