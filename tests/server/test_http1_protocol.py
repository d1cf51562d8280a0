"""A request over HTTP/1.1 has to come in time; its answer may take as long as it likes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from raftwerk.server.backlog import Holder
from raftwerk.server.http1_protocol import Http1Protocol
from raftwerk.server.http1_transport import HOLD
from tests.server.fakes import FakeTransport

REQUEST_S = 0.01
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
BEHIND_BYTES_MAX = Config("").ws_max_size

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Talk:
    """One connection to an application that answers with the body of the request, when it is let."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.begins_early = False
        """The answer begins before the request is complete."""
        self.waiting_bytes = 0
        self.transport = FakeTransport()
        config = Config(
            self._application, lifespan="off", log_config=None, ws="none", interface="asgi3"
        )
        config.load()
        loop = asyncio.get_running_loop()
        self.protocol = Http1Protocol(config, ServerState(), loop, self._on_waiting, REQUEST_S)
        self.protocol.connection_made(self.transport)

    def _on_waiting(self, _: Holder, waiting_bytes: int) -> None:
        self.waiting_bytes = waiting_bytes

    async def _application(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        scope["state"][HOLD](1000)
        body, more = b"", True
        start = {"type": "http.response.start", "status": 200, "headers": []}
        if self.begins_early:
            await send(start)
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        await self.may_answer.wait()
        if not self.begins_early:
            await send(start)
        await send({"type": "http.response.body", "body": body})
        scope["state"][HOLD](0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0)

    async def pass_looks(self, count: int) -> None:
        """Until the protocol has looked so often."""
        loop = asyncio.get_running_loop()
        stop = loop.time() + count * REQUEST_S
        await self.until(lambda: loop.time() > stop)


def talk(scenario: Callable[[Talk], Awaitable[None]]) -> None:
    async def main() -> None:
        one = Talk()
        await scenario(one)
        one.protocol.connection_lost(None)

    asyncio.run(main())


@pytest.mark.parametrize(
    "said",
    [b"", b"G", GET, POST, POST + b"half", GET + b"\r\n" + GET],
    ids=["nothing", "a byte", "half a head", "no body", "half a body", "half of a second"],
)
def test_half_a_request_ends_the_connection(said: bytes) -> None:
    async def scenario(one: Talk) -> None:
        if said:
            one.protocol.data_received(said)
        await one.until(one.transport.is_closing)
        assert one.transport.is_aborted

    talk(scenario)


def test_byte_now_and_then_does_not_hold_a_connection() -> None:
    async def scenario(one: Talk) -> None:
        one.protocol.data_received(GET)
        for _ in range(3):
            if not one.transport.is_closing():
                one.protocol.data_received(b"X: x\r\n")
            await one.pass_looks(1)
        assert one.transport.is_closing()

    talk(scenario)


def test_answer_may_take_long() -> None:
    async def scenario(one: Talk) -> None:
        one.may_answer.clear()
        one.protocol.data_received(POST + b"0123456789")
        await one.pass_looks(5)
        assert not one.transport.is_closing()
        one.may_answer.set()
        await one.until(lambda: b"0123456789" in b"".join(one.transport.writes))

    talk(scenario)


def test_reading_goes_on_behind_a_request_that_has_no_answer_yet() -> None:
    """Else nobody notices when its client is gone: a dead one could get a lock."""

    async def scenario(one: Talk) -> None:
        for _ in range(2):
            one.may_answer.clear()
            for number in range(3):
                one.protocol.data_received(POST + b"request %02d" % number)
                assert one.transport.is_reading()
            one.may_answer.set()
            answered = one.transport.writes
            await one.until(lambda: b"request 02" in b"".join(answered))  # noqa: B023
            assert b"".join(answered).count(b"200 OK") == 3
            answered.clear()

    talk(scenario)


def test_what_comes_behind_a_request_has_a_limit() -> None:
    async def scenario(one: Talk) -> None:
        one.may_answer.clear()
        one.protocol.data_received(POST + b"0123456789")
        pieces = 0
        while not one.transport.is_closing():
            one.protocol.data_received(bytes(1024 * 1024))
            pieces += 1
        assert pieces == BEHIND_BYTES_MAX // (1024 * 1024)

    talk(scenario)


def test_requests_that_are_answered_do_not_count() -> None:
    async def scenario(one: Talk) -> None:
        large = GET + b"X: " + b"x" * 60_000 + b"\r\n\r\n"
        for _ in range(BEHIND_BYTES_MAX // len(large) + 1):
            one.transport.writes.clear()
            one.protocol.data_received(large)
            await one.until(lambda: b"200 OK" in b"".join(one.transport.writes))
        assert not one.transport.is_closing()

    talk(scenario)


def test_requests_may_follow_each_other_for_ever() -> None:
    async def scenario(one: Talk) -> None:
        for number in range(8):
            one.protocol.data_received(POST + b"request %02d" % number)
            await one.until(lambda: b"request %02d" % number in b"".join(one.transport.writes))  # noqa: B023
            await one.pass_looks(1)
            assert not one.transport.is_closing()

    talk(scenario)


def test_body_of_a_stream_stays_open_as_long_as_its_answer() -> None:
    async def scenario(one: Talk) -> None:
        one.begins_early = True
        one.protocol.data_received(POST + b"half")
        await one.until(lambda: b"begun" in b"".join(one.transport.writes))
        await one.pass_looks(5)
        assert not one.transport.is_closing()
        one.protocol.data_received(b" rest.")
        await one.until(lambda: b"half rest." in b"".join(one.transport.writes))

    talk(scenario)


def test_what_waits_to_be_read_is_told() -> None:
    """With what the application keeps; nothing of it when the connection is lost."""

    async def scenario(one: Talk) -> None:
        one.may_answer.clear()
        one.transport.waiting_bytes = 1
        one.protocol.data_received(POST + b"0123456789")
        await one.until(lambda: one.waiting_bytes > 1000)
        one.may_answer.set()
        await one.until(lambda: b"0123456789" in b"".join(one.transport.writes))
        one.transport.waiting_bytes = 7
        one.protocol.resume_writing()
        assert one.waiting_bytes == 7
        one.protocol.connection_lost(None)
        assert one.waiting_bytes == 0

    talk(scenario)
