"""A state machine of one's own as a node's: in memory, durable through checkpoints and snapshots of its dump."""

import struct
import traceback
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from raftwerk.errors import CorruptData
from raftwerk.raft.types import Index
from raftwerk.replica.position import Position
from raftwerk.sim.checkers import Violation, require

NUMBER: Final = struct.Struct(">II")
"""Client and count before each command: so it is found in the log, and nowhere twice."""
SIZES: Final = struct.Struct(">II")
"""Of a durable state: the bytes of its position, and of the machine's dump."""


class OwnMachine(Protocol):
    """What a user writes. Deterministic: the same commands in the same order give the same results and the same dump."""

    def apply(self, command: bytes) -> object:
        """Execute one command, and return its result: a value that nothing changes later. Never raises for a bad command."""

    def dump(self) -> bytes:
        """The whole state; equal states give equal bytes."""

    def load(self, data: bytes) -> None:
        """Take on, in a new machine, the whole state that was dumped."""


class InMemory:
    """Implements replica.ports.StateMachine over an OwnMachine; `durable` is what a start finds."""

    def __init__(self, make: Callable[[], OwnMachine], durable: bytes = b"") -> None:
        self._make = make
        self.own = make()
        self.position = b""
        self.pending_bytes = 0
        self.durable = durable
        self._is_checkpointing = False
        self.load()

    def load(self) -> None:
        """Go on with what is durable."""
        self.own, self.position, self.pending_bytes = self._make(), b"", 0
        if self.durable:
            start = SIZES.size + SIZES.unpack_from(self.durable)[0]
            self.position = self.durable[SIZES.size : start]
            self.own.load(self.durable[start:])

    def apply(self, commands: Sequence[bytes], index: Index, position: bytes) -> list[object]:
        results = [apply_one(self.own, command[NUMBER.size :]) for command in commands]
        self.position = position
        self.pending_bytes += sum(map(len, commands))
        return results

    @property
    def index(self) -> Index:
        """Of the last entry that was applied."""
        return Position.decode(self.position).last_index if self.position else 0

    def encode(self) -> bytes:
        """The present state, as it becomes durable."""
        dump = self.own.dump()
        return SIZES.pack(len(self.position), len(dump)) + self.position + dump

    def begin_checkpoint(self) -> "_Checkpoint | None":
        is_durable = self.durable[SIZES.size :].startswith(self.position)
        if self._is_checkpointing or is_durable:
            return None
        self._is_checkpointing = True
        return _Checkpoint(self)

    def end_checkpoint(self, given_back_bytes: int) -> None:
        """given_back_bytes: what is pending again, since the checkpoint came to nothing."""
        self._is_checkpointing = False
        self.pending_bytes += given_back_bytes

    def open_snapshot(self) -> "_Reader":
        return _Reader(self.durable)

    def begin_restore(self) -> "_Writer":
        return _Writer(self)


def apply_one(machine: OwnMachine, command: bytes) -> object:
    try:
        return machine.apply(command)
    except Exception as error:
        text = f"apply raised for {command!r}; to a bad command the result must say so, or no node can go on:\n"
        where = "".join(traceback.format_exception(error)[-2:])
        raise Violation("Apply never raises", text + where) from error


class _Checkpoint:
    def __init__(self, machine: InMemory) -> None:
        self.index = machine.index
        self._machine = machine
        self._state = machine.encode()
        self._bytes, machine.pending_bytes = machine.pending_bytes, 0

    def write(self) -> bool:
        return True

    def commit(self) -> None:
        self._machine.durable = self._state

    def abort(self) -> None:
        """Nothing was written."""

    def finish(self, *, committed: bool) -> None:
        self._machine.end_checkpoint(0 if committed else self._bytes)


class _Reader:
    def __init__(self, state: bytes) -> None:
        self._state = state
        self.position = state[SIZES.size :][: SIZES.unpack_from(state)[0]]

    def read(self, offset: int, size: int) -> bytes:
        return self._state[offset : offset + size]

    def close(self) -> None:
        """Nothing is held."""


class _Writer:
    has_leftovers = False

    def __init__(self, machine: InMemory) -> None:
        self._machine = machine
        self._state = b""

    def write(self, chunk: bytes) -> None:
        self._state += chunk

    def commit(self) -> None:
        state = self._state
        if len(state) < SIZES.size or len(state) != SIZES.size + sum(SIZES.unpack_from(state)):
            raise CorruptData("snapshot", len(state), "the stream is not of the size that it tells")
        self._machine.durable = state

    def swap(self) -> None:
        self._machine.load()

    def abort(self) -> None:
        """What was received goes with this."""

    def clean(self) -> None:
        """Nothing is left."""


def check_dump(machine: OwnMachine) -> None:
    """It gives bytes, and the same ones twice."""
    dump, again = machine.dump(), machine.dump()
    text = f"dump must give bytes, it gave {dump!r:.80}"
    require(isinstance(dump, bytes), "Equal state machines", text)
    text = f"dump is not deterministic: two in a row were {parting(dump, again)}"
    require(dump == again, "Equal state machines", text)


def parting(one: bytes, other: bytes) -> str:
    """Where two dumps part."""
    places = range(min(len(one), len(other)))
    place = next((place for place in places if one[place] != other[place]), len(places))
    start, stop = max(0, place - 10), place + 20
    return f"...{one[start:stop]!r} at byte {start}, and ...{other[start:stop]!r}"
