"""The puts that a client makes at once go to the server in one call (raftwerk.Sessions/Put), each with its own answer.

At once: in one turn of the loop, on one connection, in one session. A put that comes alone is a call like any other.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from raftwerk.api import session_puts, status
from raftwerk.api.session_puts import Puts, decode_answers, encode
from raftwerk.client.numbers import Ticket
from raftwerk.http2.client import Answer, ClientCall, ClientConnection

PATH: Final = "/etcdserverpb.KV/Put"
REQUEST_BYTES_MAX: Final = 16 * 1024
"""A larger put goes by itself."""
GATHERED_MAX: Final = 500
"""So many leave without waiting for the end of the turn: half of what a session may have under way, so that the server works
on one half while the client makes the other."""
GATHERED_BYTES_MAX: Final = 512 * 1024
"""So that a request finds room in its window and is never too large: what comes then goes by itself, too."""
UNREADABLE: Final = Answer(status.INTERNAL, "the server did not answer each put of a call")


class Put:
    """One put, and its answer to come. metadata: of the call, without the place in the session."""

    __slots__ = ("answer", "call", "message", "metadata", "ticket")

    def __init__(self, message: bytes, metadata: bytes, ticket: Ticket) -> None:
        self.message = message
        self.metadata = metadata
        self.ticket = ticket
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.call: ClientCall | _CallOfMany | None = None
        """None: it waits for the others of its turn."""

    def begin(self, engine: ClientConnection) -> None:
        """A call of its own."""
        if engine.can_call:
            metadata = self.metadata + self.ticket.metadata()
            self.call = engine.call(PATH, self.message, self.settle, metadata=metadata)
        else:
            text = "it has no room for another call" if engine.takes_calls else engine.end_text
            self.settle(Answer(status.UNAVAILABLE, text, was_asked=False))

    def settle(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def give_up(self) -> bool:
        """Nobody waits for the answer any more. Returns whether the server may have been asked."""
        call = self.call
        if isinstance(call, ClientCall):
            call.cancel()
            return call.has_left
        if call is not None:
            call.give_up(self)
        return call is not None


class Gathering:
    """Of one connection."""

    def __init__(self, engine: ClientConnection) -> None:
        self._engine = engine
        self._puts: list[Put] = []
        self._size_bytes = 0
        self.is_known = True
        """The server has the method, or was not asked yet."""

    @property
    def is_empty(self) -> bool:
        """Whether no put waits for others."""
        return not self._puts

    @property
    def is_full(self) -> bool:
        """Whether those that wait should leave now."""
        return len(self._puts) >= GATHERED_MAX

    def add(self, put: Put) -> bool:
        """Begins it at once if it cannot go with those that wait. Returns whether it is the first one that waits."""
        size_bytes = self._size_bytes + len(put.message)
        if (
            not self.is_known
            or size_bytes > GATHERED_BYTES_MAX
            or (self._puts and not _fit(self._puts[0], put))
        ):
            put.begin(self._engine)
            return False
        self._size_bytes = size_bytes
        self._puts.append(put)
        return len(self._puts) == 1

    def leave(self) -> None:
        """All that wait, and are still waited for."""
        puts = [put for put in self._puts if not put.answer.done()]
        self._puts = []
        self._size_bytes = 0
        if len(puts) > 1 and self._engine.can_call:
            _CallOfMany(self, self._engine, puts)
        else:
            for put in puts:
                put.begin(self._engine)

    def begin_each(self, puts: Iterable[Put]) -> None:
        """The server does not know the method, and has done nothing."""
        self.is_known = False
        for put in puts:
            put.begin(self._engine)


class _CallOfMany:
    """Begun when it is made."""

    def __init__(self, gathering: Gathering, engine: ClientConnection, puts: list[Put]) -> None:
        self._gathering = gathering
        self._puts = {put.ticket.number: put for put in puts}
        """That have no answer."""
        for put in puts:
            put.call = self
        ticket = puts[0].ticket
        requests = [(put.ticket.number, put.message) for put in puts]
        self._call = engine.call(
            session_puts.PATH,
            encode(Puts(ticket.session, ticket.first, requests)),
            self._done,
            self._received,
            metadata=puts[0].metadata,
        )

    def give_up(self, put: Put) -> None:
        self._puts.pop(put.ticket.number, None)
        if not self._puts:
            self._call.cancel()

    def _received(self, message: bytes) -> None:
        try:
            answers = decode_answers(message)
        except msgspec.MsgspecError:
            self._call.cancel()
            self._settle_rest(UNREADABLE)
            return
        for number, code, text, response in answers:
            put = self._puts.pop(number, None)
            if put is not None:
                put.settle(Answer(code, text, response))

    def _done(self, answer: Answer) -> None:
        if answer.status == status.UNIMPLEMENTED:
            puts, self._puts = self._puts, {}
            self._gathering.begin_each(puts.values())
        elif answer.status == status.OK and self._puts:
            self._settle_rest(UNREADABLE)
        else:
            self._settle_rest(answer)

    def _settle_rest(self, answer: Answer) -> None:
        puts, self._puts = self._puts, {}
        for put in puts.values():
            put.settle(answer)


def _fit(first: Put, put: Put) -> bool:
    """Whether two puts may go in one call."""
    return (
        len(put.message) <= REQUEST_BYTES_MAX
        and put.metadata == first.metadata
        and put.ticket.session == first.ticket.session
    )
