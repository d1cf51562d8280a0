"""How long the event loop of a raftwerk node is held up: under full load, and under full load with something large beside it.

From the histogram raftwerk_loop_lag_seconds of all nodes, which looks every 10 ms; figures are upper bounds of its buckets. Where
generator and nodes share the cores, waiting for a core counts too: own_... leave out what the kernel counts as that
(raftwerk_loop_lag_own_seconds), and a single member that has a core to itself hardly waits.
"""

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.clusters import Node, running
from benchmarks.cores import pinned
from benchmarks.groups import Figures, Group, Rows, Scale
from benchmarks.loads import fill, measure
from raftwerk import sync
from raftwerk.api import rpc_pb2
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load

SECONDS: Final = 6.0
KEYS: Final = 200_000
ALL: Final = rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0")
HISTOGRAMS: Final = {"": "raftwerk_loop_lag_seconds", "own_": "raftwerk_loop_lag_own_seconds"}
"""Prefix of the figures to the name of what they are from."""
_LEVELS: Final = {"p50_ms": 0.5, "p99_ms": 0.99, "p99_9_ms": 0.999, "worst_ms": 1.0}

Buckets = dict[float, float]
"""Upper bound in seconds to how many were not above it."""


def buckets(nodes: Sequence[Node]) -> dict[str, Buckets]:
    """The sums over nodes, by prefix."""
    total: dict[str, Buckets] = {prefix: {} for prefix in HISTOGRAMS}
    prefixes = {f"{name}_bucket": prefix for prefix, name in HISTOGRAMS.items()}
    for node in nodes:
        with urllib.request.urlopen(f"{node.client_url}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in prefixes:
                    counts = total[prefixes[sample.name]]
                    bound = float(sample.labels["le"])
                    counts[bound] = counts.get(bound, 0) + sample.value
    return total


def levels(before: dict[str, Buckets], after: dict[str, Buckets]) -> Figures:
    """Upper bounds in ms of what was observed in between."""
    found: Figures = {}
    for prefix in HISTOGRAMS:
        counts = {
            bound: after[prefix][bound] - before[prefix][bound] for bound in sorted(after[prefix])
        }
        count = max(counts.values())
        for name, level in _LEVELS.items():
            bound = next(bound for bound, below in counts.items() if below >= level * count)
            found[prefix + name] = 1e3 * bound
    return found


@contextmanager
def beside(work: Callable[[sync.Client], object], node: Node) -> Iterator[None]:
    """`work` again and again, in a thread with a client of its own."""
    is_over = threading.Event()

    def run() -> None:
        with sync.Client([node.client_url]) as client:
            while not is_over.is_set():
                work(client)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _snapshot(node: Node) -> None:
    file = node.folder.with_suffix(".snapshot")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "raftwerk",
            "snapshot",
            "save",
            str(file),
            "--endpoints",
            node.endpoint,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    file.unlink()


def loads(nodes: Sequence[Node], scale: Scale) -> Iterator[tuple[str, Callable[[], None]]]:
    """Puts at all members by 1000 clients, with nothing and with something beside them: what each is, and how to do it."""
    load = Load(Operation.PUT, 100, 1000, seconds=scale.seconds(SECONDS), keys=KEYS)
    fill(nodes, scale.count(KEYS, 1000))
    works: dict[str, Callable[[sync.Client], object]] = {
        "and ranges of all keys": lambda client: client.range(ALL),
        "and compactions": lambda client: client.compact(client.put(b"0", b"").header.revision),
        "and snapshots": lambda _: _snapshot(nodes[0]),
        "and deletions of 20,000 keys": lambda client: client.delete(b"0001", b"0003"),
    }
    yield "put 100/1000, all", lambda: _put(load, nodes)
    for name, work in works.items():
        yield name, lambda work=work: _put(load, nodes, work)  # type: ignore[misc]


def _put(
    load: Load, nodes: Sequence[Node], work: Callable[[sync.Client], object] | None = None
) -> None:
    with beside(work, nodes[0]) if work is not None else nullcontext():
        measure(load, nodes, nodes)


def _loaded(nodes: Sequence[Node], scale: Scale) -> Rows:
    found: Rows = {}
    for name, put in loads(nodes, scale):
        before = buckets(nodes)
        put()
        found[name] = levels(before, buckets(nodes))
    return found


def rows(system: str, scale: Scale) -> Rows:
    """Three members, who share the cores with each other and the load generator; and one that has a core to itself."""
    with running(system) as nodes:
        found = _loaded(nodes, scale)
    mine = sorted(os.sched_getaffinity(0))
    with running(system, count=1) as nodes, pinned(nodes[0], set(mine[:1]), {mine[-1]}):
        alone = _loaded(nodes, scale)
    return found | {f"a member with a core to itself: {name}": row for name, row in alone.items()}


GROUP: Final = Group("lag", "how long the event loop is held up", rows, systems=("raftwerk",))
