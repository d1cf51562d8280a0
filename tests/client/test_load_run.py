"""One load of one process, against a server that answers, fails, breaks off or is silent."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from raftwerk.client.load import no_tls
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_run import Run
from raftwerk.client.load_types import Load, Outcome
from raftwerk.http2.headers import literal
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import Call, Method, ServerConnection, UnaryMethod
from raftwerk.runtime.addresses import Address


class _Echo(asyncio.Protocol):
    """A server whose only method is what it was made with."""

    def __init__(self, handle: Callable[[Call, bytes], None]) -> None:
        self._handle = handle
        self._engine = ServerConnection(self, Limits())

    def find(self, path: str) -> Method | str:
        return UnaryMethod(self._handle)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._engine.receive(data)
        if self._engine.has_output:
            self.transport.write(self._engine.take_output())


def outcome_against(make: Callable[[], _Echo], load: Load) -> Outcome:
    async def go() -> Outcome:
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            one = Run(load)
            return await one.go(await one.connect([Address(host, port)], no_tls))

    return asyncio.run(go())


def test_failures_are_counted_by_status() -> None:
    made = 0

    def handle(call: Call, message: bytes) -> None:
        nonlocal made
        made += 1
        if made % 4:
            call.reply(b"")
        else:
            call.finish(8, "too many requests")

    outcome = outcome_against(lambda: _Echo(handle), Load(Operation.PUT, clients=3, requests=40))
    assert (len(outcome.latencies_s), outcome.errors) == (30, {8: 10})
    assert outcome.error_texts == {8: "too many requests"}


def test_lost_connection_fails_what_is_under_way() -> None:
    servers: list[_Echo] = []

    def make() -> _Echo:
        servers.append(_Echo(lambda call, message: servers[0].transport.abort()))
        return servers[-1]

    outcome = outcome_against(make, Load(Operation.PUT, clients=3, requests=40))
    assert (len(outcome.latencies_s), outcome.errors) == (0, {14: 3})


@pytest.mark.parametrize("rate", [0.0, 50.0])
@pytest.mark.parametrize("end", [{"requests": 10}, {"seconds": 0.1}])
def test_load_fails_when_answers_do_not_come(rate: float, end: dict[str, Any]) -> None:
    """However it ends, and also if some came."""
    made = 0

    def handle(call: Call, message: bytes) -> None:
        nonlocal made
        made += 1
        if made == 1:
            call.reply(b"")

    load = Load(Operation.PUT, clients=3, rate=rate, answer_timeout_s=0.1, **end)
    with pytest.raises(TimeoutError):
        outcome_against(lambda: _Echo(handle), load)


def test_metadata_goes_along() -> None:
    seen: set[bytes | None] = set()

    def handle(call: Call, message: bytes) -> None:
        seen.add(dict(call.headers).get(b"token"))
        call.reply(b"")

    load = Load(Operation.PUT, requests=2, metadata=literal(b"token", b"secret"))
    outcome_against(lambda: _Echo(handle), load)
    assert seen == {b"secret"}
