"""The contest for a name: whoever wrote the oldest key under NAME/ that is still there comes first. Locks and elections are
made of it, and of nothing but keys, leases and watches.

    lease --> put NAME/LEASE if there is no such key --> look for the next older key --none--> look at the own key --> first
                                                               ^                |
                                                               +-- it is gone --+

A key has the lease of its owner: who vanishes, leaves. Nobody asks again and again: each waits for the one before it, and
for the own key. A call that is given up takes its key with it; one that ends because this member stops leaves it where it
is: its owner goes on at another member, and keeps its place. Who comes again with the same lease writes the key again, so
that the call before, if it is found to be given up only now, does not take away what the new one was given.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from raftwerk.api import status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call
from raftwerk.kv.auth_rules import MEMBER
from raftwerk.kv.commands import (
    Command,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseGrant,
    Put,
    RangeQuery,
    SortOrder,
    SortTarget,
    Txn,
    authorized,
    encode,
)
from raftwerk.kv.results import KvError, LeaseResult, RangeResult, TxnResult
from raftwerk.kv.rows import KeyValue, decode_key_value
from raftwerk.kv.watch import Delivery, Hub, Watcher
from raftwerk.kv.watch_index import Interest
from raftwerk.replica.failure import Failure
from raftwerk.server.auth_guard import Guard
from raftwerk.server.calls import Waiting, fail
from raftwerk.server.errors import status_of
from raftwerk.server.lease_service import NO_LEASE, new_lease_id, ttl_s_min
from raftwerk.server.port import Node
from raftwerk.server.slices import Slices, Steps, read_in_slices

SESSION_TTL_S: Final = 60
"""Of the lease that is made for who has none."""
SLICE_ROWS: Final = 200

NO_KEY: Final = status.EMPTY_KEY._replace(code=status.UNKNOWN)
"""What the keys of Unlock, Proclaim and Resign are refused for."""

OLDER: Final = 0
OWN: Final = 1


def prefix_of(name: bytes) -> bytes:
    """What the keys of a contest begin with."""
    return name + b"/"


def after_prefix(name: bytes) -> bytes:
    """The end of their range."""
    return name + b"0"


def is_made_at(key: bytes, create_revision: int) -> Compare:
    """0: there is no such key."""
    return Compare(CompareTarget.CREATE, CompareResult.EQUAL, key, create_revision)


def removal(target: CompareTarget, key: bytes, revision: int) -> Txn:
    """Delete a key that was made, or was written last, at a revision."""
    return Txn((Compare(target, CompareResult.EQUAL, key, revision),), (DeleteRange(key),))


def answered(refusal: Failure | KvError | Status) -> Status:
    """The status of a refusal. What the keys are refused for has the code that a client inside of etcd gives it."""
    if isinstance(refusal, KvError):
        return Status(status.UNKNOWN, status_of(refusal).text)
    return status_of(refusal) if isinstance(refusal, Failure) else refusal


def refuse(call: Call, refusal: object) -> None:
    """Answer with what came instead of a result."""
    assert isinstance(refusal, Failure | KvError | Status), f"unexpected result {refusal!r}"
    fail(call, answered(refusal))


class Participant(Protocol):
    """Whoever waits for something to happen in a contest."""

    def end(self, refusal: Status) -> None:
        """Its call ends from this side."""


class Contests:
    """What all contests of this member share."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        slices: Slices,
        hub: Hub,
        is_over_quota: Callable[[], bool],
    ) -> None:
        self.node = node
        self.loop = loop
        self.slices = slices
        self.hub = hub
        self._waiting = Waiting(node, loop)
        self.guard = Guard(node, loop)
        self._is_over_quota = is_over_quota
        self.open: dict[Participant, None] = {}

    def propose(self, call: Call, command: Command, done: Callable[[object], None]) -> None:
        """For a call; it is refused at once if the command is too large."""
        data = encode(command)
        if len(data) > self.node.settings.max_request_bytes:
            fail(call, status.REQUEST_TOO_LARGE._replace(code=status.UNKNOWN))
        else:
            self._waiting.propose(call, data, lambda _, result: done(result))

    def write(self, call: Call, command: Command, done: Callable[[object], None]) -> None:
        """The same, for a command that needs space."""
        if self._is_over_quota():
            fail(call, status.NO_SPACE._replace(code=status.UNKNOWN))
        else:
            self.propose(call, command, done)

    def read(self, call: Call, answer: Callable[[], None]) -> None:
        """Call `answer` after the linearizable barrier."""
        self._waiting.read(call, answer)

    def with_lease(
        self,
        call: Call,
        lease: int,
        go_on: Callable[[int], None],
        refuse: Callable[[object], None],
    ) -> None:
        """Go on with the lease, or with a new one for who has none."""
        if lease != NO_LEASE:
            go_on(lease)
            return

        def done(result: object) -> None:
            if isinstance(result, LeaseResult):
                go_on(result.lease_id)
            else:
                refuse(result)

        ttl_s = max(SESSION_TTL_S, ttl_s_min(self.node.settings))
        self.write(call, LeaseGrant(new_lease_id(), ttl_s), done)

    def stop(self) -> None:
        """End all of them here: their owners go on elsewhere."""
        for participant in list(self.open):
            participant.end(status.STOPPED)


