"""Watches: events a second, and how long one takes from the writer to the last watcher; `raftwerk bench watch` at the leader."""

import json
import subprocess
import sys
from typing import Final

from benchmarks.clusters import Node, cpu_s, running
from benchmarks.groups import Figures, Group, Rows, Scale

STREAMS: Final = 10
WRITERS: Final = 32


def fan_out(nodes: list[Node], keys: int, watchers: int, puts: int) -> Figures:
    before = cpu_s(nodes)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "raftwerk", "bench", "watch", "--json"),
            f"--endpoints={nodes[0].endpoint}",
            f"--connections={STREAMS}",
            f"--clients={WRITERS}",
            f"--keys={keys}",
            f"--watchers={watchers}",
            f"--requests={puts}",
            "--value-bytes=100",
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    result = json.loads(done.stdout)
    return {
        "events_per_second": result["events_per_second"],
        "delay_p50_ms": result["delay_p50_ms"],
        "delay_p99_ms": result["delay_p99_ms"],
        "server_cpu_us": 1e6 * (cpu_s(nodes) - before) / result["events"],
    }


def measure(system: str, scale: Scale) -> Rows:
    with running(system) as nodes:
        return {
            "1 key x 1,000 watchers": fan_out(nodes, 1, 1000, scale.count(1000, 50)),
            "1,000 keys x 1 watcher": fan_out(nodes, 1000, 1, scale.count(20_000, 1000)),
        }


GROUP: Final = Group("watch", "watch fan-out, at the leader", measure)
