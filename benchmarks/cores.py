"""What a member does with cores: CPU of its event loop and of its other threads for a put, and its puts on one core and on two.

The event loop is the main thread, and one core is the most that it can use. The log is written and synced, and checkpoints are
made, in threads of their own, which hold Python's lock for the small part of it that is Python.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.clusters import Node, running
from benchmarks.groups import Figures, Group, Rows, Scale
from benchmarks.loads import KEYS, SECONDS, fill, measure
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load

Cores = set[int]


@contextmanager
def pinned(node: Node, cores: Cores, generator: Cores) -> Iterator[None]:
    """All threads of the member, and of the load generator, which inherits it from this process."""
    before = os.sched_getaffinity(0)
    for thread in node.threads:
        os.sched_setaffinity(thread, cores)
    os.sched_setaffinity(0, generator)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _loaded(load: Load, nodes: Sequence[Node]) -> list[Figures]:
    """Puts at the first of them; of each the CPU for a put, and what the generator says."""
    before = [(node.cpu_s, node.loop_cpu_s) for node in nodes]
    figures = measure(load, nodes[:1], nodes)
    puts = figures["per_second"] * load.seconds
    found = []
    for node, (cpu_s, loop_cpu_s) in zip(nodes, before, strict=True):
        loop_s = node.loop_cpu_s - loop_cpu_s
        found.append(
            {
                "per_second": figures["per_second"],
                "loop_us": 1e6 * loop_s / puts,
                # Both are rounded to ticks of 10 ms
                "other_threads_us": 1e6 * max(0.0, node.cpu_s - cpu_s - loop_s) / puts,
            }
        )
    return found


def rows(system: str, scale: Scale) -> Rows:
    load = Load(Operation.PUT, 100, 1000, seconds=scale.seconds(SECONDS), keys=KEYS)
    mine = sorted(os.sched_getaffinity(0))
    found: Rows = {}
    with running(system, count=1) as nodes:
        fill(nodes, scale.count(KEYS, 1000))
        for name, cores in {"one core": set(mine[:1]), "two cores": set(mine[:2])}.items():
            with pinned(nodes[0], cores, generator={mine[-1]}):
                (found[f"a single member, {name}"],) = _loaded(load, nodes)
    with running(system) as nodes:
        fill(nodes, scale.count(KEYS, 1000))
        leader, follower, _ = _loaded(load, nodes)
        found["three members: the leader"] = leader
        found["three members: a follower"] = follower
    return found


GROUP: Final = Group("cores", "CPU by thread, and a second core", rows, systems=("raftwerk",))
