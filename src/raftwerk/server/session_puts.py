"""raftwerk.Sessions/Put: the puts that a client makes at once, in one call (api.session_puts).

Each of them is a put of the KV service, of which this only carries request and answer: a call with a place in a session, and
without a stream of its own. Those that are answered together, in a step of the node, are told in one message.
"""

from collections.abc import Callable, Sequence
from typing import Final

from raftwerk.api import status
from raftwerk.api.session_puts import SINGLE, UNREADABLE, PutAnswer, decode_puts, encode
from raftwerk.http2 import grpc
from raftwerk.http2.call import Call, Request, UnaryMethod
from raftwerk.server.calls import fail
from raftwerk.server.sessions import Place, PlacedCall
from raftwerk.server.streams import take_one

MESSAGE_BYTES: Final = 64 * 1024
"""Answers of so many bytes together are told at once."""


class SessionPuts:
    """The handler."""

    def __init__(self, put: UnaryMethod, soon: Callable[[Callable[[], None]], object]) -> None:
        """put: answers one put. soon: see port.Node."""
        self._put = put
        self._soon = soon

    def open(self, call: Call) -> None:
        take_one(call, lambda data: self._take(call, data))

    def _take(self, call: Call, data: bytes) -> None:
        try:
            puts = decode_puts(data)
        except UNREADABLE:
            fail(call, status.SESSION_PUTS_UNREADABLE)
            return
        timeout_s = call.request.timeout_s
        request = Request(SINGLE, call.headers, timeout_s, None, False, self._put, None)
        answers = _Answers(call, self._soon)
        calls = [
            answers.expect(request, Place(puts.session, number, puts.first))
            for number, _ in puts.puts
        ]
        for put, (_, message) in zip(calls, puts.puts, strict=True):
            self._put.handle(put, message)


class _Answers:
    """Of one call, to be told as they come."""

    def __init__(self, call: Call, soon: Callable[[Callable[[], None]], object]) -> None:
        self.call = call
        self._soon = soon
        self._puts: list[_PutCall] = []
        self._open_count = 0
        self._answers: list[PutAnswer] = []
        self._size_bytes = 0
        self._is_due = False
        call.on_cancel = self._cancel

    def expect(self, request: Request, place: Place) -> "_PutCall":
        """One more; all of them before the first is answered."""
        put = _PutCall(self, self.call, request, place)
        self._puts.append(put)
        self._open_count += 1
        return put

    def add(self, number: int, status: int, text: str, response: bytes) -> None:
        self._answers.append((number, status, text, response))
        self._open_count -= 1
        self._size_bytes += len(response)
        if not self._open_count or self._size_bytes >= MESSAGE_BYTES:
            self._send()
        elif not self._is_due:
            self._is_due = True
            self._soon(self._send_due)

    def _send_due(self) -> None:
        self._is_due = False
        self._send()

    def _send(self) -> None:
        if self._answers:
            self.call.send(encode(self._answers))
            self._answers = []
            self._size_bytes = 0
        if not self._open_count:
            self._let_go()
            self.call.finish()

    def _cancel(self) -> None:
        for put in self._puts:
            put.on_reset(0)
        self._let_go()

    def _let_go(self) -> None:
        """Of what holds this: else only the garbage collector would find them."""
        self.call.on_cancel = None
        self._puts = []


class _PutCall(PlacedCall):
    """One of the puts."""

    __slots__ = ("_answers",)

    def __init__(self, answers: _Answers, whole: Call, request: Request, place: Place) -> None:
        """whole: the call that it came in."""
        super().__init__(whole._connection, whole.stream_id, 0, request, place, whole.reader)
        self._answers = answers

    @property
    def is_over(self) -> bool:
        return self._has_ended or self.is_local_closed

    def reply(self, message: bytes) -> None:
        self._end_with(grpc.OK, "", message)

    def reply_parts(self, parts: Sequence[bytes]) -> None:
        self.reply(b"".join(parts))

    def send_all(self, messages: Sequence[bytes]) -> None:
        raise AssertionError("a put has one answer")

    def finish(self, status: int = grpc.OK, text: str = "") -> None:
        self._end_with(status, text, b"")

    def _end_with(self, status: int, text: str, message: bytes) -> None:
        if not self.is_over:
            self._count_end(status)
            self._answers.add(self.place.number, status, text, message)
