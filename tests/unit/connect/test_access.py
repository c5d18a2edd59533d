"""Nothing outside is reached that an operator did not allow, and no secret is shown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from syntheflow_server.config import Settings, load_settings
from syntheflow_server.connect.access import Access, Address, Connection, Secret
from syntheflow_server.connect.hosts import is_internal
from syntheflow_server.domain.errors import FailedPreconditionError, SyntheflowError

PASSWORD = "hunter2-Xy"
PUBLIC, PRIVATE = "93.184.216.34", "10.1.2.3"


def names(table: Mapping[str, list[str]]) -> Callable[[str, int], list[str]]:
    def resolve(host: str, port: int) -> list[str]:
        if host not in table:
            raise OSError("unknown")
        return table[host]

    return resolve


def access(*hosts: str, **more: Any) -> Access:
    table = {
        "db.example.com": [PUBLIC],
        "inside.example.com": [PRIVATE],
        "both.example.com": [PUBLIC, "127.0.0.1"],
        "meta.example.com": ["169.254.169.254"],
        "six.example.com": ["::ffff:169.254.169.254"],
    }
    return Access(**{"allowed_hosts": hosts, "resolver": names(table), **more})


def refused(door: Access, text: str, *, writing: bool = False) -> str:
    with pytest.raises(FailedPreconditionError) as error:
        door.resolve(text, writing=writing)
    return error.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db.example.com/shop",
        "mysql://127.0.0.1/shop",
        "sqlite:///etc/passwd",
        "/etc",
        "file:///",
        "s3://bucket/p",
        "gs://bucket",
        "abfs://box@account/p",
    ],
)
def test_without_settings_everything_outside_is_off(text: str) -> None:
    assert refused(Access(), text) == "PLACE_NOT_ALLOWED"


def test_an_allowed_host_is_resolved_once_and_that_address_handed_on() -> None:
    asked = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    door = Access(allowed_hosts=["*.example.com"], resolver=resolver)
    address = door.resolve("postgresql://db.example.com/shop", writing=False)
    assert (address.ip, address.place.host) == (PUBLIC, "db.example.com")
    assert asked == [("db.example.com", 5432)]


@pytest.mark.parametrize(
    ("hosts", "text", "allowed"),
    [
        (["db.example.com"], "postgresql://DB.example.com./shop", True),
        (["db.example.com"], "postgresql://db.example.com:9999/shop", True),
        (["db.example.com:5432"], "postgresql://db.example.com/shop", True),
        (["db.example.com:5432"], "postgresql://db.example.com:22/shop", False),
        (["*.example.com"], "postgresql://db.example.com/shop", True),
        (["*.example.com"], "postgresql://example.com/shop", False),
        (["example.com"], "postgresql://db.example.com/shop", False),
        (["*.ample.com"], "postgresql://db.example.com/shop", False),
        # inside: only the very host
        (["*.example.com"], "postgresql://inside.example.com/shop", False),
        (["inside.example.com"], "postgresql://inside.example.com/shop", True),
        (["*.example.com"], "postgresql://both.example.com/shop", False),
        # metadata: only its very address
        (["meta.example.com"], "postgresql://meta.example.com/shop", False),
        (["six.example.com"], "postgresql://six.example.com/shop", False),
        (["169.254.169.254"], "postgresql://169.254.169.254/shop", True),
        (["127.0.0.1"], "postgresql://127.0.0.1/shop", True),
        (["127.0.0.1"], "postgresql://[::ffff:127.0.0.1]/shop", False),
        (["[::1]:5432"], "postgresql://[::1]/shop", True),
        (["localhost"], "postgresql://127.0.0.1/shop", False),
    ],
)
def test_hosts_are_allowed_by_name_port_and_kind_of_address(
    hosts: list[str], text: str, allowed: bool
) -> None:
    door = access(*hosts)
    if allowed:
        assert door.resolve(text, writing=False).ip
    else:
        assert refused(door, text) == "PLACE_NOT_ALLOWED"


def test_a_name_without_address_is_said() -> None:
    assert refused(access("*.example.com"), "mysql://no.example.com/x") == "HOST_UNKNOWN"


def test_names_that_are_not_allowed_are_never_resolved() -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise AssertionError("asked")

    door = Access(allowed_hosts=["db"], resolver=resolver)
    assert refused(door, "mysql://leak-abc.evil.example/x") == "PLACE_NOT_ALLOWED"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1",
        "255.255.255.255", "192.0.0.1", "198.18.0.1", "240.0.0.1", "::", "::1", "::7f00:1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1",
        "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2001:0:0:0:0:0:f5ff:fffe",
    ],
)  # fmt: skip
def test_every_form_of_an_address_inside_is_known(address: str) -> None:
    assert is_internal(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_not_internal(address: str) -> None:
    assert not is_internal(address)


def test_folders_are_allowed_by_real_path(tmp_path: Path) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "allowed-not"
    (allowed / "sub").mkdir(parents=True)
    outside.mkdir()
    (allowed / "out").symlink_to(outside)
    (allowed / "in").symlink_to(allowed / "sub")
    (allowed / "loop").symlink_to(allowed / "loop")
    door = Access(allowed_folders=[allowed])
    assert door.resolve(str(allowed), writing=False).path == allowed
    assert door.resolve(f"file://{allowed}/in", writing=False).path == allowed / "sub"
    for text in (
        outside,
        tmp_path,
        "/",
        allowed / "out",
        allowed / "out" / "new",
        allowed / "loop",
    ):
        assert refused(door, str(text), writing=True) == "PLACE_NOT_ALLOWED"


def test_whether_a_path_outside_exists_is_not_told(tmp_path: Path) -> None:
    door = Access(allowed_folders=[tmp_path / "allowed"])
    messages = []
    for text in ("sqlite:///etc/passwd", "sqlite:///etc/no-such-file"):
        with pytest.raises(FailedPreconditionError) as error:
            door.resolve(text, writing=False)
        messages.append(error.value.message.replace("no-such-file", "passwd"))
    assert messages[0] == messages[1]


def test_files_must_be_there_to_be_read_and_may_be_new_to_be_written(tmp_path: Path) -> None:
    door = Access(allowed_folders=[tmp_path])
    text = f"sqlite://{tmp_path}/new.db"
    assert refused(door, text) == "PLACE_MISSING"
    assert door.resolve(text, writing=True).path == tmp_path / "new.db"
    assert refused(door, f"sqlite://{tmp_path}", writing=True) == "PLACE_MISSING"


def test_an_allowed_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    door = Access(allowed_folders=[tmp_path / "link"])
    assert door.resolve(str(tmp_path / "link"), writing=False).path == tmp_path / "real"


def test_buckets_are_allowed_with_their_prefix() -> None:
    door = Access(allowed_buckets=["s3://bucket/a", "gs://all", "abfs://box@account"])
    for text in ("s3://bucket/a", "s3://bucket/a/b", "gs://all/x", "abfs://box@account/x"):
        assert door.resolve(text, writing=True).place.name
    for text in ("s3://bucket", "s3://bucket/ab", "gs://bucket/a", "abfs://box@other/x"):
        assert refused(door, text) == "PLACE_NOT_ALLOWED"


def test_an_endpoint_is_a_host_that_must_be_allowed_by_its_very_name() -> None:
    text = "s3://bucket/p?endpoint_override=http://store.example.com:9000"
    for hosts in ([], ["*.example.com"], ["store.example.com:9001"]):
        door = Access(allowed_buckets=["s3://bucket"], allowed_hosts=hosts)
        assert refused(door, text) == "PLACE_NOT_ALLOWED"
    door = Access(allowed_buckets=["s3://bucket"], allowed_hosts=["store.example.com:9000"])
    assert door.resolve(text, writing=False).options["endpoint_override"].endswith(":9000")


def connection(**more: Any) -> Connection:
    return Connection(
        **{"url": "postgresql://db.example.com/shop", "user": "ann", "password": PASSWORD, **more}
    )


def test_a_connection_is_allowed_by_being_named_also_by_its_url() -> None:
    door = access(connections={"shop": connection(options={"sslrootcert": "/etc/ca.pem"})})
    for text in ("shop", "postgresql://db.example.com/shop", "postgres://DB.example.com:5432/shop"):
        address = door.resolve(text, writing=True)
        assert (address.user, address.password) == ("ann", Secret(PASSWORD))
        assert address.options == {"sslrootcert": "/etc/ca.pem"}
    assert refused(door, "postgresql://db.example.com/other") == "PLACE_NOT_ALLOWED"
    with pytest.raises(SyntheflowError) as unknown:
        door.resolve("shopp", writing=False)
    assert unknown.value.reason == "CONNECTION_UNKNOWN"


def test_a_connection_for_reading_is_not_written_to() -> None:
    door = access(connections={"shop": connection(read_only=True)})
    assert door.resolve("shop", writing=False).ip
    assert refused(door, "shop", writing=True) == "PLACE_NOT_ALLOWED"


def secret_of(address: Address) -> str | None:
    return address.password.reveal() if address.password else None


def test_passwords_come_from_files_that_only_their_owner_may_touch(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    door = access(connections={"shop": connection(password=None, password_file=file)})
    for mode in (0o644, 0o604, 0o602, 0o620):
        file.chmod(mode)
        assert refused(door, "shop") == "SECRET_UNREADABLE"
    file.chmod(0o600)
    assert secret_of(door.resolve("shop", writing=False)) == PASSWORD


def test_the_secrets_file_is_read_by_name_or_url(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text(
        f'[shop]\npassword = "{PASSWORD}"\n'
        f'["mysql://db.example.com/other"]\nuser = "bob"\npassword = "{PASSWORD}2"\n'
    )
    file.chmod(0o600)
    door = access(
        "db.example.com", secrets_file=file, connections={"shop": connection(password=None)}
    )
    assert secret_of(door.resolve("shop", writing=False)) == PASSWORD
    other = door.resolve("mysql://db.example.com/other", writing=False)
    assert (other.user, secret_of(other)) == ("bob", PASSWORD + "2")
    assert secret_of(door.resolve("mysql://db.example.com/third", writing=False)) is None
    for text in ("not toml", f'[shop]\npasword = "{PASSWORD}"\n', "[shop]\npassword = 1\n"):
        file.write_text(text)
        with pytest.raises(FailedPreconditionError) as error:
            door.resolve("shop", writing=False)
        assert error.value.reason == "SECRET_UNREADABLE"
        assert PASSWORD not in error.value.message


def test_a_password_of_the_environment_goes_to_its_own_host_alone() -> None:
    environment = {"PGHOST": "DB.example.com", "PGUSER": "ann", "PGPASSWORD": PASSWORD}
    door = access("*.example.com", environment=environment)
    address = door.resolve("postgresql://db.example.com/shop", writing=False)
    assert (address.user, secret_of(address)) == ("ann", PASSWORD)
    for text in ("postgresql://bob@db.example.com/shop", "mysql://db.example.com/shop"):
        assert secret_of(door.resolve(text, writing=False)) is None
    elsewhere = access("*.example.com", environment={**environment, "PGHOST": "other.example.com"})
    assert secret_of(elsewhere.resolve("postgresql://db.example.com/s", writing=False)) is None
    nowhere = access("*.example.com", environment={"PGPASSWORD": PASSWORD})
    assert secret_of(nowhere.resolve("postgresql://db.example.com/s", writing=False)) is None


def test_stores_take_their_keys_from_the_environment_unless_anonymous() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": PASSWORD}
    door = Access(allowed_buckets=["s3://bucket"], environment=environment)
    address = door.resolve("s3://bucket/p", writing=False)
    assert (address.user, secret_of(address)) == ("id", PASSWORD)
    assert secret_of(door.resolve("s3://bucket/p?anonymous=true", writing=False)) is None


def test_secrets_show_nowhere_but_when_asked() -> None:
    door = access(connections={"shop": connection()})
    address = door.resolve("shop", writing=False)
    settings = Settings(connections={"shop": connection()})
    shown = [
        f"{thing!r} {thing!s}"
        for thing in (address, address.password, door, settings, settings.connections, connection())
    ]
    shown += [f"{address.password}", "%s" % address.password]  # noqa: UP031
    shown += [settings.model_dump_json(), connection().model_dump_json()]
    shown += [json.dumps(address.place.url), repr(vars(door))]
    assert not [text for text in shown if PASSWORD in text]
    assert pickle.loads(pickle.dumps(address)) == address
    assert secret_of(address) == PASSWORD


def test_settings_come_from_the_environment_and_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHEFLOW_ALLOWED_HOSTS", "a.example.com, *.b.example.com:5432")
    monkeypatch.setenv("SYNTHEFLOW_ALLOWED_FOLDERS", str(tmp_path))
    told = {"source": {"url": "mysql://a/b", "user": "ann", "password": PASSWORD}}
    monkeypatch.setenv("SYNTHEFLOW_CONNECTIONS", json.dumps(told))
    config = tmp_path / "c.toml"
    config.write_text('allowed_buckets = ["s3://bucket"]\n')
    settings = load_settings(config)
    assert settings.allowed_hosts == ("a.example.com", "*.b.example.com:5432")
    assert settings.allowed_folders == (tmp_path,)
    assert settings.allowed_buckets == ("s3://bucket",)
    assert settings.connections["source"].password == Secret(PASSWORD)
    assert settings.access({}).resolve(str(tmp_path), writing=True).path == tmp_path


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_hosts": ["http://a"]},
        {"allowed_hosts": ["*"]},
        {"allowed_hosts": ["*.1.2.3.4"]},
        {"allowed_hosts": ["127.1"]},
        {"allowed_buckets": ["bucket"]},
        {"connections": {"shop": {"url": f"mysql://ann:{PASSWORD}@a/b"}}},
        {"connections": {"shop": {"url": "mysql://a/b", "pasword": PASSWORD}}},
        {"connections": {"shop": {"url": "mysql://a/b", "password": [PASSWORD]}}},
        {"connections": {"s3://x": {"url": "mysql://a/b"}}},
        {"connections": {"a": {"url": "mysql://a/b", "password": PASSWORD, "password_file": "/x"}}},
    ],
)
def test_settings_that_cannot_be_understood_are_refused_without_values(wrong: Any) -> None:
    with pytest.raises(ValidationError) as error:
        Settings(**wrong)
    assert PASSWORD not in str(error.value)
