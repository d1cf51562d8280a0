"""One connection to one endpoint, made when it is needed and made again when it was lost.

It is there when the server has said a word: what it does not speak with this client, such as plain text where it wants TLS, or
a certificate that it refuses, shows before anything is sent.
"""

import asyncio
import ssl
from collections import deque
from typing import Final, cast

from raftwerk.client.deadlines import Deadlines
from raftwerk.http2.client import Answer, ClientCall, ClientConnection
from raftwerk.http2.grpc import DEADLINE_EXCEEDED, PREFIX_BYTES, UNAVAILABLE
from raftwerk.http2.limits import Limits
from raftwerk.runtime.addresses import Address

CONNECT_TIMEOUT_S = 2.0
KEEPALIVE_S: Final = 5.0
"""A connection with open calls that was silent for so long is asked whether it lives, and closed after as much silence again.
(etcd closes connections that ask more often than every five seconds; an answer keeps the next question away for two periods.)"""
LIMITS = Limits(message_bytes_max=2**31 - 1, unfinished_bytes_max=2**33)
_NO_TLS: Final = frozenset(("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"))
"""What OpenSSL says of an answer that is no TLS: older and newer ones."""
_HUNG_UP: Final = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
_SILENCE: Final = "no answer"
UNREAD_BYTES_MAX: Final = 1024 * 1024
"""Messages of a stream that wait to be received; with more than that the server may still use up the stream's window, and then
keeps the rest."""


class NotTaken(TimeoutError):
    """The end of a request had not left in time: the server's windows did not let it out. Nothing was done."""


class _Protocol(asyncio.Protocol):
    def __init__(self, authority: str, keepalive_s: float, *, is_tls: bool) -> None:
        self.engine = ClientConnection(authority, LIMITS, is_tls=is_tls)
        self._transport: asyncio.Transport | None = None
        self._is_retired = False
        self._will_flush = False
        self._keepalive_s = keepalive_s
        self._has_heard = self._has_asked = False
        """In this period; whether it was silent before, and was asked."""
        self._period: asyncio.TimerHandle | None = None
        self._greeting: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()

    async def greeted(self) -> None:
        """Until the server has spoken. Raises OSError when it ends the connection instead, or speaks something else."""
        trouble = await self._greeting
        if trouble is not None:
            raise trouble

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._begin_period()
        self.flush()

    def _begin_period(self) -> None:
        self._has_heard = False
        loop = asyncio.get_running_loop()
        self._period = loop.call_later(self._keepalive_s, self._end_period)

    def _end_period(self) -> None:
        if self._has_heard or not self.engine.streams:
            self._has_asked = False
        elif self._has_asked:
            assert self._transport is not None
            self._transport.abort()
            return
        else:
            self._has_asked = True
            self.engine.ping()
            self.flush()
        self._begin_period()

    def data_received(self, data: bytes) -> None:
        self._has_heard = True
        self.engine.receive(data)
        if self.engine.has_settings and not self._greeting.done():
            self._greeting.set_result(None)
        self.flush()
        if self.engine.fault is not None:
            self.close()

    def flush_soon(self) -> None:
        """At the end of this turn of the loop, all that comes until then at once."""
        if not self._will_flush:
            self._will_flush = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        self._will_flush = False
        if self._transport is not None and self.engine.has_output:
            self._transport.write(self.engine.take_output())
        if self._is_retired and not self.engine.streams:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._period is not None:
            self._period.cancel()
        self.engine.lost()
        if not self._greeting.done():
            self._greeting.set_result(self._why_not_greeted(exc))

    def _why_not_greeted(self, error: Exception | None) -> OSError:
        if isinstance(error, ssl.SSLError):
            return error
        if self.engine.is_tls:
            reason = "it ended TLS at once; perhaps it wants a certificate, or another one, or is stopping"
        elif self.engine.fault is not None:
            reason = "it does not speak HTTP/2 in plain text; perhaps with TLS, https://"
        else:
            reason = "it ended the connection before it spoke HTTP/2; perhaps it wants TLS, https://, or is stopping"
        return ConnectionResetError(reason)

    def retire(self) -> None:
        """No more calls: close it when those under way have ended."""
        self._is_retired = True
        self.flush()

    def close(self) -> None:
        if self._transport is None:
            return
        if self._transport.get_extra_info("ssl_object") is None:
            self._transport.close()
        else:
            self._transport.abort()  # TLS would wait for the other side to say goodbye too: the loop may end before that
        self.engine.lost()  # nothing waits until a server that does not read has taken what was written


