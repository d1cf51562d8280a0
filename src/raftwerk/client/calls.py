"""Calls with fail-over between endpoints, and what is tried again.

Reads are, and writes that certainly did not happen. A write with a place in a session is too: it is done once, however often
it is sent; and so is one that may be done twice without harm. A write whose fate is not known in the end raises OutcomeUnknown.

What may be tried again waits for each endpoint a share of its time, and for the last one all the rest: an endpoint that has
stopped without a word costs a call that share, and the calls after it nothing.
"""

import asyncio
import ssl
from collections.abc import Sequence
from enum import Enum, auto
from random import SystemRandom
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.wrappers_pb2 import Int64Value

from raftwerk.api import auth_rpc_pb2, status
from raftwerk.client.channel import Channel, Stream
from raftwerk.client.credentials import NOT_ENABLED, REFUSALS, Token
from raftwerk.client.errors import CallError, CallFailed, OutcomeUnknown
from raftwerk.client.numbers import Session, Ticket
from raftwerk.errors import UsageError
from raftwerk.http2.client import Answer
from raftwerk.http2.grpc import UNAUTHENTICATED
from raftwerk.http2.headers import literal
from raftwerk.runtime.settings import Address, address_of

RETRY_S: Final = 0.05
REFRESHES_MAX: Final = 3
"""New tokens, or new sessions, for one call."""
CLOSE_S: Final = 0.5
OPEN_SESSION: Final = "/raftwerk.Sessions/Open"
CLOSE_SESSION: Final = "/raftwerk.Sessions/Close"
AUTHENTICATE: Final = "/etcdserverpb.Auth/Authenticate"
HAS_LEADER: Final = literal(b"hasleader", b"true")

_NOT_DONE: Final = frozenset((status.NO_LEADER.text, status.LEADER_CHANGED.text))
"""Texts of UNAVAILABLE that say that nothing happened: the request may be tried again.

LEADER_CHANGED: raftwerk says it of an entry that another leader's has replaced, etcd of reads only. STOPPED is not one of
them: etcd says it of writes that it has proposed already.
"""
_REFUSALS: Final = frozenset(
    (
        status.INVALID_ARGUMENT,
        status.NOT_FOUND,
        status.PERMISSION_DENIED,
        status.RESOURCE_EXHAUSTED,
        status.FAILED_PRECONDITION,
        status.OUT_OF_RANGE,
        status.UNIMPLEMENTED,
        UNAUTHENTICATED,
    )
)
"""Codes with which a server turns a request down before it does anything. Any other says nothing about a write's fate."""
_REFUSAL_TEXTS: Final = _NOT_DONE | {status.TOO_MANY_REQUESTS.text}
"""The last one comes as UNKNOWN from etcd."""
_RESULTS: Final = frozenset(
    (
        status.KEY_NOT_FOUND.text,
        status.LEASE_NOT_FOUND.text,
        status.COMPACTED.text,
        status.FUTURE_REVISION.text,
    )
)
"""Refusals that a session keeps as results: the same for every attempt. Others are of one attempt alone."""

_random: Final = SystemRandom()
M = TypeVar("M", bound=Message)


def parse_endpoint(text: str) -> Address:
    """host:port, with or without http:// or https:// before it. Raises UsageError."""
    text = text.strip()
    return address_of(text if "://" in text else f"http://{text}")


def parse_endpoints(texts: Sequence[str]) -> list[Address]:
    """Raises UsageError for one that is none, and for none at all."""
    if isinstance(texts, str):
        raise UsageError(f"a list of endpoints is needed, such as [{texts!r}]")
    if not texts:
        raise UsageError("at least one endpoint is needed")
    return [parse_endpoint(text) for text in texts]


class Kind(Enum):
    READ = auto()
    """Changes nothing: tried again whatever happened."""
    REPEATABLE = auto()
    """A write that may be done twice without harm: tried again like a read, but what it did may stay unknown."""
    WRITE = auto()


