"""The process that reads the files: one line in (what to read), one line out (what came of it).

It may die, hang or grow; its parent sees that. Whatever is no table and no domain error is
told with its trace.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

from syntheflow_server.jobs.child import peak_memory_bytes

_ADDRESSES = 12 << 30
_LINES: set[tuple[str, int]] = set()


def main() -> None:
    """Serve until the parent closes the pipe."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    faulthandler.enable()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import syntheflow_server.ingest.ingest

    traced = sys.argv[1:] == ["--trace"]
    where = str(Path(syntheflow_server.ingest.__path__[0]))
    answers.write("ready\n")
    for line in sys.stdin:
        order = json.loads(line)
        if traced:
            sys.settrace(_tracer(where))
        answer = _read(order)
        sys.settrace(None)
        answer["new_lines"] = len(_LINES)
        answer["peak"] = peak_memory_bytes()
        answers.write(json.dumps(answer) + "\n")


def _tracer(where: str) -> Any:
    def lines(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            _LINES.add((frame.f_code.co_filename, frame.f_lineno))
        return lines

    def calls(frame: FrameType, event: str, _: object) -> Any:
        return lines if frame.f_code.co_filename.startswith(where) else None

    return calls


def _read(order: dict[str, Any]) -> dict[str, Any]:
    from syntheflow_server.domain.errors import SyntheflowError
    from syntheflow_server.domain.reading import ReadOptions
    from syntheflow_server.ingest.ingest import ingest

    out = Path(tempfile.mkdtemp(dir=order["work"]))
    try:
        options = ReadOptions(**order["options"])
        path = Path(order["path"])
        found = ingest(
            path, file_name=order["name"], table="", format=order["format"], out=out,
            options=options,
        )  # fmt: skip
        return _checked(found, out)
    except SyntheflowError as error:
        left = sorted(path.name for path in out.iterdir())
        if left:
            return {"outcome": "bad", "what": f"an error left files behind: {left}"}
        return {"outcome": "refused", "what": f"{type(error).__name__} {error.reason}"}
    except BaseException:  # noqa: BLE001 - that is what is looked for
        return {"outcome": "bad", "what": traceback.format_exc()[-6_000:]}
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _checked(found: tuple[Any, ...], out: Path) -> dict[str, Any]:
    """See that what is called a table can be read and is what it is said to be."""
    import pyarrow.parquet as pq

    if not found:
        return {"outcome": "bad", "what": "no table and no error"}
    if {table.path.name for table in found} != {path.name for path in out.iterdir()}:
        return {"outcome": "bad", "what": "files in the folder are not those of the tables"}
    shape = []
    for table in found:
        read = pq.read_table(table.path)
        read.validate(full=True)
        if read.num_rows != table.rows or not read.num_columns:
            return {"outcome": "bad", "what": "the table has other rows than said"}
        shape.append([str(field.type) for field in read.schema][:20])
    return {"outcome": "tables", "what": json.dumps(shape)[:2_000]}


if __name__ == "__main__":
    main()
