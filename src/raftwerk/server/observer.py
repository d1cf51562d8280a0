"""Observing an election: each value of each leader, in order, as long as the client listens.

look for the first key --found--> tell it, watch that key --deleted--> look again
          +--none--> watch for the first put of anybody --> tell it, watch that key
"""

import asyncio
from collections.abc import Callable

from raftwerk.api import kv_pb2, status, watch_pb2
from raftwerk.api.status import Status
from raftwerk.http2.server import Call
from raftwerk.kv.commands import RangeQuery, SortOrder, SortTarget
from raftwerk.kv.read import RangeScan
from raftwerk.kv.results import KvError, RangeResult
from raftwerk.kv.rows import decode_key_value
from raftwerk.kv.watch import Delivery, Watcher
from raftwerk.kv.watch_index import Interest
from raftwerk.replica.failure import Failure
from raftwerk.server.calls import fail
from raftwerk.server.contest import SLICE_ROWS, Contests, after_prefix, prefix_of
from raftwerk.server.errors import status_of
from raftwerk.server.slices import Steps, read_in_slices


def leader_query(name: bytes) -> RangeQuery:
    """What finds the oldest key of a contest."""
    return RangeQuery(
        prefix_of(name),
        after_prefix(name),
        limit=1,
        sort_order=SortOrder.ASCEND,
        sort_target=SortTarget.CREATE,
    )


def leader_steps(
    contests: Contests,
    call: Call,
    name: bytes,
    found: Callable[[RangeResult], None],
    refuse: Callable[[KvError], None],
) -> Steps:
    """Call `found` with the oldest key of a contest, or with none; or `refuse`, if the caller may not know."""
    query = leader_query(name)
    machine = contests.node.machine

    def begin() -> RangeScan | KvError:
        return contests.guard.refusal_now(call, query) or machine.range_sliced(query)

    result = yield from read_in_slices(machine, begin, SLICE_ROWS)
    if isinstance(result, KvError):
        refuse(result)
    else:
        found(result)


class Observer:
    """One stream. Implements kv.watch.Listener."""

    def __init__(
        self,
        contests: Contests,
        call: Call,
        name: bytes,
        response: Callable[[bytes, int], bytes],
    ) -> None:
        """response: makes a message of a serialized key-value and the revision for its header."""
        self._contests = contests
        self._call = call
        self._name = name
        self._response = response
        self._watcher: Watcher | None = None
        self._is_over = False
        self._deadline: asyncio.TimerHandle | None = None
        contests.open[self] = None
        call.on_cancel = self.close
        call.on_drain = self._on_drain
        if call.request.timeout_s is not None:
            loop = contests.loop
            self._deadline = loop.call_later(call.request.timeout_s, self.end, status.DEADLINE)

    def look(self) -> None:
        """Begin, or begin again."""
        self._contests.node.read(self._on_barrier)

    def _on_barrier(self, failure: Failure | None) -> None:
        if failure is not None:
            self.end(status_of(failure))
            return
        if not self._is_over:
            steps = leader_steps(
                self._contests, self._call, self._name, self._on_found, self._on_refused
            )
            self._contests.slices.start(self._call, steps)

    def _on_refused(self, refused: KvError) -> None:
        self.end(status_of(refused))

    def _on_found(self, result: RangeResult) -> None:
        if result.kvs:
            self._tell(result.kvs[0], result.revision)
            self._watch(Interest(decode_key_value(result.kvs[0]).key), result.revision + 1)
        else:
            anybody = Interest(prefix_of(self._name), after_prefix(self._name), has_deletes=False)
            self._watch(anybody, result.revision + 1)

    def _tell(self, kv: bytes, revision: int) -> None:
        self._call.send(self._response(kv, revision))

    def _watch(self, interest: Interest, next_revision: int) -> None:
        if self._is_over:  # as it may be since something was told
            return
        self._watcher = Watcher(self, 0, interest, next_revision)
        self._contests.hub.add(self._watcher)

    # What the hub calls

    @property
    def is_ready(self) -> bool:
        return not self._call.is_clogged

    def take(self, watcher: Watcher, delivery: Delivery) -> None:
        """Something happened to the leader's key, or somebody came."""
        if watcher is not self._watcher:
            return
        events = watch_pb2.WatchResponse.FromString(delivery.data).events
        if watcher.interest.range_end:
            kv = events[0].kv
            self._tell(kv.SerializeToString(), kv.mod_revision)
            self._soon(lambda: self._follow(kv))
            return
        for event in events:
            if event.type == kv_pb2.Event.DELETE:
                self._soon(self.look)
                return
            self._tell(event.kv.SerializeToString(), delivery.revision)

    def _follow(self, kv: kv_pb2.KeyValue) -> None:
        """Watch a new leader's key from its first value on."""
        if not self._is_over:
            self._watch(Interest(kv.key), kv.mod_revision + 1)

    def _soon(self, go_on: Callable[[], None]) -> None:
        # Not here, in the middle of an apply
        self._stop_watching()
        self._contests.loop.call_soon(go_on)

    def on_compacted(self, watcher: Watcher, compacted_revision: int) -> None:
        """What happened meanwhile cannot be told."""
        self._soon(self.look)

    def flush(self) -> None:
        """Nothing is gathered."""

    def on_parked(self) -> None:
        """The client does not read: `_on_drain` goes on."""
        self._call.await_drain()

    def _on_drain(self) -> None:
        self._contests.loop.call_soon(self._contests.hub.resume, self)

    # The end

    def end(self, refusal: Status) -> None:
        """From this side."""
        fail(self._call, refusal)
        self.close()

    def close(self) -> None:
        """The call is over."""
        if not self._is_over:
            self._is_over = True
            self._stop_watching()
            self._call.on_cancel = None
            if self._deadline is not None:
                self._deadline.cancel()
            self._contests.open.pop(self, None)

    def _stop_watching(self) -> None:
        if self._watcher is not None:
            self._contests.hub.remove(self._watcher)
            self._watcher = None
