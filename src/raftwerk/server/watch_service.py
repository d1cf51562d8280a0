"""etcdserverpb.Watch: the streams of this member, and what keeps them going.

Events leave a turn of the loop after the batch that was applied, one write for each stream. History is read in slices of
its own: who catches up does not wait behind the long reads of others.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from raftwerk.api import status
from raftwerk.http2.server import Call, Method, StreamMethod
from raftwerk.kv.commands import RangeQuery
from raftwerk.kv.results import KvError
from raftwerk.replica.failure import Failure
from raftwerk.server import translate
from raftwerk.server.auth_guard import Guard, reason
from raftwerk.server.calls import fail, wants_leader
from raftwerk.server.errors import status_of
from raftwerk.server.port import Node
from raftwerk.server.slices import Slices, Steps
from raftwerk.server.streams import hold_messages
from raftwerk.server.watch_stream import WatchStream

SLICE_ROWS: Final = 200
"""Rows of history that are read in one turn of the loop: about two milliseconds."""
WATCHERS_MAX: Final = 100_000
"""On one stream."""
JITTER: Final = 0.1
"""Of the progress interval, at most: streams that began together do not stay together."""
LEADERLESS_TIMEOUTS: Final = 3
"""Election timeouts without a leader that end the streams of those who want one."""
FRAGMENT_OVERHEAD_BYTES: Final = 512 * 1024
"""A response may be larger than a request by so much before it is sent in fragments (etcd's allowance)."""


class Repeated:
    """Something that is done again and again, until it is stopped."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval_s: float,
        first_s: float,
        act: Callable[[], None],
    ) -> None:
        """first_s: until the first time."""
        self._loop = loop
        self._interval_s = interval_s
        self._act = act
        self._timer = loop.call_later(first_s, self._tick)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._interval_s, self._tick)
        self._act()

    def stop(self) -> None:
        self._timer.cancel()


class WatchService:
    """The handler, and the surroundings of its streams."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop, slices: Slices) -> None:
        self._node = node
        self._loop = loop
        self._slices = slices
        self.header = translate.Headers(node).field
        self._random = Random()
        self._streams: dict[WatchStream, None] = {}
        self._waiting: dict[WatchStream, None] = {}
        """Their clients do not read."""
        self._is_look_due = False
        self._is_catching_up = False
        self._want_leader: dict[WatchStream, None] = {}
        self._leaderless_timeouts = 0
        self._is_watching_leader = False
        self.is_over = False
        self.watchers_max = WATCHERS_MAX
        self.message_bytes_max = node.settings.max_request_bytes + FRAGMENT_OVERHEAD_BYTES
        self._is_delivery_due = False
        self._guard = Guard(node, loop)
        self.hub = node.machine.open_hub(self._catch_up_soon, self._deliver_soon)

    def methods(self) -> dict[str, Method]:
        return {"/etcdserverpb.Watch/Watch": StreamMethod(self.open)}

    def refusal(self, call: Call, key: bytes, range_end: bytes) -> str:
        """Why the caller may not watch a range; "": it may."""
        refused = self._guard.refusal_now(call, RangeQuery(key, range_end))
        return "" if refused is None else reason(status_of(refused))

    @property
    def stream_count(self) -> int:
        return len(self._streams)

    @property
    def watcher_count(self) -> int:
        return self.hub.watcher_count

    @property
    def slow_watcher_count(self) -> int:
        return self.hub.watcher_count - self.hub.synced_count

    def open(self, call: Call) -> None:
        """A new stream."""
        if self.is_over:
            fail(call, status.STOPPED)
        elif wants_leader(call) and not self._node.has_leader:
            fail(call, status.NO_LEADER)
        elif not self._guard.is_on:
            self._begin(call)
        else:
            hand_on = hold_messages(call)

            def begin() -> None:
                self._begin(call)
                hand_on()

            def refuse(refused: Failure | KvError) -> None:
                """An invalid token is told to each watcher, as in etcd."""
                if refused is KvError.INVALID_TOKEN:
                    begin()
                else:
                    fail(call, status_of(refused))

            self._guard.identify(call, lambda _: begin(), otherwise=refuse)

    def _begin(self, call: Call) -> None:
        if self.is_over:
            fail(call, status.STOPPED)
        elif not call.is_over:  # its client may have left meanwhile
            stream = WatchStream(self, call)
            self._streams[stream] = None
            if wants_leader(call):
                self._want_leader[stream] = None
                self._watch_leader()

    def on_closed(self, stream: WatchStream) -> None:
        self._streams.pop(stream, None)
        self._waiting.pop(stream, None)
        self._want_leader.pop(stream, None)

    def stop(self) -> None:
        """End all streams: their clients go on elsewhere."""
        self.is_over = True
        for stream in list(self._streams):
            stream.end(status.STOPPED)

    # Events

    def _deliver_soon(self) -> None:
        """After the answers to whoever wrote them have left, at the end of the step or in the next turn."""
        if not self._is_delivery_due:
            self._is_delivery_due = True
            self._node.soon(partial(self._loop.call_soon, self._deliver))

    def _deliver(self) -> None:
        self._is_delivery_due = False
        self.hub.deliver()

    # Clients that do not read

    def await_drain(self, stream: WatchStream) -> None:
        self._waiting[stream] = None
        if not self._is_look_due:
            self._is_look_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_look_due = False
        for stream in list(self._waiting):
            if stream.call.is_clogged:
                stream.call.await_drain()
            else:
                del self._waiting[stream]
                self.hub.resume(stream)

    # History

    def _catch_up_soon(self) -> None:
        if not self._is_catching_up:
            self._is_catching_up = True
            self._loop.call_soon(lambda: self._slices.start(self, self._catch_up()))

    def _catch_up(self) -> Steps:
        try:
            while self.hub.catch_up(SLICE_ROWS):
                yield
        finally:
            self._is_catching_up = False

    # Timers

    def await_progress(self, stream: WatchStream) -> Callable[[], None]:
        interval_s = self._node.settings.watch_progress_notify_interval_ms / 1000
        first_s = interval_s * (1 + JITTER * self._random.random())

        def tell() -> None:
            self._slices.start(stream.call, stream.progress_steps())

        return Repeated(self._loop, interval_s, first_s, tell).stop

    def _watch_leader(self) -> None:
        if self._want_leader and not self._is_watching_leader:
            self._is_watching_leader = True
            timeout_s = self._node.settings.election_timeout_ms / 1000
            self._loop.call_later(timeout_s, self._look_for_leader)

    def _look_for_leader(self) -> None:
        self._is_watching_leader = False
        if self._node.has_leader:
            self._leaderless_timeouts = 0
        else:
            self._leaderless_timeouts += 1
        if self._leaderless_timeouts >= LEADERLESS_TIMEOUTS:
            self._leaderless_timeouts = 0
            for stream in list(self._want_leader):
                stream.end(status.NO_LEADER)
        self._watch_leader()
