"""Calls Generate and reads its stream: as fragments, as Arrow batches, as whole tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from syntheflow.errors import SyntheflowError
from syntheflow.messages import FORMATS, ONLY_READ
from syntheflow.options import write_message
from syntheflow.streams import ArrowDecoder, parse_fragment
from syntheflow.v1 import synthesis_service_pb2
from syntheflow.values import Condition
from syntheflow.wishes import Handed, condition_message

if TYPE_CHECKING:
    import pyarrow as pa

    from syntheflow.transport import Transport
    from syntheflow.values import Fragment

_RESUME_SECONDS = 15.0
Window = tuple[str, int, int]
Ask = Callable[[int, int, Handed], synthesis_service_pb2.GenerateRequest]
Hold = Callable[[], AbstractContextManager[Handed]]
_NOTHING = Handed()


def request(
    model: str,
    *,
    seed: int = 0,
    scale: float = 1.0,
    rows: Mapping[str, int] | None = None,
    tables: Sequence[str] = (),
    window: Window | None = None,
    form: str = "arrow",
    conditions: Iterable[Condition] = (),
    temperature: float = 1.0,
    handed: Handed = _NOTHING,
    orphans: bool = False,
    write: Mapping[str, Any] | None = None,
) -> synthesis_service_pb2.GenerateRequest:
    """Return the message; `window` is (table, first row, rows; 0 rows means to the end)."""
    if form not in FORMATS or form in ONLY_READ:
        known = ", ".join(name for name in FORMATS if name not in ONLY_READ)
        raise SyntheflowError(
            f"Cannot generate the format {form!r}; known are {known}",
            code="INVALID_ARGUMENT",
            reason="FORMAT_UNKNOWN",
        )
    if not scale > 0:  # 0 on the wire means 1
        raise SyntheflowError(
            "The scale must be more than 0", code="INVALID_ARGUMENT", reason="SCALE_INVALID"
        )
    if not temperature > 0:  # likewise
        raise SyntheflowError(
            "The temperature must be more than 0",
            code="INVALID_ARGUMENT",
            reason="TEMPERATURE_INVALID",
        )
    message = synthesis_service_pb2.GenerateRequest(
        model=model,
        seed=seed,
        scale=scale,
        rows=[
            synthesis_service_pb2.TableRows(table=table, rows=count)
            for table, count in (rows or {}).items()
        ],
        tables=tables,
        format=synthesis_service_pb2.Format.Name(FORMATS[form]),
        conditions=map(condition_message, conditions),
        temperature=temperature,
        completions=handed.completions,
        existing=handed.existing,
        orphans=orphans,
        write=write_message(write),
    )
    if window is not None:
        table, start, count = window
        message.range.table, message.range.start_row, message.range.row_count = table, start, count
    return message


def fragments(
    transport: Transport, message: synthesis_service_pb2.GenerateRequest
) -> Iterator[Fragment]:
    """Yield the stream's fragments; closing the iterator stops the server."""
    method = transport.channel.unary_stream(
        "/syntheflow.v1.SynthesisService/Generate",
        request_serializer=synthesis_service_pb2.GenerateRequest.SerializeToString,
        response_deserializer=parse_fragment,
    )
    return transport.stream(method, message)


class TableStream:
    """One table's batches from `start` on, `count` rows or, if 0, to the end.

    `ask` makes the request of a window; `hold` keeps the rows that go along for as long
    as the stream lasts. `schema` is known once the stream has begun.
    If the connection breaks after the stream has begun, it goes on at the next row.
    """

    def __init__(
        self, transport: Transport, ask: Ask, start: int, count: int, hold: Hold | None = None
    ) -> None:
        self._transport = transport
        self._ask = ask
        self._hold: Hold = hold or (lambda: nullcontext(_NOTHING))
        self._start = start
        self._count = count
        self._given = 0
        self.schema: pa.Schema | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with self._hold() as handed:
            yield from self._batches(handed)

    def _batches(self, handed: Handed) -> Iterator[pa.RecordBatch]:
        pause, give_up = 0.1, 0.0
        while True:
            before = self._given
            try:
                yield from self._attempt(handed)
            except SyntheflowError as error:
                if self._all_given(error):
                    return
                now = time.monotonic()
                if self._given > before or not give_up:
                    pause, give_up = 0.1, now + _RESUME_SECONDS
                if self.schema is None or not _broken(error) or now + pause > give_up:
                    raise
            else:
                return
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _attempt(self, handed: Handed) -> Iterator[pa.RecordBatch]:
        decoder = ArrowDecoder()
        count = self._count and self._count - self._given
        asked = self._ask(self._start + self._given, count, handed)
        stream = fragments(self._transport, asked)
        for fragment in stream:
            batches = decoder.feed(fragment.data)
            self.schema = self.schema or decoder.schema
            for batch in batches:
                # Counted before it is handed out: the reader has it even if it never comes back.
                self._given += batch.num_rows
                yield batch
        decoder.finish()

    def _all_given(self, error: SyntheflowError) -> bool:
        """Return True if only the stream's end mark is missing."""
        if self._count:
            return self._given >= self._count and _broken(error)
        return self._given > 0 and error.code == "OUT_OF_RANGE"


def _broken(error: SyntheflowError) -> bool:
    """Return True if the connection failed rather than the server's work."""
    return error.code == "UNAVAILABLE" or (error.code, error.reason) == ("INTERNAL", "INTERNAL")


def read_table(stream: TableStream) -> pa.Table:
    """Return the whole stream as one table."""
    import pyarrow as pa

    batches = list(stream)
    return pa.Table.from_batches(batches, schema=stream.schema)


def read_tables(stream: Iterable[Fragment]) -> dict[str, pa.Table]:
    """Return all tables of a stream of Arrow fragments, by name."""
    import pyarrow as pa

    decoders: dict[str, ArrowDecoder] = {}
    batches: dict[str, list[pa.RecordBatch]] = {}
    for fragment in stream:
        decoder = decoders.setdefault(fragment.table, ArrowDecoder())
        batches.setdefault(fragment.table, []).extend(decoder.feed(fragment.data))
    return {
        table: pa.Table.from_batches(batches[table], schema=decoder.finish())
        for table, decoder in decoders.items()
    }
