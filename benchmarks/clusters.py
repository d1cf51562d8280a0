"""Three nodes of real processes on loopback, of etcd or of raftwerk, for the benchmarks."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raftwerk.cli.cluster import free_ports, is_healthy

START_TIMEOUT_S: Final = 30.0
TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")

SYSTEMS: Final = {
    "etcd": [str(Path(sys.executable).with_name("etcd")), "--log-level=error"],
    "raftwerk": [sys.executable, "-m", "raftwerk.cli", "serve", "--log-level=error"],
}


@dataclass(frozen=True, slots=True)
class Node:
    """One process. client_url as flags want it."""

    client_url: str
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return self.client_url.removeprefix("http://")

    @property
    def cpu_s(self) -> float:
        """CPU time so far, of all its threads, from the operating system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND

    @property
    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def leads(self) -> bool:
        with urllib.request.urlopen(f"{self.client_url}/metrics", timeout=5) as answer:
            return b"\netcd_server_is_leader 1" in answer.read()


@contextmanager
def running(system: str, count: int = 3) -> Iterator[list[Node]]:
    """A new cluster of "etcd" or "raftwerk", the leader first. Its data goes away with it."""
    folder = Path(tempfile.mkdtemp(prefix="raftwerk-bench-"))
    nodes: list[Node] = []
    try:
        ports = free_ports(count)
        peers = [f"http://127.0.0.1:{peer}" for _, peer in ports]
        cluster = ",".join(f"node{number}={url}" for number, url in enumerate(peers, 1))
        for number, ((client, _), peer_url) in enumerate(zip(ports, peers, strict=True), 1):
            client_url = f"http://127.0.0.1:{client}"
            flags = [
                f"--name=node{number}",
                f"--data-dir={folder}/node{number}",
                f"--listen-client-urls={client_url}",
                f"--advertise-client-urls={client_url}",
                f"--listen-peer-urls={peer_url}",
                f"--initial-advertise-peer-urls={peer_url}",
                f"--initial-cluster={cluster}",
            ]
            with (folder / f"node{number}.log").open("wb") as log:
                process = subprocess.Popen([*SYSTEMS[system], *flags], stdout=log, stderr=log)
            nodes.append(Node(client_url, process))
        wait_until_ready(nodes)
        yield sorted(nodes, key=lambda node: not node.leads())
    finally:
        for node in nodes:
            node.process.kill()
            node.process.wait()
        shutil.rmtree(folder)


def wait_until_ready(nodes: list[Node]) -> None:
    """Until every node answers linearizable reads. Raises TimeoutError."""
    deadline = time.monotonic() + START_TIMEOUT_S
    for node in nodes:
        while not is_healthy(node):
            if time.monotonic() > deadline or node.process.poll() is not None:
                raise TimeoutError(f"{node.client_url} did not start")
            time.sleep(0.05)
