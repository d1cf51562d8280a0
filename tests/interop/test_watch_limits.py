"""Many watchers, and a client that never reads, on real processes."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from benchmarks.limits import Deaf
from raftwerk.api.rpc_pb2 import PutRequest
from raftwerk.cli.cluster import LocalCluster, Member
from tests.conftest import StartCluster
from tests.interop.grpc_client import GrpcClient
from tests.interop.watch_talk import Talk

WATCHERS = 10_000
MIB = 1024 * 1024


@pytest.fixture
def member(start_cluster: StartCluster) -> Member:
    cluster: LocalCluster = start_cluster(1)
    return cluster.members[0]


@pytest.fixture
def client(member: Member) -> Iterator[GrpcClient]:
    client = GrpcClient(f"127.0.0.1:{member.client_port}")
    yield client
    client.close()


def resident_bytes(member: Member) -> int:
    assert member.process is not None
    pages = int(Path(f"/proc/{member.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_ten_thousand_watchers_of_as_many_keys(client: GrpcClient) -> None:
    """And as many that watch one key: each gets its event."""
    with Talk(client) as talk, Talk(client) as other:
        for number in range(WATCHERS):
            talk.create(b"%05d" % number)
            other.create(b"00007")
        talk.expect(WATCHERS)
        other.expect(WATCHERS)
        talk.put(b"00007", b"09999")
        assert [response.watch_id for response in talk.expect(2)] == [7, 9999]
        told = other.expect(WATCHERS)
        assert {response.watch_id for response in told} == set(range(WATCHERS))
        assert all(len(response.events) == 1 for response in told)


def test_client_that_never_reads_costs_little(member: Member, client: GrpcClient) -> None:
    """200 MiB of events pass it by; another watcher gets all of them."""
    value = b"x" * MIB
    with closing(Deaf(member.client_port)), Talk(client) as talk:
        talk.create(b"a")
        talk.expect(1)
        for _ in range(20):
            talk.put(b"a", value=value)
        talk.expect(20)
        before = resident_bytes(member)
        for _ in range(200):
            talk.put(b"a", value=value)
            response = talk.expect(1)[0]
            assert response.events[0].kv.value == value
            talk.heard.clear()
        assert resident_bytes(member) - before < 150 * MIB


def test_put_is_answered_while_a_deaf_client_watches(member: Member, client: GrpcClient) -> None:
    """Whoever does not read holds up nobody, also when it goes away."""
    with ExitStack() as ending:
        for one in [Deaf(member.client_port) for _ in range(5)]:
            ending.callback(one.close)
            client.put(PutRequest(key=b"a", value=b"x" * MIB), timeout=10)
    client.put(PutRequest(key=b"a"), timeout=10)
    with Talk(client) as talk:
        talk.create(b"a", start=2)
        revisions = []
        while len(revisions) < 6:
            talk.expect(1)
            revisions = [
                event.kv.mod_revision
                for heard in talk.heard
                for one in heard
                for event in one.events
            ]
    assert len(set(revisions)) == 6
