"""gRPC over HTTP/2: message framing, compression, status texts, timeouts."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.http2 import grpc
from raftwerk.http2.grpc import MessageReader, decode_text, encode_text, frame_message
from raftwerk.http2.limits import Limits

MESSAGES = [b"first", b"", b"x" * 40, b"last"]
WIRE = b"".join(frame_message(message) for message in MESSAGES)


def packed(message: bytes, flag: int = 1) -> bytes:
    return bytes((flag,)) + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("cut", range(len(WIRE) + 1))
def test_messages_are_the_same_wherever_they_are_cut(cut: int) -> None:
    reader = MessageReader(100)
    assert reader.feed(WIRE[:cut]) + reader.feed(WIRE[cut:]) == MESSAGES
    assert not reader.held


def test_messages_come_out_byte_by_byte() -> None:
    reader = MessageReader(100)
    found = [message for byte in WIRE for message in reader.feed(bytes((byte,)))]
    assert found == MESSAGES


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(1, 30), min_size=1))
def test_messages_are_the_same_in_any_pieces(messages: list[bytes], sizes: list[int]) -> None:
    reader = MessageReader(50)
    wire = b"".join(map(frame_message, messages))
    found, turn = [], 0
    while wire:
        size = sizes[turn % len(sizes)]
        found += reader.feed(wire[:size])
        wire, turn = wire[size:], turn + 1
    assert found == messages
    assert (len(reader.held), reader.fault) == (0, None)


def test_beginning_of_a_message_is_held() -> None:
    reader = MessageReader(100)
    assert reader.feed(frame_message(b"whole") + b"\0\0\0\0\x09half") == [b"whole"]
    assert len(reader.held) == 9


def test_no_reader_holds_what_another_one_holds() -> None:
    one, other = MessageReader(100), MessageReader(100)
    assert one.feed(b"\0\0\0\0\x09half") == []
    assert not other.held
    assert one.feed(b" more") == [b"half more"]
    assert not MessageReader(100).held


def test_message_at_the_limit_is_taken() -> None:
    reader = MessageReader(10)
    assert reader.feed(frame_message(bytes(10))) == [bytes(10)]


@pytest.mark.parametrize("cut", [5, 6, 15, 16])
def test_message_over_the_limit_is_refused_with_the_text_of_etcd(cut: int) -> None:
    """As soon as its prefix is there; what came before it is delivered, however it was cut."""
    reader = MessageReader(10)
    wire = frame_message(b"good") + frame_message(bytes(11))
    assert reader.feed(wire[: 9 + cut]) == [b"good"]
    assert reader.feed(wire[9 + cut :]) == []
    assert reader.fault is not None
    assert reader.fault.status == grpc.RESOURCE_EXHAUSTED
    assert reader.fault.text == "grpc: received message larger than max (11 vs. 10)"


def test_limit_is_that_of_etcd() -> None:
    """max-request-bytes (1.5 MiB) and 512 KiB."""
    assert Limits().message_bytes_max == 2_097_152


@pytest.mark.parametrize("again", [b"", frame_message(b"next"), bytes(100)])
def test_nothing_comes_after_a_fault(again: bytes) -> None:
    reader = MessageReader(10)
    reader.feed(frame_message(bytes(11)))
    assert reader.feed(again) == []
    assert not reader.held


@pytest.mark.parametrize("flag", [1, 2, 255])
def test_compressed_message_without_an_encoding_is_unimplemented(flag: int) -> None:
    reader = MessageReader(10)
    assert reader.feed(packed(b"abc", flag)) == []
    assert reader.fault is not None
    assert reader.fault.status == grpc.UNIMPLEMENTED


def test_gzip_is_unpacked() -> None:
    reader = MessageReader(100, is_gzip=True)
    wire = packed(gzip.compress(b"abc")) + frame_message(b"plain")
    assert reader.feed(wire) == [b"abc", b"plain"]


def test_gzip_bomb_is_refused() -> None:
    """What it would unpack to is never held."""
    reader = MessageReader(100_000, is_gzip=True)
    assert reader.feed(packed(gzip.compress(bytes(50_000_000)))) == []
    assert reader.fault is not None
    assert reader.fault.status == grpc.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "message", [b"no gzip", b"", gzip.compress(b"abc" * 50)[:-9]], ids=["other", "empty", "cut"]
)
def test_broken_gzip_is_refused(message: bytes) -> None:
    reader = MessageReader(1000, is_gzip=True)
    assert reader.feed(packed(message)) == []
    assert reader.fault is not None
    assert reader.fault.status == grpc.INTERNAL


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3600.0),
        (b"2M", 120.0),
        (b"3S", 3.0),
        (b"4m", 0.004),
        (b"5u", 0.000005),
        (b"6n", 0.000000006),
        (b"0S", 0.0),
        (b"99999999H", 99_999_999 * 3600.0),
    ],
)
def test_timeout(value: bytes, seconds: float) -> None:
    assert grpc.parse_timeout_s(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"S",
        b"1",
        b"1s",
        b"1h",
        b"-1S",
        b"+1S",
        b"1.5S",
        b" 1S",
        b"1S ",
        b"123456789S",
        b"1\xb2S",
    ],
)
def test_malformed_timeout(value: bytes) -> None:
    """At most eight digits and a unit."""
    assert grpc.parse_timeout_s(value) is None


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("etcdserver: no leader", b"etcdserver: no leader"),
        ("100%", b"100%25"),
        ("\u00e4\n", b"%C3%A4%0A"),
        ("\x7f~", b"%7F~"),
    ],
)
def test_status_text_is_percent_encoded(text: str, encoded: bytes) -> None:
    assert encode_text(text) == encoded
    assert decode_text(encoded) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"%", "%"),
        (b"%4", "%4"),
        (b"%zz", "%zz"),
        (b"%+1", "%+1"),
        (b"%2", "%2"),
        (b"%FF", "\ufffd"),
    ],
)
def test_what_is_not_encoded_well_stays(value: bytes, text: str) -> None:
    assert decode_text(value) == text


@given(st.text())
def test_any_text_survives(text: str) -> None:
    encoded = encode_text(text)
    assert decode_text(encoded) == text
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
