"""Releases of the software, side by side in one cluster: the versions of the peer protocol that each speaks, and its fields.

There is one version so far. What a later release may do is therefore acted: it speaks one version more, and its messages have
a field that nobody else knows, as docs/wire-format.md allows.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from raftwerk.raft.messages import Message
from raftwerk.raft.types import NodeId
from raftwerk.wire import codec
from raftwerk.wire.frame import FrameDecoder, encode_frame
from raftwerk.wire.handshake import (
    SPOKEN,
    AnswerReader,
    HelloReader,
    Refused,
    Stream,
    Versions,
    Welcome,
    encode_answer,
    encode_hello,
    judge,
)


@dataclass(frozen=True, slots=True)
class Release:
    """has_news: its messages have a field more."""

    spoken: Versions
    has_news: bool = False

    def encode(self, message: Message) -> bytes:
        """A message as a frame."""
        frame = codec.encode(message)
        if not self.has_news:
            return frame
        ((kind, payload),) = FrameDecoder().feed(frame)
        fields = {"news": [1, "x"], **msgspec.msgpack.decode(payload)}
        return encode_frame(kind, msgspec.msgpack.encode(fields))


PRESENT: Final = Release(SPOKEN)
NEXT: Final = Release(Versions(SPOKEN.oldest, SPOKEN.newest + 1), has_news=True)


def shake_hands(
    cluster_id: int, dialling: tuple[NodeId, Release], dialled: tuple[NodeId, Release]
) -> Welcome | Refused:
    """The answer to who dials, through all bytes of the handshake."""
    (sender, ours), (receiver, theirs) = dialling, dialled
    hello = HelloReader().feed(
        encode_hello(cluster_id, sender, receiver, Stream.MESSAGES, spoken=ours.spoken)
    )
    assert hello is not None
    answer = AnswerReader().feed(
        encode_answer(judge(hello, cluster_id, receiver, frozenset({sender}), theirs.spoken))
    )
    assert answer is not None
    return answer
