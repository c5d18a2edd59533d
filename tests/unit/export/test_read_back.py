"""What is written as a script of SQL is read back by our own reader, keys and all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.shop import LINES, SHOP, shop_rows
from support.targets import files_of
from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.domain.writing import Dialect, WriteOptions
from syntheflow_server.export import Target
from syntheflow_server.export.ddl import fitting_name
from syntheflow_server.ingest import ingest


@pytest.mark.parametrize(
    ("dialect", "copy"),
    [
        (Dialect.POSTGRESQL, False),
        (Dialect.POSTGRESQL, True),
        (Dialect.MYSQL, False),
        (Dialect.SQLITE, False),
        (Dialect.MSSQL, False),
    ],
)
def test_a_script_comes_back_with_its_keys(dialect: Dialect, copy: bool, tmp_path: Path) -> None:
    options = WriteOptions(dialect=dialect, copy_rows=copy)
    target = Target(SHOP, SHOP.table_names, "shop", options)
    file = tmp_path / "shop.sql"
    file.write_bytes(files_of("sql", target, shop_rows(), tmp_path, 5)["shop.sql"])
    out = tmp_path / "out"
    out.mkdir()
    found = ingest(
        file, file_name="shop.sql", table="shop", format=None, out=out, options=ReadOptions()
    )
    tables = {fitting_name(dialect, name): table for name, table in shop_rows().items()}
    assert {made.name for made in found} == set(tables)
    for made in found:
        assert made.dialect == dialect
        wanted, read = tables[made.name], pq.read_table(made.path)
        assert read.schema.names == [fitting_name(dialect, n) for n in wanted.schema.names]
        for name, values in zip(wanted.schema.names, read.columns, strict=True):
            kind = wanted.schema.field(name).type
            # SQLite has no decimals, MySQL no zones, and only PostgreSQL has spans.
            if pa.types.is_decimal(kind) or pa.types.is_duration(kind) or name == "zoned":
                continue
            assert values.to_pylist() == wanted[name].to_pylist(), name
    references = {str(key) for made in found for key in made.references}
    line = fitting_name(dialect, LINES.name)
    assert "order(after) -> order(id)" in references
    assert f"{line}(sku) -> Product(sku)" in references
    assert len(references) == 4
