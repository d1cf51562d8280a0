"""Wall clocks that jump, by hours and back: nothing goes by them but how long a signed token serves.

Debian's libfaketime stands between a process and the clock of the day. The monotonic clock stays the machine's.
"""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from raftwerk.api.lease_pb2 import LeaseGrantRequest, LeaseTimeToLiveRequest
from raftwerk.api.lock_pb2 import LockRequest, UnlockRequest
from raftwerk.api.rpc_pb2 import PutRequest
from raftwerk.cli.cluster import LocalCluster, Member, free_ports
from tests.conftest import FAST
from tests.crash.load import Load
from tests.crash.test_lease import KEPT, Keeper, clients_of, grant_all, keys
from tests.interop.grpc_client import GrpcClient
from tests.interop.leases import ask
from tests.interop.test_auth import INVALID, Client, enable
from tests.waiting import pause, until

AHEAD, BACK, TRUE = "+30h", "-30h", "+0"
LONG, SHORT, HOLDER, WAITING = 201, 202, 203, 204
LONG_S, SHORT_S = 600, 2
LOOKED_S = 1.0
"""After each jump: a member looks for leases that are over several times a second."""


class Clocks:
    """The wall clock of each member: its process reads a file with each look at the clock."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._folder = folder
        self._library = library

    def environment(self, member: Member) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(member)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else threads that wait for the interpreter's lock keep a core busy
        }

    def set(self, member: Member, offset: str) -> None:
        """To so much beside the machine's."""
        written = self._file(member).with_suffix(".new")
        written.write_text(offset)
        written.rename(self._file(member))

    def _file(self, member: Member) -> Path:
        return self._folder / f"{member.name}.clock"


@pytest.fixture
def clocks(tmp_path: Path, faketime_library: Path) -> Clocks:
    return Clocks(tmp_path, faketime_library)


@pytest.fixture
def cluster(
    tmp_path: Path, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCluster]:
    """Each member with a clock of its own."""
    (tmp_path / "secret").write_bytes(b"k" * 32)
    tokens = f"--auth-token=jwt,priv-key={tmp_path}/secret,sign-method=HS256,ttl=10m"
    cluster = LocalCluster(tmp_path, free_ports(3), [*FAST, tokens])
    try:
        for member in cluster.members:
            clocks.set(member, TRUE)
            with monkeypatch.context() as context:
                for name, value in clocks.environment(member).items():
                    context.setenv(name, value)
                cluster.start(member)
        cluster.wait_ready()
        yield cluster
    finally:
        cluster.stop_all()
        for member in cluster.members:  # shown when the test fails
            print(f"--- log of {member.name}\n{member.last_log_lines(40)}")


def grant(client: GrpcClient, lease_id: int, ttl_s: int) -> None:
    ask(client, LeaseGrantRequest(ID=lease_id, TTL=ttl_s))
    ask(client, PutRequest(key=b"k/%d" % lease_id, lease=lease_id))


def test_nothing_goes_by_a_clock_that_jumps(cluster: LocalCluster, clocks: Clocks) -> None:
    """The leader's, which ends leases, and a follower's: clients write, leases live and end, one holds the lock."""
    leader = cluster.wait_leader()
    follower = next(member for member in cluster.members if member is not leader)
    load = Load(cluster.members, writers=2)
    with clients_of(cluster) as clients, ThreadPoolExecutor(1) as executor:
        at_leader = clients[cluster.members.index(leader)]

        def look_around(alive: set[int]) -> None:
            began_at = time.monotonic()
            while time.monotonic() < began_at + LOOKED_S:
                assert keys(clients) == alive
                pause()

        def jump() -> None:
            clocks.set(leader, AHEAD)
            look_around({*KEPT, LONG})
            granted_at = time.monotonic()
            grant(at_leader, SHORT, SHORT_S)
            clocks.set(leader, BACK)
            until(lambda: SHORT not in keys(clients))
            assert time.monotonic() - granted_at >= SHORT_S
            for offset in (AHEAD, BACK):
                clocks.set(follower, offset)
                look_around({*KEPT, LONG})

        grant(at_leader, LONG, LONG_S)
        grant_all([at_leader], KEPT)
        for lease_id in (HOLDER, WAITING):
            ask(at_leader, LeaseGrantRequest(ID=lease_id, TTL=LONG_S))
        held = ask(at_leader, LockRequest(name=b"lock", lease=HOLDER)).key
        with Keeper(clients, KEPT) as keeper:
            waits = executor.submit(ask, at_leader, LockRequest(name=b"lock", lease=WAITING), 60)
            asyncio.run(load.run_during(jump))
            assert not waits.done()
            left = ask(at_leader, LeaseTimeToLiveRequest(ID=LONG)).TTL
            assert LONG_S / 2 < left <= LONG_S
            ask(at_leader, UnlockRequest(key=held))
            assert waits.result().key
        assert not keeper.lost
    asyncio.run(load.check(cluster.members))
    assert not load.failed
    assert all(member.is_running for member in cluster.members)


def test_signed_token_serves_until_the_clock_of_the_member_that_is_asked_says_otherwise(
    cluster: LocalCluster, clocks: Clocks
) -> None:
    """This shows too that the clocks above did jump."""
    clients = [Client(member) for member in cluster.members]
    enable(clients[0])
    clients[0].log_in("u", "upw")
    for client in clients:
        client.token = clients[0].token
    until(lambda: all(map(is_taken, clients)))
    for offset in (AHEAD, BACK):
        clocks.set(cluster.members[1], offset)
        assert [is_taken(client) for client in clients] == [True, offset == BACK, True]
    for client in clients:
        client.close()


def is_taken(client: Client) -> bool:
    """Whether its token serves."""
    try:
        client.get(b"a")
    except grpc.RpcError as error:
        if (error.code(), error.details()) == INVALID:  # type: ignore[attr-defined]
            return False
        raise
    return True
