"""The writer thread of the log: in order, in groups, and never past a failed sync."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import cast

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.runtime.journal import RESERVE_MS, WalJournal
from raftwerk.wal.segment import SPARE
from tests.fakes.disk import FakeDisk, FakeFile
from tests.runtime.peers import until
from tests.wal.logs import SEGMENT_BYTES, entries, open_wal


class GatedDisk(FakeDisk):
    """Writes wait until the gate is open, and are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0
        self.gate = threading.Event()
        self.gate.set()
        self.spare_gate = threading.Event()
        self.spare_gate.set()

    def create(self, name: str, size: int) -> FakeFile:
        if name == SPARE:
            assert self.spare_gate.wait(10)
        return super().create(name, size)

    def open(self, name: str, *, read_only: bool = False) -> FakeFile:
        return GatedFile(self, name, self.files[name], read_only=read_only)


class GatedFile(FakeFile):
    def write_durable(self, buffers: Sequence[bytes], offset: int) -> None:
        assert isinstance(self._disk, GatedDisk)
        self._disk.attempts += 1
        assert self._disk.gate.wait(10)
        super().write_durable(buffers, offset)


class Rig:
    """A journal over a fake disk, and what it reported."""

    def __init__(self, disk: FakeDisk) -> None:
        self.disk = disk
        self.persisted: list[int] = []
        self.failures: list[Exception] = []
        self.syncs_s: list[float] = []
        self.threads: set[str] = set()
        self._tickets = 0
        self._last_index = 0
        wal, _ = open_wal(disk)
        self.journal = WalJournal(
            wal,
            asyncio.get_running_loop(),
            self._on_persisted,
            self.failures.append,
            self.syncs_s.append,
        )
        self.writes_before = self.writes()

    def _on_persisted(self, ticket: int) -> None:
        self.threads.add(threading.current_thread().name)
        self.persisted.append(ticket)

    def persist(self, count: int = 1, size: int = 20) -> None:
        """So many persists of one entry each."""
        for _ in range(count):
            self._tickets += 1
            self._last_index += 1
            added = entries(self._last_index, 1, term=1, size=size)
            self.journal.persist(Persist(self._tickets, 1, 1, entries=added))

    def writes(self) -> int:
        return sum(step.startswith("write") for step in self.disk.steps)

    def indexes_after_restart(self) -> list[int]:
        _, recovered = open_wal(self.disk.reboot())
        log = recovered.log
        return [entry.index for entry in log.slice(1, log.last_index + 1)]


@asynccontextmanager
async def journal_on(disk: FakeDisk) -> AsyncIterator[Rig]:
    rig = Rig(disk)
    try:
        async with asyncio.timeout(10):
            yield rig
    finally:
        rig.journal.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"raftwerk-wal", "raftwerk-segments"}


def run(body: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(body())


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


def test_spare_segment_is_made_when_there_is_space_again() -> None:
    """Without one the journal has no room for more, and the node refuses proposals."""

    async def body() -> None:
        disk = FakeDisk()
        disk.capacity = SEGMENT_BYTES
        async with journal_on(disk) as rig:
            rig.persist(40)
            await until(lambda: rig.persisted)
            assert not rig.journal.has_room
            disk.capacity = None
            rig.journal.tick(RESERVE_MS - 1)
            assert SPARE not in disk.names()
            await until(lambda: rig.persisted[-1:] == [40])
            rig.journal.tick(RESERVE_MS)
            await until(lambda: rig.journal.has_room)
            assert SPARE in disk.names()

    run(body)


def test_compaction_removes_segments_that_nobody_needs() -> None:
    async def body() -> None:
        disk = FakeDisk()
        async with journal_on(disk) as rig:
            for _ in range(100):
                rig.persist()
                await until(lambda: rig.persisted[-1:] == [rig._tickets])
            segments = [name for name in disk.names() if name != SPARE]
            rig.journal.compact(60)
            await until(lambda: any("remove" in step for step in disk.steps))
            rig.persist()
            await until(lambda: rig.persisted[-1:] == [101])
            left = [name for name in disk.names() if name != SPARE]
            assert set(left) < set(segments)
            assert left[-1] == segments[-1]

    run(body)


def test_segment_is_removed_only_when_what_comes_after_it_is_durable() -> None:
    """A crash in between would leave no log at all."""

    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            (only,) = [name for name in disk.names() if name != SPARE]
            disk.gate.clear()
            rig.persist(size=SEGMENT_BYTES - 700)
            rig.persist(size=SEGMENT_BYTES - 700)  # begins the second segment
            rig.journal.compact(1)
            await until(lambda: disk.attempts)
            for _ in range(50):
                await asyncio.sleep(0)
            assert only in disk.names()
            disk.gate.set()
            await until(lambda: only not in disk.names())
            assert rig.persisted[-1:] == [2]
        assert disk.steps.index(f"remove {only}") > max(
            place for place, step in enumerate(disk.steps) if step.startswith("write")
        )

    run(body)


def test_writes_do_not_wait_for_the_spare_segment() -> None:
    """It takes tens of milliseconds, and all members need it at once."""

    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            disk.spare_gate.clear()
            for _ in range(100):
                rig.persist()
                await until(lambda: rig.persisted[-1:] == [rig._tickets])
            assert SPARE not in disk.names()
            disk.spare_gate.set()
            await until(lambda: SPARE in disk.names())
            assert disk.steps.count(f"create {SPARE}") == 2  # one was there from the start
        assert rig.indexes_after_restart() == list(range(1, 101))

    run(body)


def test_segment_that_cannot_be_removed_for_want_of_space_is_removed_later() -> None:
    """As on a file system that writes each block of a directory to a new place."""

    class Refusing(FakeDisk):
        refusals = 0

        def remove(self, name: str) -> None:
            if not self.refusals:
                self.refusals += 1
                raise DiskFull(f"no space left to remove {name}")
            super().remove(name)

    async def body() -> None:
        disk = Refusing()
        async with journal_on(disk) as rig:
            (first,) = [name for name in disk.names() if name != SPARE]
            rig.persist(100)
            await until(lambda: rig.persisted[-1:] == [100])
            rig.journal.compact(60)
            await until(lambda: first not in disk.names())
            assert (disk.refusals, rig.failures) == (1, [])

    run(body)


def test_failure_beside_the_writer_fails_the_node() -> None:
    class Broken(FakeDisk):
        def remove(self, name: str) -> None:
            raise DiskFailed(f"could not remove {name}")

    async def body() -> None:
        async with journal_on(Broken()) as rig:
            rig.persist(100)
            await until(lambda: rig.persisted[-1:] == [100])
            rig.journal.compact(60)
            await until(lambda: rig.failures)
            assert [type(failure) for failure in rig.failures] == [DiskFailed]

    run(body)


def test_spare_segment_is_made_under_load_too() -> None:
    """As soon as the last one went into use, though no tick finds the journal idle."""

    async def body() -> None:
        disk = FakeDisk()
        async with journal_on(disk) as rig:
            rig.persist(60)
            await until(lambda: rig.persisted[-1:] == [60])
            await until(lambda: SPARE in disk.names())
            assert len(disk.names()) > 2

    run(body)
