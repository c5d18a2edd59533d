"""The channel to a server: calls that retry when told to and fail with SyntheflowError."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from syntheflow.errors import UNREACHABLE, SyntheflowError, from_rpc

T = TypeVar("T")
BROKEN = "CONNECTION_BROKEN"

_OPTIONS = (
    # Lists of wide schemas may exceed the 4 MiB that gRPC allows by default.
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.primary_user_agent", "syntheflow-python"),
)


class Transport:
    """A channel to `target` (host:port); `patience_seconds` bounds all waits for a free place."""

    def __init__(self, target: str, *, timeout_seconds: float, patience_seconds: float) -> None:
        self.target = target
        self.channel = grpc.insecure_channel(target, options=_OPTIONS)
        self._timeout = timeout_seconds
        self._patience = patience_seconds

    def close(self) -> None:
        """Close the channel; calls under way end."""
        self.channel.close()

    def stub(self, factory: Any) -> Any:
        """Return the generated stub that `factory` makes over the channel."""
        return factory(self.channel)

    def call(self, method: Callable[..., T], request: Any, *, long: bool = False) -> T:
        """Return the answer to a unary call; `long` ones have no deadline."""
        timeout = None if long else self._timeout
        return self.retrying(lambda: method(request, timeout=timeout))

    def retrying(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns; a full server is asked again when it says so.

        Waits as RetryInfo asks and gives up after `patience_seconds` in all.
        """
        give_up = time.monotonic() + self._patience
        while True:
            try:
                return attempt()
            except grpc.RpcError as caught:
                error = from_rpc(caught, self.target)
            if not may_retry(error, until=give_up):
                raise error from None

    def stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """Yield the answers of a streaming call; ending the iterator cancels the call.

        Retries as `retrying` does, but only before the first answer.
        """
        give_up = time.monotonic() + self._patience
        while True:
            call = method(request)
            begun = False
            try:
                for answer in call:
                    begun = True
                    yield answer
            except grpc.RpcError as caught:
                error = from_rpc(caught, self.target)
            else:
                return
            finally:
                call.cancel()
            if begun:
                raise _in_the_middle(error, self.target) from None
            if not may_retry(error, until=give_up):
                raise error from None


def _in_the_middle(error: SyntheflowError, target: str) -> SyntheflowError:
    """Return the error of a stream that had begun: the server was there, and then it was not."""
    if error.reason != UNREACHABLE:
        return error
    return SyntheflowError(
        f"The connection to {target} broke in the middle of the stream; ask again",
        code=error.code,
        reason=BROKEN,
    )


def may_retry(error: SyntheflowError, *, until: float) -> bool:
    """Return True after the wait that the server asked for; False if asking again is no use."""
    delay = error.retry_after_seconds
    if error.code != "RESOURCE_EXHAUSTED" or delay is None or time.monotonic() + delay > until:
        return False
    time.sleep(delay)
    return True
