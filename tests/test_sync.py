"""The client that waits: the same answers as the asyncio client, whose work it is."""

import inspect
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import raftwerk
from raftwerk import client as aio
from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import LocalCluster, Member, free_ports
from raftwerk.client import CallFailed, EventKind, LeaseLost
from raftwerk.client.txn import get, put, version
from raftwerk.errors import UsageError
from raftwerk.sync import Client
from tests.conftest import FAST


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """Of a single node."""
    folder: Path = tmp_path_factory.mktemp("sync")
    cluster = LocalCluster(folder, free_ports(1), FAST)
    try:
        cluster.start_all()
        cluster.wait_ready()
        yield cluster.members[0]
    finally:
        cluster.stop_all()


@pytest.fixture
def client(member: Member) -> Iterator[Client]:
    with Client([member.client_url]) as client:
        yield client


def test_keys(client: Client) -> None:
    client.put(b"k", b"1")
    assert client.has_exactly_once
    assert client.get(b"k") == b"1"
    client.put(b"k2", b"2")
    assert [kv.value for kv in client.scan(b"k", prefix=True)] == [b"1", b"2"]
    assert client.count(b"k", prefix=True) == 2
    assert client.range(rpc_pb2.RangeRequest(key=b"k")).count == 1
    assert client.delete(b"k", prefix=True).deleted == 2


def test_a_transaction(client: Client) -> None:
    transaction = client.transaction().when(version(b"txn").equals(0))
    transaction.then(put(b"txn", b"1")).otherwise(get(b"txn"))
    assert [transaction.execute().succeeded for _ in range(2)] == [True, False]
    assert client.txn(rpc_pb2.TxnRequest()).succeeded


def test_a_watch(client: Client) -> None:
    with client.watch(b"w/", prefix=True) as events:
        client.put(b"w/1", b"x")
        client.delete(b"w/1")
        assert [next(events).kind for _ in range(2)] == [EventKind.PUT, EventKind.DELETE]


def test_a_lease_and_a_lock(client: Client) -> None:
    with client.lease(30) as lease:
        client.put(b"leased", b"", lease=lease.id)
    assert client.get(b"leased") is None
    with client.lock(b"lock") as lock:
        assert lock.is_held
    assert not lock.is_held
    granted = client.lease_grant(30)
    client.lease_revoke(granted.ID)


def test_a_lock_in_two_threads_is_held_by_one(client: Client) -> None:
    holders: list[str] = []

    def work() -> None:
        with client.lock(b"threads"):
            holders.append("in")
            client.put(b"something", b"")
            holders.append("out")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert holders == ["in", "out"] * 3


def test_a_lost_lock_is_told_at_the_end(client: Client) -> None:
    def lose() -> None:
        with client.lock(b"lost", ttl_s=2) as lock:
            client.lease_revoke(lock.lease.id)
            while lock.is_held:
                client.get(b"lost")

    with pytest.raises(LeaseLost):
        lose()


def test_a_leader(client: Client) -> None:
    with client.lead(b"boss", b"me"):
        leader = client.leader(b"boss")
        assert leader is not None
        assert leader.value == b"me"
    assert client.leader(b"boss") is None


def test_the_cluster(client: Client) -> None:
    assert [one.ID for one in client.member_list()] == [client.status().leader]
    client.compact(client.put(b"compact", b"").header.revision)


def test_refusals_come_as_they_are(client: Client) -> None:
    with pytest.raises(CallFailed, match="key is not provided"):
        client.put(b"", b"")


def test_a_closed_client_says_so(member: Member) -> None:
    client = Client([member.client_url])
    client.close()
    client.close()
    with pytest.raises(UsageError):
        client.get(b"k")
    with pytest.raises(UsageError), client.lock(b"k"):
        pass


def test_it_takes_what_the_asyncio_client_takes() -> None:
    assert inspect.signature(Client.__init__) == inspect.signature(aio.Client.__init__)


def test_the_asyncio_client_has_a_short_name() -> None:
    assert raftwerk.Client is aio.Client
    with pytest.raises(AttributeError):
        _ = raftwerk.Nothing  # type: ignore[attr-defined]
