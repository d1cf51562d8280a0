"""The turns of event loops, by the kernel's own record of what ran when: how long, and of what.

perf record -a -e sched:sched_switch -e sched:sched_waking -e syscalls:sys_enter_epoll_pwait -e syscalls:sys_exit_epoll_pwait \\
    -e cpu-clock/freq=2000,name=tick/ -o turns.data -- sleep 5
perf script -i turns.data --ns -F pid,tid,cpu,time,event,trace | python -m benchmarks.turns PID...

PID: of nodes. A turn goes from one look for events to the next. What it is made of, for each moment of it:
worked: the loop was on a core, or stood by while another thread of the node was at work (a slice of a checkpoint is written so).
waited: the loop, or the thread that it stood by for, was ready to run and had no core. Whom a thread stood by for is who woke it
up, and whom that one stood by for.
blocked: the node waited for something else, such as the disk. `own` is a turn without what it waited: worked and blocked.
stolen: the core that it was on did not run, as a guest's that its host gives to somebody else: not even perf's own ticks, which
come every half a millisecond, were taken. The first millisecond of each such pause still counts as worked, and so as own. A
kernel that works for so long with its interrupts off looks the same.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

LINE: Final = re.compile(r"\s*(\d+)/(\d+)\s+\[(\d+)\]\s+(\d+\.\d+):\s+(?:\w+:)?(\w+): (.*)")
"""Process, thread, core, seconds, event, what it tells."""
SWITCH: Final = re.compile(r"prev_pid=(\d+) .*prev_state=(\w)\S* ==> .*next_pid=(\d+)")
WOKEN: Final = re.compile(r"\bpid=(\d+)")
ON_CORE: Final = "on a core"
READY: Final = "ready"
ASLEEP: Final = "asleep"
STOLEN: Final = "stolen"
TICK: Final = "tick"
TICK_MS: Final = 1.0
"""Between two of them at most, on a core that runs: one may come late."""
RACE_MS: Final = 0.1
"""Who is woken so shortly before it falls asleep was on its way there already: it is ready."""


class Turn(NamedTuple):
    """All in milliseconds."""

    start: float
    worked: float
    waited: float
    blocked: float
    stolen: float

    @property
    def lasted(self) -> float:
        return self.worked + self.waited + self.blocked + self.stolen

    @property
    def own(self) -> float:
        """What it lasts on a machine with cores enough."""
        return self.worked + self.blocked


class Thread:
    """What it did, and for how long, since it was first seen."""

    def __init__(self) -> None:
        self.state = ASLEEP
        self._since = 0.0
        self._spent = dict.fromkeys((ON_CORE, READY, ASLEEP, STOLEN), 0.0)

    def spent(self, now: float) -> list[float]:
        """On a core, ready, asleep, on one that was stolen."""
        self._spent[self.state] += now - self._since
        self._since = now
        return list(self._spent.values())

    def become(self, state: str, now: float) -> None:
        self.spent(now)
        self.state = state

    def lose_core(self, ms: float) -> None:
        """So much of what it was on its core was stolen."""
        self._spent[ON_CORE] -= ms
        self._spent[STOLEN] += ms

    def replace_sleep(self, spent: list[float]) -> None:
        """By what somebody did meanwhile whom it stood by for."""
        on_core, ready, asleep, stolen = spent
        earlier = max(0.0, -on_core)  # what was stolen before that, and seen only now
        spent = [on_core + earlier, ready, asleep, stolen - earlier]
        self._spent[ASLEEP] -= sum(spent)
        for state, more in zip(self._spent, spent, strict=True):
            self._spent[state] += more


class Node:
    """Its threads, and the turns of its loop, which is the thread of the node's number."""

    def __init__(self, pid: int) -> None:
        self.loop = Thread()
        self.threads = {pid: self.loop}
        self.turns: list[Turn] = []
        self._start: float | None = None
        """Of the present turn, if it is known."""
        self._at_start: list[float] = []
        self._asleep: dict[int, dict[int, list[float]]] = {}
        """Of each that is asleep: what all had spent when it fell asleep."""
        self._woken: dict[int, float] = {}

    def begin_turn(self, now: float) -> None:
        self._start, self._at_start = now, self.loop.spent(now)

    def end_turn(self, now: float) -> None:
        if self._start is not None:
            self.turns.append(
                Turn(self._start, *_differences(self.loop.spent(now), self._at_start))
            )
        self._start = None

    def leave(self, number: int, now: float, *, is_ready: bool) -> None:
        """A thread is on its core no more."""
        is_woken = now - self._woken.get(number, -RACE_MS) < RACE_MS
        self.threads[number].become(READY if is_ready or is_woken else ASLEEP, now)
        if not is_ready and not is_woken:
            self._asleep[number] = {one: thread.spent(now) for one, thread in self.threads.items()}

    def wake(self, number: int, by: int, now: float) -> None:
        """by: the thread that wakes it up."""
        self._woken[number] = now
        before = self._asleep.pop(number, {})
        thread = self.threads[number]
        if thread.state == ASLEEP:
            thread.become(READY, now)
            if by in before:
                thread.replace_sleep(_differences(self.threads[by].spent(now), before[by]))


