"""Auth by etcdctl, beside etcd: the same outputs, errors and exit codes."""

import re
from collections.abc import Iterator, Sequence

import pytest

from raftwerk.api import auth_rpc_pb2, rpc_pb2
from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.etcdctl import ETCDCTLS, Etcdctl, Outcome

Pair = tuple[Etcdctl, Etcdctl]
R, U = "--user root:rpw ", "--user u:upw "


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


USERS = [
    "user add root:rpw",
    "user add u:upw",
    "role add r",
    "role grant-permission r readwrite a c",
    "user grant-role u r",
    "user grant-role root root",
]
ENABLED = [*USERS, "auth enable"]
CASES: dict[str, list[str]] = {
    "user": [
        "user add u:pw",
        "user add u:pw",
        "user add :pw",
        "user add n --no-password",
        "user add n --no-password",
        "user list",
        "user get u",
        "user get nobody",
        "user get u --detail",
        "user delete n",
        "user delete n",
        "user grant-role u nothing",
        "user grant-role nobody root",
        "user grant-role u root",
        "user grant-role u root",
        "user get u --detail",
        "user revoke-role u nothing",
        "user revoke-role nobody root",
        "user revoke-role u root",
        "user list -w json",
    ],
    "role": [
        "role add r",
        "role add r",
        "role add ''",
        "role list",
        "role get r",
        "role get nothing",
        "role grant-permission r read a",
        "role grant-permission r write b c",
        "role grant-permission r readwrite pre --prefix",
        "role grant-permission r read z --from-key",
        "role grant-permission r read '' --prefix",
        "role grant-permission r readwrite a",
        "role grant-permission r delete a",
        "role grant-permission nothing read a",
        "role get r",
        "role get r -w json",
        "role revoke-permission r a",
        "role revoke-permission r a",
        "role revoke-permission r b",
        "role revoke-permission r b c",
        "role revoke-permission r pre --prefix",
        "role revoke-permission nothing a",
        "role get r",
        "role delete r",
        "role delete r",
    ],
    "enable": [
        "auth disable",
        "auth enable",
        "user add root:rpw",
        "--user root:rpw user list",
        "user grant-role root root",
        "role list",
        "role get root",
        "auth enable",
        "auth enable",
        R + "auth enable",
        "user list",
        R + "user list",
        "--user root:wrong user list",
        "--user nobody:pw user list",
        R + "user delete root",
        R + "user revoke-role root root",
        R + "role delete root",
        R + "role get root",
        R + "auth disable",
    ],
    "keys": [
        *ENABLED,
        "put a 1",
        "get a",
        U + "put a 1",
        U + "put c 1",
        U + "get a",
        U + "get a c",
        U + "get a d",
        U + "get a --from-key",
        U + "get '' --prefix",
        U + "get a --consistency=s",
        "get a --consistency=s",
        U + "get c --consistency=s",
        U + "put b 1 --prev-kv",
        U + "del a --prev-kv",
        U + "del a --from-key",
        R + "put z 1",
        R + "get '' --prefix",
    ],
    "one_right_only": [
        *ENABLED,
        R + "role grant-permission r read rr",
        R + "role grant-permission r write ww",
        U + "get rr",
        U + "put rr 1",
        U + "get ww",
        U + "put ww 1",
        U + "del ww",
        U + "put ww 2 --prev-kv",
        U + "del ww --prev-kv",
        R + "role revoke-permission r ww",
        U + "put ww 1",
    ],
    "own_user_and_role": [
        *ENABLED,
        U + "user get u",
        U + "user get root",
        U + "user list",
        U + "user passwd u",
        U + "user add x:y",
        U + "role get r",
        U + "role get root",
        U + "role list",
        U + "role grant-permission r read z",
        U + "auth disable",
        R + "user delete u",
        U + "get a",
    ],
    "lease": [
        *ENABLED,
        R + "lease grant 100",
        U + "lease revoke 77",
        U + "lease timetolive 77",
        "lease timetolive 77",
    ],
    "no_password": [
        *USERS,
        "user add n --no-password",
        "auth enable",
        "--user n:pw get a",
        "--user n: get a",
    ],
}
WITH_STDIN: dict[str, str] = {
    U + "txn": 'mod("a") > "0"\n\nput b 1\n\nget a\n\n',
    R + "txn": 'mod("a") > "0"\n\nput b 1\n\nget a\n\n',
    "txn": "\n\n\n",
    U + "txn ": 'mod("z") > "0"\n\nput b 1\n\nget a\n\n',
    U + "txn  ": 'mod("a") > "0"\n\nput b 1\n\nget z\n\n',
    R + "user passwd u --interactive=false": "new\n",
    U + "get a": "",
    "--user u:new get a": "",
}


def run(etcdctl: Etcdctl, command: str, stdin: str | None, at: int) -> Outcome:
    outcome = etcdctl.run(command, stdin, at=at)
    text = re.sub(r"lease [0-9a-f]{16}", "lease ID", outcome.stdout)
    text = re.sub(r'"(cluster_id|member_id|raft_term|revision)":\d+', r'"\1":_', text)
    return outcome._replace(stdout=text)


def forget_all(etcdctl: Etcdctl) -> None:
    """No users and roles, auth disabled, no keys."""
    etcdctl.run("--user root:rpw auth disable")
    client = etcdctl.clients[0]
    for user in client.user_list(auth_rpc_pb2.AuthUserListRequest()).users:
        client.user_delete(auth_rpc_pb2.AuthUserDeleteRequest(name=user))
    for role in client.role_list(auth_rpc_pb2.AuthRoleListRequest()).roles:
        client.role_delete(auth_rpc_pb2.AuthRoleDeleteRequest(role=role))
    client.delete_range(rpc_pb2.DeleteRangeRequest(key=b"\0", range_end=b"\0"))


@pytest.mark.parametrize("case", CASES)
def test_etcdctl_prints_the_same(both: Pair, case: str) -> None:
    at = list(CASES).index(case) % 3
    outcomes = []
    for etcdctl in both:
        forget_all(etcdctl)
        outcomes.append([(step, run(etcdctl, step, None, at)) for step in CASES[case]])
    assert outcomes[0] == outcomes[1]


def test_etcdctl_with_input_prints_the_same(both: Pair) -> None:
    outcomes = []
    for etcdctl in both:
        forget_all(etcdctl)
        for command in ENABLED:
            assert etcdctl.run(command).code == 0
        outcomes.append([run(etcdctl, *step, 1) for step in WITH_STDIN.items()])
    assert outcomes[0] == outcomes[1]


def test_watch_of_foreign_keys_is_refused_as_by_etcd(both: Pair) -> None:
    """A key, and a range that goes beyond what is granted."""
    outcomes = []
    for etcdctl in both:
        forget_all(etcdctl)
        for command in ENABLED:
            assert etcdctl.run(command).code == 0
        outcomes.append(
            [run(etcdctl, command, None, 1) for command in (U + "watch z", U + "watch a d")]
        )
    assert outcomes[0] == outcomes[1]
    assert "permission denied" in outcomes[0][0].stderr
