"""A call that comes from the JSON gateway: the same handlers answer it as those of gRPC."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast

from raftwerk.api import status
from raftwerk.http2.call import Carrier
from raftwerk.http2.headers import Headers
from raftwerk.http2.server import Call, Limits, Method, Request

HTTP_STATUS: Final = {
    status.OK: 200,
    status.CANCELLED: 408,
    status.UNKNOWN: 500,
    status.INVALID_ARGUMENT: 400,
    status.DEADLINE_EXCEEDED: 504,
    status.NOT_FOUND: 404,
    6: 409,  # already exists
    status.PERMISSION_DENIED: 403,
    status.RESOURCE_EXHAUSTED: 429,
    status.FAILED_PRECONDITION: 400,
    10: 409,  # aborted
    status.OUT_OF_RANGE: 400,
    status.UNIMPLEMENTED: 501,
    status.INTERNAL: 500,
    status.UNAVAILABLE: 503,
    status.DATA_LOSS: 500,
    16: 401,  # unauthenticated
}
"""By gRPC status, as grpc-gateway has it."""


class _NoConnection:
    """What Call asks of its connection when it is made; nothing else is, since GatewayCall answers by itself."""

    clock = staticmethod(time.monotonic)
    common_name = ""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.received_at_s = self.clock()


class GatewayCall(Call):
    """Keeps its answers for the coroutine that passes them on."""

    __slots__ = ("_changed", "_hold", "_messages", "_method", "_unsent_bytes", "outcome")

    def __init__(
        self,
        path: str,
        method: Method,
        headers: Headers,
        timeout_s: float | None,
        limits: Limits,
        hold: Callable[[int], None],
    ) -> None:
        """hold: told of so many bytes of answers that are kept here."""
        request = Request(path, headers, timeout_s, None, False, method, None)
        super().__init__(cast("Carrier", _NoConnection(limits)), 1, 0, request)
        self._method = method
        self._messages: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._hold = hold
        self._changed = asyncio.Event()
        self.outcome: tuple[int, str] | None = None
        """Status and text, once there is one. Messages that wait go before it."""

    @property
    def is_over(self) -> bool:
        return self.outcome is not None

    def reply(self, message: bytes) -> None:
        self.send(message)
        self.finish()

    def reply_parts(self, parts: Sequence[bytes]) -> None:
        self.reply(b"".join(parts))

    def send_all(self, messages: Sequence[bytes]) -> None:
        if not self.is_over:
            self.has_answered = True
            self._method.tally.sent += len(messages)
            self._messages.extend(messages)
            self.queued_bytes += sum(map(len, messages))
            self._hold(self.queued_bytes)
            self._changed.set()

    @property
    def is_clogged(self) -> bool:
        return self.queued_bytes > self._connection.limits.backlog_bytes_max

    def await_drain(self) -> None:
        """Nothing to do: on_drained is called whenever nothing is queued any more."""

    def finish(self, status: int = status.OK, text: str = "") -> None:
        if not self.is_over:
            self._count_end(status)
            self.outcome = (status, text)
            self._changed.set()

    def cancel(self, status: int = status.CANCELLED, text: str = "context canceled") -> None:
        """The client is gone, or sent what cannot be read: nobody wants an answer of the handler."""
        if not self.is_over:
            self.finish(status, text)
            self.on_reset(0)

    def let_go(self) -> None:
        """Nobody passes on the rest."""
        self.forget_callbacks()
        self._messages.clear()
        self.queued_bytes = self._unsent_bytes = 0
        self._hold(0)

    async def next_message(self) -> bytes | None:
        """The next message of the answer, as soon as there is one; None at its end: see `outcome`.

        Whoever asks has passed on the message before: then, and not earlier, it counts no longer as queued.
        """
        if self._unsent_bytes:
            self.queued_bytes -= self._unsent_bytes
            self._unsent_bytes = 0
            self._hold(self.queued_bytes)
            if not self.queued_bytes and not self.is_over:
                self.on_drained()
        while not self._messages:
            if self.outcome is not None:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        self._unsent_bytes = len(message)
        return message
