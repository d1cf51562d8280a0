"""Watches while members die, stop and restore snapshots: the client that resumes sees every event once, in order."""

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from typing import Self

import grpc

from raftwerk.api.rpc_pb2 import PutRequest, RangeRequest
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest, WatchResponse
from raftwerk.cli.cluster import LocalCluster, Member, metric
from raftwerk.raft.config import Config
from tests.conftest import StartCluster
from tests.crash.load import WRITERS, Load
from tests.crash.test_kill import restart
from tests.interop.grpc_client import GrpcClient
from tests.waiting import until

PREFIX, PREFIX_END = b"w/", b"w0"
PATIENCE_S = 30.0


class ResumingWatch:
    """Follows all keys of the load, at one of `members`; where a stream ends, the next member goes on at the next revision."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._clients = [GrpcClient(f"127.0.0.1:{member.client_port}") for member in members]
        self._next_revision = 2
        self._is_stopping = False
        self._call: grpc.Call | None = None
        self._changed = threading.Condition()
        self.events: list[tuple[int, bytes]] = []
        self.streams = 0
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_stopping = True
            if self._call is not None:
                self._call.cancel()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _follow(self) -> None:
        place = 0
        while not self._is_stopping:
            request = WatchRequest(
                create_request=WatchCreateRequest(
                    key=PREFIX, range_end=PREFIX_END, start_revision=self._next_revision
                )
            )
            stub = self._clients[place].channel.stream_stream(
                "/etcdserverpb.Watch/Watch",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=WatchResponse.FromString,
            )
            with self._changed:
                self._call = call = stub(iter([request]), metadata=(("hasleader", "true"),))
            try:
                for response in call:
                    self._take(response)
            except grpc.RpcError:
                place = (place + 1) % len(self._clients)

    def _take(self, response: WatchResponse) -> None:
        assert not response.canceled, f"it was cancelled: {response}"
        with self._changed:
            self.streams += response.created
            for event in response.events:
                self.events.append((event.kv.mod_revision, event.kv.key))
                self._next_revision = event.kv.mod_revision + 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Until so many events have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.events) >= count, PATIENCE_S), (
                f"{len(self.events)} events of {count}"
            )

    def check(self, member: Member) -> None:
        """Exactly what the store holds, in the order of revisions: every key of the load is put once."""
        client = GrpcClient(f"127.0.0.1:{member.client_port}")
        kvs = client.range(RangeRequest(key=PREFIX, range_end=PREFIX_END), timeout=30).kvs
        client.close()
        expected = sorted((kv.mod_revision, kv.key) for kv in kvs)
        self.wait_for(len(expected))
        assert self.events == expected


def test_watch_goes_on_when_the_leader_is_killed(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)
    leader = cluster.wait_leader()
    others = [member for member in cluster.members if member is not leader]
    load = Load(cluster.members)
    with ResumingWatch([leader, *others]) as watch:
        watch_started(cluster, watch)
        asyncio.run(load.run_during(lambda: cluster.kill(leader)))
        watch.check(others[0])
        assert watch.streams >= 2


def watch_started(cluster: LocalCluster, watch: ResumingWatch) -> None:
    """The first event has come."""
    client = GrpcClient(f"127.0.0.1:{cluster.members[0].client_port}")
    client.put(PutRequest(key=PREFIX + b"first"), timeout=30)
    client.close()
    watch.wait_for(1)


def test_watch_at_a_follower_resumes_after_its_restart(start_cluster: StartCluster) -> None:
    """Not before what it has told: a restarted member catches up first."""
    cluster = start_cluster(3)
    leader = cluster.wait_leader()
    follower = next(member for member in cluster.members if member is not leader)
    load = Load([member for member in cluster.members if member is not follower])
    with ResumingWatch([follower]) as watch:
        watch_started(cluster, watch)
        asyncio.run(load.run_during(lambda: cluster.kill(follower)))
        restart(cluster)
        watch.check(leader)
        assert watch.streams >= 2


def test_watch_survives_a_snapshot_from_the_leader(start_cluster: StartCluster) -> None:
    """The stream stays open while the state under it is replaced."""
    cluster = start_cluster(3, "--snapshot-count=10")
    leader = cluster.wait_leader()
    follower = next(member for member in cluster.members if member is not leader)
    rest = [member for member in cluster.members if member is not follower]
    load = Load(rest)
    assert follower.process is not None
    with ResumingWatch([follower]) as watch:
        watch_started(cluster, watch)
        os.kill(follower.process.pid, signal.SIGSTOP)
        try:
            asyncio.run(load.run_during(lambda: wait_compacted(leader)))
        finally:
            os.kill(follower.process.pid, signal.SIGCONT)
        watch.check(leader)
        assert "installed snapshot" in follower.log.read_text()
        assert watch.streams == 1


def wait_compacted(leader: Member) -> None:
    """Until the leader has dropped all that can be under way to a follower that stopped here: it needs a snapshot."""
    last_index = metric(leader, "raftwerk_raft_last_index")
    assert last_index is not None
    sent = (
        last_index + Config().window_messages_max * WRITERS
    )  # each waits for an answer before its next write
    until(lambda: (metric(leader, "raftwerk_raft_snapshot_index") or 0) > sent)
