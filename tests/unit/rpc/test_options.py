"""How files are read and written, and where rows come from and go: what requests may say."""

from __future__ import annotations

import pytest

from syntheflow.errors import SyntheflowError
from syntheflow.options import load_mode, read_message, write_message
from syntheflow.v1.dataset_service_pb2 import ImportDatasetRequest
from syntheflow.v1.export_service_pb2 import ExportRequest
from syntheflow.v1.synthesis_service_pb2 import FORMAT_CSV, FORMAT_SQL, GenerateRequest
from syntheflow_server.domain.errors import InvalidArgumentError
from syntheflow_server.domain.reading import ReadOptions, Wanted
from syntheflow_server.domain.writing import Dialect, LoadMode, WriteOptions
from syntheflow_server.rpc.checks import Checks
from syntheflow_server.rpc.options import load_mode_of, read_options_of, write_options_of
from syntheflow_server.rpc.transfers import export_settings, import_settings

READ = {
    "encoding": "cp1252", "separator": "||", "quote": "", "escape": "\\", "comment": "#",
    "header": 0, "skip_rows": 2, "decimal": ",", "thousands": "", "date_order": "dmy",
    "null_values": ["-", ""], "sheets": ["a b"], "records": "data.items", "tables": ["s_*"],
    "on_bad_row": "report", "header_rows": 2, "types": {"id": "string"},
}  # fmt: skip
WRITE = {
    "dialect": "mysql", "compression": "none", "row_group_rows": 10, "partition_by": ["a"],
    "file_rows": 7,
}  # fmt: skip


def faults(call) -> set[str]:
    with pytest.raises(InvalidArgumentError) as caught:
        call()
    return {violation.field for violation in caught.value.violations}


def test_what_the_client_says_of_reading_arrives():
    checks = Checks()
    found = read_options_of(read_message(READ), "options", checks)
    checks.done()
    assert found == ReadOptions.model_validate(READ)
    assert read_message({"quote": None}) is None


def test_every_option_of_reading_and_writing_is_in_the_contract():
    assert set(READ) == set(ReadOptions.model_fields)
    told = {*WRITE, "copy_rows", "escape_formulas"}
    assert told == set(WriteOptions.model_fields)


def test_faults_of_reading_are_told_together():
    message = read_message(
        {"separator": "x" * 17, "decimal": ",,", "header": -1, "types": {"a": "int"}}
    )
    message.date_order = "ydm"
    message.on_bad_row = 9

    def call():
        checks = Checks()
        assert read_options_of(message, "options", checks) == ReadOptions()
        checks.done()

    names = ("separator", "decimal", "header", "types", "date_order", "on_bad_row")
    assert faults(call) == {f"options.{name}" for name in names}


def test_what_the_client_says_of_writing_arrives():
    checks = Checks()
    found = write_options_of(write_message({**WRITE, "keep_formulas": True}), "write", checks)
    checks.done()
    assert found == WriteOptions(**{**WRITE, "escape_formulas": False})


def test_copy_blocks_are_of_one_dialect():
    def call():
        checks = Checks()
        write_options_of(write_message({"dialect": "mysql", "copy_rows": True}), "write", checks)
        checks.done()

    assert faults(call) == {"write.copy_rows"}


@pytest.mark.parametrize("mode", LoadMode)
def test_every_mode_has_its_number(mode):
    assert load_mode_of(load_mode(mode.value), "mode", Checks()) is mode


@pytest.mark.parametrize(
    "said",
    [{"seperator": ";"}, {"header": "1"}, {"null_values": "-"}, {"on_bad_row": "ignore"},
     {"types": ["a"]}, {"quote": 1}],
)  # fmt: skip
def test_the_client_refuses_what_it_cannot_say(said):
    with pytest.raises(SyntheflowError, match="read"):
        read_message(said)


def test_an_import_asks_for_what_is_wanted():
    request = ImportDatasetRequest(
        dataset_id="shop", source="sqlite:///a.sqlite", tables=["o*"], exclude=["u.p"],
        namespace="public", sample_rows=5, options=read_message({"separator": ";"}),
    )  # fmt: skip
    found = import_settings(request)
    assert found["wanted"] == Wanted(
        tables=("o*",), exclude=("u.p",), namespace="public", sample_rows=5
    )
    assert found["options"] == ReadOptions(separator=";")
    assert found["schema"] is None
    assert import_settings(ImportDatasetRequest(source="s"))["wanted"] == Wanted()


def test_faults_of_an_import_are_told_together():
    request = ImportDatasetRequest(dataset_id="A b", tables=[""], sample_rows=-1)
    fields = faults(lambda: import_settings(request))
    assert fields >= {"dataset_id", "source", "tables", "sample_rows"}


def test_an_export_is_a_generation_with_a_destination():
    generate = GenerateRequest(model="models/shop", format=FORMAT_CSV)
    request = ExportRequest(generate=generate, destination="/out", mode=load_mode("replace"))
    found = export_settings(request)
    assert (found["spec"].format, found["mode"]) == ("csv", LoadMode.REPLACE)
    bare = ExportRequest(generate=GenerateRequest(model="models/shop"), destination="/out")
    assert export_settings(bare)["spec"].format == "parquet"
    sql = GenerateRequest(model="models/shop", format=FORMAT_SQL, write=write_message(WRITE))
    spec = export_settings(ExportRequest(generate=sql, destination="/out"))["spec"]
    assert spec.write.dialect is Dialect.MYSQL


def test_faults_of_an_export_are_told_together():
    assert faults(lambda: export_settings(ExportRequest(mode=77))) == {
        "generate", "destination", "mode",
    }  # fmt: skip
