"""What etcdctl prints about raftwerk is what it prints about etcd: output, errors and exit code.

Every case is run on both clusters from the same state, so that revisions are the same and need no normalising.
"""

import re
from collections.abc import Iterator, Sequence

import pytest

from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.cases import CASES, SOME, Step
from tests.interop.etcdctl import ETCDCTLS, Etcdctl, Outcome
from tests.interop.grpc_client import start_alike

Pair = tuple[Etcdctl, Etcdctl]


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


def play(etcdctl: Etcdctl, steps: Sequence[Step], at: int, first: int) -> list[Outcome]:
    """Run all steps at one member, where the store is at revision `first`."""
    outcomes = []
    for step in steps:
        if step == SOME:
            etcdctl.clients[at].seed()
            continue
        command, stdin = (step, None) if isinstance(step, str) else step
        command = re.sub(r"R\+(\d+)", lambda match: str(first + int(match[1])), command)
        outcomes.append(etcdctl.run(command, stdin, at=at))
    return outcomes


@pytest.mark.parametrize("case", CASES)
def test_etcdctl_prints_the_same(both: Pair, case: str) -> None:
    at = list(CASES).index(case) % 3
    first = start_alike([etcdctl.clients[at] for etcdctl in both])
    on_raftwerk, on_etcd = (play(etcdctl, CASES[case], at, first) for etcdctl in both)
    assert on_raftwerk == on_etcd
