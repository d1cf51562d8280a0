"""raftwerk.Sessions: Open and Close, and the metadata by which a write of the KV service belongs to a session:
raftwerk-session: 7/5/3, the session, the number of the write, and the first one that its client still waits for.

A client that has none sends none, and a server of another make ignores it.
"""

from random import SystemRandom
from typing import Final

from google.protobuf.wrappers_pb2 import Int64Value

from raftwerk.api import status
from raftwerk.http2.call import Carrier
from raftwerk.http2.grpc import MessageReader
from raftwerk.http2.server import Call, Method, Request, UnaryMethod
from raftwerk.kv.commands import SessionClose, SessionOpen, SessionWrite, Write, encode
from raftwerk.kv.results import SessionResult
from raftwerk.server.calls import Waiting, fail_with, parse

OPEN: Final = "/raftwerk.Sessions/Open"
CLOSE: Final = "/raftwerk.Sessions/Close"
SESSION: Final = b"raftwerk-session"
NUMBER_MAX: Final = 2**63 - 1

_random: Final = SystemRandom()


class SessionService:
    """The handlers, by name."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting

    def methods(self) -> dict[str, Method]:
        return {OPEN: UnaryMethod(self.open), CLOSE: UnaryMethod(self.close)}

    def open(self, call: Call, _: bytes) -> None:
        """Answers with the session, an Int64Value."""
        command = encode(SessionOpen(_random.randrange(1, NUMBER_MAX)))
        self._waiting.propose(call, command, _answer)

    def close(self, call: Call, data: bytes) -> None:
        """The session is over, and what is left of it goes."""
        request = parse(call, Int64Value, data)
        if request is not None:
            self._waiting.propose(call, encode(SessionClose(request.value)), _answer)


def _answer(call: Call, result: object) -> None:
    if isinstance(result, SessionResult):
        call.reply(Int64Value(value=result.session).SerializeToString())
    else:
        fail_with(call, result)


class Place:
    """Of a write in its session."""

    __slots__ = ("first", "number", "session")

    def __init__(self, session: int, number: int, first: int) -> None:
        self.session = session
        self.number = number
        self.first = first


class PlacedCall(Call):
    """A call whose place is known without metadata."""

    __slots__ = ("place",)

    def __init__(
        self,
        connection: Carrier,
        stream_id: int,
        send_window: int,
        request: Request,
        place: Place,
        reader: MessageReader | None = None,
    ) -> None:
        super().__init__(connection, stream_id, send_window, request, reader=reader)
        self.place = place


def place_of(call: Call) -> Place | None:
    """Where a write belongs, by its metadata as a rule; None if to no session. Raises ValueError if it cannot be read."""
    if isinstance(call, PlacedCall):
        return call.place
    for name, value in reversed(call.headers):  # our client puts it at the end
        if name == SESSION:
            return _read_place(value)
    return None


def _read_place(text: bytes) -> Place:
    parts = text.split(b"/")
    if len(parts) != 3 or not all(part.isdigit() and len(part) < 20 for part in parts):
        raise ValueError(status.SESSION_UNREADABLE.text)
    session, number, first = map(int, parts)
    if max(session, number, first) > NUMBER_MAX:
        raise ValueError(status.SESSION_UNREADABLE.text)
    return Place(session, number, first)


def in_session(call: Call, command: Write) -> Write | SessionWrite:
    """The command as it is proposed. Raises ValueError as place_of."""
    place = place_of(call)
    if place is None:
        return command
    return SessionWrite(place.session, place.number, place.first, command)
