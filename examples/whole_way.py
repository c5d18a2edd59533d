"""The whole way in Python: tables in, a report and as many rows as you like out.

Starts a server of its own, so that it runs as it stands; with a server that runs
already, `Client("host:50051")` alone is enough.

    python examples/whole_way.py FOLDER        # made if it is not there
"""

import sys
from pathlib import Path

from syntheflow import Client
from syntheflow.local import LocalServer
from syntheflow.samples import hr

folder = Path(sys.argv[1])
files = hr.write(folder / "real", employees=100)

with LocalServer(folder / "server") as server, Client(server.address) as client:
    dataset = client.upload("hr", files)
    for key in dataset.schema.foreign_keys:
        print(f"found: {key.child_table} -> {key.parent_table}")

    client.train("hr", time_limit_seconds=10)

    # One table, batch by batch; a broken connection is resumed at the next row.
    for batch in client.batches("hr", "employees", seed=42, start_row=10, row_count=5):
        print(batch.to_pylist()[0]["email"])

    # All tables as files, three times as large, every key resolving.
    for file in client.generate_files("hr", folder / "rows", "parquet", scale=3):
        print(f"{file.path}: {file.rows} rows")

    report = client.get_report(client.validate("hr").result)
    print(f"quality {report.quality:.2f}")
    (folder / "report.html").write_bytes(client.render_report(report.name, "html"))
