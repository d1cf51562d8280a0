"""The way of a client's writes in a session: sent again, through any node, until one of them is answered.

Copies overlap, and some are sent when the answer is there already. checkers/sessions.py sees that one is executed.
"""

from collections.abc import Callable
from typing import Final, cast

from raftwerk.kv.commands import SessionClose, SessionOpen, SessionWrite, Write, decode, encode
from raftwerk.kv.results import KvError, SessionResult
from raftwerk.replica.failure import Failure
from raftwerk.sim.clients.caller import Caller
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.kv_machine import WINDOW
from raftwerk.sim.node import LOST

ATTEMPTS_MAX: Final = 12
PATIENCE_US: Final = (100_000, 1_500_000)
"""Until a write is sent again although the earlier one may be answered yet."""
LATE_COPIES: Final = 0.2
_LAGS: Final = (0, 0, 2, *[WINDOW] * 3)
"""How many numbers stay open, if so many are."""
_OVER: Final = (KvError.SESSION_EXPIRED, KvError.OUTSIDE_WINDOW, KvError.RESULT_NOT_KEPT)


class SessionChannel(Caller):
    """One client's session, and the next one when it has ended."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, f"session {number}")
        self._session = 0
        self._number = 0
        self._first = 1

    @property
    def is_open(self) -> bool:
        return self._session > 0

    def open(self, then: Callable[[], None]) -> None:
        """Try to open one."""
        lot = self.random.getrandbits(62)

        def opened(result: object) -> None:
            if isinstance(result, SessionResult):
                self._session, self._number, self._first = result.session, 0, 1
                self.cluster.coverage.mark("session: opened")
            then()

        self.send(encode(SessionOpen(lot)), opened)

    def wrap(self, command: bytes) -> bytes:
        """The next write of the session. Some that came before may stay open, until the window is full and longer."""
        self._number += 1
        self._first = max(self._first, self._number - self.random.choice(_LAGS))
        write = cast("Write", decode(command))
        return encode(SessionWrite(self._session, self._number, self._first, write))

    def call(self, command: bytes, done: Callable[[object], None]) -> None:
        """Send a write until it is answered. done: gets the result, or LOST: nobody knows."""
        _Call(self, command, done).attempt()

    def is_over(self, result: object) -> bool:
        """Whether an answer says that nobody will say more."""
        if result is KvError.SESSION_EXPIRED or (
            result not in _OVER and self.random.random() < 0.02
        ):
            is_left_open = self.random.random() < 0.5  # to end because it is idle
            if self.is_open and result is not KvError.SESSION_EXPIRED and not is_left_open:
                self.send(encode(SessionClose(self._session)), lambda _: None)
            self._session = 0
        return result in _OVER


class _Call:
    """One write, and all its copies."""

    def __init__(
        self, channel: SessionChannel, command: bytes, done: Callable[[object], None]
    ) -> None:
        self._channel = channel
        self._command = command
        self._done = done
        self._attempts = 0
        self._is_settled = False

    def attempt(self) -> None:
        if self._is_settled:
            return
        channel = self._channel
        if self._attempts == ATTEMPTS_MAX:
            self._settle(LOST)
            return
        self._attempts += 1
        channel.send(self._command, self._on_answer)
        channel.cluster.world.after(channel.random.randrange(*PATIENCE_US), self.attempt)

    def _on_answer(self, result: object) -> None:
        if self._is_settled or isinstance(result, Failure) or result == LOST:
            return
        channel = self._channel
        if self._attempts > 1:
            channel.cluster.coverage.mark("session: sent again")
        self._settle(LOST if channel.is_over(result) else result)
        if channel.random.random() < LATE_COPIES:
            delay_us = channel.random.randrange(1_000_000)
            channel.cluster.world.after(
                delay_us, lambda: channel.send(self._command, lambda _: None)
            )

    def _settle(self, result: object) -> None:
        self._is_settled = True
        self._done(result)
