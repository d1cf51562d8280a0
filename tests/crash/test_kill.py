"""SIGKILL, SIGSTOP, and silence: what was acknowledged stays, whatever dies."""

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from raftwerk.api import status
from raftwerk.cli.cluster import LocalCluster, Member, metric
from raftwerk.client import CallFailed, Client, OutcomeUnknown
from tests.conftest import StartCluster
from tests.crash.load import Load, check_equal
from tests.waiting import until


def restart(cluster: LocalCluster) -> None:
    for member in cluster.members:
        if not member.is_running:
            cluster.start(member)
    cluster.wait_ready()


def test_leader_killed_under_load(start_cluster: StartCluster) -> None:
    """No acknowledged write is lost, none is applied twice; the killed node catches up."""
    cluster = start_cluster(3)
    load = Load(cluster.members)
    asyncio.run(load.run_during(lambda: cluster.kill(cluster.wait_leader())))
    restart(cluster)
    asyncio.run(load.check(cluster.members))


def test_killed_node_catches_up_by_snapshot(start_cluster: StartCluster) -> None:
    """The log that it needs is compacted away meanwhile (section 7)."""
    cluster = start_cluster(3, "--snapshot-count=10")
    victim = cluster.members[0]
    rest = cluster.members[1:]
    load = Load(rest)
    asyncio.run(load.run_during(lambda: cluster.kill(victim), before=100, after=3000))
    cluster.wait_leader()
    # All but a few entries of the log: a checkpoint is made every two seconds
    until(lambda: all(_entries_kept(member) <= 10 for member in rest))
    cluster.start(victim)
    cluster.wait_ready()
    asyncio.run(load.check(cluster.members))
    assert "installed snapshot" in victim.log.read_text()


def _entries_kept(member: Member) -> float:
    last_index = metric(member, "raftwerk_raft_last_index")
    snapshot_index = metric(member, "raftwerk_raft_snapshot_index")
    assert last_index is not None
    assert snapshot_index is not None
    return last_index - snapshot_index


def test_all_killed_at_once_in_a_loop(start_cluster: StartCluster) -> None:
    """Everything acknowledged is there afterwards, and all three stores are equal."""
    cluster = start_cluster(3)
    loads = []
    for round_number in range(3):
        load = Load(cluster.members, name=f"round{round_number}")
        loads.append(load)

        def kill_all() -> None:
            for member in cluster.members:
                assert member.process is not None
                os.kill(member.process.pid, signal.SIGKILL)
            for member in cluster.members:
                assert member.process is not None
                member.process.wait()
            restart(cluster)

        asyncio.run(load.run_during(kill_all, before=150, after=20))
    for load in loads:
        asyncio.run(load.check(cluster.members))


def test_paused_leader_steps_down_and_answers_no_stale_read(start_cluster: StartCluster) -> None:
    """SIGSTOP for several election timeouts, then SIGCONT (thesis 6.2, 6.4)."""
    cluster = start_cluster(3)
    leader = cluster.wait_leader()
    others = [member for member in cluster.members if member is not leader]
    assert leader.process is not None

    async def scenario() -> None:
        async with Client([one.client_url for one in cluster.members]) as client:
            await client.put(b"key", b"old")
        os.kill(leader.process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
        try:
            async with Client([one.client_url for one in others], timeout_s=20) as client:
                await _put_until_known(client, b"key", b"new")
        finally:
            os.kill(leader.process.pid, signal.SIGCONT)  # type: ignore[union-attr]
        async with Client([leader.client_url]) as client:
            for _ in range(50):
                assert await client.get(b"key") == b"new", "a stale read"
        await check_equal(cluster.members)

    asyncio.run(scenario())
    log = leader.log.read_text()
    assert "stepped down" in log or "following" in log


async def _put_until_known(client: Client, key: bytes, value: bytes) -> None:
    while True:
        try:
            await client.put(key, value)
        except OutcomeUnknown:
            continue
        return


def test_single_node_keeps_an_acknowledged_write(start_cluster: StartCluster) -> None:
    """Never acknowledge before the own fsync: no peer holds a copy."""
    cluster = start_cluster(1)
    for round_number in range(3):
        load = Load(cluster.members, name=f"single{round_number}")

        def kill() -> None:
            cluster.kill(cluster.members[0])
            restart(cluster)

        asyncio.run(load.run_during(kill, before=100, after=10))
        asyncio.run(load.check(cluster.members))


def test_a_write_whose_fate_is_unknown_is_reported_as_such(start_cluster: StartCluster) -> None:
    """A leader without followers cannot tell: Unavailable, with etcd's text, never a plain failure."""
    cluster = start_cluster(3)
    leader = cluster.wait_leader()
    for member in cluster.members:
        if member is not leader:
            cluster.kill(member)

    async def write() -> None:
        async with Client([leader.client_url], timeout_s=20, exactly_once=False) as client:
            with pytest.raises(OutcomeUnknown) as caught:
                await client.put(b"key", b"value")
            assert caught.value.code == status.UNAVAILABLE
            assert caught.value.text in (
                status.TIMED_OUT.text,
                status.TIMED_OUT_CONNECTION_LOST.text,
                status.TIMED_OUT_LEADER_FAILED.text,
            )

    asyncio.run(write())


def test_a_minority_answers_no_linearizable_read_and_every_serializable_one(
    start_cluster: StartCluster,
) -> None:
    cluster = start_cluster(3)
    survivor = cluster.members[0]

    async def scenario() -> None:
        async with Client([survivor.client_url], timeout_s=3) as client:
            await client.put(b"key", b"value")
            for member in cluster.members[1:]:
                cluster.kill(member)
            with pytest.raises(CallFailed):
                await client.get(b"key")
            assert await client.get(b"key", serializable=True) == b"value"

    asyncio.run(scenario())


def test_restarted_member_answers_nothing_older_than_before(start_cluster: StartCluster) -> None:
    """Its log has what it had acknowledged; how much of that is committed it learns from a leader. Its checkpoint is older."""
    cluster = start_cluster(3)
    alone, *others = cluster.members

    async def scenario() -> None:
        async with Client([alone.client_url], timeout_s=3) as client:
            for number in range(200):
                await client.put(b"key", b"%d" % number)
            assert await client.get(b"key", serializable=True) == b"199"
            for member in cluster.members:
                cluster.kill(member)
            cluster.start(alone)
            with pytest.raises(CallFailed):
                await client.get(b"key", serializable=True)
            cluster.start(others[0])
            async with asyncio.timeout(30):
                while True:
                    with suppress(CallFailed):
                        assert await client.get(b"key", serializable=True) == b"199"
                        break

    asyncio.run(scenario())
