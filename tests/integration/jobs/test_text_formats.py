"""Scripts and XML come through the pool as whole files: one script for all, a schema a table."""

from __future__ import annotations

import re
import sqlite3

import pytest
from lxml import etree

from support.rooms import arrow, streamed
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.writing import Dialect, WriteOptions
from syntheflow_server.jobs.requests import GenerationSpec

pytestmark = pytest.mark.asyncio(loop_scope="module")


def spec(form: str, **options) -> GenerationSpec:
    return GenerationSpec("models/shop", seed=3, format=form, write=WriteOptions(**options))


async def files(service, wanted: GenerationSpec) -> dict[str, bytes]:
    made: dict[str, list[bytes]] = {}
    async for chunk in service.generate(wanted):
        made.setdefault(chunk.file, []).append(chunk.data)
    return {name: b"".join(parts) for name, parts in made.items()}


async def test_one_script_makes_all_tables_and_rows(rooms):
    made = await files(rooms.service, spec("sql", dialect=Dialect.SQLITE))
    assert len(made) == 1
    ((name, script),) = made.items()
    assert name.endswith(".sql")
    connection = sqlite3.connect(":memory:")
    # The tests' engine makes numbers that repeat, which the key would rightly refuse.
    text = re.sub(r',\n  PRIMARY KEY \("\w+"\)', "", script.decode())
    connection.executescript(text)
    rows = connection.execute("SELECT * FROM sales ORDER BY rowid").fetchall()
    connection.close()
    whole = arrow((await streamed(rooms.service, spec("arrow")))["sales"])
    assert rows == [tuple(row.values()) for row in whole.to_pylist()]


async def test_a_script_in_no_known_words_is_refused(rooms):
    with pytest.raises(InvalidArgumentError) as caught:
        await files(rooms.service, spec("sql", dialect=Dialect.ORACLE))
    assert caught.value.reason == "DIALECT_NOT_SUPPORTED"


async def test_each_table_is_xml_that_its_schema_knows(rooms):
    made = await files(rooms.service, spec("xml"))
    assert set(made) == {"sales.xml", "sales.xsd", "places.xml", "places.xsd"}
    for table, rows in (("sales", 5_000), ("places", 10)):
        root = etree.fromstring(made[f"{table}.xml"])
        schema = etree.fromstring(made[f"{table}.xsd"])
        for key in schema.findall(".//{*}key"):
            key.getparent().remove(key)
        etree.XMLSchema(schema).assertValid(root)
        assert len(root) == rows