class Contest:
    """One call that wants to be first. Implements kv.watch.Listener."""

    is_ready: Final = True

    def __init__(
        self,
        contests: Contests,
        call: Call,
        name: bytes,
        value: bytes | None,
        gone: Status,
        on_first: "Callable[[Contest], None]",
    ) -> None:
        """value: that the key must have; None: any, and empty if it is new. gone: the refusal if the own key is lost."""
        self._contests = contests
        self._machine = contests.node.machine
        self._name = name
        self._value = value
        self._gone = gone
        self._on_first = on_first
        self.call = call
        self.lease = NO_LEASE
        self.key = b""
        self.create_revision = 0
        """Of the own key; 0: it is not written yet."""
        self.entered_revision = 0
        """Of the store, when this call wrote the own key."""
        self.revision = 0
        """Of the store, when this call was first."""
        self._watchers: list[Watcher] = []
        """Of the own key, and of the next older one."""
        self._has_waited = self._is_resuming = False
        self._is_over = self._leaves_its_key = False
        self._deadline: asyncio.TimerHandle | None = None

    def begin(self, lease: int) -> None:
        """Enter, with a lease or NO_LEASE."""
        contests, call = self._contests, self.call
        contests.open[self] = None
        call.on_cancel = self.leave
        if call.request.timeout_s is not None:
            self._deadline = contests.loop.call_later(
                call.request.timeout_s, self._refuse, status.DEADLINE
            )
        contests.with_lease(call, lease, self._enter, self._refuse)
        self._close_if_refused()

    def _close_if_refused(self) -> None:
        if self.call.is_over:
            self.leave()

    def _enter(self, lease: int) -> None:
        if self._is_over:
            return
        self.lease = lease
        self.key = prefix_of(self._name) + b"%x" % lease
        value = self._value
        again = Put(self.key, value or b"", lease, ignore_value=value is None)
        command = Txn(
            (is_made_at(self.key, 0),),
            (Put(self.key, value or b"", lease),),
            (again, RangeQuery(self.key, keys_only=True)),
        )
        self._contests.write(self.call, command, self._on_entered)
        self._close_if_refused()

    def _on_entered(self, result: object) -> None:
        if not isinstance(result, TxnResult):
            self._refuse(result)  # its owner may try again with the same lease, and finds its key
            return
        self.entered_revision = self.revision = self.create_revision = result.revision
        if not result.succeeded:
            found = result.responses[1]
            assert isinstance(found, RangeResult)
            self.create_revision = decode_key_value(found.kvs[0]).create_revision
        self._look()

    # Waiting for the older ones

    def _look(self) -> None:
        if self.call.is_over:
            self.leave()
        if self._is_over:
            self._remove_key()  # it was written after the call was given up
        else:
            self._contests.slices.start(self.call, self._look_steps())

    def _look_steps(self) -> Steps:
        query = RangeQuery(
            prefix_of(self._name),
            after_prefix(self._name),
            limit=1,
            sort_order=SortOrder.DESCEND,
            sort_target=SortTarget.CREATE,
            max_create_revision=self.create_revision - 1,
            keys_only=True,
        )
        machine = self._machine
        found = yield from read_in_slices(machine, lambda: machine.range_sliced(query), SLICE_ROWS)
        assert isinstance(found, RangeResult), "the newest revision can be read"
        if found.kvs:
            self._wait_for(decode_key_value(found.kvs[0]))
        elif self._has_waited:
            self._contests.node.read(self._check)
        else:
            self._check(None)

    def _wait_for(self, older: KeyValue) -> None:
        if not (self._is_there(older.key, older.create_revision) and self._has_key()):
            self._resume_soon()  # gone since the look began
            return
        for watcher_id, key in ((OLDER, older.key), (OWN, self.key)):
            watcher = Watcher(self, watcher_id, _deletions_of(key), self._contests.hub.revision + 1)
            self._watchers.append(watcher)
            self._contests.hub.add(watcher)

    def take(self, watcher: Watcher, delivery: Delivery) -> None:
        """A key is gone."""
        self._resume_soon()

    def on_compacted(self, watcher: Watcher, compacted_revision: int) -> None:
        """What happened meanwhile cannot be told: look again."""
        self._resume_soon()

    def flush(self) -> None:
        """Nothing is gathered."""

    def on_parked(self) -> None:
        """It is always ready."""

    def _resume_soon(self) -> None:
        # Not here, in the middle of an apply
        if not self._is_resuming:
            self._is_resuming = True
            self._contests.loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._is_resuming = False
        if self._is_over:
            return
        self._has_waited = True
        self._stop_watching()
        if self._has_key():
            self._look()
        else:
            self._refuse(self._gone)

    def _check(self, failure: Failure | None) -> None:
        """Nobody is older; is the own key still there?"""
        if self._is_over:
            return
        if failure is not None:
            self._refuse(failure)
            return
        if not self._has_key():
            self._refuse(self._gone)
            return
        if self._has_waited:
            self.revision = self._machine.revision
        self._close()
        self._on_first(self)

    def _has_key(self) -> bool:
        return self._is_there(self.key, self.create_revision)

    def _is_there(self, key: bytes, create_revision: int) -> bool:
        found = self._machine.range(RangeQuery(key, keys_only=True))
        assert isinstance(found, RangeResult)
        return any(decode_key_value(kv).create_revision == create_revision for kv in found.kvs)

    # The end

    def _refuse(self, refusal: object) -> None:
        refuse(self.call, refusal)
        self.leave()

    def leave(self) -> None:
        """The call is given up: its key goes too. (If it is not written yet, as soon as it is.)"""
        if self._is_over:
            return
        self._close()
        self._remove_key()

    def _remove_key(self) -> None:
        if self.create_revision and not self._leaves_its_key:
            command = removal(CompareTarget.MOD, self.key, self.entered_revision)
            self._contests.node.propose(authorized(*MEMBER, encode(command)), lambda _: None)

    def end(self, refusal: Status) -> None:
        """Here, not everywhere: the key stays."""
        self._leaves_its_key = True
        self._close()
        fail(self.call, refusal)

    def _close(self) -> None:
        self._is_over = True
        self._contests.open.pop(self, None)
        self.call.on_cancel = None
        if self._deadline is not None:
            self._deadline.cancel()
        self._stop_watching()

    def _stop_watching(self) -> None:
        for watcher in self._watchers:
            self._contests.hub.remove(watcher)
        self._watchers.clear()


def _deletions_of(key: bytes) -> Interest:
    return Interest(key, has_puts=False)
