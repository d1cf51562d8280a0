"""A connection between the engine and a socket: written once a turn, kept honest by the clock."""

from collections.abc import Callable

import pytest

from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import Call, UnaryMethod
from raftwerk.runtime.afterwards import Afterwards
from raftwerk.server.grpc_shell import PERIOD_S, PIECE_BYTES, GrpcProtocol, common_name
from raftwerk.server.intake import TURN_S, Intake
from raftwerk.server.methods import MethodTable
from tests.server.fakes import FakeLoop, FakeTransport

PATH = "/test.Service/Call"
MESSAGE = bytes(1000)
BUFFERED_BYTES_MAX = 1000
INTERVAL_S, TIMEOUT_S = 40.0, 7.0
LIMITS = Limits(
    buffered_bytes_max=BUFFERED_BYTES_MAX,
    keepalive_interval_s=INTERVAL_S,
    keepalive_timeout_s=TIMEOUT_S,
)


class Wire:
    """A protocol on a fake socket, its owner, and a client that talks to it."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.loop = FakeLoop()
        self.intake = Intake(self.loop, self.loop.time)
        self.calls: list[Call] = []
        self.waiting: list[int] = []
        self.opened = self.closed = self.received_bytes = self.sent_bytes = 0
        self.is_broken = False
        methods = MethodTable({PATH: UnaryMethod(self.handle)})
        self.soon: Callable[[Callable[[], None]], object] = self.loop.call_soon
        """What the protocol's is."""
        self.protocol = GrpcProtocol(
            self, methods, limits, self.loop, self.intake, lambda action: self.soon(action)
        )
        self.transport = FakeTransport()
        self.protocol.connection_made(self.transport)
        self.client = ClientConnection("wire", Limits())
        self.answers: list[Answer] = []

    def handle(self, call: Call, _: bytes) -> None:
        if self.is_broken:
            raise ValueError("broken")
        self.calls.append(call)

    def slow_clock(self) -> float:
        """With each look a turn has gone by."""
        self.loop.now_s += TURN_S
        return self.loop.now_s

    def on_opened(self, connection: GrpcProtocol) -> None:
        self.opened += 1

    def on_closed(self, connection: GrpcProtocol) -> None:
        self.closed += 1

    def on_bytes(self, received: int, sent: int) -> None:
        self.received_bytes += received
        self.sent_bytes += sent

    def on_waiting(self, connection: GrpcProtocol, waiting_bytes: int) -> None:
        assert connection is self.protocol
        self.waiting.append(waiting_bytes)

    def start(self, count: int = 1) -> None:
        """Let the client call, and the server hear of it."""
        for _ in range(count):
            self.client.call(PATH, b"message", self.answers.append)
        self.protocol.data_received(self.client.take_output())

    def deliver(self) -> None:
        """Let the client read what was written, and answer."""
        writes, self.transport.writes = self.transport.writes, []
        self.client.receive(b"".join(writes))
        if self.client.has_output:
            self.protocol.data_received(self.client.take_output())


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_answers_of_one_turn_are_one_write(wire: Wire) -> None:
    wire.start(5)
    wire.deliver()
    for call in wire.calls:
        call.reply(b"answer")
    wire.transport.writes.clear()
    wire.loop.settle()
    assert len(wire.transport.writes) == 1
    wire.deliver()
    assert [answer.message for answer in wire.answers] == [b"answer"] * 5


def test_answers_of_a_step_are_written_at_its_end(wire: Wire) -> None:
    afterwards = Afterwards(wire.loop)
    wire.soon = afterwards.soon
    wire.start(2)
    wire.deliver()
    wire.transport.writes.clear()
    with afterwards:
        for call in wire.calls:
            call.reply(b"answer")
        assert wire.transport.writes == []
    assert len(wire.transport.writes) == 1
    wire.start()
    with afterwards:
        wire.calls[-1].reply(b"another answer")
    wire.deliver()
    assert [answer.message for answer in wire.answers] == [b"answer", b"answer", b"another answer"]


