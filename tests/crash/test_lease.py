"""Leases and locks while leaders die or stand still: what is kept alive never ends, what is abandoned ends, one holds a lock."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import grpc

from raftwerk.api.lease_pb2 import (
    LeaseGrantRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
)
from raftwerk.api.lock_pb2 import LockRequest, UnlockRequest
from raftwerk.api.rpc_pb2 import PutRequest, RangeRequest
from raftwerk.cli.cluster import LocalCluster, Member, metric
from tests.conftest import StartCluster
from tests.interop.grpc_client import GrpcClient
from tests.interop.leases import ask, keep_alive
from tests.waiting import pause, until

TTL_S = 5
"""Long beside an election, even on a busy machine."""
PING_S = 0.5
KEPT, ABANDONED = range(1, 11), range(101, 111)
CALL_S = 2.0
TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def on_any(clients: Sequence[GrpcClient], call: Callable[[GrpcClient], object]) -> object:
    """What the first member says that can say something. Tried again until then."""
    for client in itertools.cycle(clients):
        try:
            return call(client)
        except grpc.RpcError as error:
            if error.code() not in TRANSIENT:  # type: ignore[attr-defined]
                raise
    raise AssertionError


@contextmanager
def clients_of(cluster: LocalCluster) -> Iterator[list[GrpcClient]]:
    clients = [GrpcClient(f"127.0.0.1:{member.client_port}") for member in cluster.members]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


class Keeper:
    """Renews leases, each twice a second, at whichever member answers."""

    def __init__(self, clients: Sequence[GrpcClient], leases: Sequence[int]) -> None:
        self._clients = list(clients)
        self._leases = leases
        self._stop = threading.Event()
        self.lost: set[int] = set()
        """Those that a member said were no more."""
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(PING_S):
            try:
                answers = keep_alive(self._clients[0], self._leases, CALL_S)
            except grpc.RpcError:
                self._clients.append(self._clients.pop(0))
                continue
            self.lost |= {answer.ID for answer in answers if answer.TTL <= 0}


def grant_all(clients: Sequence[GrpcClient], leases: Sequence[int]) -> None:
    """Each with a key."""
    for lease_id in leases:
        ask(clients[0], LeaseGrantRequest(ID=lease_id, TTL=TTL_S))
        ask(clients[0], PutRequest(key=b"k/%d" % lease_id, lease=lease_id))


def keys(clients: Sequence[GrpcClient]) -> set[int]:
    """The leases whose keys are there, by a linearizable read."""
    request = RangeRequest(key=b"k/", range_end=b"k0", keys_only=True)
    response = on_any(clients, lambda client: ask(client, request, CALL_S))
    return {int(kv.key[2:]) for kv in response.kvs}  # type: ignore[attr-defined]


def restart(cluster: LocalCluster) -> None:
    for member in cluster.members:
        if not member.is_running:
            cluster.start(member)
    cluster.wait_ready()


def test_kept_leases_outlive_leaders_and_abandoned_ones_do_not(start_cluster: StartCluster) -> None:
    """Two leaders are killed. Nothing ends before its time, by the clock of who asked for it."""
    cluster = start_cluster(3)
    with clients_of(cluster) as clients:
        grant_all(clients, KEPT)
        with Keeper(clients, KEPT) as keeper:
            granted_at = time.monotonic()
            grant_all(clients, ABANDONED)
            for _ in range(2):
                cluster.kill(cluster.wait_leader())
                cluster.wait_leader()
                restart(cluster)
            while (there := keys(clients)) & set(ABANDONED):
                assert set(KEPT) <= there
                pause()
            assert time.monotonic() - granted_at >= TTL_S
            ended_at = time.monotonic()
            while time.monotonic() < ended_at + TTL_S:  # and each outlives a whole time of its own
                assert keys(clients) == set(KEPT)
                pause()
        assert not keeper.lost


def test_no_lease_ends_early_when_a_leader_is_killed(start_cluster: StartCluster) -> None:
    """The new leader knows of each renewal: it neither forgets nor repeats the time that went by."""
    cluster = start_cluster(3)
    with clients_of(cluster) as clients:
        grant_all(clients, ABANDONED)
        renewed_at = time.monotonic()
        assert {one.TTL for one in keep_alive(clients[0], ABANDONED)} == {TTL_S}
        cluster.kill(cluster.wait_leader())
        cluster.wait_leader()
        until(lambda: not set(ABANDONED) <= keys(clients))
        assert time.monotonic() - renewed_at >= TTL_S
        until(lambda: not keys(clients))


def test_paused_leader_ends_nothing(start_cluster: StartCluster) -> None:
    """SIGSTOP for longer than the leases live: it wakes up, finds all of them over, and is not heard."""
    cluster = start_cluster(3)
    leader = cluster.wait_leader()
    others = [place for place, member in enumerate(cluster.members) if member is not leader]
    assert leader.process is not None
    with clients_of(cluster) as clients:
        awake = [clients[place] for place in others]
        grant_all(clients, KEPT)
        with Keeper(awake, KEPT) as keeper:
            os.kill(leader.process.pid, signal.SIGSTOP)
            try:
                stopped_at = time.monotonic()
                while time.monotonic() < stopped_at + 1.5 * TTL_S:
                    assert keys(awake) == set(KEPT)
                    pause()
            finally:
                os.kill(leader.process.pid, signal.SIGCONT)
            woken_at = time.monotonic()
            while time.monotonic() < woken_at + TTL_S:
                assert keys(clients) == set(KEPT)
                pause()
        assert not keeper.lost


def test_time_goes_on_over_a_restart_of_all(start_cluster: StartCluster) -> None:
    """Leases, keys and what is left of their time are there again: no more than was granted, and they end."""
    cluster = start_cluster(3)
    with clients_of(cluster) as clients:
        grant_all(clients, ABANDONED)
    for member in cluster.members:
        cluster.kill(member)
    restarted_at = time.monotonic()
    restart(cluster)
    with clients_of(cluster) as clients:
        assert keys(clients) == set(ABANDONED)
        answer = ask(clients[1], LeaseTimeToLiveRequest(ID=ABANDONED[0], keys=True))
        assert 0 <= answer.TTL <= answer.grantedTTL == TTL_S
        assert list(answer.keys) == [b"k/%d" % ABANDONED[0]]
        until(lambda: not keys(clients))
        assert time.monotonic() - restarted_at >= TTL_S


def entries_kept(member: Member) -> float:
    """Of its log."""
    indexes = [metric(member, f"raftwerk_raft_{name}_index") for name in ("last", "snapshot")]
    assert None not in indexes
    return indexes[0] - indexes[1]  # type: ignore[operator]


def test_member_that_caught_up_by_a_snapshot_knows_the_leases(start_cluster: StartCluster) -> None:
    """The log with their grants is compacted away: ids, keys and times are in the state."""
    cluster = start_cluster(3, "--snapshot-count=10")
    leader = cluster.wait_leader()
    victim = next(member for member in cluster.members if member is not leader)
    cluster.kill(victim)
    with clients_of(cluster) as clients:
        at_leader = clients[cluster.members.index(leader)]
        for lease_id in KEPT:
            ask(at_leader, LeaseGrantRequest(ID=lease_id, TTL=600))
            ask(at_leader, PutRequest(key=b"k/%d" % lease_id, lease=lease_id))
        ask(at_leader, LeaseRevokeRequest(ID=KEPT[0]))
        rest = [member for member in cluster.members if member is not victim]
        until(lambda: all(entries_kept(member) <= 10 for member in rest))
    cluster.start(victim)
    cluster.wait_ready()
    assert "installed snapshot" in victim.log.read_text()
    client = GrpcClient(f"127.0.0.1:{victim.client_port}")
    answers = [ask(client, LeaseTimeToLiveRequest(ID=one, keys=True)) for one in KEPT]
    client.close()
    assert (answers[0].TTL, list(answers[0].keys)) == (-1, [])
    assert [list(answer.keys) for answer in answers[1:]] == [[b"k/%d" % one] for one in KEPT[1:]]
    assert all(300 < answer.TTL <= answer.grantedTTL == 600 for answer in answers[1:])


class Worker:
    """Takes a lock again and again, each time with a lease of its own, and looks whether it is alone."""

    def __init__(self, number: int, cluster: LocalCluster, holders: list[int]) -> None:
        """holders: of the lock, by their own word; at most one at any time."""
        self.acquired = 0
        self.clashes = 0
        self._number = number
        self._holders = holders
        self._clients = [
            GrpcClient(f"127.0.0.1:{member.client_port}") for member in cluster.members
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _run(self) -> None:
        clients = self._clients[self._number % 3 :] + self._clients[: self._number % 3]
        for round_number in itertools.count(1):
            if self._stop.is_set():
                return
            lease = 1000 * round_number + self._number
            self._grant(clients, lease)
            self._hold(clients, lease)

    def _hold(self, clients: Sequence[GrpcClient], lease: int) -> None:
        key = on_any(clients, lambda client: self._lock(client, lease)).key  # type: ignore[attr-defined]
        self._holders.append(self._number)
        found = on_any(clients, lambda client: ask(client, RangeRequest(key=key), CALL_S))
        self.clashes += self._holders != [self._number] or found.count != 1  # type: ignore[attr-defined]
        self.acquired += 1
        self._holders.remove(self._number)
        on_any(clients, lambda client: ask(client, UnlockRequest(key=key), CALL_S))

    @staticmethod
    def _grant(clients: Sequence[GrpcClient], lease: int) -> None:
        def grant(client: GrpcClient) -> object:
            try:
                return ask(client, LeaseGrantRequest(ID=lease, TTL=600), CALL_S)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.FAILED_PRECONDITION:  # type: ignore[attr-defined]
                    return None  # an attempt whose fate was unknown
                raise

        on_any(clients, grant)

    @staticmethod
    def _lock(client: GrpcClient, lease: int) -> object:
        return ask(client, LockRequest(name=b"lock", lease=lease), 10)


def acquisitions(workers: Sequence[Worker]) -> int:
    return sum(worker.acquired for worker in workers)


def wait_for_more(workers: Sequence[Worker], count: int) -> None:
    target = acquisitions(workers) + count
    until(lambda: acquisitions(workers) >= target)


def test_one_holds_the_lock_whoever_dies(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)
    holders: list[int] = []
    workers = [Worker(number, cluster, holders) for number in range(1, 7)]
    try:
        for _ in range(3):
            wait_for_more(workers, 20)
            victim: Member = cluster.wait_leader()
            cluster.kill(victim)
            wait_for_more(workers, 20)
            restart(cluster)
    finally:
        for worker in workers:
            worker.stop()
    assert [worker.clashes for worker in workers] == [0] * len(workers)
    assert all(worker.acquired for worker in workers)
