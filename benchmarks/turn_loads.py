"""What turns of event loops are made of under the loads of the group `lag`, by the kernel's own record (turns.py).

It needs perf (Debian: linux-perf), and may trace the kernel: as root, as a rule.
"""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import lag
from benchmarks.clusters import Node, running
from benchmarks.groups import Figures, Group, Rows, Scale
from benchmarks.turns import Turn, turns

EVENTS: Final = (
    "sched:sched_switch",
    "sched:sched_waking",
    "syscalls:sys_enter_epoll_pwait",
    "syscalls:sys_exit_epoll_pwait",
    "cpu-clock/freq=2000,name=tick/",
)


def recorded(
    work: Callable[[], None], nodes: Sequence[Node], seconds: float
) -> dict[int, list[Turn]]:
    """The turns of each node, by process, in the first seconds of some work. Raises RuntimeError if they cannot be recorded."""
    with tempfile.TemporaryDirectory(prefix="raftwerk-bench-") as folder:
        data = str(Path(folder) / "turns.data")
        events = [word for event in EVENTS for word in ("-e", event)]
        command = ["perf", "record", "-q", "-a", *events, "-o", data, "--", "sleep", str(seconds)]
        try:
            recording = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError as error:
            raise RuntimeError("perf is not installed (Debian: linux-perf)") from error
        work()
        _, told = recording.communicate()
        if recording.returncode:
            raise RuntimeError(f"perf cannot record (it takes root, as a rule): {told.strip()}")
        told_by = ["perf", "script", "-i", data, "--ns", "-F", "pid,tid,cpu,time,event,trace"]
        script = subprocess.run(told_by, capture_output=True, text=True, check=True).stdout
    pids = [node.process.pid for node in nodes if node.process is not None]
    return turns(script.splitlines(), pids)


def worst(found: dict[int, list[Turn]]) -> Figures:
    """Of each part of a turn the longest, of any member."""
    every = [turn for of_one in found.values() for turn in of_one]
    figures = {
        name: max((getattr(turn, name) for turn in every), default=0.0)
        for name in ("own", "worked", "blocked", "lasted", "waited", "stolen")
    }
    return {f"{name}_ms": round(ms, 2) for name, ms in figures.items()} | {"turns": len(every)}


def rows(system: str, scale: Scale) -> Rows:
    with running(system) as nodes:
        return {
            name: worst(recorded(put, nodes, scale.seconds(lag.SECONDS)))
            for name, put in lag.loads(nodes, scale)
        }


GROUP: Final = Group(
    "turns",
    "turns of the loop: the worst of each, not of one turn",
    rows,
    systems=("raftwerk",),
    is_long=True,
)
