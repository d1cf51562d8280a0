"""The first frames of each connection: who talks to whom, about which cluster, in which version.

The dialling side sends MAGIC and a Hello; the other answers Welcome, or Refused with the reason, and closes.
"""

from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

import msgspec

from raftwerk.errors import PeerProtocolError
from raftwerk.wire.frame import FrameDecoder, encode_frame

MAGIC: Final = b"raftwerk peer\r\n\0"
"""Tells at once what is on the other side; the line break keeps a browser or a terminal readable."""
VERSION: Final = 1
VERSION_MIN: Final = 1
"""The oldest version that this side still speaks."""
HELLO_BYTES_MAX: Final = 64 * 1024


class Versions(NamedTuple):
    """What a node speaks, both included."""

    oldest: int
    newest: int


SPOKEN: Final = Versions(VERSION_MIN, VERSION)
"""By this release."""

T = TypeVar("T")

_HELLO: Final = 100
_WELCOME: Final = 101
_REFUSED: Final = 102


class Stream(IntEnum):
    """What a connection is for."""

    MESSAGES = 1
    SNAPSHOT = 2
    """Chunks only, so that no heartbeat waits behind them."""


class Hello(msgspec.Struct, frozen=True):
    """version_min .. version: what the sender speaks. receiver: whom it believes to have dialled.

    life: of the sender's data folder: another one than before means that it has lost its folder. 0: it does not tell.
    """

    version_min: int
    version: int
    cluster_id: int
    sender: int
    receiver: int
    stream: Stream
    life: int = 0


class Welcome(msgspec.Struct, frozen=True):
    """version: the one to be spoken: the highest that both know."""

    version: int


class Refused(msgspec.Struct, frozen=True):
    """reason: for the operator of the other side. has_forgotten: it lost what it promised, and must not go on."""

    reason: str
    has_forgotten: bool = False


def encode_hello(
    cluster_id: int,
    sender: int,
    receiver: int,
    stream: Stream,
    life: int = 0,
    spoken: Versions = SPOKEN,
) -> bytes:
    """What the dialling side sends first."""
    hello = Hello(spoken.oldest, spoken.newest, cluster_id, sender, receiver, stream, life)
    return MAGIC + encode_frame(_HELLO, msgspec.msgpack.encode(hello))


def encode_answer(answer: Welcome | Refused) -> bytes:
    """What the other side answers."""
    return encode_frame(
        _WELCOME if isinstance(answer, Welcome) else _REFUSED, msgspec.msgpack.encode(answer)
    )


def judge(
    hello: Hello,
    cluster_id: int,
    node_id: int,
    known: frozenset[int],
    spoken: Versions = SPOKEN,
) -> Welcome | Refused:
    """The answer to a Hello, at node_id of cluster_id, whose peers are `known`."""
    version = min(hello.version, spoken.newest)
    if version < max(hello.version_min, spoken.oldest):
        return Refused(
            f"peer protocol versions {hello.version_min} to {hello.version} are spoken there, {spoken.oldest} to "
            f"{spoken.newest} here: upgrade one side"
        )
    if hello.cluster_id != cluster_id:
        return Refused(
            f"cluster ID mismatch: the peer belongs to cluster {hello.cluster_id:x}, this node to {cluster_id:x}; compare "
            "--initial-cluster and --initial-cluster-token of both, and the snapshot that they were restored from, if they were "
            "(a member that starts with an empty folder is not of a restored cluster)"
        )
    if hello.receiver != node_id:
        return Refused(
            f"the peer wanted to talk to member {hello.receiver:x}, but this is {node_id:x}; compare the peer URLs in "
            "--initial-cluster"
        )
    if hello.sender not in known:
        return Refused(f"member {hello.sender:x} is not known here")
    return Welcome(version)


def refused_for_its_life(sender: int) -> Refused:
    """The answer to a Hello of another life than the one that was met before."""
    return Refused(
        f"member {sender:x} was here before, with a data folder that is not the one it has now: it has forgotten its votes and "
        "what it acknowledged",
        has_forgotten=True,
    )


class HelloReader:
    """Reads MAGIC and the Hello at the beginning of an inbound connection."""

    def __init__(self) -> None:
        self._head = b""
        self._frames = FrameDecoder(HELLO_BYTES_MAX)

    def feed(self, data: bytes) -> Hello | None:
        """The Hello once it is complete. Raises PeerProtocolError for anything else."""
        missing = len(MAGIC) - len(self._head)
        self._head += data[:missing]
        if not MAGIC.startswith(self._head):
            raise PeerProtocolError(
                f"the connection began with {self._head[:16]!r}: not a raftwerk peer. This is the peer port; clients use "
                "the client port"
            )
        frames = self._frames.feed(data[missing:])
        if not frames:
            return None
        kind, payload = frames[0]
        if kind != _HELLO:
            raise PeerProtocolError(f"a frame of kind {kind} came before the hello")
        if len(frames) > 1 or not self._frames.is_empty:
            raise PeerProtocolError("the peer went on before the hello was answered")
        return _decode(payload, Hello)


class AnswerReader:
    """Reads the answer at the beginning of a dialled connection."""

    def __init__(self) -> None:
        self._frames = FrameDecoder(HELLO_BYTES_MAX)

    def feed(self, data: bytes) -> Welcome | Refused | None:
        """The answer once it is complete. Raises PeerProtocolError for anything else."""
        for kind, payload in self._frames.feed(data):
            if kind == _WELCOME:
                return _decode(payload, Welcome)
            if kind == _REFUSED:
                return _decode(payload, Refused)
            raise PeerProtocolError(f"a frame of kind {kind} answered the hello")
        return None


def _decode(payload: bytes, expected: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(payload, type=expected)
    except msgspec.MsgspecError as error:
        raise PeerProtocolError(f"the handshake cannot be read: {error}") from error
