"""Leases by etcdctl and grpcio, beside etcd: the same outputs, answers and refusals."""

import itertools
import re
import subprocess
from collections.abc import Iterator, Sequence

import pytest

from raftwerk.api.lease_pb2 import (
    LeaseLeasesRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
)
from raftwerk.api.rpc_pb2 import (
    PutRequest,
    RangeRequest,
)
from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.etcdctl import ETCDCTLS, Etcdctl, Outcome
from tests.interop.grpc_client import GrpcClient, start_alike
from tests.interop.leases import answer_of, ask, grant, keep_alive, revoke_all
from tests.waiting import pause, until

Pair = tuple[Etcdctl, Etcdctl]
A, B = 0x1234567890ABCDEF, 0x1234567890ABCDE0


@pytest.fixture(scope="module", params=ETCDCTLS)
def both(
    request: pytest.FixtureRequest, cluster: LocalCluster, etcd: Sequence[Member]
) -> Iterator[Pair]:
    """etcdctl on raftwerk, and on etcd."""
    with (
        Etcdctl(request.param, cluster.members) as on_raftwerk,
        Etcdctl(request.param, etcd) as on_etcd,
    ):
        yield on_raftwerk, on_etcd


@pytest.fixture(scope="module")
def clients(cluster: LocalCluster, etcd: Sequence[Member]) -> Iterator[list[GrpcClient]]:
    """grpcio on a member of raftwerk that may not lead, and of etcd."""
    pair = [
        GrpcClient(f"127.0.0.1:{members[1].client_port}") for members in (cluster.members, etcd)
    ]
    yield pair
    for client in pair:
        client.close()


# etcdctl

COMMANDS: dict[str, list[str]] = {
    "grant": ["grant 30", "grant 30 -w fields", "grant 30 -w json"],
    "grant_less_than_the_minimum": ["grant 0", "grant -- -5"],
    "grant_too_much": ["grant 9000000000", "grant 9000000001", "grant x", "grant"],
    "time_to_live": [
        f"timetolive {A:x}",
        f"timetolive {A:x} --keys",
        f"timetolive {A:x} --keys -w json",
        f"timetolive {A:x} -w fields",
        f"timetolive {B:x} --keys",
    ],
    "time_to_live_of_none": ["timetolive 77", "timetolive 77 -w json", "timetolive xyz"],
    "list": ["list", "list -w json", f"revoke {B:x}", "list", "list -w fields"],
    "keep_alive_once": [f"keep-alive --once {A:x}", f"keep-alive --once {A:x} -w json"],
    "keep_alive_of_none": ["keep-alive --once 77", "keep-alive 77"],
    "revoke": [f"revoke {A:x}", f"revoke {A:x}", f"timetolive {A:x}", "revoke 77", "revoke"],
}


def run(etcdctl: Etcdctl, command: str, at: int) -> Outcome:
    """Ids and seconds that are left differ from run to run."""
    outcome = etcdctl.run(f"lease {command}", at=at)
    text = outcome.stdout
    for given, name in ((A, "A"), (B, "B")):
        text = text.replace(f"{given:016x}", name).replace(str(given), name)
    text = re.sub(r"\b[0-9a-f]{16}\b", "ID", text)
    text = re.sub(r'"(ID|id)":\d+', r'"\1":ID', text)
    text = re.sub(r"remaining\(\d+s\)", "remaining(..s)", text)
    text = re.sub(r'"ttl":\d+', '"ttl":..', text)
    text = re.sub(r'"TTL" : 5\d\b', '"TTL" : 5.', text)
    if command.startswith("list"):  # etcd's order is that of a hash table
        text = "".join(sorted(re.split(r"(?<=\n)|(?<=[\[\],}])", text)))
    return outcome._replace(stdout=text)


@pytest.mark.parametrize("case", COMMANDS)
def test_etcdctl_prints_the_same(both: Pair, case: str) -> None:
    at = list(COMMANDS).index(case) % 3
    outcomes = []
    start_alike([etcdctl.clients[at] for etcdctl in both])
    for etcdctl in both:
        client = etcdctl.clients[at]
        revoke_all(client)
        grant(client, A, 55)
        grant(client, B, 600)
        for key, lease in ((b"c", A), (b"a", A), (b"a", B)):  # etcd lists keys in any order
            ask(client, PutRequest(key=key, lease=lease))
        outcomes.append([run(etcdctl, command, at) for command in COMMANDS[case]])
    on_raftwerk, on_etcd = outcomes
    assert on_raftwerk == on_etcd


def test_etcdctl_keeps_a_lease_alive(both: Pair, cluster: LocalCluster) -> None:
    """Through a follower, for longer than the lease would live."""
    on_raftwerk, _ = both
    leader = cluster.wait_leader()
    at = next(place for place, one in enumerate(cluster.members) if one is not leader)
    client = on_raftwerk.clients[at]
    revoke_all(client)
    grant(client, A, 1)
    ask(client, PutRequest(key=b"k", lease=A))
    process = subprocess.Popen(
        on_raftwerk.arguments(f"lease keep-alive {A:x}", at=at), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = list(itertools.islice(process.stdout, 6))  # one each third of a second
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    assert lines == [f"lease {A:016x} keepalived with TTL(1)\n"] * 6
    assert ask(client, RangeRequest(key=b"k")).count == 1
    until(lambda: not ask(client, RangeRequest(key=b"k")).count)
    assert answer_of(client, LeaseRevokeRequest(ID=A))[1] == (  # type: ignore[index]
        "etcdserver: requested lease not found"
    )


# grpcio


KEYS_OF_A = LeaseTimeToLiveRequest(ID=A, keys=True)


def test_lease_ends_with_its_keys(clients: list[GrpcClient]) -> None:
    """On etcd as here: not before its time, all keys in one revision, and no lease is left."""
    ours, _ = clients
    revoke_all(ours)
    grant(ours, A, 1)
    written = ask(ours, PutRequest(key=b"a", lease=A)).header.revision
    written = ask(ours, PutRequest(key=b"b", lease=A)).header.revision
    assert [lease.ID for lease in ask(ours, LeaseLeasesRequest()).leases] == [A]
    while (answer := ask(ours, RangeRequest(key=b"a", range_end=b"c"))).count == 2:
        pause()
    assert answer.count == 0
    assert answer.header.revision == written + 1
    assert ask(ours, LeaseTimeToLiveRequest(ID=A)).TTL == -1


def test_every_member_knows_every_lease(cluster: LocalCluster, clients: list[GrpcClient]) -> None:
    """Whoever granted it: the time that is left, the keys, and a renewal."""
    revoke_all(clients[0])
    grant(clients[0], A, 100)
    ask(clients[0], PutRequest(key=b"k", lease=A))
    for member in cluster.members:
        client = GrpcClient(f"127.0.0.1:{member.client_port}")
        answer = ask(client, KEYS_OF_A)
        assert 95 <= answer.TTL <= 100
        assert (answer.grantedTTL, list(answer.keys)) == (100, [b"k"])
        assert [one.TTL for one in keep_alive(client, [A])] == [100]
        client.close()
