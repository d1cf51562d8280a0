"""The replicated key-value machine: commands in, results out, the same on every member.

Implements replica.ports.StateMachine over a Store. Revisions are etcd's: an empty store is at 1, the first write makes 2,
and all writes of one command share one revision.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from raftwerk.durability import Checkpoint, SnapshotReader, SnapshotWriter
from raftwerk.kv import commands
from raftwerk.kv.alarms import Alarms
from raftwerk.kv.auth import Auth
from raftwerk.kv.auth_commands import AuthCommand
from raftwerk.kv.auth_rules import identified, refusal
from raftwerk.kv.commands import (
    AlarmSet,
    Authorized,
    Compact,
    CompareTarget,
    HashCheck,
    LeaseCommand,
    PublishMember,
    Put,
    RangeQuery,
    SessionCommand,
    Txn,
    Write,
)
from raftwerk.kv.compaction import HashScan, Removal
from raftwerk.kv.lease import Leases
from raftwerk.kv.read import RangeScan, read_range
from raftwerk.kv.results import (
    CompactResult,
    HashCheckResult,
    KvError,
    PublishResult,
    PutResult,
    RangeResult,
    Result,
    TxnResult,
)
from raftwerk.kv.sessions import Sessions
from raftwerk.kv.store import Store, Table
from raftwerk.kv.txn import Execution, TxnScan
from raftwerk.kv.versions import Versions
from raftwerk.kv.watch import Hub
from raftwerk.kv.watch_history import History

FIRST_REVISION: Final = 1
NOT_COMPACTED: Final = -1
NEVER_COMPACTED: Final = -1
"""As the compacted revision: etcd takes one compaction at 0, and says -1 before it."""
_POSITION: Final = b"position"
_REVISION: Final = b"revision"
_COMPACTED: Final = b"compacted_revision"
_REMOVED: Final = b"removed_revision"


class KvMachine:
    """See the module's text. Used from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions = Versions(store)
        self.leases = Leases(store)
        self.sessions = Sessions(store)
        self.auth = Auth(store)
        self.alarms = Alarms(store)
        self.on_hash_check: Callable[[HashCheck], None] | None = None
        """Gets each one as it is applied, with the state right before what follows it in the log."""
        self._index = 0  # not known before the next apply, which is soon enough: older checkpoints tell nothing new
        self._pins: dict[int, int] = {}
        self._pin_numbers = itertools.count()
        self.restores = 0
        """How often a snapshot replaced the state: a read in slices that sees this change begins anew."""
        self._hub: Hub | None = None
        self._load()

    def _load(self) -> None:
        self.position = self._store.get(Table.META, _POSITION) or b""
        """Where the log stands after the last command applied; opaque. The store gets it, and the revision, for a checkpoint."""
        self._kept_position = self.position
        self.revision = self._number(_REVISION, FIRST_REVISION)
        """Of the newest write."""
        self.compacted_revision = self._number(_COMPACTED, NEVER_COMPACTED)
        """Reads below it are refused. NOT_COMPACTED until the first Compact, whose revision may be 0."""
        self.removed_revision = self._number(_REMOVED, 0)
        """Physical compaction got so far."""
        self._removal: Removal | None = None

    def _number(self, name: bytes, default: int) -> int:
        data = self._store.get(Table.META, name)
        return default if data is None else int.from_bytes(data, "big")

    def _keep_number(self, name: bytes, number: int) -> None:
        self._store.put(Table.META, name, number.to_bytes(8, "big"))

    # Writing, through the log

    def apply(self, batch: Sequence[bytes], index: int, position: bytes) -> list[Result]:
        """Execute commands in order. index, position: of the log after them (position is kept with the data)."""
        self._index = index
        hub, versions = self._hub, self._versions
        versions.written = [] if hub is not None and hub.watcher_count else None
        results = [self._execute(data) for data in batch]
        if hub is not None:
            hub.publish(versions.written or [])
        self.position = position
        return results

    def _execute(self, data: bytes) -> Result:
        try:
            command = commands.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            return KvError.UNREADABLE  # the same bytes, so the same answer on every member
        if self.auth.is_enabled or isinstance(command, Authorized):
            command, by = identified(command)
            refused = refusal(self.auth, self.leases, by, command)
            if refused is not None:
                return refused
        if isinstance(command, Write):
            return self._write(command)
        if isinstance(command, SessionCommand):
            return self.sessions.execute(command, self.revision, self._write)
        if isinstance(command, LeaseCommand):
            error = self.alarms.refusal(command)
            if error is not None:
                return error
            return self.leases.execute(command, self.revision, self._delete_together)
        if isinstance(command, AlarmSet):
            return self.alarms.execute(command, self.revision)
        if isinstance(command, HashCheck):
            if self.on_hash_check is not None:
                self.on_hash_check(command)
            return HashCheckResult(self.revision)
        if isinstance(command, AuthCommand):
            return self.auth.execute(command, self.revision)
        return self._publish(command)

    def _write(self, command: Write) -> Result:
        alarms = self.alarms
        if alarms.raised and (error := alarms.refusal(command)):
            return error
        if isinstance(command, Put):
            return self._put(command)
        if isinstance(command, Txn):
            return self._txn(command)
        if isinstance(command, Compact):
            return self._compact(command)
        execution = self._execution()
        deleted = execution.delete_range(command)
        self.revision = execution.revision
        return deleted

    def _execution(self) -> Execution:
        return Execution(self._versions, self.leases, self.revision, self.compacted_revision)

    def _put(self, command: Put) -> Result:
        if not (command.lease or command.prev_kv or command.ignore_value or command.ignore_lease):
            # By far the most common command, without the general machinery
            self.revision += 1
            self._versions.put(command.key, command.value, 0, self.revision, 0)
            return PutResult(self.revision, None)
        execution = self._execution()
        error = execution.check_put(command, lease_first=True)
        if error is not None:
            return error
        result = execution.put(command)
        self.revision = execution.revision
        return result

    def _txn(self, command: Txn) -> TxnResult | KvError:
        if not _is_sound(command):
            return KvError.UNREADABLE
        execution = self._execution()
        succeeded, branch = execution.choose(command)
        error = execution.check(branch)
        if error is not None:
            return error
        result = execution.run(succeeded, branch)
        self.revision = execution.revision
        return TxnResult(self.revision, result.succeeded, result.responses)

    def _compact(self, command: Compact) -> Result:
        if command.revision <= self.compacted_revision:
            return KvError.COMPACTED
        if command.revision > self.revision:
            return KvError.FUTURE_REVISION
        self.compacted_revision = command.revision
        self._keep_number(_COMPACTED, command.revision)
        return CompactResult(self.revision)

    def _delete_together(self, keys: Sequence[bytes]) -> int:
        execution = self._execution()
        execution.delete_keys(keys)
        self.revision = execution.revision
        return self.revision

    def _publish(self, command: PublishMember) -> PublishResult:
        self._store.put(Table.MEMBERS, command.node_id.to_bytes(8, "big"), commands.encode(command))
        return PublishResult(self.revision)

    # Reading

    def range(self, query: RangeQuery) -> RangeResult | KvError:
        """A range at once: for a few keys."""
        error = self._check_revision(query.revision)
        if error is not None:
            return error
        return read_range(self._versions, query, self.revision)

    def range_sliced(self, query: RangeQuery) -> RangeScan | KvError:
        """A range to be read with step(max_rows), at a revision that stays readable until it is complete or closed."""
        error = self._check_revision(query.revision)
        if error is not None:
            return error
        revision = query.revision if query.revision > 0 else self.revision
        pin = self._pin(revision)
        return RangeScan(self._versions, query, revision, self.revision, lambda: self._unpin(pin))

    def _check_revision(self, revision: int) -> KvError | None:
        return self._execution().check_revision(revision) if revision > 0 else None

    def txn_read_only(self, txn: Txn) -> TxnResult | KvError:
        """A transaction that only reads, on the present state; at once: for a few keys."""
        execution = self._execution()
        succeeded, branch = execution.choose(txn)
        error = execution.check(branch)
        if error is not None:
            return error
        result = execution.run(succeeded, branch)
        assert execution.revision == self.revision, "a read-only transaction wrote"
        return result

    def txn_sliced(self, txn: Txn) -> TxnScan:
        """The same, to be read with step(max_rows). What is readable now stays so until it is complete or closed."""
        pin = self._pin(self.compacted_revision)
        check = self._execution().check
        return TxnScan(self._versions, txn, self.revision, check, lambda: self._unpin(pin))

    def members(self) -> list[PublishMember]:
        """What the members made known of themselves, by node id."""
        return [
            msgspec.msgpack.decode(data, type=PublishMember)
            for _, data in self._store.scan(Table.MEMBERS, b"", None)
        ]

    def hash_sliced(self, revision: int) -> HashScan | KvError:
        """The hash over all versions at `revision` (<= 0: the present one), to be computed with step(max_rows)."""
        error = self._check_revision(revision)
        if error is not None:
            return error
        at = revision if revision > 0 else self.revision
        # Nothing may be removed meanwhile: a version and the one that supersedes it are seen together
        pin = self._pin(0)
        return HashScan(self._store, at, self.compacted_revision, lambda: self._unpin(pin))

    def _pin(self, revision: int) -> int:
        pin = next(self._pin_numbers)
        self._pins[pin] = revision
        return pin

    def _unpin(self, pin: int) -> None:
        self._pins.pop(pin, None)

    def open_hub(self, on_lagging: Callable[[], None], on_published: Callable[[], None]) -> Hub:
        """The hub of watches: from now on it gets the events of each batch applied, and an earlier one none."""
        self._hub = Hub(History(self, self._store), on_lagging, on_published)
        return self._hub

    # Physical compaction

    @property
    def has_garbage(self) -> bool:
        """Whether maintain has something to do."""
        return self.removed_revision < self._removable_revision()

    def maintain(self, max_rows: int) -> bool:
        """Remove what is compacted, one slice. Returns whether there is more. A crash repeats at most some of it."""
        if self.has_garbage:
            if self._removal is None:
                upto = self._removable_revision()
                self._removal = Removal(self._store, self.removed_revision, upto)
            self.removed_revision, is_complete = self._removal.step(max_rows)
            self._keep_number(_REMOVED, self.removed_revision)
            if is_complete:
                self._removal = None
        return self.has_garbage

    def _removable_revision(self) -> int:
        return min((self.compacted_revision, *self._pins.values()))

    # Durability: the store's

    @property
    def pending_bytes(self) -> int:
        return self._store.pending_bytes

    @property
    def size_bytes(self) -> tuple[int, int]:
        """(allocated on disk, in use)."""
        return self._store.size_bytes

    def begin_checkpoint(self) -> Checkpoint | None:
        if self.position != self._kept_position:
            self._kept_position = self.position
            self._store.put(Table.META, _POSITION, self.position)
            self._keep_number(_REVISION, self.revision)
            self.leases.keep()
            self.sessions.keep()
        return self._store.begin_checkpoint(self._index)

    def open_snapshot(self) -> SnapshotReader:
        return self._store.open_snapshot()

    def begin_restore(self) -> SnapshotWriter:
        return _Restore(self, self._store.begin_restore())

    def reload(self) -> None:
        """The store's rows were replaced."""
        self.restores += 1
        self._pins.clear()
        self._load()
        self.leases.load()
        self.sessions.load()
        self.auth.load()
        self.alarms.load()
        if self._hub is not None:
            self._hub.restored()


class _Restore:
    """The store's writer; lets the machine know of the swap."""

    def __init__(self, machine: KvMachine, writer: SnapshotWriter) -> None:
        self._machine = machine
        self.write = writer.write
        self.commit = writer.commit
        self.abort = writer.abort
        self._swap = writer.swap

    def swap(self) -> None:
        self._swap()
        self._machine.reload()


def _is_sound(txn: Txn) -> bool:
    """Whether every comparison compares like with like: the types do not say so."""
    for item in txn.compares:
        if isinstance(item.operand, bytes) is not (item.target is CompareTarget.VALUE):
            return False
    for branch in (txn.success, txn.failure):
        for operation in branch:
            if isinstance(operation, Txn) and not _is_sound(operation):
                return False
    return True
