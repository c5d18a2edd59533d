"""Archives whose members grow side by side are archives like any other."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from syntheflow_server.export import excel_zip
from syntheflow_server.export.excel_zip import Member, archive


def made(folder: Path, **contents: bytes) -> bytes:
    members = [Member(f"{name}.xml", folder / name) for name in contents]
    for start in range(0, 100_000, 1000):
        for member, content in zip(members, contents.values(), strict=True):
            member.write(content[start : start + 1000])
    for member in members:
        member.close()
    return b"".join(archive(members))


CONTENTS = {"one": b"<a>text</a>" * 9000, "none": b"", "é": bytes(range(256)) * 300}


@pytest.mark.parametrize("limit", [0xFFFF_FFFF, 50])
def test_members_come_back_also_beyond_what_plain_zip_can_count(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel_zip, "_LIMIT", limit)
    data = made(tmp_path, **CONTENTS)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        assert {i.filename: found.read(i) for i in found.infolist()} == {
            f"{name}.xml": content for name, content in CONTENTS.items()
        }
    assert (b"PK\6\6" in data) == (limit == 50)
    assert not list(tmp_path.iterdir())


def test_bytes_depend_on_the_contents_alone(tmp_path: Path) -> None:
    assert made(tmp_path, **CONTENTS) == made(tmp_path, **CONTENTS)