class Stream:
    """One streaming call: send and receive until it ends; then close, in any case."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._unread_bytes = 0
        self._end: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._call: ClientCall | None = None
        self._protocol: _Protocol | None = None

    def start(self, protocol: _Protocol, path: str, metadata: bytes) -> None:
        """Once, by the channel."""
        self._protocol = protocol
        self._call = protocol.engine.open(path, self._done, self._received, metadata=metadata)
        protocol.flush()

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
        if self._call is not None and self._protocol is not None and self._end is None:
            self._call.send(message)
            self._protocol.flush()

    def half_close(self) -> None:
        """No more messages from this side."""
        if self._call is not None and self._protocol is not None and self._end is None:
            self._call.half_close()
            self._protocol.flush()

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
        if self._call is not None and self._call.is_paused and self._protocol is not None:
            self._call.resume()
            self._protocol.flush()

    def close(self) -> None:
        """Cancel what is under way."""
        if self._call is not None and self._protocol is not None:
            self._call.cancel()
            self._protocol.flush()
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
        self._keepalive_s = keepalive_s
        self._tls = tls
        self.no_answer = Answer(DEADLINE_EXCEEDED, f"{address} did not answer in time")
        self.not_taken = Answer(DEADLINE_EXCEEDED, f"{address} did not take the request in time")
        self._lost = Answer(UNAVAILABLE, f"{address} is gone: connection lost", was_asked=False)
        self._protocol: _Protocol | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._is_closed = False
        self._deadlines = Deadlines()
        self._why_not = _SILENCE
        """There is no connection, as the last attempt to have one found."""

    async def call(
        self, path: str, message: bytes, metadata: bytes = b"", until_s: float | None = None
    ) -> Answer:
        """One unary call, on the connection that `connect` made.

        path: like /etcdserverpb.KV/Put. metadata: encoded headers. Returns the answer, whatever its status; UNAVAILABLE with
        "is gone: connection lost" when the connection ended before it came. Raises TimeoutError when it has not come until
        until_s, in the loop's time, and NotTaken when the request had not left then. That, and cancelling it, cancels the
        call at the server.
        """
        protocol = self._protocol
        if protocol is None or not self.can_call:
            return self._lost
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def settle(result: Answer) -> None:
            if not answer.done():
                answer.set_result(result)

        call = protocol.engine.call(path, message, settle, metadata=metadata)
        protocol.flush_soon()
        deadline = None if until_s is None else self._deadlines.add(answer, until_s)
        try:
            return await answer
        except (asyncio.CancelledError, TimeoutError) as error:
            call.cancel()
            protocol.flush()
            if isinstance(error, TimeoutError) and not call.has_left:
                raise NotTaken from error
            raise
        finally:
            if deadline is not None:
                self._deadlines.done(deadline)

    def stream(self, path: str, metadata: bytes = b"") -> Stream:
        """A streaming call, on the connection that `connect` made."""
        stream = Stream()
        protocol = self._protocol
        if protocol is None or not self.can_call:
            stream._done(self._lost)
        else:
            stream.start(protocol, path, metadata)
        return stream

    async def connect(self, until_s: float | None = None) -> None:
        """Have a connection. Raises OSError or TimeoutError when there is none to be had; nothing was sent then.

        All who ask at the same time share one attempt, which goes on when one of them waits no longer than until_s,
        in the loop's time.
        """
        async with asyncio.timeout_at(until_s):
            while not self.can_call:  # the others may have filled a connection that takes few calls
                await self._take_part_in_dialling()

    @property
    def can_call(self) -> bool:
        """Whether there is a connection, with room for one more call."""
        return self._protocol is not None and self._protocol.engine.can_call

    async def _take_part_in_dialling(self) -> None:
        if self._is_closed:
            raise OSError("the client was closed")
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())
            self._dialling.add_done_callback(self._on_dialled)
        dialling = self._dialling
        await asyncio.wait([dialling])
        if dialling.cancelled():
            raise OSError("the client was closed")
        dialling.result()
        assert self._protocol is not None
        if self._protocol.engine.is_ending:
            raise ConnectionResetError("it ended the connection at once")

    async def _open(self) -> _Protocol:
        """A connection, with TLS if it is wanted."""
        host, port = self.address
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(
                lambda: _Protocol(
                    str(self.address), self._keepalive_s, is_tls=self._tls is not None
                ),
                host,
                port,
                ssl=self._tls,
                server_hostname=host if self._tls else None,
            )
        except _HUNG_UP as error:  # as etcd does without TLS: servers with TLS say why
            if self._tls is None:
                raise
            reason = (
                "it hung up instead of speaking TLS; perhaps plain text, http://, or is stopping"
            )
            raise ConnectionResetError(reason) from error
        return protocol

    async def _dial(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            protocol = await self._open()
            try:
                await protocol.greeted()
                if not protocol.engine.can_call:
                    raise ConnectionResetError("it takes no calls")
            except BaseException:
                protocol.close()
                raise
        if self._protocol is not None:  # it takes no more calls
            self._protocol.retire()
        self._protocol = protocol

    def _on_dialled(self, task: asyncio.Task[None]) -> None:
        self._dialling = None
        if not task.cancelled():  # whoever waited has the exception; perhaps nobody does any more
            error = task.exception()
            self._why_not = _reason(error) if isinstance(error, Exception) else _SILENCE

    def unreachable_text(self, error: Exception) -> str:
        """What to tell a person. A wait that was cut short tells less than the last attempt that came to an end."""
        reason = self._why_not if isinstance(error, TimeoutError) else _reason(error)
        return f"{self.address} cannot be reached: {reason}"

    def close(self) -> None:
        """End the connection, for good; calls under way end as UNAVAILABLE."""
        self._is_closed = True
        if self._dialling is not None:
            self._dialling.cancel()
        if self._protocol is not None:
            self._protocol.close()


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return "it does not speak TLS; perhaps plain text, http://"
    return str(error) or _SILENCE
