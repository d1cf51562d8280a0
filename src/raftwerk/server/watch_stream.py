"""One stream of etcdserverpb.Watch: its requests, its watchers, and what they are told.

Everything goes out in the order in which it happened: `created` before events, progress after what it speaks of.
"""

from collections.abc import Callable
from typing import Final, Protocol

from raftwerk.api import status, watch_pb2
from raftwerk.api.status import Status
from raftwerk.http2.server import Call
from raftwerk.kv.commands import ALL_FROM_KEY
from raftwerk.kv.watch import Delivery, Hub, Watcher
from raftwerk.kv.watch_index import Interest
from raftwerk.server.calls import fail, parse_streamed
from raftwerk.server.slices import Steps
from raftwerk.server.watch_response import ALL_WATCHERS, beginning, control, fragments

FIRST_KEY: Final = b"\0"
EMPTY_RANGE: Final = "mvcc: watcher range is empty"
DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"
GATHERED_BYTES_MAX: Final = 512 * 1024
"""Of events that were not handed to the call yet: beyond it, watchers have to wait."""
CONTROL_BYTES_MAX: Final = 1024 * 1024
"""Answered to a client that does not read: beyond it, it has asked for too much."""
SLICE_WATCHERS: Final = 1_000
"""Told of progress in one turn of the loop: about two milliseconds."""

_Create = watch_pb2.WatchCreateRequest


class Surroundings(Protocol):
    """What a stream needs of the service."""

    hub: Hub
    watchers_max: int
    """On one stream."""
    message_bytes_max: int
    """Larger responses are sent in fragments to who can put them together."""

    def header(self, revision: int) -> bytes: ...

    def refusal(self, call: Call, key: bytes, range_end: bytes) -> str:
        """Why the caller may not watch a range; "": it may."""

    def await_drain(self, stream: "WatchStream") -> None:
        """Resume the stream's watchers when it is ready again."""

    def await_progress(self, stream: "WatchStream") -> Callable[[], None]:
        """Have stream.progress_steps done from time to time, until the function returned is called."""

    def on_closed(self, stream: "WatchStream") -> None: ...


