"""Three nodes of real processes on loopback, of etcd or of raftwerk, for the benchmarks."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raftwerk.cli.cluster import free_ports, is_healthy

START_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.01
TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
MIB: Final = 2**20

PLAIN_PYTHON: Final = Path(__file__).parent.parent / ".venv/bin/python"
"""Where `make setup` installs the package that is not compiled."""

# Settings are stock, but for room: both refuse writes at 2 GiB, which a fast one reaches within the run
FLAGS: Final = ["--log-level=error", f"--quota-backend-bytes={8 * 2**30}"]
SYSTEMS: Final = {
    "etcd": [str(Path(sys.executable).with_name("etcd")), *FLAGS],
    "raftwerk": [sys.executable, "-m", "raftwerk.cli", "serve", *FLAGS],
    "plain": [str(PLAIN_PYTHON), "-m", "raftwerk.cli", "serve", *FLAGS],
}


@dataclass(slots=True)
class Node:
    """One process. client_url as flags want it."""

    client_url: str
    command: list[str]
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    """None before its first start."""

    @property
    def endpoint(self) -> str:
        return self.client_url.removeprefix("http://")

    @property
    def _proc(self) -> Path:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}")

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def cpu_s(self) -> float:
        """CPU time so far, of all its threads, from the operating system."""
        return _cpu_s(self._proc)

    @property
    def loop_cpu_s(self) -> float:
        """Of its main thread, in which the event loop runs."""
        return _cpu_s(self._proc / "task" / self._proc.name)

    @property
    def threads(self) -> list[int]:
        """Their ids."""
        return [int(task.name) for task in (self._proc / "task").iterdir()]

    def memory_mb(self) -> dict[str, float]:
        """MiB. rss: pages that are resident; pss: those that others map too, such as code, by their share; anon: without
        pages of files (LMDB's map, code), which the system may drop."""
        names = {"Rss:": "rss_mb", "Pss:": "pss_mb", "Anonymous:": "anon_mb"}
        lines = (self._proc / "smaps_rollup").read_text().splitlines()
        fields = [line.split() for line in lines]
        return {names[one[0]]: int(one[1]) * 1024 / MIB for one in fields if one[0] in names}

    def leads(self) -> bool:
        with urllib.request.urlopen(f"{self.client_url}/metrics", timeout=5) as answer:
            return b"\netcd_server_is_leader 1" in answer.read()

    def kill(self) -> None:
        """As a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def start(self) -> None:
        with (self.folder.with_suffix(".log")).open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)


@contextmanager
def running(system: str, count: int = 3, flags: Sequence[str] = ()) -> Iterator[list[Node]]:
    """A new cluster of "etcd" or "raftwerk", the leader first. Its data goes away with it."""
    folder = Path(tempfile.mkdtemp(prefix="raftwerk-bench-"))
    nodes: list[Node] = []
    try:
        ports = free_ports(count)
        peers = [f"http://127.0.0.1:{peer}" for _, peer in ports]
        cluster = ",".join(f"node{number}={url}" for number, url in enumerate(peers, 1))
        for number, ((client, _), peer_url) in enumerate(zip(ports, peers, strict=True), 1):
            client_url = f"http://127.0.0.1:{client}"
            command = [
                *SYSTEMS[system],
                f"--name=node{number}",
                f"--data-dir={folder}/node{number}",
                f"--listen-client-urls={client_url}",
                f"--advertise-client-urls={client_url}",
                f"--listen-peer-urls={peer_url}",
                f"--initial-advertise-peer-urls={peer_url}",
                f"--initial-cluster={cluster}",
                *flags,
            ]
            nodes.append(Node(client_url, command, folder / f"node{number}"))
            nodes[-1].start()
        wait_until_ready(nodes)
        yield sorted(nodes, key=lambda node: not node.leads())
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(folder)


def wait_until_ready(nodes: list[Node]) -> None:
    """Until every node answers linearizable reads. Raises TimeoutError."""
    for node in nodes:
        wait_until(lambda node=node: is_healthy(node), node)  # type: ignore[misc]


def wait_until(
    condition: Callable[[], bool], node: Node, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Raises TimeoutError when it takes too long, or the node ends."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline or not node.is_running:
            log = node.folder.with_suffix(".log").read_text(errors="replace")
            raise TimeoutError(f"{node.client_url} did not get there; its log ends: {log[-2000:]}")
        time.sleep(POLL_S)


def _cpu_s(folder: Path) -> float:
    """Of a process or of a thread, by its folder in /proc."""
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def cpu_s(nodes: Sequence[Node]) -> float:
    """Of all of them together."""
    return sum(node.cpu_s for node in nodes if node.is_running)
