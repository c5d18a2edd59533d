"""What DuckDB's own ways ask of a load: references that cannot be put aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.loading import Home, loader_of, people
from support.servers import address_of
from syntheflow_server.domain.writing import LoadMode


def test_rows_that_wait_are_moved_in_pieces_and_only_once(tmp_path: Path, monkeypatch) -> None:
    home = Home(address_of(f"duckdb://{tmp_path}/loaded.duckdb"))
    monkeypatch.setattr("syntheflow_server.export.databases.loader.BLOCK_ROWS", 50)
    monkeypatch.setattr("syntheflow_server.export.databases.duckdb._PIECE_ROWS", 64)
    tables = people(100, 1000)
    first = loader_of(home, LoadMode.CREATE, load="jobs/7")
    first.begin()
    for name, table in tables.items():
        for at, batch in enumerate(table.combine_chunks().to_batches(50)):
            first.write(name, at * 50, batch)
    checks = iter(range(3))
    run = first.run

    def run_thrice(statement: str) -> None:
        if statement.startswith("DROP TABLE"):
            assert next(checks, None) is not None, "broken here"
        run(statement)

    monkeypatch.setattr(first, "run", run_thrice)
    with pytest.raises(AssertionError, match="broken here"):
        first.finish()
    assert 0 < home.count("visit") < 1000
    second = loader_of(home, LoadMode.CREATE, load="jobs/7")
    assert second.begin() == {"visit": 1000, "person": 100}
    second.finish()
    assert home.rows("SELECT count(*), count(DISTINCT id) FROM visit") == [(1000, 1000)]
    assert home.tables() == {"person", "visit"}
