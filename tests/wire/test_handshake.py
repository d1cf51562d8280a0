"""The handshake: both sides know with whom they speak, or say why not."""

import msgspec
import pytest

from raftwerk.errors import PeerProtocolError
from raftwerk.wire.frame import encode_frame
from raftwerk.wire.handshake import (
    HELLO_BYTES_MAX,
    MAGIC,
    VERSION,
    AnswerReader,
    Hello,
    HelloReader,
    Refused,
    Stream,
    Welcome,
    encode_answer,
    encode_hello,
    judge,
)

CLUSTER, HERE, THERE = 0xC1, 0xA1, 0xA2
HELLO_BYTES = encode_hello(CLUSTER, THERE, HERE, Stream.SNAPSHOT)
HELLO = Hello(VERSION, VERSION, CLUSTER, THERE, HERE, Stream.SNAPSHOT)


def answer_to(**changed: int) -> Welcome | Refused:
    return judge(msgspec.structs.replace(HELLO, **changed), CLUSTER, HERE, frozenset({THERE}))


def test_hello_round_trip() -> None:
    assert HelloReader().feed(HELLO_BYTES) == HELLO


@pytest.mark.parametrize("split", range(len(HELLO_BYTES)))
def test_hello_is_read_at_every_split(split: int) -> None:
    reader = HelloReader()
    assert reader.feed(HELLO_BYTES[:split]) is None
    assert reader.feed(HELLO_BYTES[split:]) == HELLO


def test_hello_byte_by_byte() -> None:
    reader = HelloReader()
    found = [reader.feed(HELLO_BYTES[place : place + 1]) for place in range(len(HELLO_BYTES))]
    assert found == [None] * (len(HELLO_BYTES) - 1) + [HELLO]


def is_refused(reader: HelloReader | AnswerReader, data: bytes) -> bool:
    """Whether nothing is read from `data`, and it is refused: at once, or when the length that it claims has come."""
    try:
        if reader.feed(data) is not None:
            return False
        reader.feed(bytes(HELLO_BYTES_MAX))
    except PeerProtocolError:
        return True
    return False


def test_hello_with_any_flipped_bit_is_refused() -> None:
    data = bytearray(HELLO_BYTES)
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        assert is_refused(HelloReader(), bytes(data)), bit
        data[bit // 8] ^= 1 << bit % 8
    assert not is_refused(HelloReader(), bytes(data))


@pytest.mark.parametrize(
    "text",
    [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n", b"\x16\x03\x01", b"\0", b"raftwerk peers"],
)
def test_something_else_than_a_peer_is_told_at_its_first_bytes(text: bytes) -> None:
    with pytest.raises(
        PeerProtocolError, match="This is the peer port; clients use the client port"
    ):
        HelloReader().feed(text)


def test_message_before_the_hello_is_refused() -> None:
    with pytest.raises(PeerProtocolError, match="a frame of kind 5 came before the hello"):
        HelloReader().feed(MAGIC + encode_frame(5, b""))


@pytest.mark.parametrize("more", [b"\0", encode_frame(13, b"")], ids=["byte", "frame"])
def test_bytes_behind_the_hello_are_refused(more: bytes) -> None:
    """The dialling side waits for the answer: what came early would be lost."""
    with pytest.raises(PeerProtocolError, match="went on before the hello was answered"):
        HelloReader().feed(HELLO_BYTES + more)


def test_oversized_hello_is_refused() -> None:
    with pytest.raises(PeerProtocolError, match="was announced"):
        HelloReader().feed(MAGIC + encode_frame(100, bytes(HELLO_BYTES_MAX)))


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x90", b"\xc1", b"\x81\xa7version\x01"])
def test_unreadable_hello_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError, match="the handshake cannot be read"):
        HelloReader().feed(MAGIC + encode_frame(100, payload))


def test_unknown_purpose_of_a_connection_is_refused() -> None:
    fields = {**msgspec.structs.asdict(HELLO), "stream": 3}
    with pytest.raises(PeerProtocolError, match="the handshake cannot be read"):
        HelloReader().feed(MAGIC + encode_frame(100, msgspec.msgpack.encode(fields)))


def test_hello_of_a_later_version_is_read() -> None:
    """With fields that are not known here: the answer is about versions, not about bytes."""
    fields = {**msgspec.structs.asdict(HELLO), "version": 9, "news": "x"}
    hello = HelloReader().feed(MAGIC + encode_frame(100, msgspec.msgpack.encode(fields)))
    assert hello == msgspec.structs.replace(HELLO, version=9)


def test_known_peer_is_welcome() -> None:
    assert answer_to() == Welcome(VERSION)


def test_newest_common_version_is_spoken() -> None:
    assert answer_to(version=VERSION + 5) == Welcome(VERSION)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {"version": VERSION + 2, "version_min": VERSION + 1},
            "versions 2 to 3 are spoken there, 1 to 1 here",
        ),
        ({"version": 0, "version_min": 0}, "versions 0 to 0 are spoken there"),
        (
            {"cluster_id": 0xC2},
            "cluster ID mismatch: the peer belongs to cluster c2, this node to c1",
        ),
        ({"receiver": 0xA3}, "wanted to talk to member a3, but this is a1"),
        ({"sender": 0xA9}, "member a9 is not known here"),
        ({"sender": HERE}, "member a1 is not known here"),
    ],
    ids=["too new", "too old", "cluster", "receiver", "sender", "itself"],
)
def test_wrong_peer_is_refused_with_the_reason(changed: dict[str, int], text: str) -> None:
    answer = answer_to(**changed)
    assert isinstance(answer, Refused)
    assert text in answer.reason


@pytest.mark.parametrize("answer", [Welcome(1), Refused("because")], ids=["welcome", "refused"])
def test_answer_is_read_at_every_split(answer: Welcome | Refused) -> None:
    data = encode_answer(answer)
    for split in range(len(data)):
        reader = AnswerReader()
        assert reader.feed(data[:split]) is None
        assert reader.feed(data[split:]) == answer


@pytest.mark.parametrize("answer", [Welcome(1), Refused("because")], ids=["welcome", "refused"])
def test_answer_with_any_flipped_bit_is_refused(answer: Welcome | Refused) -> None:
    data = bytearray(encode_answer(answer))
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        assert is_refused(AnswerReader(), bytes(data)), bit
        data[bit // 8] ^= 1 << bit % 8
    assert not is_refused(AnswerReader(), bytes(data))


@pytest.mark.parametrize("kind", [1, 5, 100])
def test_something_else_than_an_answer_is_refused(kind: int) -> None:
    with pytest.raises(PeerProtocolError, match=f"a frame of kind {kind} answered the hello"):
        AnswerReader().feed(encode_frame(kind, b""))


def test_magic_does_not_survive_text_mode_and_is_readable() -> None:
    assert MAGIC.replace(b"\r\n", b"\n") != MAGIC
    assert MAGIC.startswith(b"raftwerk peer\r\n")
