"""HTTP/2 under bytes that nobody should send: an answer or a GOAWAY, never an exception, never a hang."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.http2 import frames
from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame, rst_stream, window_update
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import ServerConnection
from tests.http2.talk import (
    CHAT,
    ECHO,
    FEED,
    HOLD,
    SETTINGS,
    ClientUnderTest,
    Frame,
    ServerUnderTest,
    TestMethods,
    call_frames,
    data_frame,
    exchange,
    frames_in,
    headers_frame,
    request_headers,
)

LIMITS = Limits(
    message_bytes_max=5_000,
    resets_max=50,
    idle_frames_max=100,
    settings_max=50,
    unfinished_bytes_max=50_000,
    buffered_bytes_max=100_000,
    header_block_bytes_max=5_000,
    header_list_bytes_max=5_000,
)
SEEDS = range(250)
FRAMES_MAX = 2_000
"""No input here makes either side say more."""

INSERTED = b"\x83\x86\x04\x0c/t.Test/Hold\x5f\x10application/grpc"
REQUESTS = (
    frames.PREFACE,
    SETTINGS,
    call_frames(1),
    frame(frames.PING, 0, 0, b"12345678"),
    headers_frame(3, request_headers(CHAT)),
    data_frame(3, frame_message(b"one")),
    call_frames(5, HOLD, bytes(300)),
    window_update(0, 1_000),
    window_update(3, 1_000),
    frame(frames.HEADERS, frames.END_HEADERS, 7, INSERTED),
    data_frame(7, frame_message(b"seven"), end=True),
    frame(frames.HEADERS, frames.PADDED, 9, b"\x02\x83\x86\0\0"),
    frame(frames.CONTINUATION, frames.END_HEADERS, 9, b"\x04\x0c/t.Test/Hold\xbe"),
    data_frame(9, b""),
    data_frame(3, frame_message(b"two"), end=True),
    frames.settings({frames.INITIAL_WINDOW_SIZE: 10, frames.MAX_FRAME_SIZE: 20_000}),
    rst_stream(5, ErrorCode.CANCEL),
    headers_frame(11, request_headers("/t.Test/Missing"), end=True),
    frames.goaway(0, ErrorCode.NO_ERROR),
)


def answers_of_a_server() -> tuple[bytes, ...]:
    """To CALLS, in frames."""
    server = ServerUnderTest()
    found = [SETTINGS]
    for data in REQUESTS[2:]:
        server.engine.receive(data)
        found.append(server.engine.take_output())
    return tuple(found)


ANSWERS = answers_of_a_server()


def mutate(parts: tuple[bytes, ...], chance: random.Random) -> bytes:
    """A few mistakes, in frames or in bytes."""
    pieces = list(parts)
    for _ in range(chance.randrange(3)):
        at, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        pieces[at], pieces[other] = chance.choice(
            [(pieces[other], pieces[at]), (pieces[at] * 2, pieces[other]), (b"", pieces[other])]
        )
    data = bytearray(b"".join(pieces))
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data))
        change = chance.randrange(4)
        if change == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif change == 2:
            del data[at : at + chance.randrange(1, 20)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 20))
    return bytes(data)


def in_pieces(data: bytes, chance: random.Random) -> list[bytes]:
    pieces = []
    while data:
        size = chance.choice((1, 2, 5, 9, 30, 200))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def check_declared(engine: ServerConnection | ClientConnection, output: list[Frame]) -> None:
    """Whole frames; open, or closed by a GOAWAY that says why."""
    assert len(output) < FRAMES_MAX
    if engine.is_closed:
        assert engine.fault is not None
        assert output[-1].kind == frames.GOAWAY
        assert output[-1].code == engine.fault.code
        assert not engine.streams
    else:
        assert all(one.kind != frames.GOAWAY for one in output)


def hear_all(say: Callable[[bytes], list[Frame]], pieces: list[bytes]) -> list[Frame]:
    return [one for piece in pieces for one in say(piece)]


@pytest.mark.parametrize("seed", SEEDS)
def test_server_answers_or_ends_however_a_conversation_is_broken(seed: int) -> None:
    """The same in one piece and in many."""
    chance = random.Random(seed)
    data = mutate(REQUESTS, chance)
    whole = ServerUnderTest(LIMITS, greet=False)
    output = whole.say(data)
    check_declared(whole.engine, output)
    cut = ServerUnderTest(LIMITS, greet=False)
    assert hear_all(cut.say, in_pieces(data, chance)) == output
    assert cut.methods.messages == whole.methods.messages
    for call in whole.methods.calls:
        call.reply(b"late")
    whole.engine.lost()
    assert whole.engine.is_closed


def asking() -> ClientUnderTest:
    """A client with the calls that ANSWERS answer."""
    client = ClientUnderTest(LIMITS)
    for number in range(1, 13, 2):
        if number == 3:
            client.engine.open(CHAT, client.answers.append, client.messages.append)
        else:
            client.engine.call(ECHO, b"", client.answers.append)
    client.output()
    return client


@pytest.mark.parametrize("seed", SEEDS)
def test_client_answers_or_ends_however_a_conversation_is_broken(seed: int) -> None:
    """And each call ends at most once; all of them, when the connection does."""
    chance = random.Random(seed)
    data = mutate(ANSWERS, chance)
    whole, cut = asking(), asking()
    output = whole.hear(data)
    check_declared(whole.engine, output)
    assert hear_all(cut.hear, in_pieces(data, chance)) == output
    assert cut.answers == whole.answers
    whole.engine.lost()
    assert len(whole.answers) == 6


stream_ids = st.sampled_from([0, 1, 2, 3, 5, 7, 9, 2**31 - 1])
payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"",
            bytes(4),
            bytes(5),
            bytes(8),
            b"\x7f\xff\xff\xff",
            b"\0\x04\0\0\0\0",
            b"\0\x04\x7f\xff\xff\xff",
            INSERTED,
            headers_frame(1)[9:],
            headers_frame(1, request_headers(FEED))[9:],
            frame_message(b"x"),
            frame_message(bytes(500)),
        ]
    ),
)
any_frames = st.lists(
    st.builds(
        frame,
        st.integers(0, 10),
        st.one_of(st.sampled_from([0, 1, 4, 5]), st.integers(0, 255)),
        stream_ids,
        payloads,
    ),
    max_size=30,
)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(any_frames)
def test_server_answers_any_frames_or_ends(said: list[bytes]) -> None:
    server = ServerUnderTest(LIMITS)
    check_declared(server.engine, hear_all(server.say, said))


@settings(derandomize=True, max_examples=400, deadline=None)
@given(any_frames)
def test_client_answers_any_frames_or_ends(said: list[bytes]) -> None:
    client = asking()
    check_declared(client.engine, hear_all(client.hear, said))
    client.engine.lost()
    assert len(client.answers) == 6


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_or_end_the_connection(data: bytes) -> None:
    for greet in (False, True):
        server = ServerUnderTest(LIMITS, greet=greet)
        check_declared(server.engine, server.say(data))


class Wire:
    """Both sides, with bytes under way that arrive in any pieces, late."""

    def __init__(self, chance: random.Random) -> None:
        limits = Limits(stream_window_bytes=chance.choice((600, 5_000, 70_000)))
        self.chance = chance
        self.methods = TestMethods()
        self.client = ClientConnection("localhost", limits)
        self.server = ServerConnection(self.methods, limits)
        exchange(self.client, self.server)
        self._to_server = self._to_client = b""

    def move(self) -> None:
        """Some of what is under way arrives."""
        self._to_server += self.client.take_output()
        self._to_client += self.server.take_output()
        size = self.chance.choice((1, 8, 100, 10_000))
        self.server.receive(self._to_server[:size])
        self._to_server = self._to_server[size:]
        self.client.receive(self._to_client[:size])
        self._to_client = self._to_client[size:]

    def settle(self) -> None:
        while self._to_server or self._to_client or self._has_output():
            self.move()

    def _has_output(self) -> bool:
        return self.client.has_output or self.server.has_output


@pytest.mark.parametrize("seed", range(60))
def test_both_sides_agree_under_any_schedule(seed: int) -> None:
    """Calls, streams, late answers, cancellations, with bytes in any pieces: each call gets its own answer, once."""
    chance = random.Random(seed)
    wire = Wire(chance)
    answers: dict[int, list[Answer]] = {}
    wanted: dict[int, bytes] = {}
    cancelled: set[int] = set()
    for number in range(40):
        message = b"%d/" % number * chance.choice((1, 50, 500))
        path = chance.choice((ECHO, ECHO, HOLD))
        got: list[Answer] = []
        answers[number], wanted[number] = got, message
        call = wire.client.call(path, message, got.append)
        for _ in range(chance.randrange(6)):
            wire.move()
        while wire.methods.calls and chance.random() < 0.5:
            held = wire.methods.calls.pop(0)
            held.reply(wire.methods.messages.pop(0))
        if chance.random() < 0.1 and not got:
            cancelled.add(number)
            call.cancel()
    wire.settle()
    for held, message in zip(wire.methods.calls, wire.methods.messages, strict=True):
        held.reply(message)
    wire.settle()
    for number, got in answers.items():
        assert got == ([] if number in cancelled else [Answer(0, "", wanted[number])])
    assert not wire.client.streams
    assert not wire.server.streams
    assert (wire.client.fault, wire.server.fault) == (None, None)
    assert wire.server._held_bytes == wire.client._held_bytes == 0
    assert wire.server._sender.queued_bytes == wire.client._sender.queued_bytes == 0


def test_conversation_that_is_not_broken_ends_well() -> None:
    """The seed of the mutations is what it is meant to be."""
    server = ServerUnderTest(LIMITS, greet=False)
    output = server.say(*REQUESTS)
    assert not server.engine.is_closed
    assert [one for one in output if one.kind == frames.RST_STREAM] == []
    assert server.methods.messages == [b"one", bytes(300), b"seven", b"two"]
    client = asking()
    client.hear(*ANSWERS)
    assert not client.engine.is_closed
    assert {answer.status for answer in client.answers} == {0, 12}
    assert frames_in(b"".join(ANSWERS))
