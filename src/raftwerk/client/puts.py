"""The puts that a client makes at once go to the server in one call (raftwerk.Sessions/Put), each with its own answer.

At once: in one turn of the loop, on one connection, in one session. A put that comes alone is a call like any other.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from raftwerk.api import session_puts, status
from raftwerk.api.session_puts import SINGLE, UNREADABLE, Puts, decode_answers, encode
from raftwerk.client.numbers import Ticket
from raftwerk.http2.client import Answer, ClientCall, ClientConnection

PUT_BYTES_MAX: Final = 16 * 1024
"""A larger put goes by itself."""
PUTS_BYTES_MAX: Final = 256 * 1024
"""Of one call: a server takes half a MiB more than its --max-request-bytes, which may be small."""
OVERHEAD_BYTES: Final = 16
"""Of each put in it."""
_NOT_TAKEN: Final = Answer(
    status.UNAVAILABLE, "the server did not take the request in time", was_asked=False
)
_NO_ANSWER: Final = Answer(status.INTERNAL, "the server did not answer each put of a call")


class Put:
    """One put, and its answer to come. metadata: of the call, without the place in the session."""

    __slots__ = ("answer", "call", "message", "metadata", "ticket")

    def __init__(
        self, message: bytes, metadata: bytes, ticket: Ticket, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.message = message
        self.metadata = metadata
        self.ticket = ticket
        self.answer: asyncio.Future[Answer] = loop.create_future()
        self.call: ClientCall | _CallOfMany | None = None
        """None: it waits for others of its turn."""

    @property
    def size_bytes(self) -> int:
        return len(self.message) + OVERHEAD_BYTES

    def begin(self, engine: ClientConnection) -> None:
        """A call of its own."""
        if engine.can_call:
            metadata = self.metadata + self.ticket.metadata()
            self.call = engine.call(SINGLE, self.message, self.settle, metadata=metadata)
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
        return call is not None and call.give_up(self)


class Gathering:
    """The puts of one connection that wait for others of their turn."""

    def __init__(self, engine: ClientConnection) -> None:
        self._engine = engine
        self._puts: list[Put] = []
        self._size_bytes = 0
        self._is_known = True
        """The server has the method, or was not asked yet."""

    @property
    def is_empty(self) -> bool:
        return not self._puts

    def takes(self, put: Put) -> bool:
        """Whether it may go in one call with those that wait. Else they must leave first: puts are sent in their order."""
        if not self._puts:
            return True
        first = self._puts[0]
        return (
            self._is_known
            and max(len(put.message), len(first.message)) <= PUT_BYTES_MAX
            and self._size_bytes + put.size_bytes <= PUTS_BYTES_MAX
            and put.metadata == first.metadata
            and put.ticket.session == first.ticket.session
        )

    def add(self, put: Put) -> int:
        """See `takes`. Returns how many wait; PUTS_MAX leave without waiting for the end of the turn, as more are too many."""
        self._puts.append(put)
        self._size_bytes += put.size_bytes
        return len(self._puts)

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
        self._is_known = False
        for put in puts:
            put.begin(self._engine)


class _CallOfMany:
    """Begun when it is made."""

    def __init__(self, gathering: Gathering, engine: ClientConnection, puts: list[Put]) -> None:
        self._gathering = gathering
        self._puts = {put.ticket.number: put for put in puts}
        """That have no answer."""
        self._is_answered = False
        """At least one of them is."""
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

    def give_up(self, put: Put) -> bool:
        """Returns whether the server may have been asked. If not, nobody is: the others are for another attempt."""
        self._puts.pop(put.ticket.number, None)
        has_left = self._call.has_left
        if not has_left or not self._puts:
            self._call.cancel()
        if not has_left:
            self._settle_rest(_NOT_TAKEN)
        return has_left

    def _received(self, message: bytes) -> None:
        self._is_answered = True
        try:
            answers = decode_answers(message)
        except UNREADABLE:
            self._call.cancel()
            self._settle_rest(_NO_ANSWER)
            return
        for number, code, text, response in answers:
            put = self._puts.pop(number, None)
            if put is not None:
                put.settle(Answer(code, text, response))

    def _done(self, answer: Answer) -> None:
        if answer.status == status.OK:
            self._settle_rest(_NO_ANSWER)
        elif self._is_answered:  # whatever it is called, it is no refusal of all
            self._settle_rest(Answer(status.UNAVAILABLE, answer.text))
        elif answer.status == status.UNIMPLEMENTED:
            puts, self._puts = self._puts, {}
            self._gathering.begin_each(puts.values())
        else:
            self._settle_rest(answer)

    def _settle_rest(self, answer: Answer) -> None:
        puts, self._puts = self._puts, {}
        for put in puts.values():
            put.settle(answer)
