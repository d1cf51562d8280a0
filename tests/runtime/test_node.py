"""One node, on real sockets and disks: what it answers, how it stops, how it fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raftwerk.errors import CorruptData, DataDirError, DiskFailed, UsageError
from raftwerk.kv.commands import DeleteRange, Put, RangeQuery, Txn, encode
from raftwerk.kv.machine import KvMachine
from raftwerk.replica.failure import Failure
from raftwerk.runtime.data_dir import open_data_dir
from raftwerk.runtime.node import Node
from raftwerk.wal.log import Wal
from tests.fakes.damage import flip_bit_in
from tests.fakes.disk import FakeDisk
from tests.runtime.nodes import (
    answer_to,
    get,
    open_files_in,
    put,
    run,
    running,
    settings_of,
)
from tests.runtime.peers import until

# One node


def test_single_node_elects_itself_writes_and_reads(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(*settings_of(tmp_path)) as [node]:
            await node.wait_ready()
            result = await put(node, b"key", b"value")
            assert await get(node, b"key") == b"value"
            assert result.revision == 2
            status = node.status()
            assert (status.role, status.leader_id) == ("leader", node.node_id)
            # What the lessor writes by itself may be on its way
            assert 0 < status.last_applied <= status.commit_index <= status.last_index

    run(body)


def test_applied_in_the_status_is_what_the_machine_has_executed(tmp_path: Path) -> None:
    """A deletion of many keys takes several turns, after it was handed to the machine."""

    async def body() -> None:
        async with running(*settings_of(tmp_path)) as [node]:
            await node.wait_ready()
            for start in range(0, 10_000, 100):
                many = tuple(Put(b"k%05d" % number, b"") for number in range(start, start + 100))
                await answer_to(lambda done, many=many: node.propose(encode(Txn((), many)), done))
            answers: list[object] = []
            node.propose(encode(DeleteRange(b"k", b"l")), answers.append)
            committed = node.status().commit_index
            told = []
            while not answers:
                status = node.status()
                if status.commit_index > committed:
                    told.append(status.last_applied)
                await asyncio.sleep(0)
            assert len(told) > 5
            assert max(told) == committed

    run(body)


def test_ready_node_is_published_with_its_urls(tmp_path: Path) -> None:
    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        async with running(settings) as [node]:
            await node.wait_ready()
            (member,) = node.members()
            assert (member.node_id, member.name) == (node.node_id, "node1")
            assert member.client_urls == settings.advertise_client_urls
            assert member.peer_urls == settings.initial_advertise_peer_urls
            await node.wait_ready()
            entries = node._replica.raft.state.log.slice(1, node.status().last_index + 1)
            publication = encode(node._members.publication)
            assert [entry.command for entry in entries].count(publication) == 1

    run(body)


def test_restarted_node_finds_its_data(tmp_path: Path) -> None:
    """Also what is only in the log, not yet in a checkpoint; and its term never goes back."""

    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        async with running(settings) as [node]:
            for number in range(20):
                await put(node, b"key%d" % number, b"value")
            term = node.current_term
        async with running(settings) as [node]:
            assert node.current_term >= term
            await node.wait_ready()
            assert [await get(node, b"key%d" % number) for number in range(20)] == [b"value"] * 20

    run(body)


def test_any_linearizable_read_tells_that_a_node_has_caught_up(tmp_path: Path) -> None:
    """From then on it answers serializable ones, whoever dies."""

    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        async with running(settings) as [node]:
            assert not node.has_caught_up
            while await answer_to(node.read) is not None:
                """It has not led yet."""
            assert node.has_caught_up

    run(body)


def test_many_proposals_at_once_are_all_answered_in_order(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(*settings_of(tmp_path)) as [node]:
            await node.wait_ready()
            results = await asyncio.gather(*(put(node, b"key", b"%d" % n) for n in range(500)))
            revisions = [result.revision for result in results]
            assert revisions == list(range(2, 502))
            assert await get(node, b"key") == b"499"
            await until(lambda: not node.waiting_proposals)  # the clock of leases proposes too
            assert node.failed_proposals_total == 0
            assert 0 < node.metrics.wal_sync.count < 500, "written in groups"

    run(body)


# Its life


def test_stop_before_start_gives_the_folder_back(tmp_path: Path) -> None:
    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        node = Node.open(settings)
        await node.stop()
        await node.stop()
        async with running(settings) as [again]:
            await again.wait_ready()
            assert again.has_leader

    run(body)


def test_failed_start_can_be_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    """The peer port is taken: an error that says so, and the folder is free for the next attempt."""

    async def body() -> None:
        first, second = settings_of(tmp_path)[0], settings_of(tmp_path / "other")[0]
        async with running(first):
            node = Node.open(replace(second, listen_peer=first.listen_peer))
            with pytest.raises(UsageError, match="cannot listen for peers"):
                await node.start()
            await node.stop()
            async with running(second) as [again]:
                await again.wait_ready()

    run(body)


def test_stop_may_be_repeated_and_overlap(tmp_path: Path) -> None:
    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        async with running(settings) as [node]:
            await asyncio.gather(node.stop(), node.stop())
            await node.stop()
            with pytest.raises(AssertionError, match="open another Node"):
                await node.start()

    run(body)


def test_stop_leaves_no_open_file(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(*settings_of(tmp_path)) as [node]:
            await node.wait_ready()
            assert open_files_in(tmp_path)
        assert open_files_in(tmp_path) == []

    run(body)


def test_requests_that_wait_at_the_stop_are_answered(tmp_path: Path) -> None:
    """Without a majority: those that have a place in no log certainly did not happen."""

    async def body() -> None:
        first, *_ = settings_of(tmp_path, 3)
        async with running(first) as [node]:
            write = asyncio.create_task(put(node, b"key", b"value"))
            read = asyncio.create_task(answer_to(node.read))
            await until(lambda: node.waiting_proposals)
            node.give_up()
            assert (await write, await read) == (Failure.STOPPED, Failure.STOPPED)
            assert await put(node, b"key", b"value") is Failure.STOPPED
            await node.stop()

    run(body)


def test_requests_after_the_stop_are_answered(tmp_path: Path) -> None:
    async def body() -> None:
        async with running(*settings_of(tmp_path)) as [node]:
            await node.stop()
            assert await put(node, b"key", b"value") is Failure.STOPPED
            assert await answer_to(node.read) is Failure.STOPPED

    run(body)


def test_folder_of_a_running_node_is_refused_to_another(tmp_path: Path) -> None:
    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        async with running(settings):
            with pytest.raises(DataDirError, match="in use by another process"):
                Node.open(settings)

    run(body)


# It fails loudly


async def failure_of(node: Node) -> Exception:
    async with asyncio.timeout(10):
        return await asyncio.shield(node.failed)


def test_failed_sync_of_the_log_ends_the_node(tmp_path: Path) -> None:
    """What the file holds is unknown now: nothing more is acknowledged."""

    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        folder = open_data_dir(settings)
        disk = FakeDisk()
        wal, _ = Wal.open(disk, tmp_path, folder.cluster_id, folder.node_id)
        folder.wal.close()
        node = Node(settings, replace(folder, wal=wal))
        try:
            await node.start()
            await node.wait_ready()
            write = asyncio.create_task(put(node, b"key", b"value"))
            await asyncio.sleep(0)  # it is proposed, and not yet written
            disk.fails_writes = True
            assert isinstance(await failure_of(node), DiskFailed)
            with pytest.raises(DiskFailed):
                await node.wait_ready()
            assert not write.done()
        finally:
            await node.stop()
        assert await write is Failure.TIMED_OUT, "its outcome is unknown"

    run(body)


class BrokenMachine(KvMachine):
    """Has a bug that shows in one of its methods."""

    broken = ""

    def apply(self, commands: Sequence[bytes], index: int, position: bytes) -> Any:
        assert self.broken != "apply", "a bug"
        return super().apply(commands, index, position)

    @property
    def has_garbage(self) -> bool:
        return self.broken == "maintain" or super().has_garbage

    def maintain(self, max_rows: int) -> bool:
        assert self.broken != "maintain", "a bug"
        return super().maintain(max_rows)


@pytest.mark.parametrize("method", ["apply", "maintain"])
def test_bug_in_the_state_machine_ends_the_node(tmp_path: Path, method: str) -> None:
    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        folder = open_data_dir(settings)
        machine = BrokenMachine(folder.store)
        node = Node(settings, replace(folder, machine=machine))
        try:
            await node.start()
            await node.wait_ready()
            machine.broken = method
            node.propose(encode(Put(b"key", b"value")), lambda _: None)
            assert isinstance(await failure_of(node), AssertionError)
        finally:
            await node.stop()

    run(body)


class CountingMachine(KvMachine):
    """Always has something to remove."""

    has_garbage = True
    removals = 0

    def maintain(self, max_rows: int) -> bool:
        self.removals += 1
        return True


def test_nothing_is_removed_while_the_disk_is_full(tmp_path: Path) -> None:
    """It would wait in memory, of which a full disk may take only so much."""

    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        folder = open_data_dir(settings)
        machine = CountingMachine(folder.store)
        node = Node(settings, replace(folder, machine=machine))
        try:
            await node.start()
            await node.wait_ready()
            before = machine.removals
            node._replica.checkpoints.is_disk_full = True
            node._on_tick(0)
            assert machine.removals == before
            node._replica.checkpoints.is_disk_full = False
            node._on_tick(0)
            assert machine.removals == before + 1
        finally:
            await node.stop()

    run(body)


def test_failed_node_takes_no_further_step(tmp_path: Path) -> None:
    """Its state could be half changed."""

    async def body() -> None:
        (settings,) = settings_of(tmp_path)
        folder = open_data_dir(settings)
        machine = BrokenMachine(folder.store)
        node = Node(settings, replace(folder, machine=machine))
        try:
            await node.start()
            await node.wait_ready()
            machine.broken = "apply"
            first = asyncio.create_task(put(node, b"key", b"1"))
            await failure_of(node)
            applied = node.status().last_index
            machine.broken = ""
            second = asyncio.create_task(put(node, b"key", b"2"))
            for _ in range(20):
                await asyncio.sleep(0)
            assert node.status().last_index == applied
            assert not first.done()
            assert not second.done()
        finally:
            await node.stop()
        await asyncio.gather(first, second)

    run(body)


def test_node_that_reads_a_damaged_row_ends_whoever_asked(tmp_path: Path) -> None:
    """What becomes of the exception is not up to who asked: a handler of a request, a probe, a chore."""
    (settings,) = settings_of(tmp_path)

    async def fill() -> None:
        async with running(settings) as [node]:
            await node.wait_ready()
            await put(node, b"key", b"precious")
            made = asyncio.Event()
            node.when_checkpointed(made.set)
            await made.wait()

    async def body() -> None:
        async with running(settings) as [node]:
            with pytest.raises(CorruptData) as caught:
                node.machine.range(RangeQuery(b"key"))
            assert await failure_of(node) is caught.value

    run(fill)
    flip_bit_in(settings.data_dir / "store" / "data-000001" / "data.mdb", b"precious")
    run(body)


def test_damaged_folder_is_not_opened(tmp_path: Path) -> None:
    (settings,) = settings_of(tmp_path)
    asyncio.run(Node.open(settings).stop())
    (settings.data_dir / "identity.json").write_text("{")
    with pytest.raises(CorruptData):
        Node.open(settings)