def test_owner_hears_of_the_connection_and_its_bytes(wire: Wire) -> None:
    wire.start()
    assert (wire.opened, wire.closed) == (1, 0)
    assert wire.received_bytes > len(b"message")
    assert wire.sent_bytes == sum(map(len, wire.transport.writes))
    wire.protocol.connection_lost(None)
    assert (wire.opened, wire.closed) == (1, 1)


def test_lost_connection_ends_its_calls(wire: Wire) -> None:
    wire.start()
    cancelled: list[bool] = []
    wire.calls[0].on_cancel = lambda: cancelled.append(True)
    has_calls_before = wire.protocol.has_calls
    wire.protocol.connection_lost(None)
    assert has_calls_before
    assert cancelled == [True]
    assert wire.protocol.has_calls is False
    assert wire.loop.timers == 0


def test_answer_after_the_connection_is_lost_is_dropped(wire: Wire) -> None:
    wire.start()
    wire.protocol.connection_lost(None)
    wire.transport.writes.clear()
    wire.calls[0].reply(b"late")
    wire.loop.settle()
    assert wire.transport.writes == []


def test_reading_pauses_while_answers_are_not_read(wire: Wire) -> None:
    wire.protocol.pause_writing()
    assert not wire.transport.is_reading()
    wire.protocol.resume_writing()
    assert wire.transport.is_reading()


def test_client_that_lets_answers_pile_up_is_cut_off(wire: Wire) -> None:
    wire.start()
    wire.transport.waiting_bytes = BUFFERED_BYTES_MAX + 1
    wire.calls[0].reply(b"one more")
    wire.loop.settle()
    assert wire.transport.is_aborted


def test_owner_hears_what_waits_in_the_socket_and_behind_the_windows_of_the_client() -> None:
    wire = quiet(Limits())
    wire.start()
    wire.transport.waiting_bytes = 10  # from now on the socket takes nothing
    wire.transport.writes.clear()
    answer = b"x" * (2 * LIMITS.stream_window_bytes)
    wire.calls[0].reply(answer)
    wire.loop.settle()
    assert wire.waiting[-1] > len(answer)
    written = sum(map(len, wire.transport.writes))
    assert written < len(answer)
    wire.transport.waiting_bytes = 0
    wire.protocol.resume_writing()
    assert 0 < wire.waiting[-1] < len(answer)
    while not wire.answers:
        wire.deliver()
    assert wire.answers[0].message == answer
    assert wire.waiting[-1] == 0


def quiet(limits: Limits = LIMITS) -> Wire:
    """A connection on which all greetings are said."""
    wire = Wire(limits)
    wire.deliver()
    wire.deliver()
    assert wire.transport.writes == []
    return wire


def test_silent_client_is_asked_whether_it_lives() -> None:
    wire = quiet()
    wire.loop.advance(INTERVAL_S - 1)
    assert wire.transport.writes == []
    wire.loop.advance(1)
    assert len(wire.transport.writes) == 1
    wire.loop.advance(TIMEOUT_S - 1)
    assert not wire.transport.is_aborted
    wire.loop.advance(1)
    assert wire.transport.is_aborted


def test_client_that_speaks_is_not_asked() -> None:
    wire = quiet()
    for _ in range(10):
        wire.loop.advance(INTERVAL_S - 1)
        wire.start()
    assert wire.transport.writes == []


def test_client_that_answers_pings_stays() -> None:
    wire = quiet()
    for _ in range(10):
        wire.loop.advance(INTERVAL_S)
        assert len(wire.transport.writes) == 1
        wire.loop.advance(TIMEOUT_S - 1)
        wire.deliver()
    assert not wire.transport.is_aborted


def test_client_that_is_not_read_from_is_not_blamed_for_its_silence() -> None:
    wire = quiet()
    wire.protocol.pause_writing()
    wire.loop.advance(10 * INTERVAL_S)
    assert not wire.transport.is_aborted


def test_silent_client_is_left_alone_if_told_so() -> None:
    wire = quiet(Limits(keepalive_interval_s=0))
    wire.loop.advance(100 * INTERVAL_S)
    assert wire.transport.writes == []
    assert not wire.transport.is_aborted


