"""etcd's own judgement: `etcdctl check perf`, which puts 1 KiB values for a minute at a rate that it wants to see kept.

It waits by timers between its requests, and what these are late it does not catch up with. So beside both systems stands what it
gets from a server that answers at once.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import instant
from benchmarks.clusters import running
from benchmarks.groups import PAIR, Figures, Group, Rows, Scale

ETCDCTL: Final = str(Path(sys.executable).with_name("etcdctl"))
LOADS: Final = ("s", "m", "l", "xl")
TIMEOUT_S: Final = 180.0
INSTANT: Final = "instant"
"""The server that answers at once, as a system."""

# "PASS: Throughput is 150 writes/s", "Throughput too low: 3200 writes/s", "Slowest request took 0.02s", "Stddev is 0.001s", ...
PATTERNS: Final = {
    "writes_per_second": re.compile(r"[Tt]hroughput.*?([\d.]+) writes/s"),
    "slowest_s": re.compile(r"[Ss]lowest request.*?([\d.]+)s"),
    "stddev_s": re.compile(r"[Ss]tddev.*?([\d.]+)s"),
}


def parse(text: str) -> Figures:
    """passed: 1 or 0, by the last line."""
    words = text.split()
    if not words or words[-1] not in ("PASS", "FAIL"):
        raise RuntimeError(f"etcdctl check perf did not judge: {text[-500:]}")
    figures = {"passed": float(words[-1] == "PASS")}
    for name, pattern in PATTERNS.items():
        found = pattern.search(text)
        if found is not None:
            figures[name] = float(found[1])
    return figures


def check(load: str, endpoints: Sequence[str]) -> Figures:
    command = [ETCDCTL, f"--endpoints={','.join(endpoints)}", "check", "perf", f"--load={load}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return parse(done.stdout)


def measure(system: str, scale: Scale) -> Rows:
    found = {}
    for load in LOADS[: scale.count(len(LOADS), 1)]:
        if system == INSTANT:
            with instant.running() as endpoint:
                found[f"--load={load}"] = check(load, [endpoint])
            continue
        with running(system) as nodes:
            figures = check(load, [node.endpoint for node in nodes])
            rss_mb = max(node.memory_mb()["rss_mb"] for node in nodes)
            found[f"--load={load}"] = {**figures, "rss_mb": rss_mb}
    return found


GROUP: Final = Group(
    "check-perf",
    "etcdctl check perf",
    measure,
    systems=(*PAIR, INSTANT),
    rounds=1,
    is_long=True,
)
