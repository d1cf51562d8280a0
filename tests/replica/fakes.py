"""A world for one Replica: ports that keep everything in memory and do nothing by themselves."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from raftwerk.errors import CorruptData
from raftwerk.raft.effects import Persist
from raftwerk.raft.messages import Message
from raftwerk.replica.ports import Applying

T = TypeVar("T")
LONG = b"a long one"
"""A command that the machine does in LONG_SLICES slices."""
LONG_SLICES = 3


class FakeJournal:
    """Remembers persists; a test says when they are durable."""

    def __init__(self) -> None:
        self.persists: list[Persist] = []
        self.compactions: list[int] = []
        self.has_room = True

    def persist(self, persist: Persist) -> None:
        self.persists.append(persist)

    def compact(self, index: int) -> None:
        self.compactions.append(index)

    @property
    def compacted_to(self) -> int:
        return self.compactions[-1] if self.compactions else 0


class FakeNetwork:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Message]] = []

    def send(self, to: int, messages: Sequence[Message]) -> None:
        self.sent.extend((to, message) for message in messages)

    def take(self) -> list[tuple[int, Message]]:
        sent, self.sent = self.sent, []
        return sent


class FakeBackground:
    """Runs slices at once, and jobs when the test calls run_jobs."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], object], Callable[..., None]]] = []

    def run(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        self.jobs.append((job, done))

    def run_slice(self, job: Callable[[], T]) -> T:
        return job()

    def run_jobs(self) -> None:
        while self.jobs:
            job, done = self.jobs.pop(0)
            try:
                result: object = job()
            except Exception as error:  # noqa: BLE001  (as the real one: handed over)
                result = error
            done(result)


class ListMachine:
    """A state machine that is the list of its commands. Durable is what the last checkpoint holds."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.position = b""
        self.durable: tuple[list[bytes], bytes] = ([], b"")
        self.pending_bytes = 0
        self.write_errors: list[Exception] = []
        self.chunk_errors: list[Exception] = []
        self.checkpoint_slices = 2
        self.slices_written = 0
        self.open_readers = 0
        self.writers: list[ListWriter] = []
        self.aborted = 0
        """Checkpoints that were given up."""
        self.chunk_bytes = 7
        self.slices = 0
        """Of the newest long command, that are done."""
        self._under_way: ListCheckpoint | None = None

    def apply(
        self, commands: Sequence[bytes], index: int, position: bytes
    ) -> list[object] | Applying:
        if LONG in commands:
            steps = self._apply_in_slices(commands, position)
            next(steps)
            return steps
        return self._apply(commands, position)

    def _apply_in_slices(self, commands: Sequence[bytes], position: bytes) -> Applying:
        for self.slices in range(1, LONG_SLICES):
            yield
        return self._apply(commands, position)

    def _apply(self, commands: Sequence[bytes], position: bytes) -> list[object]:
        results: list[object] = []
        for command in commands:
            self.commands.append(command)
            self.pending_bytes += len(command)
            results.append(("done", command))
        self.position = position
        return results

    def begin_checkpoint(self) -> "ListCheckpoint | None":
        if self._under_way is not None or self.durable[1] == self.position:
            return None
        self._under_way = ListCheckpoint(self)
        return self._under_way

    def open_snapshot(self) -> "ListReader":
        self.open_readers += 1
        return ListReader(self)

    def begin_restore(self) -> "ListWriter":
        self.writers.append(ListWriter(self))
        return self.writers[-1]


class ListCheckpoint:
    def __init__(self, machine: ListMachine) -> None:
        self._machine = machine
        self._content = (list(machine.commands), machine.position)
        self._slices = machine.checkpoint_slices
        self._bytes, machine.pending_bytes = machine.pending_bytes, 0
        self.index = int.from_bytes(machine.position[:8], "big")

    def write(self) -> bool:
        if self._machine.write_errors:
            raise self._machine.write_errors.pop(0)
        self._slices -= 1
        self._machine.slices_written += 1
        return self._slices == 0

    def commit(self) -> None:
        self._machine.durable = self._content

    def abort(self) -> None:
        self._machine.aborted += 1

    def finish(self, *, committed: bool) -> None:
        self._machine._under_way = None
        if not committed:
            self._machine.pending_bytes += self._bytes


class ListReader:
    def __init__(self, machine: ListMachine) -> None:
        self._machine = machine
        commands, self.position = machine.durable
        self._data = b"\n".join([self.position.hex().encode(), *commands]) + b"\nEND"

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + min(size, self._machine.chunk_bytes)]

    def close(self) -> None:
        self._machine.open_readers -= 1


class ListWriter:
    def __init__(self, machine: ListMachine) -> None:
        self._machine = machine
        self._data = b""
        self.is_aborted = False
        self.pieces_left = 2
        """To be removed."""

    def write(self, chunk: bytes) -> None:
        if self._machine.chunk_errors:
            raise self._machine.chunk_errors.pop(0)
        self._data += chunk

    def commit(self) -> None:
        if not self._data.endswith(b"\nEND"):
            raise CorruptData("snapshot", len(self._data), "the stream ends too early")
        if self._machine.write_errors:
            raise self._machine.write_errors.pop(0)

    def swap(self) -> None:
        position, *commands = self._data.removesuffix(b"\nEND").split(b"\n")
        self._machine.commands = commands
        self._machine.position = bytes.fromhex(position.decode())
        self._machine.durable = (list(commands), self._machine.position)

    def abort(self) -> None:
        self.is_aborted = True

    @property
    def has_leftovers(self) -> bool:
        return self.pieces_left > 0

    def clean(self) -> None:
        self.pieces_left -= 1
