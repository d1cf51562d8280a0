"""The messages of raftwerk.Sessions/Put: puts of one session that a client makes at once, and their answers as they come.

A call of gRPC with server streaming, whose messages are msgpack. One request (Puts); then answers (lists of PutAnswer), in any
order, each message with those that there are by then; after the last one the call ends with OK. If it ends with another status,
that is the answer to all puts, unless some have one already: then it says nothing of the others.
"""

from typing import Annotated, Final, TypeAlias

import msgspec

PATH: Final = "/raftwerk.Sessions/Put"
SINGLE: Final = "/etcdserverpb.KV/Put"
"""Where a put goes by itself."""
PUTS_MAX: Final = 500
"""In one request: half of a session's window (kv.sessions), so that servers work on one half while the client makes the other."""
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for what is no such message."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Puts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """first: the first number that the client still waits for. puts: the number of each, and its PutRequest."""

    session: Number
    first: Number
    puts: Annotated[list[tuple[Number, bytes]], msgspec.Meta(min_length=1, max_length=PUTS_MAX)]


PutAnswer: TypeAlias = tuple[int, int, str, bytes]
"""Number, status and text that the put by itself would have ended with, and a PutResponse, if it was OK."""


encode: Final = msgspec.msgpack.Encoder().encode
decode_puts: Final = msgspec.msgpack.Decoder(Puts).decode
decode_answers: Final = msgspec.msgpack.Decoder(list[PutAnswer]).decode
