"""Alarms: replicated state that says that something is wrong with a member, and what all members refuse meanwhile.

NOSPACE: the store of a member is over its quota. What would add data is refused; deletions and compactions are not.
CORRUPT: a member's data differ from the others'. Every write is refused: it could spread the damage. (Leases that run out
still end, as they were promised to.)

META: b"alarm", kind (1 byte), node id (8 bytes) -> nothing.
"""

from typing import Final

from raftwerk.kv.commands import (
    AlarmKind,
    AlarmSet,
    DeleteRange,
    LeaseCommand,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Txn,
    Write,
)
from raftwerk.kv.results import AlarmResult, KvError
from raftwerk.kv.store import Store, Table

_PREFIX: Final = b"alarm"
_STOP: Final = b"alarn"
_NOTHING: Final = b""

Raised = frozenset[tuple[AlarmKind, int]]


class Alarms:
    """Which alarms are raised, and what follows from it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.raised: Raised
        """(kind, node id)."""
        self.load()

    def load(self) -> None:
        """From the store, at the start and after a snapshot."""
        rows = self._store.scan(Table.META, _PREFIX, _STOP)
        place = len(_PREFIX)
        self.raised = frozenset(
            (AlarmKind(key[place]), int.from_bytes(key[place + 1 :], "big")) for key, _ in rows
        )

    def has(self, kind: AlarmKind) -> bool:
        """Whether any member raised it."""
        return any(one is kind for one, _ in self.raised)

    def execute(self, command: AlarmSet, revision: int) -> AlarmResult:
        """Raise or end an alarm. Raising one again is no error, nor is ending one that is not raised."""
        alarm = (command.kind, command.node_id)
        key = _key(command.kind, command.node_id)
        was_raised = alarm in self.raised
        if command.is_raised and not was_raised:
            self._store.put(Table.META, key, _NOTHING)
            self.raised |= {alarm}
        elif was_raised and not command.is_raised:
            self._store.delete(Table.META, key)
            self.raised -= {alarm}
        return AlarmResult(revision, is_known=was_raised or command.is_raised)

    def forget(self) -> None:
        """End all of them: the members that raised them are no more."""
        for kind, node_id in self.raised:
            self._store.delete(Table.META, _key(kind, node_id))
        self.raised = frozenset()

    def refusal(self, command: Write | LeaseCommand) -> KvError | None:
        """Why a command must not be executed now."""
        if not self.raised:
            return None
        if self.has(AlarmKind.CORRUPT) and isinstance(command, Write | LeaseGrant | LeaseRevoke):
            return KvError.CORRUPT
        if self.has(AlarmKind.NO_SPACE) and adds_data(command):
            return KvError.NO_SPACE
        return None


def _key(kind: AlarmKind, node_id: int) -> bytes:
    return _PREFIX + bytes((kind,)) + node_id.to_bytes(8, "big")


def adds_data(command: Write | LeaseCommand) -> bool:
    """Whether the store may grow by it for long."""
    if isinstance(command, Txn):
        branches = (*command.success, *command.failure)
        return any(isinstance(one, Put | Txn | DeleteRange) and adds_data(one) for one in branches)
    return isinstance(command, Put | LeaseGrant)
