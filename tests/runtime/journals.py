"""A journal over a disk that waits, and what it reports."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

from raftwerk.raft.effects import Persist
from raftwerk.runtime.journal import WalJournal
from raftwerk.wal.segment import SPARE
from tests.fakes.disk import FakeDisk, FakeFile
from tests.wal.logs import entries, open_wal


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