class _Fate:
    """What is known of one call."""

    def __init__(self, kind: Kind, share_s: float, others: int) -> None:
        """others: endpoints that may be turned to when one has not answered for `share_s`."""
        self.is_write = kind is not Kind.READ
        self._is_harmless = kind is not Kind.WRITE
        """To be done twice."""
        self.ticket: Ticket | None = None
        self._share_s = share_s
        self._others = others
        self.answer = Answer(status.DEADLINE_EXCEEDED, "no endpoint could be reached in time")
        self.attempts = 0
        self.is_sent = False
        """The last attempt was."""
        self._was_in_doubt = False
        """An earlier one may have been executed."""
        self.refreshes = 0

    @property
    def is_in_doubt(self) -> bool:
        """Whether the write may have happened, or may yet."""
        answer = self.answer
        is_refusal = answer.status in _REFUSALS or answer.text in _REFUSAL_TEXTS
        if answer.text == status.RESULT_NOT_KEPT.text:
            return True
        if self._was_in_doubt:
            return not (self.ticket is not None and answer.text in _RESULTS)
        return self.is_write and self.is_sent and not is_refusal

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be tried again, whatever became of the last attempt."""
        return self._is_harmless or self.ticket is not None

    @property
    def patience_s(self) -> float | None:
        """How long the next answer is waited for; None: until the end."""
        return self._share_s if self._others and self.is_repeatable else None

    def give_up(self, answer: Answer) -> None:
        """The endpoint is silent: on to another one."""
        self._others -= 1
        self.answer = answer

    def begin_attempt(self) -> None:
        self._was_in_doubt = self.is_in_doubt
        self.is_sent = False
        self.attempts += 1

    def error(self) -> CallError:
        kind = OutcomeUnknown if self.is_in_doubt else CallFailed
        return kind(self.answer.status, self.answer.text)


class Calls:
    """All calls of a client: its endpoints, its token, its session."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        timeout_s: float,
        exactly_once: bool,
        spread: bool = False,
        credentials: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """See Client."""
        addresses = parse_endpoints(endpoints)
        if tls is None and any(address.is_tls for address in addresses):
            tls = ssl.create_default_context()
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self._channels = [Channel(address, tls) for address in addresses]
        self.timeout_s = timeout_s
        self._current = _random.randrange(len(endpoints)) if spread else 0
        self._is_closed = False
        self._trouble: Answer | None = None
        """What the last attempt of any call met with."""
        self._credentials = credentials
        self.token = Token(self._authenticate if credentials else None)
        self.session = Session(self._open_session) if exactly_once else None

    @property
    def has_session(self) -> bool:
        return self.session is not None and self.session.number != 0

    def check_open(self) -> None:
        """Raises UsageError after `close`."""
        if self._is_closed:
            raise UsageError("the client is closed")

    def close(self) -> None:
        """Close all connections, for good."""
        self._is_closed = True
        for channel in self._channels:
            channel.close()

    async def end_session(self) -> None:
        """Tell the servers that the session is over, if that is quickly done: else it ends by itself."""
        if self._is_closed or self.session is None or not self.session.number:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                request = Int64Value(value=self.session.number)
                await self.unary(CLOSE_SESSION, request, Int64Value, Kind.REPEATABLE)
        except (TimeoutError, CallError):
            pass

    async def unary(
        self,
        path: str,
        request: Message,
        response_type: type[M],
        kind: Kind,
        *,
        in_session: bool = False,
        timeout_s: float | None = None,
    ) -> M:
        """One call, all attempts together in `timeout_s`. in_session: a write that servers know to do once.

        Raises CallFailed, OutcomeUnknown, and UsageError after `close`.
        """
        self.check_open()
        message = request.SerializeToString()
        timeout_s = timeout_s or self.timeout_s
        fate = _Fate(kind, timeout_s / (len(self._channels) + 1), len(self._channels) - 1)
        try:
            async with asyncio.timeout(timeout_s):
                if in_session and self.session is not None:
                    fate.ticket = await self.session.ticket()
                while True:
                    answer = await self._attempt(path, message, fate)
                    if answer.status == status.OK:
                        return response_type.FromString(answer.message)
                    if not await self._may_try_again(fate):
                        break
        except DecodeError:
            text = f"{self._channels[self._current].address} gave an answer that cannot be read"
            fate.answer = Answer(status.INTERNAL, text)
        except CallError as failure:  # of what comes before an attempt: a token, a session
            fate.answer = Answer(failure.code, failure.text)
        except TimeoutError:
            if not fate.attempts and self._trouble is not None:  # with opening a session
                fate.answer = self._trouble
        finally:
            if fate.ticket is not None:
                fate.ticket.release()
        raise fate.error()

    async def _attempt(self, path: str, message: bytes, fate: _Fate) -> Answer:
        fate.begin_attempt()
        metadata = b"" if path == AUTHENTICATE else await self.token.metadata()
        channel = self._channels[self._current]
        try:
            await channel.connect()
        except (OSError, TimeoutError) as error:
            text = channel.unreachable_text(error)
            fate.answer = self._trouble = Answer(status.UNAVAILABLE, text)
        else:
            fate.is_sent = True
            self._trouble = channel.no_answer
            fate.answer = channel.no_answer
            place = b"" if fate.ticket is None else fate.ticket.metadata()
            try:
                async with asyncio.timeout(fate.patience_s):
                    fate.answer = await channel.call(path, message, metadata + place)
            except TimeoutError:
                fate.give_up(Answer(status.UNAVAILABLE, channel.no_answer.text))
            self._trouble = fate.answer if fate.answer.status == status.UNAVAILABLE else None
        if self.token.is_refused(fate.answer.text, metadata):
            fate.refreshes += 1
        elif fate.answer.status == status.UNAVAILABLE:
            self._leave(channel)
        return fate.answer

    async def _may_try_again(self, fate: _Fate) -> bool:
        answer = fate.answer
        if self._is_closed:
            return False
        if 0 < fate.refreshes <= REFRESHES_MAX and answer.text in REFUSALS:
            return True
        if fate.ticket is not None and answer.text == status.SESSION_EXPIRED.text:
            return await self._take_another_session(fate)
        if answer.status != status.UNAVAILABLE:
            return False
        is_done = fate.is_sent and answer.text not in _NOT_DONE
        if is_done and not fate.is_repeatable:
            return False
        await asyncio.sleep(RETRY_S)
        return True

    async def _take_another_session(self, fate: _Fate) -> bool:
        """For a write that was never executed for sure; what may have been stays as it is."""
        assert self.session is not None
        assert fate.ticket is not None
        self.session.expired(fate.ticket.session)
        fate.refreshes += 1
        if fate.is_in_doubt or fate.refreshes > REFRESHES_MAX:
            return False
        fate.ticket.release()
        fate.ticket = None
        fate.ticket = await self.session.ticket()
        return True

    def _leave(self, channel: Channel) -> None:
        """Turn to the next endpoint, unless another call did so already."""
        if self._channels[self._current] is channel:
            self._current = (self._current + 1) % len(self._channels)

    async def open(self, path: str) -> "OpenStream":
        """A streaming call to an endpoint that can be reached. Raises CallFailed when there is none for a while."""
        self.check_open()
        text = "no endpoint could be reached in time"
        try:
            async with asyncio.timeout(self.timeout_s):
                while not self._is_closed:
                    metadata = await self.token.metadata()
                    channel = self._channels[self._current]
                    try:
                        await channel.connect()
                    except (OSError, TimeoutError) as error:
                        text = channel.unreachable_text(error)
                        self._leave(channel)
                        await asyncio.sleep(RETRY_S)
                        continue
                    stream = channel.stream(path, metadata + HAS_LEADER)
                    return OpenStream(self, channel, stream, metadata)
        except TimeoutError:
            pass
        raise CallFailed(status.UNAVAILABLE, text)

    def failed(self, stream: "OpenStream", answer: Answer) -> bool:
        """A stream ended so. Returns whether another one may do better; it goes to another endpoint then."""
        if self._is_closed:
            return False
        if self.token.is_refused(answer.text, stream.metadata):
            return True
        self._leave(stream.channel)
        return answer.status not in _REFUSALS or answer.status == status.RESOURCE_EXHAUSTED

    async def _authenticate(self) -> str:
        assert self._credentials is not None
        name, password = self._credentials
        request = auth_rpc_pb2.AuthenticateRequest(name=name, password=password)
        kind = auth_rpc_pb2.AuthenticateResponse
        try:
            return (await self.unary(AUTHENTICATE, request, kind, Kind.READ)).token
        except CallFailed as failure:
            if failure.text == NOT_ENABLED:
                return ""
            raise

    async def _open_session(self) -> int:
        """One that nobody uses, because the answer was lost, ends by itself."""
        try:
            response = await self.unary(OPEN_SESSION, Int64Value(), Int64Value, Kind.REPEATABLE)
        except CallError as failure:
            if failure.code == status.UNIMPLEMENTED:
                return 0
            raise
        return response.value


class OpenStream:
    """A stream, and where it leads."""

    def __init__(self, calls: Calls, channel: Channel, stream: Stream, metadata: bytes) -> None:
        self.channel = channel
        self.metadata = metadata
        self._calls = calls
        self.half_close = stream.half_close
        self.receive = stream.receive
        self.close = stream.close
        self._send = stream.send

    def send(self, message: Message) -> None:
        self._send(message.SerializeToString())
