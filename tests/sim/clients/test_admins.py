"""The client that changes users and roles."""

from raftwerk.kv.auth_commands import RoleAdd
from raftwerk.kv.commands import decode
from raftwerk.sim.clients.admins import AdminClient
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.kv_machine import SimKvMachine
from tests.sim.clients.scene import at_work


def test_users_and_roles_are_made_and_deleted() -> None:
    cluster, _ = at_work(10_000, clients=0, admins=1)
    kinds = {
        type(decode(entry.command)).__name__
        for entry in cluster.checks.committed.entries
        if entry.command
    }
    assert len(kinds) >= 9
    for node_id in cluster.nodes:
        assert isinstance(cluster.nodes[node_id].machine, SimKvMachine)
        assert cluster.check_state(node_id)


def test_commands_are_all_different() -> None:
    client, seen = AdminClient(Cluster(1), 1), list[object]()
    for _ in range(50):
        client._count += 1
        seen.append(client._change())
    assert len(set(seen)) == 50
    assert seen[9] == RoleAdd("1-1")
