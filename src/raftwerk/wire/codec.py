"""Messages of the core as frames: a kind for each type, and its fields by name, in MessagePack.

Fields travel by name, and entries as arrays: a later version may add a field with a default, and both understand each
other. Kinds are never reused.
"""

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

import msgspec

from raftwerk.errors import PeerProtocolError
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ForwardCommands,
    ForwardCommandsReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from raftwerk.wire.frame import encode_frame

KINDS: Final[dict[type, int]] = {
    PreVote: 1,
    PreVoteReply: 2,
    RequestVote: 3,
    RequestVoteReply: 4,
    AppendEntries: 5,
    AppendEntriesReply: 6,
    InstallSnapshot: 7,
    InstallSnapshotReply: 8,
    ForwardCommands: 9,
    ForwardCommandsReply: 10,
    ReadIndex: 11,
    ReadIndexReply: 12,
    TimeoutNow: 13,
}

_DECODERS: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(message_type) for message_type, kind in KINDS.items()
}
NUMBER_MAX: Final = 2**62
"""Of terms, indexes and offsets: a thousand million years of elections. The core adds to them, and they are stored."""


def _bounded(message_type: type) -> Callable[[Message], tuple[int, ...]]:
    """What reads all terms, indexes and offsets of a message; two at least, so that it gives a tuple."""
    names = [field.name for field in fields(message_type)]
    bounded = [name for name in names if name.endswith(("term", "index", "offset", "commit"))]
    return attrgetter("term", *bounded)


_numbers_of: Final = {message_type: _bounded(message_type) for message_type in KINDS}
_encode_payload: Final = msgspec.msgpack.Encoder().encode


def encode(message: Message) -> bytes:
    """One message as one frame."""
    return encode_frame(KINDS[type(message)], _encode_payload(message))


def decode(kind: int, payload: bytes) -> Message:
    """The message in a frame. Raises PeerProtocolError if it is none, or contradicts itself."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise PeerProtocolError(
            f"a frame of unknown kind {kind}: a newer version on the other side?"
        )
    try:
        message: Message = decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise PeerProtocolError(f"a frame of kind {kind} cannot be read: {error}") from error
    numbers = _numbers_of[type(message)](message)
    if min(numbers) < 0 or max(numbers) > NUMBER_MAX:
        raise PeerProtocolError(f"a frame of kind {kind} has a term or an index out of range")
    if isinstance(message, AppendEntries):
        _check_entries(message)
    return message


def _check_entries(message: AppendEntries) -> None:
    """The core relies on entries that continue prev_log_index without a gap, in terms that never fall, and are answered."""
    if message.entries and not message.needs_reply:
        raise PeerProtocolError("AppendEntries with entries asks for no reply")
    index, term = message.prev_log_index, message.prev_log_term
    for entry in message.entries:
        if entry.index != index + 1 or not term <= entry.term <= message.term:
            raise PeerProtocolError(
                f"entry ({entry.index}, term {entry.term}) cannot follow ({index}, term {term}) in term {message.term}"
            )
        index, term = entry.index, entry.term
