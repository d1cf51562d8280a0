"""Calls with fail-over between endpoints, and what is tried again.

Reads are, and writes that certainly did not happen. A write with a place in a session is too: it is done once, however often
it is sent; and so is one that may be done twice without harm. A write whose fate is not known in the end raises OutcomeUnknown.

What may be tried again waits for each endpoint a share of its time, and for the last one all the rest: an endpoint that has
stopped without a word costs a call that share, and the calls after it nothing.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from random import SystemRandom
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.wrappers_pb2 import Int64Value

from raftwerk.api import auth_rpc_pb2, session_puts, status
from raftwerk.client.channel import Channel, Stream
from raftwerk.client.credentials import NOT_ENABLED, REFUSALS, Token
from raftwerk.client.endpoints import parse_endpoints, tls_contexts
from raftwerk.client.errors import CallError, CallFailed, NotTaken
from raftwerk.client.fate import ELSEWHERE, NOBODY, NOT_DONE, REFUSAL_CODES, Fate, Kind, told
from raftwerk.client.numbers import Session, Ticket
from raftwerk.client.process import THIS
from raftwerk.errors import UsageError
from raftwerk.http2.client import Answer
from raftwerk.http2.headers import literal
from raftwerk.runtime.addresses import Address

RETRY_S: Final = 0.05
WINDOW_FULL: Final = "earlier writes of this client took all the time"
REFRESHES_MAX: Final = 3
"""New tokens, or new sessions, for one call."""
CLOSE_S: Final = 0.5
OTHER_PROCESS: Final = (
    "this client was made in another process, of which this one is a fork: make one in each process"
)
OPEN_SESSION: Final = "/raftwerk.Sessions/Open"
CLOSE_SESSION: Final = "/raftwerk.Sessions/Close"
AUTHENTICATE: Final = "/etcdserverpb.Auth/Authenticate"
HAS_LEADER: Final = literal(b"hasleader", b"true")

_random: Final = SystemRandom()
M = TypeVar("M", bound=Message)


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
        contexts = tls_contexts(addresses, tls)
        for context in filter(None, contexts):
            context.set_alpn_protocols(["h2"])
        self._channels = [Channel(*each) for each in zip(addresses, contexts, strict=True)]
        self._addresses = frozenset(addresses)
        self.timeout_s = timeout_s
        self._current = _random.randrange(len(endpoints)) if spread else 0
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        """That of the first call: the connections are its."""
        self._process = 0
        """Likewise: there nobody else has them, and the loop runs."""
        self.was_left_in_doubt = False
        """A call was cancelled whose write may have happened, or may yet."""
        self._trouble: Answer | None = None
        """What the last attempt of any call met with, or a stream that has not gone on since."""
        self._credentials = credentials
        self.token = Token(self._authenticate if credentials else None)
        self.session = Session(self._open_session) if exactly_once else None

    @property
    def has_session(self) -> bool:
        return self.session is not None and self.session.number != 0

    @property
    def trouble(self) -> str:
        """What keeps calls and streams from going on just now; "" when the last of them went well."""
        return "" if self._trouble is None else self._trouble.text

    def goes_on(self) -> None:
        """A stream has got what it wants."""
        self._trouble = None

    def check_open(self) -> asyncio.AbstractEventLoop:
        """The running loop. Raises UsageError after `close`, and in another loop or process than the first call was made in."""
        if self._is_closed:
            raise UsageError("the client is closed")
        self.check_process()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._process = THIS.number
        elif self._loop is not loop:
            raise UsageError(
                "this client was used in another event loop, where its connections are: make one in each asyncio.run"
            )
        return loop

    @property
    def _is_here(self) -> bool:
        return self._process in (0, THIS.number)

    def check_process(self) -> None:
        """Raises UsageError in another process than the first call was made in."""
        if not self._is_here:
            raise UsageError(OTHER_PROCESS)

    def close(self) -> None:
        """Close all connections, for good. Nothing in a fork: the other process would hear nothing on its own any more."""
        if not self._is_here:
            return
        self._is_closed = True
        for channel in self._channels:
            channel.close()

    async def end_session(self) -> None:
        """Tell the servers that the session is over, if that is quickly done: else it ends by itself."""
        if self._is_closed or not self._is_here or self.session is None or not self.session.number:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                message = Int64Value(value=self.session.number).SerializeToString()
                await self.unary(CLOSE_SESSION, message, Int64Value, Kind.REPEATABLE)
        except (TimeoutError, CallError):
            pass

    async def unary(
        self,
        path: str,
        message: bytes,
        response_type: type[M],
        kind: Kind,
        *,
        in_session: bool = False,
        timeout_s: float | None = None,
    ) -> M:
        """One call, all attempts together in `timeout_s`. message: the request, serialized. in_session: a write that servers
        know to do once.

        Raises CallFailed, OutcomeUnknown, and UsageError after `close`.
        """
        loop = self.check_open()
        timeout_s = timeout_s or self.timeout_s
        share_s = self._share_s(timeout_s)
        fate = Fate(kind, loop.time() + timeout_s, share_s, len(self._channels) - 1)
        try:
            if in_session and self.session is not None:
                session = self.session
                is_free = session.is_free  # as a rule, and nothing is to be awaited
                fate.ticket = session.draw() if is_free else await self._ticket(session, fate)
            while True:
                answer = await self._attempt(path, message, fate, loop)
                if answer.status == status.OK:
                    return response_type.FromString(answer.message)
                if not await self._may_try_again(fate):
                    break
        except DecodeError:
            text = f"{self._channels[self._current].address} gave an answer that cannot be read"
            fate.answer = Answer(status.INTERNAL, text)
        except CallError as failure:  # of what comes before an attempt: a token, a session
            fate.answer = Answer(failure.code, failure.text)
        except asyncio.CancelledError:
            self.was_left_in_doubt |= fate.is_in_doubt
            raise
        except TimeoutError:
            if not fate.attempts and self._trouble is not None:  # with opening a session
                fate.answer = self._trouble
        finally:
            if fate.ticket is not None:
                fate.ticket.release()
        raise fate.error()

    def _share_s(self, timeout_s: float) -> float:
        """Of each endpoint but the last one, which has two."""
        return timeout_s / (len(self._channels) + 1)

    async def _ticket(self, session: Session, fate: Fate) -> Ticket | None:
        try:
            async with asyncio.timeout_at(fate.late_s):
                return await session.wait()
        except TimeoutError:
            if session.number:
                raise CallFailed(status.DEADLINE_EXCEEDED, WINDOW_FULL) from None
            raise

    def _known_metadata(self, path: str) -> bytes | None:
        """Of a call; None: a token has to be got first."""
        return b"" if path == AUTHENTICATE else self.token.known

    async def _metadata(self, until_s: float) -> bytes:
        async with asyncio.timeout_at(until_s):
            return await self.token.metadata()

    async def _attempt(
        self, path: str, message: bytes, fate: Fate, loop: asyncio.AbstractEventLoop
    ) -> Answer:
        """Timers are set where something is waited for: as a rule, for the answer alone. Raises TimeoutError at the end."""
        fate.begin_attempt()
        metadata = self._known_metadata(path)
        if metadata is None:
            metadata = await self._metadata(fate.until_s)
        channel = self._channels[self._current]
        try:
            if not channel.can_call:
                await channel.connect(fate.dial_until_s(loop.time()))
        except (OSError, TimeoutError) as error:
            text = channel.unreachable_text(error)
            if loop.time() >= fate.until_s:
                if channel.is_busy:
                    fate.meet(channel.address, Answer(status.DEADLINE_EXCEEDED, text))
                raise TimeoutError from error
            self._trouble = Answer(status.UNAVAILABLE, text)
            fate.meet(channel.address, self._trouble)
            if channel.is_hopeless(error):
                fate.hopeless |= {channel.address}
        else:
            fate.is_sent = True
            self._trouble = channel.no_answer
            fate.answer = channel.no_answer
            try:
                until_s = fate.answer_until_s(loop.time())
                answer = await _send(channel, path, message, metadata, fate.ticket, until_s)
                fate.is_sent = answer.was_asked
                fate.meet(channel.address, answer)
            except TimeoutError as error:
                fate.is_sent = not isinstance(error, NotTaken)
                late = channel.no_answer if fate.is_sent else channel.not_taken
                if until_s == fate.until_s:
                    fate.meet(channel.address, late)
                    raise
                fate.give_up(channel.address, Answer(status.UNAVAILABLE, late.text))
            self._trouble = fate.answer if fate.answer.status == status.UNAVAILABLE else None
        if self.token.is_refused(fate.answer.text, metadata):
            fate.refreshes += 1
        elif fate.answer.status == status.UNAVAILABLE:
            self._leave(channel)
        return fate.answer

    async def _may_try_again(self, fate: Fate) -> bool:
        answer = fate.answer
        now_s = asyncio.get_running_loop().time()
        if self._is_closed or not fate.has_time(0.0, now_s):
            return False
        if 0 < fate.refreshes <= REFRESHES_MAX and answer.text in REFUSALS:
            return True
        if fate.ticket is not None and answer.text == status.SESSION_EXPIRED.text:
            return await self._take_another_session(fate)
        if answer.text in ELSEWHERE:
            return self._turn_to_another(fate)
        if answer.status != status.UNAVAILABLE:
            return False
        if fate.hopeless >= self._addresses and not fate.is_in_doubt:
            return False
        is_done = fate.is_sent and answer.text not in NOT_DONE
        if is_done and not fate.is_repeatable:
            return False
        if not fate.has_time(RETRY_S, now_s):
            return False
        await asyncio.sleep(RETRY_S)
        return True

    async def _take_another_session(self, fate: Fate) -> bool:
        """For a write that was never executed for sure; what may have been stays as it is."""
        assert self.session is not None
        assert fate.ticket is not None
        self.session.expired(fate.ticket.session)
        fate.refreshes += 1
        if fate.is_in_doubt or fate.refreshes > REFRESHES_MAX:
            return False
        fate.is_sent = False  # whatever becomes of the next session
        fate.ticket.release()
        fate.ticket = None
        fate.ticket = await self._ticket(self.session, fate)
        return True

    def _leave(self, channel: Channel) -> None:
        """Turn to the next endpoint, unless another call did so already."""
        if self._channels[self._current] is channel:
            self._current = (self._current + 1) % len(self._channels)

    def _turn_to_another(self, fate: Fate) -> bool:
        """To an endpoint that this call has not met yet: a disk is full at one member, as a rule; an alarm is raised at all.
        Without a pause: each is asked once."""
        for number, channel in enumerate(self._channels):
            if channel.address not in fate.troubles:
                self._current = number
                return True
        return False

    async def open(self, path: str) -> "OpenStream":
        """A streaming call to an endpoint that can be reached. Raises CallFailed when there is none for a while, or for good."""
        loop = self.check_open()
        troubles: dict[Address, str] = {}
        hopeless: set[Address] = set()
        share_s = self._share_s(self.timeout_s) if len(self._channels) > 1 else self.timeout_s
        until_s = loop.time() + self.timeout_s
        with suppress(TimeoutError):
            while (
                not self._is_closed
                and not hopeless >= self._addresses
                and (now_s := loop.time()) < until_s
            ):
                metadata = self._known_metadata(path)
                if metadata is None:
                    metadata = await self._metadata(until_s)
                channel = self._channels[self._current]
                try:
                    await channel.connect(min(now_s + share_s, until_s))
                except (OSError, TimeoutError) as error:
                    text = troubles[channel.address] = channel.unreachable_text(error)
                    self._trouble = Answer(status.UNAVAILABLE, text)
                    if channel.is_hopeless(error):
                        hopeless.add(channel.address)
                    self._leave(channel)
                else:
                    stream = channel.stream(path, metadata + HAS_LEADER)
                    return OpenStream(self, channel, stream, metadata)
                await asyncio.sleep(RETRY_S)
        raise CallFailed(status.UNAVAILABLE, told(troubles) or NOBODY)

    def failed(self, stream: "OpenStream", answer: Answer) -> bool:
        """A stream ended so. Returns whether another one may do better; it goes to another endpoint then."""
        if self._is_closed:
            return False
        if self.token.is_refused(answer.text, stream.metadata):
            return True
        self._trouble = answer
        self._leave(stream.channel)
        return answer.status not in REFUSAL_CODES or answer.status == status.RESOURCE_EXHAUSTED

    async def _authenticate(self) -> str:
        assert self._credentials is not None
        name, password = self._credentials
        request = auth_rpc_pb2.AuthenticateRequest(name=name, password=password)
        kind, message = auth_rpc_pb2.AuthenticateResponse, request.SerializeToString()
        try:
            return (await self.unary(AUTHENTICATE, message, kind, Kind.READ)).token
        except CallFailed as failure:
            if failure.text == NOT_ENABLED:
                return ""
            raise

    async def _open_session(self) -> int:
        """One that nobody uses, because the answer was lost, ends by itself."""
        try:
            response = await self.unary(OPEN_SESSION, b"", Int64Value, Kind.REPEATABLE)
        except CallError as failure:
            if failure.code == status.UNIMPLEMENTED:
                return 0
            raise
        return response.value


def _send(
    channel: Channel,
    path: str,
    message: bytes,
    metadata: bytes,
    ticket: Ticket | None,
    until_s: float,
) -> Awaitable[Answer]:
    if ticket is None:
        return channel.call(path, message, metadata, until_s)
    if path == session_puts.SINGLE:
        return channel.put(message, metadata, ticket, until_s)
    return channel.call(path, message, metadata + ticket.metadata(), until_s)


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
