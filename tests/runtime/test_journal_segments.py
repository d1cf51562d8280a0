"""The thread beside the log's writer: it makes the spare segment, and removes old ones, oldest first."""

import asyncio

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.runtime.journal import RESERVE_MS
from raftwerk.wal.segment import SPARE, name_of
from tests.fakes.disk import FakeDisk, FakeFile
from tests.runtime.journals import GatedDisk, journal_on, run
from tests.runtime.peers import until
from tests.wal.logs import SEGMENT_BYTES


class RefusingDisk(FakeDisk):
    """As one that writes each block of a directory to a new place: it may find no space to remove a file."""

    refused = ""
    """The file, for one time."""

    def _check(self, name: str) -> None:
        if name == self.refused:
            self.refused = ""
            raise DiskFull(f"no space left to remove {name}")

    def remove(self, name: str) -> None:
        self._check(name)
        super().remove(name)

    def retire(self, name: str, successor: str) -> None:
        self._check(name)
        super().retire(name, successor)


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
            segments = disk.segments
            rig.journal.compact(60)
            await until(lambda: disk.removed)
            rig.persist()
            await until(lambda: rig.persisted[-1:] == [101])
            left = disk.segments
            assert set(left) < set(segments)
            assert left[-1] == segments[-1]

    run(body)


def test_segment_is_removed_only_when_what_comes_after_it_is_durable() -> None:
    """A crash in between would leave no log at all."""

    async def body() -> None:
        disk = GatedDisk()
        async with journal_on(disk) as rig:
            (only,) = disk.segments
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
        assert disk.steps.index(f"retire {only}") > max(
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
    async def body() -> None:
        disk = RefusingDisk()
        async with journal_on(disk) as rig:
            (first,) = disk.segments
            rig.persist(100)
            await until(lambda: rig.persisted[-1:] == [100])
            disk.refused = first
            rig.journal.compact(60)
            await until(lambda: first not in disk.names())
            assert (disk.refused, rig.failures) == ("", [])

    run(body)


def test_segments_are_removed_oldest_first_though_an_older_one_found_no_space() -> None:
    """A gap between those that are left would be refused at the next start."""

    async def body() -> None:
        disk = RefusingDisk()
        async with journal_on(disk) as rig:
            for _ in range(100):
                rig.persist()
                await until(lambda: rig.persisted[-1:] == [rig._tickets])
            segments = disk.segments
            disk.refused = segments[0]
            rig.journal.compact(60)
            rig.journal.compact(90)
            await until(lambda: segments[0] not in disk.names())
            assert (disk.refused, rig.failures) == ("", [])
        assert len(disk.removed) > 1
        assert disk.removed == segments[: len(disk.removed)]

    run(body)


def test_one_attempt_at_a_time_to_make_the_spare_segment() -> None:
    """However many writes end meanwhile: what removes segments, and so makes room, would wait behind them all."""

    class Counting(GatedDisk):
        attempts_at_spare = 0

        def create(self, name: str, size: int) -> FakeFile:
            if name == SPARE:
                self.attempts_at_spare += 1
            return super().create(name, size)

    async def body() -> None:
        disk = Counting()
        async with journal_on(disk) as rig:
            (first,) = disk.segments
            disk.spare_gate.clear()
            for _ in range(100):
                rig.persist()
                await until(lambda: rig.persisted[-1:] == [rig._tickets])
            rig.journal.compact(60)
            disk.capacity = 0
            disk.spare_gate.set()
            await until(lambda: first not in disk.names())
            assert disk.attempts_at_spare == 2  # one was there from the start

    run(body)


def test_another_spare_segment_is_made_each_time() -> None:
    async def body() -> None:
        disk = FakeDisk()
        async with journal_on(disk) as rig:
            for number in (2, 3, 4):
                while name_of(number) not in disk.names():
                    rig.persist(size=300)
                    await until(lambda: rig.persisted[-1:] == [rig._tickets])
                await until(lambda: SPARE in disk.names())
        assert disk.steps.count(f"create {SPARE}") == 4

    run(body)


def test_failure_beside_the_writer_fails_the_node() -> None:
    class Broken(FakeDisk):
        def retire(self, name: str, successor: str) -> None:
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
            assert len(disk.segments) > 1

    run(body)
