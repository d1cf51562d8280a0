"""Linearizability of a history: is there an order of the operations, each between its call and its return, that explains
every answer?

The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing for
linearizability", 2017): operations are tried in the order of their calls; a pair of (operations done, values) that was
tried before is not tried again. An operation of unknown outcome returns at the end of time: it may take effect late, and
at the very end it disturbs nobody.

The search may take long. So the order of the log is tried first: if it explains every answer and respects the times, it is
the order that was looked for, wherever it came from.
"""

from typing import Final

from raftwerk.sim.checkers import require
from raftwerk.sim.history import History, Operation, Outcome, Values

BUDGET: Final = 200_000
"""Attempts for one group: then it is left undecided."""


def check(history: History, budget: int = BUDGET) -> int:
    """Raise Violation if a group of the history is not linearizable. Returns how many groups were left undecided."""
    undecided = 0
    for group, operations in history.groups().items():
        initial: Values = (None,) * history.keys_in_group
        if is_explained_by_the_log(operations, initial):
            continue
        answer = is_linearizable(operations, initial, budget)
        if answer is None:
            undecided += 1
            continue
        require(answer, "Linearizability", f"no order of the operations explains group {group}")
    return undecided


def is_explained_by_the_log(operations: list[Operation], initial: Values) -> bool:
    """Whether the order of the log is a linearization: writes at their places, each read after the write that it saw."""
    happened = [operation for operation in operations if operation.index]
    happened.sort(key=lambda operation: (operation.index, operation.is_read, operation.call_us))
    if any(not operation.index and operation.outcome is Outcome.OK for operation in operations):
        return False
    values, latest_call_us = initial, 0
    for operation in happened:
        if operation.outcome is Outcome.OK and operation.return_us < latest_call_us:
            return False  # it had ended before one that stands before it began
        latest_call_us = max(latest_call_us, operation.call_us)
        explains, values = operation.apply(values)
        if not explains:
            return False
    return True


class _Event:
    """A call or a return, in a doubly linked list. match: of a call, its return."""

    __slots__ = ("match", "next", "number", "operation", "prev")

    def __init__(self, operation: Operation, number: int) -> None:
        self.operation = operation
        self.number = number
        self.match: _Event | None = None
        self.prev: _Event | None = None
        self.next: _Event | None = None

    def take_out(self) -> None:
        if self.prev is not None:
            self.prev.next = self.next
        if self.next is not None:
            self.next.prev = self.prev

    def put_back(self) -> None:
        if self.prev is not None:
            self.prev.next = self
        if self.next is not None:
            self.next.prev = self


def _linked(operations: list[Operation]) -> _Event:
    """The events in order of time, behind a head that is none. At one time, calls come before returns."""
    events: list[tuple[float, int, int, _Event]] = []
    for number, operation in enumerate(operations):
        call, ret = _Event(operation, number), _Event(operation, number)
        call.match = ret
        is_open = operation.outcome is not Outcome.OK
        events.append((operation.call_us, 0, number, call))
        events.append((float("inf") if is_open else operation.return_us, 1, number, ret))
    head = last = _Event(operations[0], -1)
    for _, _, _, event in sorted(events, key=lambda item: item[:3]):
        last.next, event.prev, last = event, last, event
    return head


def is_linearizable(operations: list[Operation], initial: Values, budget: int) -> bool | None:
    """Whether the operations of one group are linearizable; None if `budget` attempts did not tell."""
    if not operations:
        return True
    head = _linked(operations)
    done, values = 0, initial
    tried: set[tuple[int, Values]] = set()
    taken: list[tuple[_Event, Values]] = []
    event = head.next
    # The list ends with a return, which is never passed over: there is no event only when the list is empty
    while event is not None:
        if event.match is not None:
            budget -= 1
            if budget < 0:
                return None
            explains, after = event.operation.apply(values)
            state = (done | 1 << event.number, after)
            if explains and state not in tried:
                tried.add(state)
                taken.append((event, values))
                done, values = state
                event.take_out()
                event.match.take_out()
                event = head.next
            else:
                event = event.next
        elif not taken:
            return False
        else:
            # Something had to be done before this return: take back the last choice, and try the next one
            event, values = taken.pop()
            assert event.match is not None
            done &= ~(1 << event.number)
            event.match.put_back()
            event.put_back()
            event = event.next
    return True
