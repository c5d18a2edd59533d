"""Zip archives: each member is read as its own format; nothing is unpacked under its name."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from syntheflow_server.domain.reading import ReadOptions
from syntheflow_server.ingest.recognise import KNOWN_ENDINGS, PACKINGS, recognise, stem_of
from syntheflow_server.ingest.tables import IngestedTable, bad_file, checked_table_name
from syntheflow_server.ingest.workshop import workshop

_MEMBER_LIMIT = 2_000
_TOTAL_LIMIT = 1 << 36
_RATIO_LIMIT = 200
_RATIO_FREE = 1 << 26
_CHUNK = 1 << 20
_ASIDE = ("readme", "license", "licence", "changelog", "copying", "notice")


def read_zip(
    path: Path, *, file_name: str, table: str, out: Path, options: ReadOptions
) -> tuple[IngestedTable, ...]:
    """Read the members as tables of their names; a lone one gets the name `table`.

    `options.tables` picks members by the names that their tables would have.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path, table)
            names = _names(members)
            wanted, left = _wanted(members, names, options, table)
            made: list[IngestedTable] = []
            with workshop(out) as work:
                for member in wanted:
                    name = table if len(wanted) == 1 else names[member.filename]
                    made += _read(archive, member, work, file_name, name, out, options, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise bad_file(table, "the archive is damaged, or packed in an unusual way") from error
    if not made:
        raise bad_file(table, "the archive holds no table", reason="TABLE_EMPTY")
    if left:
        note = f"not read: {', '.join(left[:20])}"
        made[0] = replace(made[0], findings=(*made[0].findings, note))
    return tuple(made)


def _members(archive: zipfile.ZipFile, path: Path, table: str) -> list[zipfile.ZipInfo]:
    """Return the files of the archive; raises InvalidArgumentError for bombs and secrets."""
    members = [
        member
        for member in archive.infolist()
        # A damaged index may hold members without a name, which is_dir() does not stand.
        if member.filename
        and not member.is_dir()
        and not any(_hidden(part) for part in PurePosixPath(member.filename).parts)
    ]
    if len(members) > _MEMBER_LIMIT:
        rule = f"the archive has more than {_MEMBER_LIMIT:,} files; send fewer at a time"
        raise bad_file(table, rule, reason="ARCHIVE_TOO_LARGE")
    if any(member.flag_bits & 1 for member in members):
        raise bad_file(table, "the archive is protected by a password; send it without")
    total = sum(member.file_size for member in members)
    packed = path.stat().st_size
    if total > _TOTAL_LIMIT or total > max(_RATIO_FREE, _RATIO_LIMIT * packed):
        rule = (
            f"the archive unpacks to more than {_TOTAL_LIMIT >> 30} GiB or "
            f"{_RATIO_LIMIT} times its size; send its files by themselves"
        )
        raise bad_file(table, rule, reason="ARCHIVE_TOO_LARGE")
    return members


def _hidden(part: str) -> bool:
    return part == "__MACOSX" or (part.startswith(".") and part.strip(".") != "")


def _base(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename.replace("\\", "/")).name


def _names(members: list[zipfile.ZipInfo]) -> dict[str, str]:
    """Return the table of each member: its name without endings, its folders where two meet."""
    stems = [stem_of(_base(member)) for member in members]
    names: dict[str, str] = {}
    for member, stem in zip(members, stems, strict=True):
        parts = PurePosixPath(member.filename.replace("\\", "/")).parent.parts
        alone = stems.count(stem) == 1
        names[member.filename] = stem if alone else "_".join([*parts, stem])
    return names


def _wanted(
    members: list[zipfile.ZipInfo], names: dict[str, str], options: ReadOptions, table: str
) -> tuple[list[zipfile.ZipInfo], list[str]]:
    """Return the members to read and the names of those that are left aside."""
    patterns = options.tables
    for pattern in patterns or ():
        if not any(fnmatchcase(name, pattern) for name in names.values()):
            rule = f"nothing in the file fits the pattern {pattern!r}"
            raise bad_file(table, rule, reason="TABLE_UNKNOWN")
    wanted: list[zipfile.ZipInfo] = []
    left: list[str] = []
    for member in members:
        name = names[member.filename]
        if patterns is None:
            take = not _base(member).lower().startswith(_ASIDE) and member.file_size > 0
        else:
            take = any(fnmatchcase(name, pattern) for pattern in patterns)
        if take:
            wanted.append(member)
        else:
            left.append(_base(member))
    return wanted, left


def _read(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    work: Path,
    file_name: str,
    name: str,
    out: Path,
    options: ReadOptions,
    left: list[str],
) -> tuple[IngestedTable, ...]:
    from syntheflow_server.ingest.ingest import ingest

    target = work / "member"
    # The size that the archive states is enforced by the module: more bytes fail their sum.
    with archive.open(member) as source, target.open("wb") as file:
        while part := source.read(_CHUNK):
            file.write(part)
    base = _base(member)
    kind = recognise(target, base)
    if kind == "zip":
        raise bad_file(name, "an archive within the archive is not read; unpack it first")
    if kind == "csv" and not _known(base):
        left.append(base)
        return ()
    made = ingest(
        target,
        file_name=f"{file_name}/{base}",
        table=checked_table_name(name),
        format=kind,
        out=out,
        options=options.model_copy(update={"tables": None}),
    )
    target.unlink()
    return made


def _known(base: str) -> bool:
    path = Path(base.lower())
    if path.suffix in PACKINGS:
        path = Path(path.stem)
    return path.suffix in KNOWN_ENDINGS
