"""What is known of one call, attempt by attempt: whether it may be tried again, whether it may have happened, what to tell."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from raftwerk.api import status
from raftwerk.client.errors import TROUBLES, CallError, CallFailed, OutcomeUnknown
from raftwerk.client.numbers import Ticket
from raftwerk.http2.client import NOT_LOOKED_AT, Answer
from raftwerk.http2.grpc import UNAUTHENTICATED
from raftwerk.runtime.addresses import Address

NOBODY: Final = "no endpoint could be asked in time: none was reached, or the program was too busy"
NOT_DONE: Final = frozenset((status.NO_LEADER.text, status.LEADER_CHANGED.text, NOT_LOOKED_AT))
"""Texts of UNAVAILABLE that say that nothing happened: the request may be tried again.

LEADER_CHANGED: raftwerk says it of an entry that another leader's has replaced, etcd of reads only. STOPPED is not one of
them: etcd says it of writes that it has proposed already.
"""
ELSEWHERE: Final = frozenset((status.NO_SPACE.text, status.NOT_LEADER.text))
"""Refusals of one member that another one may not have: its disk is full; it does not lead."""
_NOT_REACHED: Final = Answer(status.DEADLINE_EXCEEDED, NOBODY)
SPARE_S: Final = 0.1
REFUSAL_CODES: Final = frozenset(
    (
        status.INVALID_ARGUMENT,
        status.NOT_FOUND,
        status.PERMISSION_DENIED,
        status.RESOURCE_EXHAUSTED,
        status.FAILED_PRECONDITION,
        status.OUT_OF_RANGE,
        status.UNIMPLEMENTED,
        UNAUTHENTICATED,
    )
)
"""Codes with which a server turns a request down before it does anything. Any other says nothing about a write's fate."""
_REFUSAL_TEXTS: Final = NOT_DONE | {
    status.TOO_MANY_REQUESTS.text,
    status.NO_PASSWORD_USER.text,
    status.PASSWORD_TOO_LONG.text,
}
"""Those of etcd that come as UNKNOWN, too."""
_RESULTS: Final = frozenset(
    (
        status.KEY_NOT_FOUND.text,
        status.LEASE_NOT_FOUND.text,
        status.COMPACTED.text,
        status.FUTURE_REVISION.text,
    )
)
"""Refusals that a session keeps as results: the same for every attempt. Others are of one attempt alone."""


class Kind(Enum):
    READ = auto()
    """Changes nothing: tried again whatever happened."""
    REPEATABLE = auto()
    """A write that may be done twice without harm: tried again like a read, but what it did may stay unknown."""
    WRITE = auto()


class Fate:
    """What is known of one call."""

    __slots__ = (
        "_is_harmless",
        "_others",
        "_share_s",
        "_was_in_doubt",
        "answer",
        "attempts",
        "hopeless",
        "is_sent",
        "is_write",
        "late_s",
        "refreshes",
        "ticket",
        "troubles",
        "until_s",
    )

    def __init__(self, kind: Kind, until_s: float, share_s: float, others: int) -> None:
        """until_s: all attempts together, in the loop's time. others: endpoints that may be turned to when one has not
        answered for `share_s`.
        """
        self.until_s = until_s
        self.late_s = until_s - min(SPARE_S, share_s / 2)
        """From then on a write that has not happened is not sent: it would be cut off, and in doubt."""
        self.is_write = kind is not Kind.READ
        self._is_harmless = kind is not Kind.WRITE
        """To be done twice."""
        self.ticket: Ticket | None = None
        self._share_s = share_s
        self._others = others
        self.answer = _NOT_REACHED
        self.troubles: dict[Address, str] = {}
        """What each endpoint answered last that was not OK, or why it did not."""
        self.hopeless: frozenset[Address] = frozenset()
        """Endpoints that cannot be reached, and will not be by waiting."""
        self.attempts = 0
        self.is_sent = False
        """The last attempt was."""
        self._was_in_doubt = False
        """An earlier one may have been executed."""
        self.refreshes = 0

    @property
    def is_in_doubt(self) -> bool:
        """Whether the write may have happened, or may yet."""
        answer = self.answer
        is_refusal = answer.status in REFUSAL_CODES or answer.text in _REFUSAL_TEXTS
        if answer.text == status.RESULT_NOT_KEPT.text:
            return True
        if self._was_in_doubt:
            return not (self.ticket is not None and answer.text in _RESULTS)
        return self.is_write and self.is_sent and not is_refusal

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be tried again, whatever became of the last attempt."""
        return self._is_harmless or self.ticket is not None

    def dial_until_s(self, now_s: float) -> float:
        """How long a connection is waited for. To give that up is safe: nothing was sent."""
        end_s = self.late_s if self.is_write else self.until_s
        return min(now_s + self._share_s, end_s) if self._others else end_s

    def answer_until_s(self, now_s: float) -> float:
        """How long the next answer is waited for."""
        if self._others and self.is_repeatable:
            return min(now_s + self._share_s, self.until_s)
        return self.until_s

    def has_time(self, pause_s: float, now_s: float) -> bool:
        """Whether another attempt may be made after a pause."""
        return now_s + pause_s < (self.late_s if self.is_write else self.until_s)

    def meet(self, address: Address, answer: Answer) -> None:
        """What an endpoint answered, or why it did not."""
        self.answer = answer
        if answer.status != status.OK:
            self.troubles[address] = answer.text

    def give_up(self, address: Address, answer: Answer) -> None:
        """The endpoint is silent: on to another one."""
        self._others -= 1
        self.meet(address, answer)

    def begin_attempt(self) -> None:
        self._was_in_doubt = self.attempts > 0 and self.is_in_doubt
        self.is_sent = False
        self.attempts += 1

    def error(self) -> CallError:
        kind = OutcomeUnknown if self.is_in_doubt else CallFailed
        text = self.answer.text
        if self.answer.status in TROUBLES and text in self.troubles.values():
            text = told(self.troubles) or text
        return kind(self.answer.status, text)


def told(troubles: Mapping[Address, str]) -> str:
    """Of several endpoints each with its own; of one, what it said itself; "" of none."""
    if len(troubles) < 2:
        return "".join(troubles.values())
    return "; ".join(
        text if text.startswith(f"{address} ") else f"{address}: {text}"
        for address, text in troubles.items()
    )
