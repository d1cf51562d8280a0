"""Calls to one endpoint, unary and streaming."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from raftwerk.client.connection import KEEPALIVE_S, Connection, dial, is_hopeless, reason_of
from raftwerk.client.connections import Connections
from raftwerk.client.deadlines import Deadlines
from raftwerk.client.errors import NotTaken
from raftwerk.client.numbers import Ticket
from raftwerk.http2.client import Answer, ClientCall
from raftwerk.http2.grpc import DEADLINE_EXCEEDED, PREFIX_BYTES, UNAVAILABLE
from raftwerk.runtime.addresses import Address

UNREAD_BYTES_MAX: Final = 1024 * 1024
"""Messages of a stream that wait to be received; with more than that the server may still use up the stream's window, and then
keeps the rest."""


class Stream:
    """One streaming call: send and receive until it ends; then close, in any case."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._unread_bytes = 0
        self._end: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._call: ClientCall | None = None
        self._connection: Connection | None = None

    def start(self, connection: Connection, path: str, metadata: bytes) -> None:
        """Once, by the channel."""
        self._connection = connection
        self._call = connection.engine.open(path, self._done, self._received, metadata=metadata)
        connection.flush()

    def _received(self, message: bytes) -> None:
        self._messages.append(message)
        self._unread_bytes += PREFIX_BYTES + len(message)
        if self._unread_bytes > UNREAD_BYTES_MAX and self._call is not None:
            self._call.pause()
        self._wake()

    def _done(self, answer: Answer) -> None:
        self._end = answer
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def send(self, message: bytes) -> None:
        """Nothing happens when the stream is over: `receive` will tell."""
        if self._call is not None and self._connection is not None and self._end is None:
            self._call.send(message)
            self._connection.flush()

    def half_close(self) -> None:
        """No more messages from this side."""
        if self._call is not None and self._connection is not None and self._end is None:
            self._call.half_close()
            self._connection.flush()

    async def receive(self) -> bytes | Answer:
        """The next message, or how the stream ended."""
        while not self._messages:
            if self._end is not None:
                return self._end
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        self._unread_bytes -= PREFIX_BYTES + len(message)
        if self._unread_bytes <= UNREAD_BYTES_MAX:
            self._go_on()
        return message

    def _go_on(self) -> None:
        if self._call is not None and self._call.is_paused and self._connection is not None:
            self._call.resume()
            self._connection.flush()

    def close(self) -> None:
        """Cancel what is under way."""
        if self._call is not None and self._connection is not None:
            self._call.cancel()
            self._connection.flush()
            self._call = None


class Channel:
    """Calls to one endpoint."""

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None = None,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self.address = address
        self.no_answer = Answer(DEADLINE_EXCEEDED, f"{address} did not answer in time")
        self.not_taken = Answer(DEADLINE_EXCEEDED, f"{address} did not take the request in time")
        self._lost = Answer(UNAVAILABLE, f"{address} is gone: connection lost", was_asked=False)
        self._connections = Connections(lambda owner: dial(address, tls, keepalive_s, owner))
        self._deadlines = Deadlines()

    def call(
        self, path: str, message: bytes, metadata: bytes = b"", until_s: float | None = None
    ) -> Coroutine[Any, Any, Answer]:
        """One unary call, on the connection that `connect` has found room in. Made at once, and awaited at once.

        path: like /etcdserverpb.KV/Put. metadata: encoded headers. Returns the answer, whatever its status; UNAVAILABLE with
        "is gone: connection lost" when the connection ended before it came. Raises TimeoutError when it has not come until
        until_s, in the loop's time, and NotTaken when the request had not left then. That, and cancelling it, cancels the
        call at the server.
        """
        connection = self._with_room()
        if connection is None:
            return self._is_lost()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        settle = partial(_settle, answer)
        call = connection.engine.call(path, message, settle, metadata=metadata)
        connection.flush_soon()
        return self._answer(answer, until_s, connection, partial(_give_up, call))

    def put(
        self, message: bytes, metadata: bytes, ticket: Ticket, until_s: float | None = None
    ) -> Coroutine[Any, Any, Answer]:
        """A put of a session, perhaps in one call with others (client.puts); otherwise like `call`."""
        connection = self._connections.current
        if connection is None or not connection.engine.can_call:
            return self._is_lost()
        put = connection.put(message, metadata, ticket)
        return self._answer(put.answer, until_s, connection, put.give_up)

    def _with_room(self) -> Connection | None:
        """The one for a call that is made now, after the puts that wait."""
        connection = self._connections.current
        if connection is None:
            return None
        connection.leave()
        return connection if connection.engine.can_call else None

    async def _is_lost(self) -> Answer:
        return self._lost

    async def _answer(
        self,
        answer: "asyncio.Future[Answer]",
        until_s: float | None,
        connection: Connection,
        give_up: Callable[[], bool],
    ) -> Answer:
        """give_up: nobody waits any more; returns whether the server may have been asked."""
        due = None if until_s is None else self._deadlines.add(answer, until_s)
        try:
            return await answer
        except (asyncio.CancelledError, TimeoutError) as error:
            was_asked = give_up()
            connection.flush()
            if isinstance(error, TimeoutError) and not was_asked:
                raise NotTaken from error
            raise
        finally:
            if due is not None:
                self._deadlines.done(due, answer)

    def stream(self, path: str, metadata: bytes = b"") -> Stream:
        """A streaming call, on the connection that `connect` has found room in."""
        stream = Stream()
        connection = self._with_room()
        if connection is None:
            stream._done(self._lost)
        else:
            stream.start(connection, path, metadata)
        return stream

    async def connect(self, until_s: float | None = None) -> None:
        """Have a connection with room for a call, which must be made at once: others may wait for room too.

        Raises OSError or TimeoutError when there is none to be had until until_s, in the loop's time; nothing was sent then.
        """
        if not self._connections.can_call:
            async with asyncio.timeout_at(until_s):
                await self._connections.make_room()

    @property
    def can_call(self) -> bool:
        """Whether there is a connection, with room for one more call that nobody waits for."""
        return self._connections.can_call

    @property
    def is_busy(self) -> bool:
        """Whether it can be reached, and takes no more calls for now."""
        return self._connections.count > 0 and not self._connections.can_call

    def is_hopeless(self, error: Exception) -> bool:
        """Whether no further attempt to connect will do better: never of an endpoint that was reached once.

        Names vanish while a server is moved or started again, and certificates are replaced.
        """
        return not self._connections.was_reached and is_hopeless(error)

    def unreachable_text(self, error: Exception) -> str:
        """What to tell a person. A wait that was cut short tells less than the last attempt that came to an end."""
        if isinstance(error, TimeoutError) and self.is_busy:
            count = self._connections.count
            return f"{self.address} is busy: it has no room for another call (connections: {count})"
        is_cut_short = isinstance(error, TimeoutError)
        reason = self._connections.why_not if is_cut_short else reason_of(error)
        return f"{self.address} cannot be reached: {reason}"

    def close(self) -> None:
        """End the connections, for good; calls under way end as UNAVAILABLE."""
        self._connections.close()


def _settle(waiter: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not waiter.done():
        waiter.set_result(answer)


def _give_up(call: ClientCall) -> bool:
    call.cancel()
    return call.has_left
