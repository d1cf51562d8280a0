"""Libraries in one's own program: raftwerk's Node and PySyncObj, three processes each, calls made at the leader.

raftwerk: durable on a majority before a call returns. pysyncobj: its fastest setting, in memory only. pysyncobj-journal: with
its journal, which it never syncs. The figures of PySyncObj are therefore those of less work.
"""

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.groups import Figures, Group, Rows, Scale
from raftwerk.cli.cluster import free_ports

SYSTEMS: Final = ("pysyncobj", "pysyncobj-journal", "raftwerk")
OUTSTANDING: Final = (1, 100, 1000)
SECONDS: Final = 3.0


def start(system: str, number: int, ports: list[int], folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.embedded_node", system, str(number), str(folder)]
    return subprocess.Popen(
        [*command, *map(str, ports)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ask(nodes: "list[subprocess.Popen[str]]", outstanding: int, seconds: float) -> Figures:
    """The leader's figures; all are asked, the others answer null."""
    for node in nodes:
        assert node.stdin is not None
        node.stdin.write(f"{outstanding} {seconds}\n")
        node.stdin.flush()
    answers = [json.loads(node.stdout.readline()) for node in nodes if node.stdout is not None]
    (figures,) = [answer for answer in answers if answer is not None]
    return dict(figures)


def measure(system: str, scale: Scale) -> Rows:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="raftwerk-bench-")))
        ports = [peer for _, peer in free_ports(3)]
        nodes = []
        for number in range(3):
            node = start(system, number, ports, folder)
            stack.callback(node.wait)
            stack.callback(node.kill)
            nodes.append(node)
        for node in nodes:
            assert node.stdout is not None
            assert node.stdout.readline() == "ready\n", f"{system} did not start"
        return {
            f"{outstanding} outstanding": ask(nodes, outstanding, scale.seconds(SECONDS))
            for outstanding in OUTSTANDING
        }


GROUP: Final = Group("embedded", "embedded, 256 B values", measure, systems=SYSTEMS, rounds=1)