class Cores:
    """Which thread is on each of them, and when it was last seen to run."""

    def __init__(self) -> None:
        self._threads: dict[str, int] = {}
        self._seen: dict[str, float] = {}

    def enter(self, core: str, thread: int) -> None:
        self._threads[core] = thread

    def see(self, core: str, now: float) -> tuple[int, float]:
        """It runs. Returns the thread on it (0: none that is known), and how many milliseconds were stolen until now."""
        paused = now - self._seen.get(core, now)
        self._seen[core] = now
        return self._threads.get(core, 0), max(0.0, paused - TICK_MS)


def _differences(after: list[float], before: list[float]) -> list[float]:
    return [a - b for a, b in zip(after, before, strict=True)]


def turns(lines: Iterable[str], pids: Sequence[int]) -> dict[int, list[Turn]]:
    """Of each node, from the lines of `perf script`. Without ticks among them, nothing counts as stolen.

    Raises ValueError if there is no such line: the fields are others.
    """
    nodes = {pid: Node(pid) for pid in pids}
    events = [found.groups() for line in lines if (found := LINE.match(line))]
    if not events:
        raise ValueError("no event that perf script told with -F pid,tid,cpu,time,event,trace")
    owners: dict[int, Node] = {}
    for pid, thread, *_ in events:
        if (node := nodes.get(int(pid))) is not None:
            owners[int(thread)] = node
            node.threads.setdefault(int(thread), Thread())
    cores, has_ticks = Cores(), any(event == TICK for *_, event, _ in events)
    for _, thread, core, seconds, event, told in events:
        now = 1e3 * float(seconds)
        loser, stolen_ms = cores.see(core, now)
        if has_ticks and (node := owners.get(loser)) is not None:
            node.threads[loser].lose_core(stolen_ms)
        if event == "sched_switch" and (found := SWITCH.search(told)):
            left, entered = int(found[1]), int(found[3])
            cores.enter(core, entered)
            if (node := owners.get(left)) is not None:
                node.leave(left, now, is_ready=found[2] == "R")
            if (node := owners.get(entered)) is not None:
                node.threads[entered].become(ON_CORE, now)
        elif event == "sched_waking" and (found := WOKEN.search(told)):
            if (node := owners.get(woken := int(found[1]))) is not None:
                node.wake(woken, int(thread), now)
        elif (node := nodes.get(int(thread))) is not None:
            node.loop.become(ON_CORE, now)
            if event == "sys_enter_epoll_pwait":
                node.end_turn(now)
            elif event == "sys_exit_epoll_pwait":
                node.begin_turn(now)
    return {pid: node.turns for pid, node in nodes.items()}


def table(found: dict[int, list[Turn]]) -> Iterator[str]:
    """A line for each node: the worst of each part of a turn, and of what was its own."""
    names = ("node", "turns", "longest", "own", "worked", "waited", "blocked", "stolen")
    yield " ".join(f"{name:>8}" for name in names) + "   (ms, the worst of each)"
    for pid, every in found.items():
        columns = [(t.lasted, t.own, *t[1:]) for t in every] or [(0.0,) * 6]
        worst = " ".join(f"{max(column):8.1f}" for column in zip(*columns, strict=True))
        yield f"{pid:8} {len(every):8} {worst}"


if __name__ == "__main__":
    print("\n".join(table(turns(sys.stdin, [int(pid) for pid in sys.argv[1:]]))))