def test_client_that_takes_no_byte_for_a_period_is_cut_off(wire: Wire) -> None:
    wire.transport.waiting_bytes = 10
    wire.protocol.pause_writing()
    wire.loop.advance(PERIOD_S)
    assert not wire.transport.is_aborted
    wire.loop.advance(PERIOD_S)
    assert wire.transport.is_aborted


def test_bytes_that_are_not_http2_close_the_connection(wire: Wire) -> None:
    wire.protocol.data_received(b"this is something else, is it not?")
    assert wire.transport.is_closed


def test_draining_connection_lets_open_calls_end(wire: Wire) -> None:
    wire.start()
    wire.protocol.drain()
    wire.deliver()
    assert not wire.client.can_call
    wire.calls[0].reply(b"answer")
    wire.loop.settle()
    wire.deliver()
    assert [answer.message for answer in wire.answers] == [b"answer"]


def test_calls_are_told_whether_the_socket_takes_more(wire: Wire) -> None:
    wire.start()
    drained: list[str] = []
    call = wire.calls[0]
    call.on_drain = lambda: drained.append("drained")
    wire.protocol.pause_writing()
    assert call.is_clogged
    call.await_drain()
    wire.protocol.resume_writing()
    assert not call.is_clogged
    assert drained == ["drained"]


def test_calls_are_told_when_output_was_written() -> None:
    wire = Wire()
    wire.start(2)
    drained: list[str] = []
    call, other = wire.calls
    call.on_drain = lambda: drained.append("drained")
    call.await_drain()
    other.reply(b"x")
    wire.loop.settle()
    assert drained == ["drained"]


def test_common_name_is_the_subjects() -> None:
    subject = ((("organizationName", "o"),), (("commonName", "u"),))
    assert common_name({"subject": subject, "issuer": ((("commonName", "ca"),),)}) == "u"
    assert common_name({"subject": ((("organizationName", "o"),),)}) == ""
    assert common_name({}) == common_name(None) == ""


def test_burst_is_taken_in_piece_by_piece_in_several_turns(wire: Wire) -> None:
    """Nothing more is read meanwhile, nothing is lost, and it comes in order."""
    calls = 3 * PIECE_BYTES // len(MESSAGE)
    wire.intake = wire.protocol._intake = Intake(wire.loop, wire.slow_clock)
    for number in range(calls):
        wire.client.call(PATH, MESSAGE + b"%d" % number, wire.answers.append)
    wire.protocol.data_received(wire.client.take_output())
    seen = [len(wire.calls)]
    assert not wire.transport.is_reading()
    while wire.loop.turn():
        seen.append(len(wire.calls))
    assert seen[-1] == calls
    assert len(set(seen)) >= 3
    assert wire.transport.is_reading()
    assert [call.stream_id for call in wire.calls] == sorted(call.stream_id for call in wire.calls)


def test_connection_that_ends_in_a_burst_takes_in_nothing_more(wire: Wire) -> None:
    wire.protocol._intake = Intake(wire.loop, wire.slow_clock)
    for _ in range(3 * PIECE_BYTES // len(MESSAGE)):
        wire.client.call(PATH, MESSAGE, wire.answers.append)
    wire.protocol.data_received(wire.client.take_output())
    taken = len(wire.calls)
    wire.protocol.connection_lost(None)
    wire.loop.settle()
    assert len(wire.calls) == taken


def test_connection_whose_handler_fails_in_a_burst_is_closed(wire: Wire) -> None:
    """As one is whose handler fails at once: else its client would wait for ever."""
    wire.protocol._intake = Intake(wire.loop, wire.slow_clock)
    for _ in range(3 * PIECE_BYTES // len(MESSAGE)):
        wire.client.call(PATH, MESSAGE, wire.answers.append)
    wire.protocol.data_received(wire.client.take_output())
    wire.is_broken = True
    with pytest.raises(ValueError, match="broken"):
        wire.loop.settle()
    assert wire.transport.is_aborted
