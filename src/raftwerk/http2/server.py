"""The server side: requests become calls, and calls are answered.

    connection = ServerConnection(methods, limits)
    connection.receive(data); socket.write(connection.take_output())

`methods` says what a path is. A unary method gets its call and the one message together; a streaming method gets the
call and says who takes its messages. Nothing waits here: a call is answered whenever its owner likes.
"""

from collections.abc import Callable
from typing import ClassVar

from raftwerk.http2 import frames, headers, request
from raftwerk.http2.call import Call, Method, Methods, Request, StreamMethod, UnaryMethod
from raftwerk.http2.connection import Connection
from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault
from raftwerk.http2.frames import PREFACE
from raftwerk.http2.headers import HeaderDecoder, Headers
from raftwerk.http2.limits import Limits
from raftwerk.http2.pings import Pings


class ServerConnection(Connection[Call]):
    """One connection from a client."""

    IS_CLIENT: ClassVar[bool] = False

    def __init__(
        self,
        methods: Methods,
        limits: Limits,
        on_change: Callable[[], None] | None = None,
        clock: Callable[[], float] = float,
    ) -> None:
        """on_change: called when there is output that no `receive` in progress will lead to being written.

        clock: seconds; without one, calls take no time.
        """
        super().__init__(limits)
        self.clock = clock
        self.received_at_s = 0.0
        self.common_name = ""
        """The shell knows it, and says so before anything is received."""
        self._replied: list[Call] = []
        """Whole answers in the output, to be counted together: most that leave together have come together."""
        self._methods = methods
        self._decoder: HeaderDecoder[Request] = HeaderDecoder(limits.header_list_bytes_max)
        self._head = b""
        """Of the last block with metadata."""
        self._preface = PREFACE
        self._on_change = on_change
        self._is_receiving = False
        self._resets = 0
        self._pings = Pings(limits.ping_interval_s_min)
        self._ended_calls = 0
        self._is_draining = False
        self.calls_total = 0
        self.is_blocked = False
        """The socket takes nothing for now: the shell says so."""
        self._awaiting_drain: dict[int, Call] = {}

    def receive(self, data: bytes) -> None:
        self._is_receiving = True
        self.received_at_s = self.clock()
        try:
            if self._preface:
                data = self._take_preface(data)
            if data:
                super().receive(data)
        finally:
            self._is_receiving = False

    def _take_preface(self, data: bytes) -> bytes:
        size = min(len(self._preface), len(data))
        if data[:size] != self._preface[:size]:
            self._preface = b""
            self._fail(ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2"))
            return b""
        self._preface = self._preface[size:]
        return data[size:]

    def take_output(self) -> bytes:
        if self._replied:
            self._count_replied()
        return super().take_output()

    def _count_replied(self) -> None:
        now_s = self.clock()
        first, count = self._replied[0], 0
        for call in self._replied:
            if call.started_at_s != first.started_at_s or call.request is not first.request:
                _count(first, now_s, count)
                first, count = call, 0
            count += 1
        _count(first, now_s, count)
        self._replied.clear()

    def new_period(self) -> None:
        super().new_period()
        self._resets = 0

    def changed(self) -> None:
        """There is output: let the shell know, if it does not look anyway."""
        if not self._is_receiving and self._on_change is not None:
            self._on_change()

    def drain(self) -> None:
        """Take no new calls; those that are open may end."""
        self._is_draining = True
        self.goaway()
        self.changed()

    def on_written(self) -> None:
        """The output was written, or the socket takes more again: calls that were clogged may go on."""
        for call in [call for call in self._awaiting_drain.values() if not self.is_clogged(call)]:
            is_awaiting = self._awaiting_drain.pop(call.stream_id, None) is not None
            if is_awaiting:  # and was not ended by the one before
                call.on_drained()

    # For calls (call.Carrier)

    def is_clogged(self, call: Call) -> bool:
        sender = self._sender
        waiting_bytes = call.queued_bytes + sender.sent_bytes - self._taken_bytes
        return self.is_blocked or waiting_bytes > self.limits.backlog_bytes_max

    def await_drain(self, call: Call) -> None:
        self._awaiting_drain[call.stream_id] = call

    @property
    def single_frame_max(self) -> int:
        sender = self._sender
        return min(sender.window, sender.frame_max)

    @property
    def peer_frame_max(self) -> int:
        return self._sender.frame_max

    def write(self, data: bytes) -> None:
        self._out.append(data)

    def write_whole(self, call: Call, answer: bytes, size: int) -> None:
        sender = self._sender
        sender.window -= size
        sender.sent_bytes += size
        self._out.append(answer)
        self._replied.append(call)
        call.is_local_closed = True
        self._on_local_end(call)
        self.changed()

    def _drop(self, stream: Call) -> None:
        self._awaiting_drain.pop(stream.stream_id, None)
        super()._drop(stream)

    def _end_streams(self) -> None:
        if self._replied:
            self._count_replied()
        self._awaiting_drain.clear()
        super()._end_streams()

    def lost(self) -> None:
        super().lost()
        self._on_change = None  # the shell, which holds this

    def _on_local_end(self, stream: Call) -> None:
        if self._awaiting_drain:
            self._awaiting_drain.pop(stream.stream_id, None)
        if self._resets:
            self._resets -= 1
        self._ended_calls += 1
        stream.forget_callbacks()
        if not stream.is_remote_closed:
            # The client may still be sending what nobody wants: tell it to stop (RFC 9113, section 8.1)
            self._out.append(frames.rst_stream(stream.stream_id, ErrorCode.NO_ERROR))
            stream.is_remote_closed = True
        self._forget_if_done(stream)

    def _on_ping(self, payload: bytes) -> None:
        super()._on_ping(payload)
        answered = self._sender.sent_bytes + self._ended_calls
        if self._pings.are_too_many(self.received_at_s, answered, has_calls=bool(self.streams)):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")

    # Requests

    def _on_headers(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        call = self.streams.get(stream_id)
        if call is not None:
            self._on_request_trailers(call, block, end_stream=end_stream)
            return
        if not stream_id % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a client opened stream {stream_id}")
        if stream_id <= self._last_stream_id:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"stream {stream_id} was used before")
        self._last_stream_id = stream_id
        metadata: Headers | None = None
        asked = self._decoder.cached(block)
        if asked is None:
            asked, metadata = self._parse(stream_id, block)
        if len(self.streams) >= self.limits.streams_max or self._is_draining:
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        self.calls_total += 1
        call = Call(self, stream_id, self._sender.stream_window, asked, metadata)
        if end_stream:
            call.take_body(0, is_last=True)
        self.streams[stream_id] = call
        call.is_remote_closed = end_stream
        self._begin(call, asked)
        if end_stream:
            call.on_messages([], is_last=True)

    def _parse(self, stream_id: int, block: bytes) -> tuple[Request, Headers | None]:
        head, metadata = headers.split(block, self._head)
        asked = self._decoder.cached(head) if metadata else None
        if asked is None:
            asked = request.parse(stream_id, self._decoder.decode(head), self._methods)
            self._decoder.keep(head, asked)
        if not metadata:
            return asked, None
        request.check_fields(stream_id, metadata)
        self._head = head
        return asked, metadata

    def _begin(self, call: Call, asked: Request) -> None:
        refusal = asked.refusal
        if refusal is not None:
            if refusal.http_status == 200:
                call.finish(refusal.status, refusal.text)
            else:
                call.refuse_http(refusal.http_status, refusal.status, refusal.text)
        elif isinstance(asked.method, StreamMethod):
            asked.method.open(call)

    def _on_request_trailers(self, call: Call, block: bytes, *, end_stream: bool) -> None:
        request.check_fields(call.stream_id, self._decoder.decode(block))
        if not end_stream:
            raise StreamFault(call.stream_id, ErrorCode.PROTOCOL_ERROR, "headers in the middle")
        if call.is_remote_closed:
            raise StreamFault(call.stream_id, ErrorCode.STREAM_CLOSED, "headers after the end")
        call.take_body(0, is_last=True)
        call.is_remote_closed = True
        call.on_messages([], is_last=True)
        self._forget_if_done(call)

    # Rapid reset

    def _on_peer_reset(self, stream: Call) -> None:
        if not stream.has_answered:
            self._count_reset()

    def _on_stream_fault(self, fault: StreamFault) -> None:
        super()._on_stream_fault(fault)
        if fault.code not in (ErrorCode.REFUSED_STREAM, ErrorCode.STREAM_CLOSED):
            self._count_reset()

    def _count_reset(self) -> None:
        self._resets += 1
        if self._resets > self.limits.resets_max:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many streams were reset")


def _count(call: Call, now_s: float, count: int) -> None:
    """So many, one like the other, are answered now."""
    if call.request.method is not None:
        call.request.method.tally.observe(now_s - call.started_at_s, count)


__all__ = [
    "Call",
    "Limits",
    "Method",
    "Methods",
    "Request",
    "ServerConnection",
    "StreamMethod",
    "UnaryMethod",
]
