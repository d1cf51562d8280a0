"""Flow control of what is sent (RFC 9113, sections 5.2 and 6.9)."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.http2 import frames
from raftwerk.http2.call import Call
from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault
from raftwerk.http2.sending import Sender
from tests.http2.talk import Frame, frames_in, idle_call

TRAILERS = frames.frame(frames.HEADERS, frames.END_STREAM, 1, b"")


class Sending:
    """A sender, what it sent, and the streams that ended."""

    def __init__(self, window: int = 100, stream_window: int = 100, frame_max: int = 10) -> None:
        self._output: list[bytes] = []
        self.ended: list[int] = []
        self.drained: list[int] = []
        """Streams that were told that all has left."""
        self.sender: Sender[Call] = Sender(self._output, self._on_ended)
        self.sender.window = window
        self.sender.stream_window = stream_window
        self.sender.frame_max = frame_max

    def _on_ended(self, stream: Call) -> None:
        self.ended.append(stream.stream_id)

    def stream(self, stream_id: int = 1) -> Call:
        one = idle_call(stream_id, self.sender.stream_window)
        one.on_drain = lambda: self.drained.append(stream_id)
        return one

    def output(self) -> list[Frame]:
        found = frames_in(b"".join(self._output))
        self._output.clear()
        return found

    def sent(self) -> list[tuple[int, int]]:
        """(stream, bytes) of each DATA frame."""
        return [
            (one.stream_id, len(one.payload)) for one in self.output() if one.kind == frames.DATA
        ]


def test_bytes_leave_in_frames_of_the_peers_size() -> None:
    sending = Sending()
    one = sending.stream()
    sending.sender.send(one, bytes(range(25)))
    output = sending.output()
    assert [len(frame.payload) for frame in output] == [10, 10, 5]
    assert b"".join(frame.payload for frame in output) == bytes(range(25))
    assert (sending.sender.window, one.send_window, sending.sender.sent_bytes) == (75, 75, 25)


def test_what_the_streams_window_does_not_allow_waits_for_it() -> None:
    sending = Sending(stream_window=7)
    one = sending.stream()
    sending.sender.send(one, bytes(range(20)))
    assert sending.sent() == [(1, 7)]
    sending.sender.widen(1_000)
    assert sending.sent() == []
    sending.sender.widen_stream(one, 12)
    assert sending.sent() == [(1, 10), (1, 2)]
    assert (one.queued_bytes, sending.sender.queued_bytes, sending.drained) == (1, 1, [])
    sending.sender.widen_stream(one, 1)
    assert [frame.payload for frame in sending.output()] == [bytes((19,))]
    assert sending.drained == [1]


def test_what_the_connections_window_does_not_allow_waits_for_it() -> None:
    sending = Sending(window=7)
    one = sending.stream()
    sending.sender.send(one, bytes(20))
    assert sending.sent() == [(1, 7)]
    sending.sender.widen_stream(one, 1_000)
    assert sending.sent() == []
    sending.sender.widen(13)
    assert sending.sent() == [(1, 10), (1, 3)]
    assert sending.drained == [1]


def test_streams_take_turns() -> None:
    """A large answer does not keep small ones waiting."""
    sending = Sending(window=10)
    large, small, third = sending.stream(1), sending.stream(3), sending.stream(5)
    sending.sender.send(large, bytes(100))
    sending.sender.send(small, bytes(5))
    sending.sender.send(third, bytes(15))
    sending.output()
    sending.sender.widen(60)
    assert sending.sent() == [(1, 10), (3, 5), (5, 10), (1, 10), (5, 5), (1, 10), (1, 10)]


def test_stream_that_misses_its_own_window_does_not_hold_up_others() -> None:
    sending = Sending(window=10, stream_window=12)
    stuck, other = sending.stream(1), sending.stream(3)
    sending.sender.send(stuck, bytes(50))
    sending.sender.send(other, bytes(12))
    sending.output()
    sending.sender.widen(100)
    assert sending.sent() == [(1, 2), (3, 10), (3, 2)]
    sending.sender.send(other, b"")
    assert sending.sent() == []


def test_trailers_come_after_everything_that_waits() -> None:
    sending = Sending(window=5)
    one = sending.stream()
    sending.sender.send(one, bytes(8))
    sending.sender.end(one, TRAILERS)
    assert sending.sent() == [(1, 5)]
    assert (sending.ended, one.is_local_closed) == ([], False)
    sending.sender.widen(3)
    assert [frame.kind for frame in sending.output()] == [frames.DATA, frames.HEADERS]
    assert (sending.ended, one.is_local_closed) == ([1], True)
    assert sending.drained == [], "it is over: nobody wants to send more"


def test_trailers_alone_need_no_window() -> None:
    sending = Sending(window=0, stream_window=0)
    sending.sender.end(sending.stream(), TRAILERS)
    assert sending.ended == [1]


def test_dropped_stream_sends_nothing_more_and_is_forgotten() -> None:
    sending = Sending(window=5)
    dropped, other = sending.stream(1), sending.stream(3)
    sending.sender.send(dropped, bytes(50))
    sending.sender.end(dropped, TRAILERS)
    sending.sender.send(other, bytes(7))
    sending.output()
    sending.sender.drop(dropped)
    assert (sending.sender.queued_bytes, dropped.queued_bytes) == (7, 0)
    sending.sender.widen(100)
    assert [(frame.stream_id, len(frame.payload)) for frame in sending.output()] == [(3, 7)]


def test_new_initial_window_counts_for_open_streams() -> None:
    """It may make a window negative, which updates have to fill first (section 6.9.2)."""
    sending = Sending(stream_window=10)
    one = sending.stream()
    sending.sender.send(one, bytes(30))
    assert sending.sent() == [(1, 10)]
    sending.sender.set_stream_window(4, [one])
    assert one.send_window == -6
    sending.sender.widen_stream(one, 6)
    assert sending.sent() == []
    sending.sender.widen_stream(one, 2)
    assert sending.sent() == [(1, 2)]
    sending.sender.set_stream_window(9, [one])
    sending.sender.resume([one])
    assert sending.sent() == [(1, 5)]


def test_window_may_shrink_while_the_stream_stands_in_line() -> None:
    sending = Sending(window=0, stream_window=10)
    one = sending.stream()
    sending.sender.send(one, bytes(5))
    sending.sender.set_stream_window(0, [one])
    sending.sender.widen(100)
    assert sending.sent() == []
    sending.sender.widen_stream(one, 5)
    assert sending.sent() == [(1, 5)]


def test_windows_end_at_two_gibibytes() -> None:
    """Section 6.9.1: a fault of the connection or the stream."""
    sending = Sending()
    one = sending.stream()
    with pytest.raises(StreamFault) as of_stream:
        sending.sender.widen_stream(one, 2**31 - 100)
    with pytest.raises(ConnectionFault) as of_connection:
        sending.sender.widen(2**31 - 100)
    with pytest.raises(ConnectionFault):
        sending.sender.set_stream_window(2**31 - 1, [one])
    assert of_stream.value.code == of_connection.value.code == ErrorCode.FLOW_CONTROL_ERROR


def test_windows_may_be_two_gibibytes_less_one() -> None:
    sending = Sending()
    one = sending.stream()
    sending.sender.widen_stream(one, 2**31 - 101)
    sending.sender.widen(2**31 - 101)
    assert (one.send_window, sending.sender.window) == (frames.WINDOW_MAX, frames.WINDOW_MAX)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 40)),
        st.tuples(st.just("widen"), st.just(0), st.integers(1, 40)),
        st.tuples(st.just("widen stream"), st.integers(0, 2), st.integers(1, 40)),
        st.tuples(st.just("initial"), st.just(0), st.integers(0, 60)),
        st.tuples(st.just("end"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("drop"), st.integers(0, 2), st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_any_windows_are_kept_and_all_arrives_in_order(turns: list[tuple[str, int, int]]) -> None:
    """Never more than the windows allow; once they are wide, everything, once, in order."""
    sending = Sending(window=20, stream_window=15)
    sender, streams = sending.sender, [sending.stream(number) for number in (1, 3, 5)]
    wanted: dict[int, bytes] = defaultdict(bytes)
    seen: dict[int, bytes] = defaultdict(bytes)
    dropped, next_byte = set(), 0
    for verb, which, number in [*turns, ("initial", 0, 10_000), ("widen", 0, 10_000)]:
        stream = streams[which]
        is_open = not stream.is_local_closed and stream.out_trailers is None
        if verb == "send" and is_open:
            data = bytes((next_byte + i) % 256 for i in range(number))
            next_byte += number
            wanted[stream.stream_id] += data
            sender.send(stream, data)
        elif verb == "widen":
            sender.widen(number)
        elif verb == "widen stream":
            sender.widen_stream(stream, number)
        elif verb == "initial":
            sender.set_stream_window(number, streams)
            sender.resume(streams)
        elif verb == "end" and is_open:
            sender.end(stream, TRAILERS)
        elif verb == "drop":
            dropped.add(stream.stream_id)
            sender.drop(stream)
        for frame in sending.output():
            if frame.kind == frames.DATA:
                assert len(frame.payload) <= 10
                seen[frame.stream_id] += frame.payload
        assert sender.window >= 0
        assert sender.queued_bytes == sum(one.queued_bytes for one in streams)
    for stream in streams:
        if stream.stream_id in dropped:
            assert wanted[stream.stream_id].startswith(seen[stream.stream_id])
        else:
            assert seen[stream.stream_id] == wanted[stream.stream_id]
            assert stream.out_trailers is None
