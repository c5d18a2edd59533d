"""A server that speaks S3, in this process, for one test session: moto's."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from syntheflow_server.connect.access import Access, Address, Connection

KEY, SECRET = "test-key-id", "only-for-tests-s3-9Zq"


@dataclass(frozen=True)
class Store:
    """A running store, with a bucket of the test's own."""

    port: int
    bucket: str

    @property
    def options(self) -> str:
        return f"?endpoint_override=http://127.0.0.1:{self.port}&region=us-east-1"

    def url(self, prefix: str = "") -> str:
        return f"s3://{self.bucket}" + f"/{prefix}" * bool(prefix) + self.options

    def address(self, prefix: str = "", *, writing: bool = True) -> Address:
        """Its address with credentials, by the way that requests take."""
        return access_to(self).resolve(self.url(prefix), writing=writing)

    def client(self) -> object:
        """Another library's view of the store."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1",
            aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        )  # fmt: skip

    def keys(self) -> dict[str, int]:
        """Names and sizes of all objects."""
        found = self.client().list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {item["Key"]: item["Size"] for item in found}

    def put(self, key: str, data: bytes) -> None:
        self.client().put_object(Bucket=self.bucket, Key=key, Body=data)

    def read(self, key: str) -> bytes:
        return self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()


def access_to(store: Store, **more: object) -> Access:
    """What an operator allows who allows this store's bucket."""
    return Access(
        **{
            "allowed_hosts": (f"127.0.0.1:{store.port}",),
            "allowed_buckets": (f"s3://{store.bucket}",),
            "environment": {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
            **more,
        }
    )


def connection_to(store: Store, prefix: str = "", **more: object) -> Connection:
    """The store as an entry of `connections`."""
    return Connection(url=store.url(prefix), user=KEY, password=SECRET, **more)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    """The port of a running server; it ends with the session."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


@pytest.fixture
def s3(s3_server: int) -> Store:
    """A bucket of the test's own."""
    store = Store(s3_server, f"b-{uuid.uuid4().hex[:12]}")
    store.client().create_bucket(Bucket=store.bucket)
    return store
