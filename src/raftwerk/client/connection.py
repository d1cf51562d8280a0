"""One connection to a server, from the dialling to its end.

It is there when the server has said a word: what it does not speak with this client, such as plain text where it wants TLS, or
a certificate that it refuses, shows before anything is sent.
"""

import asyncio
import socket
import ssl
import sys
from typing import Final, Protocol, cast

from raftwerk.api.session_puts import PUTS_MAX
from raftwerk.client.numbers import Ticket
from raftwerk.client.puts import Gathering, Put
from raftwerk.http2.client import ClientConnection
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.limits import Limits
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.dialling import reach

CONNECT_TIMEOUT_S = 2.0
PROBE_S: Final = 0.5
"""For the answer of a server that hung up, which is told as that if it is slow, too."""
KEEPALIVE_S: Final = 5.0
"""A connection with open calls that was silent for so long is asked whether it lives, and closed after as much silence again.
(etcd closes connections that ask more often than every five seconds; an answer keeps the next question away for two periods.)"""
LIMITS = Limits(
    message_bytes_max=2**31 - 1, unfinished_bytes_max=2**33, buffered_bytes_max=sys.maxsize
)
"""What waits to be read by the server is what the program itself has asked for: each call waits as long as its time lasts."""
SILENCE: Final = "no answer"
_NO_TLS: Final = frozenset(("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"))
"""What OpenSSL says of an answer that is no TLS: older and newer ones."""
_HUNG_UP: Final = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


class HungUp(ConnectionResetError):
    """Without a word, instead of speaking HTTP/2 in plain text."""


class WantsTls(ConnectionResetError):
    """And was spoken to in plain text."""


class TurnedAway(ConnectionResetError):
    """Who is there takes no calls, and says why."""


class Owner(Protocol):
    """Who looks after a connection."""

    def changed(self, connection: "Connection") -> None:
        """There may be room for more calls, or there will be none any more."""

    def idle(self, connection: "Connection") -> None:
        """There were no calls and no words for a while."""

    def lost(self, connection: "Connection") -> None:
        """It is no more."""


class Connection(asyncio.Protocol):
    """One connection. promised: places for calls that are kept free for those who have waited for them, and for puts that wait
    for each other."""

    def __init__(self, authority: str, keepalive_s: float, owner: Owner, *, is_tls: bool) -> None:
        self.engine = ClientConnection(authority, LIMITS, is_tls=is_tls)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._owner = owner
        self._is_retired = False
        self.promised = 0
        self._gathering = Gathering(self.engine)
        self._will_flush = False
        self._keepalive_s = keepalive_s
        self._has_heard = self._has_asked = False
        """In this period; whether it was silent before, and was asked."""
        self._period: asyncio.TimerHandle | None = None
        self._greeting: asyncio.Future[OSError | None] = self._loop.create_future()

    @property
    def room(self) -> int:
        """For so many calls more, beside those that have a promise."""
        return self.engine.room - self.promised

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
        self._period = self._loop.call_later(self._keepalive_s, self._end_period)

    def _end_period(self) -> None:
        if self._has_heard or not self.engine.streams:
            self._has_asked = False
            if not self._has_heard:
                self._owner.idle(self)
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
            self._loop.call_soon(self.flush)

    def put(self, message: bytes, metadata: bytes, ticket: Ticket) -> Put:
        """A put of a session, with those that come until the end of this turn of the loop. There must be room for a call."""
        put = Put(message, metadata, ticket, self._loop)
        gathering = self._gathering
        if not gathering.takes(put):
            self.leave()
        count = gathering.add(put)
        if count == 1:
            self.promised += 1
            self.flush_soon()
        elif count >= PUTS_MAX:
            self.flush()
        return put

    def leave(self) -> None:
        """Begin the call of the puts that wait: before what is made after them."""
        if not self._gathering.is_empty:
            self.promised -= 1
            self._gathering.leave()

    def flush(self) -> None:
        self._will_flush = False
        self.leave()
        transport = self._transport
        if transport is not None and not transport.is_closing() and self.engine.has_output:
            transport.write(self.engine.take_output())
        if self._is_retired and not self.engine.streams:
            self.close()
        else:
            self._owner.changed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._period is not None:
            self._period.cancel()
        self.engine.lost()
        if not self._greeting.done():
            self._greeting.set_result(self._why_not_greeted(exc))
        self._owner.lost(self)

    def _why_not_greeted(self, error: Exception | None) -> OSError:
        if isinstance(error, ssl.SSLError):
            return error
        if self.engine.is_tls:
            reason = "it ended TLS at once; perhaps it wants a certificate, or another one, or is stopping"
        elif self.engine.fault is not None:
            reason = "it does not speak HTTP/2 in plain text; perhaps with TLS, https://"
        else:
            return HungUp(
                "it ended the connection before it spoke HTTP/2; perhaps it wants TLS, https://, or is stopping"
            )
        return ConnectionResetError(reason)

    def retire(self) -> None:
        """No more calls: close it when those under way have ended."""
        if not self._is_retired:
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


async def dial(
    address: Address, tls: ssl.SSLContext | None, keepalive_s: float, owner: Owner
) -> Connection:
    """A connection to a server that speaks and takes calls. Raises OSError or TimeoutError."""
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        connection = await _open(address, tls, keepalive_s, owner)
        try:
            await connection.greeted()
            if not connection.engine.can_call:
                raise _why_no_calls(connection.engine)
        except HungUp as error:
            if await _speaks_tls(address):
                raise WantsTls("it speaks TLS: name it with https://") from error
            raise
        except BaseException:
            connection.close()
            raise
    return connection


def _why_no_calls(engine: ClientConnection) -> OSError:
    _, code, reason = engine.peer_goaway or (0, ErrorCode.NO_ERROR, b"")
    if code != ErrorCode.NO_ERROR and reason:
        return TurnedAway(reason.decode(errors="replace"))
    return ConnectionResetError("it takes no calls")


async def _open(
    address: Address, tls: ssl.SSLContext | None, keepalive_s: float, owner: Owner
) -> Connection:
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(str(address), keepalive_s, owner, is_tls=tls is not None),
            sock=await reach(address),
            ssl=tls,
            server_hostname=address.host if tls else None,
        )
    except _HUNG_UP as error:  # as etcd does without TLS: servers with TLS say why
        if tls is None:
            raise
        reason = "it hung up instead of speaking TLS; perhaps plain text, http://, or is stopping"
        raise ConnectionResetError(reason) from error
    return connection


async def _speaks_tls(address: Address) -> bool:
    """Servers hang up on who does not: raftwerk and etcd give no reason. Nothing is believed, and nothing is told."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PROBE_S):
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol,
                sock=await reach(address),
                ssl=anybody,
                server_hostname=address.host,
            )
    except ssl.SSLError as error:  # a refusal is spoken in TLS too
        return not isinstance(error, ssl.SSLEOFError) and error.reason not in _NO_TLS
    except OSError:
        return False
    transport.abort()
    return True


def is_hopeless(error: Exception) -> bool:
    """Whether a failure to connect will be the same next time, unless somebody mends the endpoint or this program.

    A connection that was closed is not: the server may be starting or stopping.
    """
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLCertVerificationError) or error.reason in _NO_TLS
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_NONAME
    return isinstance(error, WantsTls | TurnedAway)


def reason_of(error: Exception) -> str:
    """Why there is no connection, for people."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return "it does not speak TLS; perhaps plain text, http://"
    return str(error) or SILENCE
