"""The replicated key-value machine: commands in, results out, the same on every member.

Implements replica.ports.StateMachine over a Store. Revisions are etcd's: an empty store is at 1, the first write makes 2,
and all writes of one command share one revision.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Final

import msgspec

from raftwerk.durability import Checkpoint, SnapshotReader, SnapshotWriter
from raftwerk.kv import commands
from raftwerk.kv.alarms import Alarms
from raftwerk.kv.auth import Auth
from raftwerk.kv.auth_commands import AuthCommand
from raftwerk.kv.auth_rules import LeaseCheck, checked, identified, lease_checks, refusal
from raftwerk.kv.commands import (
    AlarmSet,
    Authorized,
    Command,
    Compact,
    DeleteRange,
    HashCheck,
    LeaseCommand,
    Put,
    RangeQuery,
    SessionCommand,
    SessionWrite,
    Txn,
    Write,
)
from raftwerk.kv.compaction import Compaction, HashScan
from raftwerk.kv.lease import Leases
from raftwerk.kv.members import Members
from raftwerk.kv.read import ALL_ROWS, RangeScan, read_range
from raftwerk.kv.results import (
    CompactResult,
    HashCheckResult,
    KvError,
    PutResult,
    RangeResult,
    Result,
)
from raftwerk.kv.rows import ROW_BYTES
from raftwerk.kv.sessions import Sessions
from raftwerk.kv.steps import Slice, Steps, begun
from raftwerk.kv.store import Store, Table, number, put_number
from raftwerk.kv.txn import Execution, TxnScan, is_sound
from raftwerk.kv.versions import NEWEST, Versions
from raftwerk.kv.watch import Hub
from raftwerk.kv.watch_history import History

FIRST_REVISION: Final = 1
SLICE_ROWS: Final = 600
"""That commands look at in one turn: two milliseconds or so. (250 cost a fifth of the throughput of puts.)"""
_POSITION: Final = b"position"
_REVISION: Final = b"revision"


class KvMachine:
    """See the module's text. Used from one thread."""

    def __init__(self, store: Store, *, slice_rows: int = SLICE_ROWS) -> None:
        self._store = store
        self._slice = Slice(slice_rows)
        """Of the batch that is being applied."""
        self._is_applying = False
        """A batch of several slices is under way."""
        self._compaction = Compaction(store)
        self._versions = Versions(store)
        self.leases = Leases(store)
        self.sessions = Sessions(store)
        self.auth = Auth(store)
        self.alarms = Alarms(store)
        self.members = Members(store)
        self.on_hash_check: Callable[[HashCheck], None] | None = None
        """Gets each one as it is applied, with the state right before what follows it in the log."""
        self._index = 0  # not known before the next apply, which is soon enough: older checkpoints tell nothing new
        self.restores = 0
        """How often a snapshot replaced the state: a read in slices that sees this change begins anew."""
        self._hub: Hub | None = None
        self._load()

    def _load(self) -> None:
        self.position = self._store.get(Table.META, _POSITION) or b""
        """Where the log stands after the last command applied; opaque. The store gets it, and the revision, for a checkpoint."""
        self._kept_position = self.position
        self.revision = number(self._store, _REVISION, FIRST_REVISION)
        """Of the newest write."""

    # Writing, through the log

    def apply(
        self, batch: Sequence[bytes], index: int, position: bytes
    ) -> list[Result] | Steps[list[Result]]:
        """Execute commands in order. index, position: of the log after them (position is kept with the data).

        Returns the results; or, if it takes several slices, the steps that are left, of which they are the result.
        Until they are done, readers see the commands that are complete, and no checkpoint can begin.
        """
        assert not self._is_applying, "a batch is not complete"
        self._index = index
        return begun(self._apply(batch, position))

    def _apply(self, batch: Sequence[bytes], position: bytes) -> Steps[list[Result]]:
        self._is_applying = True
        try:
            results = yield from self._execute_all(batch)
        finally:
            self._is_applying = False
        self.position = position
        return results

    def _execute_all(self, batch: Sequence[bytes]) -> Steps[list[Result]]:
        part = self._slice
        part.renew()
        results: list[Result] = []
        self._gather()
        for data in batch:
            if (
                2 * part.left < part.rows
            ):  # what fits into half a slice is never cut: its events are gathered
                self._publish_gathered()
                yield
                part.renew()
                self._gather()
            result = self._execute(data)
            if type(result) is not PutResult and isinstance(result, Generator):
                result = yield from self._finish(result)
            part.take(1 + len(data) // ROW_BYTES)
            results.append(result)
        self._publish_gathered()
        return results

    def _finish(self, steps: Steps[Result]) -> Steps[Result]:
        """Complete a command of several slices. Its events are not gathered: watchers get them from the history."""
        hub, before = self._hub, self.revision
        self._publish_gathered()
        if hub is not None:
            hub.deliver()
        yield
        result = yield from steps
        if hub is not None and self.revision != before:
            hub.unpublished()
        self._gather()
        return result

    def _gather(self) -> None:
        """From now on, events are for the watchers."""
        hub = self._hub
        self._versions.written = [] if hub is not None and hub.watcher_count else None

    def _publish_gathered(self) -> None:
        """Those of complete commands."""
        events, self._versions.written = self._versions.written, None
        if self._hub is not None and events:
            self._hub.publish([event for event in events if event.revision <= self.revision])

    def _execute(self, data: bytes) -> Result | Steps[Result]:
        try:
            command = commands.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            return KvError.UNREADABLE  # the same bytes, so the same answer on every member
        if not self.auth.is_enabled:  # by far the most common commands: asked for first
            if type(command) is Put:
                return self._write(command)
            if type(command) is SessionWrite:
                return self.sessions.write(command, self._write)
        if self.auth.is_enabled or isinstance(command, Authorized):
            command, by = identified(command)
            refused = refusal(self.auth, by, command)
            if refused is not None:
                return refused
            if checks := lease_checks(self.auth, by, command):
                return begun(self._checked(checks, command))
        return self._perform(command)

    def _checked(self, checks: list[LeaseCheck], command: Command) -> Steps[Result]:
        refused = yield from checked(checks, self.leases, self._slice)
        result = self._perform(command) if refused is None else refused
        if isinstance(result, Generator):
            yield  # it has done a slice
            result = yield from result
        return result

    def _perform(self, command: Command) -> Result | Steps[Result]:
        if isinstance(command, Write):
            return self._write(command)
        if isinstance(command, SessionCommand):
            return self.sessions.execute(command, self.revision, self._write)
        if isinstance(command, LeaseCommand):
            return self.alarms.refusal(command) or begun(self._lease(command))
        if isinstance(command, AlarmSet):
            return self.alarms.execute(command, self.revision)
        if isinstance(command, HashCheck):
            if self.on_hash_check is not None:
                self.on_hash_check(command)
            return HashCheckResult(self.revision)
        if isinstance(command, AuthCommand):
            return self.auth.execute(command, self.revision)
        return self.members.execute(command, self.revision)

    def _write(self, command: Write) -> Result | Steps[Result]:
        alarms = self.alarms
        if alarms.raised and (error := alarms.refusal(command)):
            return error
        if isinstance(command, Put):
            return self._put(command)
        if isinstance(command, Compact):
            return self._compact(command)
        if isinstance(command, Txn) and not is_sound(command):
            return KvError.UNREADABLE
        return begun(self._change(command))

    def _change(self, command: Txn | DeleteRange) -> Steps[Result]:
        """What may change many keys."""
        execution = self._execution(self._slice)
        result: Result
        if isinstance(command, Txn):
            result = yield from execution.transact(command)
        else:
            result = yield from execution.delete_range(command)
        self.revision = execution.revision
        return result

    def _execution(self, part: Slice, read_revision: int = NEWEST) -> Execution:
        return Execution(
            self._versions,
            self.leases,
            self.revision,
            self.compacted_revision,
            part,
            read_revision=read_revision,
        )

    def _put(self, command: Put) -> Result:
        if not (command.lease or command.prev_kv or command.ignore_value or command.ignore_lease):
            # By far the most common command, without the general machinery
            self.revision += 1
            self._versions.put(command.key, command.value, 0, self.revision, 0)
            return PutResult(self.revision, None)
        execution = self._execution(self._slice)
        error = execution.check_put(command, lease_first=True)
        if error is not None:
            return error
        result = execution.put(command)
        self.revision = execution.revision
        return result

    def _compact(self, command: Compact) -> Result:
        if command.revision <= self.compacted_revision:
            return KvError.COMPACTED
        if command.revision > self.revision:
            return KvError.FUTURE_REVISION
        self._compaction.mark(command.revision)
        return CompactResult(self.revision)

    def _lease(self, command: LeaseCommand) -> Steps[Result]:
        result = self.leases.execute(
            command, self.revision, self._execution(self._slice).delete_leased
        )
        if isinstance(result, Generator):
            result = yield from result
            self.revision = result.revision
        return result

    # Reading

    def range(self, query: RangeQuery) -> RangeResult | KvError:
        """A range at once: for a few keys."""
        error = self._check_revision(query.revision)
        return read_range(self._versions, query, self.revision) if error is None else error

    def range_sliced(self, query: RangeQuery) -> RangeScan | KvError:
        """A range to be read with step(max_rows), at a revision that stays readable until it is complete or closed."""
        error = self._check_revision(query.revision)
        if error is not None:
            return error
        revision = query.revision if query.revision > 0 else self.revision
        unpin = self._compaction.pin(revision)
        return RangeScan(self._versions, query, revision, self.revision, unpin)

    def _check_revision(self, revision: int) -> KvError | None:
        """Of a read; <= 0: the present one."""
        if revision > self.revision:
            return KvError.FUTURE_REVISION
        return KvError.COMPACTED if 0 < revision < self.compacted_revision else None

    def txn_sliced(self, txn: Txn) -> TxnScan:
        """A transaction that only reads, on the present state, to be read with step(max_rows).

        What is readable now stays so until it is complete or closed.
        """
        unpin = self._compaction.pin(self.compacted_revision)
        part = Slice(ALL_ROWS)
        return TxnScan(self._execution(part, self.revision), part, txn, unpin)

    def hash_sliced(self, revision: int) -> HashScan | KvError:
        """The hash over all versions at `revision` (<= 0: the present one), to be computed with step(max_rows)."""
        error = self._check_revision(revision)
        if error is not None:
            return error
        at = revision if revision > 0 else self.revision
        # Nothing may be removed meanwhile: a version and the one that supersedes it are seen together
        return HashScan(self._store, at, self.compacted_revision, self._compaction.pin(0))

    def open_hub(self, on_lagging: Callable[[], None], on_published: Callable[[], None]) -> Hub:
        """The hub of watches: from now on it gets the events of each batch applied, and an earlier one none."""
        self._hub = Hub(History(self, self._store), on_lagging, on_published)
        return self._hub

    # Compaction

    @property
    def compacted_revision(self) -> int:
        """Reads below it are refused."""
        return self._compaction.revision

    @property
    def removed_revision(self) -> int:
        """Physical compaction got so far."""
        return self._compaction.removed_revision

    @property
    def has_garbage(self) -> bool:
        """Whether maintain has something to do."""
        return self._compaction.has_garbage

    def maintain(self, max_rows: int) -> bool:
        """Remove what is compacted, one slice. Returns whether there is more. A crash repeats at most some of it."""
        return self._compaction.maintain(max_rows)

    # Durability: the store's

    @property
    def pending_bytes(self) -> int:
        return self._store.pending_bytes

    @property
    def size_bytes(self) -> tuple[int, int]:
        """(allocated on disk, in use)."""
        return self._store.size_bytes

    def begin_checkpoint(self) -> Checkpoint | None:
        assert not self._is_applying, "half a command would become durable"
        if self.position != self._kept_position:
            self._kept_position = self.position
            self._store.put(Table.META, _POSITION, self.position)
            put_number(self._store, _REVISION, self.revision)
            self.leases.keep()
            self.sessions.keep()
        return self._store.begin_checkpoint(self._index)

    def begin_new_cluster(self, position: bytes, bump: int, *, mark_compacted: bool) -> None:
        """The state goes on in other members: none of the old ones is known or has an alarm. For the next checkpoint.

        bump: revisions that are left out. mark_compacted: what is older than the present state cannot be read.
        """
        self.members.forget()
        self.alarms.forget()
        self.position = position
        self._kept_position = b""  # all is to be kept, even where the position is the same again
        self.revision += bump
        if mark_compacted:
            self._compaction.mark(self.revision)

    def open_snapshot(self) -> SnapshotReader:
        return self._store.open_snapshot()

    def begin_restore(self) -> SnapshotWriter:
        return _Restore(self, self._store.begin_restore())

    def reload(self) -> None:
        """The store's rows were replaced."""
        self.restores += 1
        self._versions = Versions(self._store)
        self._load()
        for part in (self._compaction, self.leases, self.sessions, self.auth, self.alarms):
            part.load()
        if self._hub is not None:
            self._hub.replaced()


class _Restore:
    """The store's writer; lets the machine know of the swap."""

    def __init__(self, machine: KvMachine, writer: SnapshotWriter) -> None:
        self._machine, self._writer = machine, writer
        self.write, self.commit = writer.write, writer.commit
        self.abort, self.clean = writer.abort, writer.clean

    def swap(self) -> None:
        self._writer.swap()
        self._machine.reload()

    @property
    def has_leftovers(self) -> bool:
        return self._writer.has_leftovers
