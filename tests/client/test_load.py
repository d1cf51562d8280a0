"""The load generator, on a server of ours and on etcd: what it does is done, and what fails is told."""

import asyncio
import socket

import pytest

from raftwerk.cli.cluster import Member
from raftwerk.client import Client
from raftwerk.client.load import run
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load
from raftwerk.errors import UsageError


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


def test_nobody_there_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(OSError, match="nothing listens there"):
            run(Load(Operation.PUT, requests=1), [f"127.0.0.1:{port}"])


def test_load_without_an_endpoint_is_none() -> None:
    with pytest.raises(UsageError, match="at least one endpoint"):
        run(Load(Operation.PUT, requests=1), [])
