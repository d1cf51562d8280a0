"""All connections to one endpoint: one as a rule, and more where the server takes few calls on each.

Whoever finds no room for a call waits for it, in the order in which they came: for another connection, as long as there are not
too many, or for the end of a call.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from raftwerk.client.connection import SILENCE, Connection, reason_of

CONNECTIONS_MAX: Final = 32
"""That take calls. Beyond what they take, calls wait for their turn."""


class Connections:
    """dial: makes one, of which this is the owner (connection.Owner)."""

    def __init__(self, dial: "Callable[[Connections], Coroutine[Any, Any, Connection]]") -> None:
        self._dial_one = dial
        self.current: Connection | None = None
        """Takes the next call, if it has room."""
        self._all: list[Connection] = []
        """Those too that take no more calls, and end with the last one."""
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        """In turn, for room; also some who wait no longer. As long as there is one, all room that there is is promised."""
        self._dialling: asyncio.Task[None] | None = None
        self._is_closed = False
        self.was_reached = False
        """There was one, ever."""
        self.why_not = SILENCE
        """There is no connection, as the last attempt to have one found."""

    @property
    def can_call(self) -> bool:
        """Whether the current one has room for a call that nobody waits for."""
        connection = self.current
        if connection is None or not connection.engine.can_call:
            return False
        return not connection.promised or connection.room > 0

    @property
    def count(self) -> int:
        """Of those that take calls, now or later."""
        return sum(one.engine.takes_calls for one in self._all)

    async def make_room(self) -> None:
        """Have room for one call in the current one. The call must be made at once: others wait.

        Raises OSError or TimeoutError when there is no connection to be had. All who ask at the same time share one attempt,
        which goes on when one of them waits no longer.
        """
        connection = self._with_room()
        is_first = False
        while connection is None or not connection.engine.can_call:
            if connection is not None and connection.engine.is_ending:
                raise ConnectionResetError("it ended the connection at once")
            connection = await self._turn(is_first)
            is_first = True  # it had its turn, and the room was gone when it came
        self.current = connection

    async def _turn(self, is_first: bool) -> Connection:
        if self._is_closed:
            raise OSError("the client was closed")
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        if is_first:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        self._give_turns()
        try:
            connection = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().promised -= 1
                self._give_turns()
            raise
        connection.promised -= 1
        return connection

    def _with_room(self) -> Connection | None:
        """The current one, if it can be."""
        if self.current is not None and self.current.room > 0:
            return self.current
        return next((one for one in self._all if one.room > 0), None)

    def _give_turns(self) -> None:
        """Promise what room there is; if that is not enough, dial."""
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            connection = self._with_room()
            if connection is None:
                if self._dialling is None and self.count < CONNECTIONS_MAX:
                    self._dialling = asyncio.get_running_loop().create_task(self._dial())
                    self._dialling.add_done_callback(self._on_dialled)
                return
            connection.promised += 1
            self._waiting.popleft().set_result(connection)

    async def _dial(self) -> None:
        self._all.append(await self._dial_one(self))
        self.was_reached = True
        self._give_turns()  # before anybody else comes

    def _on_dialled(self, task: asyncio.Task[None]) -> None:
        self._dialling = None
        error: BaseException | None = None
        if not task.cancelled():
            error = task.exception()
            self.why_not = reason_of(error) if isinstance(error, Exception) else SILENCE
        if error is None:
            self._give_turns()
        elif not self.count:  # else there will be room some time
            self._fail_all(error)

    def _fail_all(self, error: BaseException) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    def close(self) -> None:
        """End all, for good."""
        self._is_closed = True
        if self._dialling is not None:
            self._dialling.cancel()
        self._fail_all(OSError("the client was closed"))
        for connection in list(self._all):
            connection.close()

    # What the connections tell

    def changed(self, connection: Connection) -> None:
        """One ends with its last call as soon as it takes no more."""
        if not connection.engine.takes_calls and connection in self._all:
            self._leave(connection)
            connection.retire()
        if self._waiting and not self._is_closed:
            self._give_turns()

    def idle(self, connection: Connection) -> None:
        """One is kept; the others were for a burst."""
        if connection is not self.current and not connection.promised and connection in self._all:
            connection.close()

    def lost(self, connection: Connection) -> None:
        if connection in self._all:
            self._all.remove(connection)
        self._leave(connection)
        if self._waiting and not self._is_closed:
            self._give_turns()

    def _leave(self, connection: Connection) -> None:
        if self.current is connection:
            self.current = None
