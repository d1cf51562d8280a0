"""The writer thread of the log: in order, in groups, and never past a failed sync."""

import asyncio
import threading
from typing import cast

from raftwerk.errors import DiskFailed
from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, EntryKind
from tests.fakes.disk import FakeDisk
from tests.runtime.journals import GatedDisk, journal_on, run
from tests.runtime.peers import until


def test_persists_become_durable_in_order() -> None:
    async def body() -> None:
        async with journal_on(FakeDisk()) as rig:
            rig.persist(50)
            await until(lambda: rig.persisted[-1:] == [50])
            assert rig.persisted == sorted(set(rig.persisted))
        assert rig.indexes_after_restart() == list(range(1, 51))

    run(body)


def test_persists_are_reported_on_the_loop() -> None:
    async def body() -> None:
        async with journal_on(FakeDisk()) as rig:
            rig.persist()
            await until(lambda: rig.persisted)
            assert rig.threads == {threading.main_thread().name}

    run(body)


def test_what_comes_while_the_disk_is_busy_is_one_group() -> None:
    """One on the disk, one ready, the rest in the next, whole: three writes for a hundred persists."""

    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            disk.gate.clear()
            rig.persist(100, size=1)
            disk.gate.set()
            await until(lambda: rig.persisted[-1:] == [100])
            assert rig.persisted == [1, 2, 100]
            assert len(rig.syncs_s) == 3
        assert rig.indexes_after_restart() == list(range(1, 101))

    run(body)


def test_nothing_is_reported_before_it_is_on_the_disk() -> None:
    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            disk.gate.clear()
            rig.persist(3)
            for _ in range(50):
                await asyncio.sleep(0)
            assert rig.persisted == []
            disk.gate.set()
            await until(lambda: rig.persisted == [1, 2, 3])

    run(body)


def test_failed_write_is_reported_and_nothing_is_written_after_it() -> None:
    """What the file holds is unknown: no retry, no later group that might seem to succeed."""

    async def body() -> None:
        disk = FakeDisk()
        async with journal_on(disk) as rig:
            rig.persist()
            await until(lambda: rig.persisted == [1])
            disk.fails_writes = True
            rig.persist()
            await until(lambda: rig.failures)
            disk.fails_writes = False
            writes = rig.writes()
            rig.persist(5)
            for _ in range(50):
                await asyncio.sleep(0)
            assert [type(failure) for failure in rig.failures] == [DiskFailed]
            assert (rig.persisted, rig.writes()) == ([1], writes)

    run(body)


def test_what_cannot_be_encoded_fails_the_node_though_it_waited_for_the_disk() -> None:
    """A bug of ours; unreported, the node would wait for that write for ever."""

    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            disk.gate.clear()
            rig.persist(2)
            unfit = Entry(3, 1, EntryKind.COMMAND, cast("bytes", object()))
            rig.journal.persist(Persist(3, 1, 1, entries=[unfit]))
            disk.gate.set()
            await until(lambda: rig.failures)
            assert {type(failure) for failure in rig.failures} == {TypeError}

    run(body)


def test_full_disk_is_waited_for() -> None:
    """Nothing was lost: the same write succeeds when there is space again."""

    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            disk.is_write_refused = True
            attempts = disk.attempts
            rig.persist(3)
            await until(lambda: disk.attempts > attempts)
            assert (rig.persisted, rig.failures) == ([], [])
            disk.is_write_refused = False
            await until(lambda: rig.persisted[-1:] == [3])
        assert rig.indexes_after_restart() == [1, 2, 3]

    run(body)


def test_close_does_not_wait_for_space() -> None:
    """What waits was never vouched for."""

    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            disk.is_write_refused = True
            attempts = disk.attempts
            rig.persist()
            await until(lambda: disk.attempts > attempts)
        assert rig.persisted == []

    run(body)


def test_close_finishes_what_was_handed_over() -> None:
    async def body() -> None:
        async with journal_on(FakeDisk()) as rig:
            rig.persist(2)
        assert rig.indexes_after_restart() == [1, 2]

    run(body)
