"""A MySQL connection that can send rows of its own, and never a file.

A server may ask any client that allows LOAD DATA LOCAL for any file by name, whatever the
statement was. This connection answers such a request with the bytes that it was told to
offer; without an offer it sends nothing and fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pymysql
from pymysql.connections import Connection, MySQLResult


class RowsConnection(Connection):  # type: ignore[misc]
    """`offer` the bytes, then run LOAD DATA LOCAL INFILE with any name."""

    _local_infile: bool
    _offered: Iterable[bytes] | None = None

    def offer(self, pieces: Iterable[bytes]) -> None:
        """Set what the next statement may send, in pieces of at most some MiB."""
        self._offered = pieces

    def taken(self) -> Iterable[bytes] | None:
        """Return what was offered, once."""
        offered, self._offered = self._offered, None
        return offered

    def warning_count(self) -> int:
        """Return how many warnings the last statement left."""
        return self._result.warning_count if self._result is not None else 0

    def _read_query_result(self, unbuffered: bool = False) -> Any:  # noqa: FBT001, FBT002 - the base class's
        if unbuffered:
            # Queries that stream their result send nothing; the base class may not answer.
            local, self._local_infile = self._local_infile, False
            try:
                return super()._read_query_result(unbuffered=True)
            finally:
                self._local_infile = local
        self._result = None
        result = _Result(self)
        result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows


class _Result(MySQLResult):  # type: ignore[misc]
    def _read_load_local_packet(self, first_packet: object) -> None:
        del first_packet  # it holds a file's name: nobody asks
        connection: RowsConnection = self.connection
        offered = connection.taken()
        try:
            for piece in offered or ():
                connection.write_packet(piece)
        finally:
            # The server waits for an empty packet, come what may.
            connection.write_packet(b"")
            told = connection._read_packet()  # noqa: SLF001 - one protocol, two classes
        if offered is None:
            raise pymysql.err.OperationalError(2068, "the server asked for a file")
        self._read_ok_packet(told)
