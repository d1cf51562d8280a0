"""Three nodes in one event loop, on real sockets and disks."""

import asyncio
from dataclasses import replace
from pathlib import Path

from raftwerk.replica.failure import Failure
from tests.runtime.nodes import (
    answer_to,
    get,
    get_locally,
    leader_of,
    put,
    run,
    running,
    settings_of,
)
from tests.runtime.peers import until


def test_three_nodes_elect_one_leader_and_replicate(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(*settings_of(tmp_path, 3)) as nodes:
            await asyncio.gather(*(node.wait_ready() for node in nodes))
            leader = await leader_of(nodes)
            assert [node.status().role for node in nodes].count("leader") == 1
            await put(leader, b"key", b"value")
            assert [await get(node, b"key") for node in nodes] == [b"value"] * 3
            assert {member.name for member in leader.members()} == {"node1", "node2", "node3"}

    run(body)


def test_every_member_takes_writes(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(*settings_of(tmp_path, 3)) as nodes:
            await asyncio.gather(*(node.wait_ready() for node in nodes))
            for number, node in enumerate(nodes):
                await put(node, b"key%d" % number, b"value")
            for number in range(3):
                assert [await get(node, b"key%d" % number) for node in nodes] == [b"value"] * 3

    run(body)


def test_another_leads_when_the_leader_stops(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(*settings_of(tmp_path, 3)) as nodes:
            await asyncio.gather(*(node.wait_ready() for node in nodes))
            first = await leader_of(nodes)
            await put(first, b"key", b"old")
            term = first.current_term
            await first.stop()
            rest = [node for node in nodes if node is not first]
            second = await leader_of(rest)
            assert second.current_term > term
            await put(second, b"key", b"new")
            assert [await get(node, b"key") for node in rest] == [b"new"] * 2

    run(body)


def test_restarted_follower_catches_up_from_the_log(tmp_path: Path) -> None:
    async def body() -> None:
        settings = settings_of(tmp_path, 3)
        async with running(*settings) as nodes:
            await asyncio.gather(*(node.wait_ready() for node in nodes))
            leader = await leader_of(nodes)
            number = next(i for i, node in enumerate(nodes) if node is not leader)
            await nodes[number].stop()
            for value in range(10):
                await put(leader, b"key", b"%d" % value)
            async with running(settings[number]) as [again]:
                await again.wait_ready()
                assert await get(again, b"key") == b"9"
                assert again.status().snapshot_index == 0, "not by snapshot"

    run(body)


def test_follower_far_behind_catches_up_by_snapshot(tmp_path: Path) -> None:
    """The leader has compacted the entries that it would need (section 7)."""

    async def body() -> None:
        settings = settings_of(tmp_path, 3, snapshot_count=5)
        async with running(*settings) as nodes:
            await asyncio.gather(*(node.wait_ready() for node in nodes))
            leader = await leader_of(nodes)
            number = next(i for i, node in enumerate(nodes) if node is not leader)
            await nodes[number].stop()
            behind = leader.status().last_index
            for value in range(30):
                await put(leader, b"key%d" % value, b"x" * 10_000)
            await until(lambda: leader.status().snapshot_index > behind)
            async with running(settings[number]) as [again]:
                await again.wait_ready()
                assert again.status().snapshot_index > behind
                assert [get_locally(again, b"key%d" % value) for value in range(30)] == [
                    b"x" * 10_000
                ] * 30

    run(body)


def test_minority_answers_no_linearizable_request(tmp_path: Path) -> None:
    """And says that nothing happened to what it never proposed."""

    async def body() -> None:
        async with running(*settings_of(tmp_path, 3)) as nodes:
            await asyncio.gather(*(node.wait_ready() for node in nodes))
            leader = await leader_of(nodes)
            for node in nodes:
                if node is not leader:
                    await node.stop()
            await until(lambda: not leader.has_leader)
            read = asyncio.create_task(answer_to(leader.read))
            await until(lambda: leader.status().role != "leader")
            assert not read.done()
            await leader.stop()
            assert await read is Failure.STOPPED

    run(body)


def test_member_of_another_cluster_is_kept_out(tmp_path: Path) -> None:
    """Same addresses, another token: it is refused, and the cluster goes on."""

    async def body() -> None:
        settings = settings_of(tmp_path, 3)
        stranger = replace(settings[2], initial_cluster_token="other", data_dir=tmp_path / "other")
        async with running(*settings[:2], stranger) as [*nodes, other]:
            await asyncio.gather(*(node.wait_ready() for node in nodes))
            await put(nodes[0], b"key", b"value")
            assert not other.has_leader
            assert get_locally(other, b"key") is None

    run(body)
