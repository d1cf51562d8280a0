"""A node of one member on the store in memory, a loop in virtual time, and a client on the other end of a connection."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from raftwerk.api import status
from raftwerk.durations import Durations
from raftwerk.http2.client import ClientCall, ClientConnection
from raftwerk.http2.headers import literal
from raftwerk.http2.server import Call, Limits, Method, ServerConnection
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.store import Store
from raftwerk.replica.failure import Failure
from raftwerk.replica.lessor import Lessor
from raftwerk.runtime.members import MemberInfo, NodeStatus
from raftwerk.runtime.metrics import Metrics
from raftwerk.runtime.settings import Settings
from raftwerk.server.methods import MethodTable
from raftwerk.server.slices import Slices, Steps
from raftwerk.storage.memory import MemoryStore
from tests.checkpoints import complete
from tests.kv.rig import completed

CLUSTER_ID = 0xABC
NODE_ID = 0x123
TERM = 7
CHECKPOINT_S = 0.02
"""How long one takes."""


class FakeLoop(asyncio.AbstractEventLoop):
    """Runs what is due when it is told to; time is a number."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.turns = 0
        self._soon: list[asyncio.Handle] = []
        self._timers: list[asyncio.TimerHandle] = []

    def get_debug(self) -> bool:
        return False

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.now_s + delay, callback, args, self, context)
        self._timers.append(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are looked over when they are due."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise context["exception"]

    @property
    def timers(self) -> int:
        """How many wait."""
        return sum(not timer.cancelled() for timer in self._timers)

    def turn(self) -> bool:
        """Run what was called soon before this. Returns whether there was something."""
        handles, self._soon = self._soon, []
        for handle in handles:
            if not handle.cancelled():
                handle._run()
        self.turns += bool(handles)
        return bool(handles)

    def settle(self) -> None:
        """Turn until nothing is left to do at this time."""
        while self.turn():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end_s = self.now_s + seconds
        self.settle()
        while due := [timer for timer in self._timers if timer.when() <= end_s]:
            timer = min(due, key=asyncio.TimerHandle.when)
            self._timers.remove(timer)
            if not timer.cancelled():
                self.now_s = max(self.now_s, timer.when())
                timer._run()
                self.settle()
        self.now_s = end_s


class SlowLoop(FakeLoop):
    """Two milliseconds pass between two looks at the clock."""

    def time(self) -> float:
        self.now_s += 0.002
        return self.now_s


class FakeNode:
    """Implements server.port.Node: applies at the next turn of the loop, or fails, or keeps requests waiting."""

    def __init__(
        self, loop: FakeLoop, settings: Settings | None = None, store: Store | None = None
    ) -> None:
        self._loop = loop
        self.settings = settings or Settings()
        self.cluster_id = CLUSTER_ID
        self.node_id = NODE_ID
        self.machine = KvMachine(store or MemoryStore())
        self.metrics = Metrics()
        self.lessor = Lessor(self.machine, self.propose, loop.time, grace_s=0)
        self.has_leader = self.has_caught_up = True
        self.is_disk_full = False
        self.current_term = TERM
        self.waiting_proposals = 0
        self.failed_proposals_total = 0
        self.failure: Failure | None = None
        """Given to every request instead of a result."""
        self.is_stuck = False
        """Requests wait until `release`."""
        self.commands: list[bytes] = []
        self.soon_count = 0
        self._waiting: list[Callable[[], None]] = []
        self._index = 0

    def give_up(self) -> None:
        self.failure = Failure.STOPPED
        self.release()

    def propose(self, command: bytes, done: Callable[[object], None]) -> None:
        self.commands.append(command)
        self._later(lambda: done(self.failure or self.apply(command)))

    def apply(self, command: bytes) -> object:
        """Execute a command now."""
        self._index += 1
        return completed(self.machine.apply([command], self._index, b"position"))[0]

    def read(self, done: Callable[[Failure | None], None]) -> None:
        self._later(lambda: done(self.failure))

    def soon(self, action: Callable[[], object]) -> None:
        self.soon_count += 1
        self._loop.call_soon(action)

    def _later(self, settle: Callable[[], None]) -> None:
        if self.is_stuck:
            self._waiting.append(settle)
        else:
            self._loop.call_soon(settle)

    def release(self) -> None:
        """Settle what waited."""
        self.is_stuck = False
        waiting, self._waiting = self._waiting, []
        for settle in waiting:
            settle()

    def release_one(self) -> None:
        """Settle the first that waits."""
        self._waiting.pop(0)()

    def status(self) -> NodeStatus:
        return NodeStatus(
            name="node1",
            cluster_id=CLUSTER_ID,
            node_id=NODE_ID,
            leader_id=NODE_ID if self.has_leader else 0,
            role="leader",
            current_term=TERM,
            snapshot_index=5,
            last_index=12,
            commit_index=11,
            last_applied=10,
            is_learner=False,
            store_bytes=8192,
            store_in_use_bytes=4096,
        )

    def when_checkpointed(self, action: Callable[[], None]) -> None:
        def make() -> None:
            checkpoint = self.machine.begin_checkpoint()
            if checkpoint is not None:
                complete(checkpoint)
            action()

        self._loop.call_later(CHECKPOINT_S, make)

    def members(self) -> list[MemberInfo]:
        return [
            MemberInfo(NODE_ID, "node1", ("http://p1",), ("http://c1",), False),
            MemberInfo(NODE_ID + 1, "", ("http://p2",), (), True),
        ]

    def peer_traffic(self) -> dict[int, tuple[int, int]]:
        return {NODE_ID + 1: (100, 200)}

    def peer_round_trips(self) -> dict[int, Durations]:
        durations = Durations()
        durations.observe(0.25)
        return {NODE_ID + 1: durations}

    def dropped_messages(self) -> dict[int, int]:
        return {NODE_ID + 1: 7}


class FakeTransport(asyncio.Transport):
    """A socket that takes what it is let to."""

    def __init__(self, **extra: object) -> None:
        super().__init__(extra)
        self.writes: list[bytes] = []
        self.waiting_bytes = 0
        self.protocol: Any = None
        self.is_reading_now = True
        self.is_closed = False
        self.is_aborted = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        if self.waiting_bytes:  # it is full
            self.waiting_bytes += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def is_reading(self) -> bool:
        return self.is_reading_now

    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True


class Outcome(NamedTuple):
    """How a call ended."""

    status: int
    text: str
    message: bytes


class Overloaded(Slices):
    """So many reads of calls wait that it takes no more of them."""

    def answer(self, call: Call, steps: Steps) -> None:
        steps.close()
        call.finish(*status.TOO_MANY_REQUESTS)


class PendingCall:
    """A call on the client's side. outcome: None while it is open."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.messages: list[bytes] = []
        self.client_call: ClientCall

    def done(self, answer: Any) -> None:
        self.outcome = Outcome(answer.status, answer.text, answer.message)


def _metadata(headers: dict[bytes, bytes] | None) -> bytes:
    return b"".join(literal(name, value) for name, value in (headers or {}).items())


class Rig:
    """A service behind a connection in memory."""

    def __init__(self, loop: FakeLoop, *groups: dict[str, Method]) -> None:
        self.loop = loop
        table = MethodTable(*groups)
        self.methods = table.by_path
        self._server = ServerConnection(table, Limits())
        self._client = ClientConnection("rig", Limits())

    def open(self, path: str, *, headers: dict[bytes, bytes] | None = None) -> PendingCall:
        """Begin a stream, on which nothing is sent yet."""
        call = PendingCall()
        call.client_call = self._client.open(
            path, call.done, call.messages.append, metadata=_metadata(headers)
        )
        self.pump()
        return call

    def start(
        self, path: str, request: Message | bytes, *, headers: dict[bytes, bytes] | None = None
    ) -> PendingCall:
        """Send a request; nothing on the loop runs yet."""
        call = PendingCall()
        data = request if isinstance(request, bytes) else request.SerializeToString()
        metadata = _metadata(headers)
        is_stream = path.endswith(("/Watch", "/Observe", "/Snapshot", "Sessions/Put"))
        on_message = call.messages.append if is_stream else None
        call.client_call = self._client.call(path, data, call.done, on_message, metadata=metadata)
        self.pump()
        return call

    def limit_what_waits(self, size: int) -> None:
        """The client reads nothing, and is cut off when more than so much waits for it."""
        self._server.limits = Limits(buffered_bytes_max=size)
        self._server._sender.stream_window = 0

    def break_off(self, call: PendingCall) -> None:
        """End a stream in the middle of a message."""
        self._client.send_data(call.client_call, [b"\0\0\0\0\x05ab"])
        call.client_call.half_close()
        self.pump()

    def pump(self) -> None:
        """Carry bytes both ways until there are none."""
        while self._client.has_output or self._server.has_output:
            self._server.receive(self._client.take_output())
            self._client.receive(self._server.take_output())
            self._server.on_written()

    def call(
        self, path: str, request: Message | bytes, *, headers: dict[bytes, bytes] | None = None
    ) -> Outcome:
        """The whole call, without any time passing."""
        pending = self.start(path, request, headers=headers)
        self.loop.settle()
        self.pump()
        assert pending.outcome is not None, "the call was not answered"
        return pending.outcome

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)
        self.pump()

    @property
    def open_calls(self) -> int:
        """As the server counts them."""
        return len(self._server.streams)
