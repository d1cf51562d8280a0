"""What must hold of the key-value machine beyond its versions: sessions, leases, watches, and the rest of its state.

The state that has no versions (leases, sessions, users) is compared at equal indexes: its hash after each entry is kept.
"""

import hashlib
from typing import Final

from raftwerk.kv.commands import Authorized, LeaseCommand, SessionCommand, decode
from raftwerk.kv.store import Table
from raftwerk.raft.types import Entry, EntryKind, Index, NodeId
from raftwerk.replica.ports import StateMachine
from raftwerk.replica.position import Position
from raftwerk.sim.checkers import require
from raftwerk.sim.checkers.events import Event, WatchedEvents
from raftwerk.sim.checkers.leases import LeaseSafety
from raftwerk.sim.checkers.sessions import ExactlyOnce
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.kv_machine import IDLE_WRITES, SESSIONS_MAX, WINDOW, SimKvMachine
from raftwerk.sim.world import World

TABLES: Final = (Table.LEASES, Table.LEASE_KEYS, Table.AUTH, Table.MEMBERS)


class KvChecks:
    """Follows the oracle."""

    def __init__(self, world: World, coverage: Coverage, oracle: SimKvMachine) -> None:
        self.oracle = oracle
        self.sessions = ExactlyOnce(
            coverage, sessions_max=SESSIONS_MAX, idle_writes=IDLE_WRITES, window=WINDOW
        )
        self.leases = LeaseSafety(world, oracle.leases, coverage)
        self.events = WatchedEvents(oracle)
        self._coverage = coverage
        self._revision = oracle.revision
        self._hashes: dict[Index, bytes] = {0: _hash(oracle)}

    def may_repeat(self, command: bytes) -> bool:
        """Whether a command may rightly stand in the log more than once."""
        return isinstance(decode(command), SessionCommand | LeaseCommand)

    def on_applied(self, entry: Entry, result: object) -> None:
        """The oracle has applied an entry."""
        if entry.kind is EntryKind.COMMAND:
            # Leases that end together make several revisions
            revisions = range(self._revision + 1, self.oracle.revision + 1)
            written: list[Event] = []
            for revision in revisions:
                written += self.events.on_revision(revision)
            self.leases.on_written(written)
            self._revision = self.oracle.revision
            command = decode(entry.command)
            assert not isinstance(command, Authorized)
            if isinstance(command, SessionCommand):
                self.sessions.on_applied(command, bool(revisions), result)
            elif isinstance(command, LeaseCommand):
                self.leases.on_applied(command)
            self._hashes[entry.index] = _hash(self.oracle)
        else:
            self._hashes[entry.index] = self._hashes[entry.index - 1]

    def check_state(self, node_id: NodeId, machine: StateMachine) -> None:
        """Compare what has no versions with the oracle's when it was there."""
        assert isinstance(machine, SimKvMachine)
        if machine.is_mid_command:
            return
        index = Position.decode(machine.position).last_index if machine.position else 0
        require(
            _hash(machine) == self._hashes[index],
            "Equal state machines",
            f"node {node_id} has other leases, sessions or users at {index} than the same commands gave elsewhere",
        )
        if machine.kept_early:
            self._coverage.mark("session: rows written before the checkpoint")


def _hash(machine: SimKvMachine) -> bytes:
    digest = hashlib.blake2b(b"%d" % machine.leases.term, digest_size=16)
    rows = [(table, machine.store.scan(table, b"", None)) for table in TABLES]
    for table, found in [*rows, (Table.SESSIONS, machine.sessions.rows())]:
        for key, value in found:
            digest.update(b"%d %d %d " % (table, len(key), len(value)) + key + value)
    return digest.digest()
