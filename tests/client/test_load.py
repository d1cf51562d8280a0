"""The load generator, on a server of ours and on etcd: what it does is done, and what fails is told."""

import asyncio
import socket
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from raftwerk.cli.cluster import Member
from raftwerk.client import Client
from raftwerk.client.load import Load, Outcome, Run, no_tls, run, shares, summary
from raftwerk.client.load_requests import Operation
from raftwerk.errors import UsageError
from raftwerk.http2.headers import literal
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import Call, Method, ServerConnection, UnaryMethod
from raftwerk.runtime.addresses import Address


def count_keys(member: Member, key: bytes, end: bytes) -> int:
    async def count() -> int:
        async with Client([member.client_url]) as client:
            return await client.count(key, end)

    return asyncio.run(count())


def test_fill_sets_each_key_once(member: Member) -> None:
    load = Load(Operation.FILL, connections=3, clients=20, requests=500, keys=500, value_bytes=10)
    result = run(load, [member.client_url])
    assert (result.requests, result.errors) == (500, {})
    assert count_keys(member, b"00000000", b"00000500") == 500


@pytest.mark.parametrize("operation", list(Operation))
def test_operations_succeed(member: Member, operation: Operation) -> None:
    load = Load(operation, connections=2, clients=10, requests=200, keys=50)
    result = run(load, [member.client_url])
    assert (result.requests, result.errors) == (200, {})
    assert 0 < result.p50_ms <= result.p99_ms <= result.max_ms
    assert result.per_second > 0 < result.client_cpu_us


def test_time_ends_a_load(member: Member) -> None:
    result = run(Load(Operation.PUT, clients=2, seconds=0.05), [member.client_url])
    assert result.requests > 0
    assert result.seconds >= 0.05


def test_rate_is_kept(member: Member) -> None:
    """20 requests at 200 a second: the last is due after 95 ms, however fast the server is."""
    result = run(Load(Operation.RANGE, clients=5, requests=20, rate=200.0), [member.client_url])
    assert result.requests == 20
    assert result.seconds >= 0.09


def test_several_processes_share_the_load(member: Member) -> None:
    load = Load(Operation.FILL, connections=2, clients=5, requests=101, keys=101)
    result = run(load, [member.client_url], processes=2)
    assert (result.requests, result.errors) == (101, {})


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


def test_nobody_there_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(OSError, match="nothing listens there"):
            run(Load(Operation.PUT, requests=1), [f"127.0.0.1:{port}"])


@pytest.mark.parametrize(
    ("load", "processes"),
    [
        (Load(Operation.PUT, connections=2, clients=2, seconds=1), 3),
        (Load(Operation.PUT, connections=3, clients=2, seconds=1), 1),
        (Load(Operation.PUT), 1),
    ],
)
def test_loads_that_are_none(load: Load, processes: int) -> None:
    with pytest.raises(UsageError):
        shares(load, processes)


def test_shares_are_the_whole() -> None:
    load = Load(Operation.PUT, connections=7, clients=100, requests=11, rate=30.0)
    parts = shares(load, 3)
    assert [part.connections for part in parts] == [3, 2, 2]
    assert [part.clients for part in parts] == [34, 33, 33]
    assert [part.requests for part in parts] == [4, 4, 3]
    assert sum(part.rate for part in parts) == 30.0


def test_summary_is_of_all_processes() -> None:
    first = Outcome(array("d", [0.001 * number for number in range(1, 51)]), {14: 1}, 2.0, 0.5)
    second = Outcome(
        array("d", [0.001 * number for number in range(51, 101)]), {14: 2}, 1.0, 0.5, {14: "gone"}
    )
    result = summary([first, second])
    assert (result.requests, result.errors, result.per_second) == (100, {14: 3}, 50.0)
    assert result.error_texts == {14: "gone"}
    assert (result.p50_ms, result.p90_ms, result.p99_ms) == (51.0, 91.0, 100.0)
    assert (result.mean_ms, result.max_ms, result.client_cpu_us) == (50.5, 100.0, 10_000.0)


def test_load_without_an_endpoint_is_none() -> None:
    with pytest.raises(UsageError, match="at least one endpoint"):
        run(Load(Operation.PUT, requests=1), [])
