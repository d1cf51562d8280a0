"""A local cluster of processes: what it waits for, and what it says when that does not come."""

import os
import signal
import socket
from pathlib import Path

import pytest

from raftwerk.cli.cluster import LocalCluster, Member, by_chance, free_ports, is_healthy, metric
from raftwerk.cli.dev import ports_of
from raftwerk.cli.stopping import Stopping
from raftwerk.errors import UsageError
from tests.cli.commands import is_alive, taken_port
from tests.conftest import FAST, StartCluster, running_cluster


def nobody(folder: Path) -> Member:
    """A member that was never started."""
    ((client, peer),) = free_ports(1)
    return Member("node1", client, peer, folder / "node1", folder / "node1.log")


def test_ready_cluster_is_healthy_and_has_one_leader(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)
    leader = cluster.wait_leader()
    assert all(is_healthy(member) for member in cluster.members)
    assert cluster.leader() is leader
    leads = [metric(member, "etcd_server_is_leader") for member in cluster.members]
    assert sorted(value for value in leads if value is not None) == [0, 0, 1]


def test_stop_ends_every_process(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)
    pids = [member.process.pid for member in cluster.members if member.process is not None]
    cluster.stop_all()
    assert [pid for pid in pids if is_alive(pid)] == []
    assert [member.process.returncode for member in cluster.members if member.process] == [0] * 3
    cluster.stop_all()


def test_killed_member_can_be_started_again(start_cluster: StartCluster) -> None:
    cluster = start_cluster(1)
    (member,) = cluster.members
    cluster.kill(member)
    assert not member.is_running
    assert not is_healthy(member)
    assert cluster.leader() is None
    cluster.start(member)
    cluster.wait_ready()
    assert member.log.read_text().count("node started") == 2, "its log goes on where it ended"
    assert member.last_log_lines(100).count("node started") == 1


def test_member_that_ends_at_its_start_is_reported_with_its_log(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, free_ports(1), ["--nmae=x"])
    cluster.start_all()
    with pytest.raises(UsageError) as caught:
        cluster.wait_ready()
    assert str(caught.value).startswith("node1 ended at its start. Its log says:\n")
    assert "unknown flag --nmae" in str(caught.value)


def test_member_that_is_late_is_reported(start_cluster: StartCluster) -> None:
    cluster = start_cluster(1)
    process = cluster.members[0].process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(UsageError, match="node1 is not ready after 0 s"):
            cluster.wait_ready(timeout_s=0)
    finally:
        os.kill(process.pid, signal.SIGCONT)


def test_wait_ends_when_somebody_wants_to_stop(tmp_path: Path) -> None:
    """Not ready yet: it returns False instead of waiting on."""
    cluster = LocalCluster(tmp_path, free_ports(3), FAST)
    stopping = Stopping()
    stopping.tell()
    cluster.start(cluster.members[0])  # alone it has no majority
    try:
        assert not cluster.wait_ready(stopping=stopping)
    finally:
        cluster.stop_all()


def test_no_leader_in_time_is_reported(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, free_ports(1))
    with pytest.raises(UsageError, match="no leader after 0 s; the logs are in "):
        cluster.wait_leader(timeout_s=0)


def test_member_that_never_started_is_not_there(tmp_path: Path) -> None:
    member = nobody(tmp_path)
    assert not member.is_running
    assert not is_healthy(member)
    assert metric(member, "etcd_server_is_leader") is None
    assert member.last_log_lines() == ""


def test_last_log_lines(tmp_path: Path) -> None:
    member = nobody(tmp_path)
    member.log.write_bytes(b"one\ntwo\n\xff\nfour\n")
    assert member.last_log_lines(2) == "\N{REPLACEMENT CHARACTER}\nfour"
    member.log_from = len(b"one\n")  # said by a process before
    assert member.last_log_lines() == "two\n\N{REPLACEMENT CHARACTER}\nfour"


def test_taken_port_is_reported_before_anything_starts(tmp_path: Path) -> None:
    ((client, _),) = free_ports(1)
    with taken_port() as taken:
        cluster = LocalCluster(tmp_path, [(client, taken)])
        with pytest.raises(UsageError) as caught:
            cluster.check_ports()
    assert f"port {taken} on 127.0.0.1 is taken" in str(caught.value)
    assert "--base-port" in str(caught.value)
    assert "to connections that go out" in str(caught.value), "a system gives no others"


@pytest.mark.parametrize(
    ("base", "outgoing", "told"),
    [
        (5379, "32768 60999", "in a moment; a --base-port of 1024 to 2766 needs none of those"),
        (5379, "20000 60999", "in a moment"),
        (2379, "32768 60999", ""),
        (5379, None, ""),
    ],
)
def test_port_that_a_connection_may_have(
    tmp_path: Path, base: int, outgoing: str | None, told: str
) -> None:
    """How it was taken is not known, but that it need not stay so."""
    file = tmp_path / "range"
    if outgoing is not None:
        file.write_text(outgoing)
    found = by_chance(base + 30_000, ports_of(base, 3), file)
    assert (bool(found), found.endswith(told)) == (bool(told), True)


def test_port_of_a_connection_that_just_ended_is_not_taken(tmp_path: Path) -> None:
    """It lingers in TIME_WAIT: a second start at once must work."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address), server.accept()[0] as accepted:
            accepted.shutdown(socket.SHUT_WR)
    (free,) = free_ports(1)
    LocalCluster(tmp_path, [(address[1], free[1])]).check_ports()
    assert list(tmp_path.iterdir()) == []


def test_variables_of_etcd_do_not_reach_the_members(tmp_path: Path) -> None:
    """They would mean the same to all of them."""
    os.environ["ETCD_NAME"] = "other"
    try:
        with running_cluster(tmp_path, 1) as cluster:
            pass
    finally:
        del os.environ["ETCD_NAME"]
    assert "ETCD_NAME" not in cluster.members[0].log.read_text()


def test_free_ports_are_all_different() -> None:
    numbers = [port for pair in free_ports(20) for port in pair]
    assert len(set(numbers)) == 40