class WatchStream:
    """Implements kv.watch.Listener."""

    def __init__(self, service: Surroundings, call: Call) -> None:
        self.call = call
        self._service = service
        self._hub = service.hub
        self._watchers: dict[int, Watcher] = {}
        self._next_id = 0
        self._fragmented: set[int] = set()
        self._is_quiet: dict[int, bool] = {}
        """Of watchers that want to hear of progress: whether they got no event since the last time."""
        self._stop_progress: Callable[[], None] | None = None
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._unread_bytes = 0
        """Of answers, since the client was last seen to read."""
        call.on_message = self._on_message
        call.on_cancel = self.close
        call.on_drain = lambda: service.await_drain(self)

    def close(self) -> None:
        """The call is over."""
        for watcher in self._watchers.values():
            self._hub.remove(watcher)
        self._watchers.clear()
        if self._stop_progress is not None:
            self._stop_progress()
            self._stop_progress = None
        self._service.on_closed(self)

    def end(self, refusal: Status) -> None:
        """From this side."""
        fail(self.call, refusal)
        self.close()

    # Requests

    def _on_message(self, data: bytes) -> None:
        self._hub.deliver()  # what happened before the request comes before its answer
        request = parse_streamed(self.call, watch_pb2.WatchRequest, data)
        if request is None:
            self.close()
        elif request.HasField("create_request"):
            self._create(request.create_request)
        elif request.HasField("cancel_request"):
            self._cancel(request.cancel_request.watch_id)
        elif request.HasField("progress_request"):
            self._answer_progress()

    def _create(self, request: _Create) -> None:
        hub = self._hub
        reason = self._refusal(request)
        if reason:
            self._answer(ALL_WATCHERS, created=True, canceled=True, cancel_reason=reason)
            return
        watch_id = request.watch_id or self._free_id()
        interest = Interest(
            request.key or FIRST_KEY,
            request.range_end,
            has_puts=_Create.NOPUT not in request.filters,
            has_deletes=_Create.NODELETE not in request.filters,
            prev_kv=request.prev_kv,
        )
        watcher = Watcher(self, watch_id, interest, request.start_revision or hub.revision + 1)
        self._watchers[watch_id] = watcher
        if request.fragment:
            self._fragmented.add(watch_id)
        if request.progress_notify:
            self._is_quiet[watch_id] = True
            if self._stop_progress is None:
                self._stop_progress = self._service.await_progress(self)
        self._answer(watch_id, created=True)
        if not self.call.is_over:  # as it may be since the answer
            hub.add(watcher)

    def _refusal(self, request: _Create) -> str:
        """Why there will be no such watcher."""
        key, range_end = request.key or FIRST_KEY, request.range_end
        refused = self._service.refusal(self.call, key, range_end)
        if refused:
            return refused
        if request.start_revision < 0:
            return status.COMPACTED.text
        if range_end and range_end != ALL_FROM_KEY and key >= range_end:
            return EMPTY_RANGE
        if request.watch_id in self._watchers and request.watch_id:
            return DUPLICATE_ID
        return (
            status.TOO_MANY_REQUESTS.text
            if len(self._watchers) >= self._service.watchers_max
            else ""
        )

    def _free_id(self) -> int:
        while self._next_id in self._watchers:
            self._next_id += 1
        self._next_id += 1
        return self._next_id - 1

    def _cancel(self, watch_id: int) -> None:
        watcher = self._forget(watch_id)
        if watcher is not None:
            self._hub.remove(watcher)
            self._answer(watch_id, canceled=True)

    def _forget(self, watch_id: int) -> Watcher | None:
        self._fragmented.discard(watch_id)
        self._is_quiet.pop(watch_id, None)
        if not self._is_quiet and self._stop_progress is not None:
            self._stop_progress()
            self._stop_progress = None
        return self._watchers.pop(watch_id, None)

    def _answer_progress(self) -> None:
        """Only if it holds for all watchers; else there is no answer."""
        if all(self._hub.is_synced(watcher) for watcher in self._watchers.values()):
            self._answer(ALL_WATCHERS)

    def progress_steps(self) -> Steps:
        """Tell each watcher that wants to hear of it, has everything, and got no event since the last time.

        Nobody has asked: a client that does not read hears of it another time.
        """
        watch_ids = list(self._is_quiet)
        for start in range(0, len(watch_ids), SLICE_WATCHERS):
            if start:
                yield
            self._hub.deliver()  # which may make them less quiet
            if not self.call.is_clogged:
                self._tell_progress(watch_ids[start : start + SLICE_WATCHERS])

    def _tell_progress(self, watch_ids: list[int]) -> None:
        header = self._service.header(self._hub.revision)
        for watch_id in watch_ids:
            is_quiet = self._is_quiet.get(watch_id)
            if is_quiet is None:  # it was cancelled meanwhile
                continue
            self._is_quiet[watch_id] = True
            if is_quiet and self._hub.is_synced(self._watchers[watch_id]):
                self._gathered.append(control(header, watch_id))
        self.flush()

    def _answer(
        self,
        watch_id: int,
        *,
        created: bool = False,
        canceled: bool = False,
        cancel_reason: str = "",
    ) -> None:
        header = self._service.header(self._hub.revision)
        self._send(
            control(
                header, watch_id, created=created, canceled=canceled, cancel_reason=cancel_reason
            )
        )

    def _send(self, message: bytes) -> None:
        self._gathered.append(message)
        self.flush()
        if not self.call.is_clogged:
            self._unread_bytes = 0
            return
        self._unread_bytes += len(message)
        if self._unread_bytes > CONTROL_BYTES_MAX and not self.call.is_over:
            self.end(status.TOO_MANY_REQUESTS)

    # For the hub (kv.watch.Listener)

    @property
    def is_ready(self) -> bool:
        return self._gathered_bytes <= GATHERED_BYTES_MAX and not self.call.is_clogged

    def on_parked(self) -> None:
        self._service.await_drain(self)

    def take(self, watcher: Watcher, delivery: Delivery) -> None:
        service, watch_id = self._service, watcher.watch_id
        start = beginning(service.header(delivery.revision), watch_id)
        data = delivery.data
        size = len(start) + len(data)
        if watch_id in self._fragmented and size >= service.message_bytes_max:
            self._gathered += fragments(start, delivery.fields, service.message_bytes_max)
        else:
            self._gathered.append(start + data)
        self._gathered_bytes += size
        if watch_id in self._is_quiet:
            self._is_quiet[watch_id] = False

    def on_compacted(self, watcher: Watcher, compacted_revision: int) -> None:
        self._forget(watcher.watch_id)
        header = self._service.header(0)  # as etcd's: it has no revision
        self._send(
            control(header, watcher.watch_id, canceled=True, compact_revision=compacted_revision)
        )

    def flush(self) -> None:
        if self._gathered:
            messages, self._gathered = self._gathered, []
            self._gathered_bytes = 0
            self.call.send_all(messages)
