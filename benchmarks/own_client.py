"""raftwerk.Client against raftwerk and etcd: puts of one process with 1, 100 and 1000 calls under way."""

import json
import subprocess
import sys
from typing import Final

from benchmarks.clusters import cpu_s, running
from benchmarks.groups import Group, Rows, Scale

SECONDS: Final = 4.0
OUTSTANDING: Final = (1, 100, 1000)


def measure(system: str, scale: Scale) -> Rows:
    """The client is a program of its own, as it would be elsewhere."""
    found: Rows = {}
    with running(system) as nodes:
        for outstanding in OUTSTANDING:
            before = cpu_s(nodes)
            command = [sys.executable, "-m", "benchmarks.own_client_load"]
            given = [str(outstanding), str(scale.seconds(SECONDS))]
            endpoints = [node.client_url for node in nodes]
            done = subprocess.run([*command, *given, *endpoints], capture_output=True, check=True)
            figures = json.loads(done.stdout)
            puts = figures.pop("puts")
            client_cpu_us = figures.pop("client_cpu_us")
            figures["server_cpu_us"] = 1e6 * (cpu_s(nodes) - before) / puts
            found[f"{outstanding} outstanding"] = figures | {"client_cpu_us": client_cpu_us}
    return found


GROUP: Final = Group("own-client", "put by raftwerk.Client, one process", measure)
