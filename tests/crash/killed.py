"""Clusters that were killed once, and whose folders are copied for each test that starts from there."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from raftwerk.cli.cluster import LocalCluster, Member
from raftwerk.client import Client
from tests.conftest import FAST, running_cluster

KEYS = {b"key%d" % number for number in range(10)}


@contextmanager
def killed_cluster(folder: Path, nodes: int) -> Iterator[LocalCluster]:
    """It has ten keys, written one after the other. Within, nobody else gets its ports, for copies of it."""
    with running_cluster(folder, nodes) as cluster, ExitStack() as stack:
        asyncio.run(_write(cluster.members[0]))
        for member in cluster.members:
            cluster.kill(member)
        for port in [port for pair in ports_of(cluster) for port in pair]:
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
        yield cluster


async def _write(member: Member) -> None:
    async with Client([member.client_url]) as client:
        for key in sorted(KEYS):
            await client.put(key, b"value")


async def read_keys(member: Member) -> set[bytes]:
    async with Client([member.client_url]) as client:
        return {key for key in KEYS if await client.get(key) == b"value"}


def ports_of(cluster: LocalCluster) -> list[tuple[int, int]]:
    return [(member.client_port, member.peer_port) for member in cluster.members]


@contextmanager
def copy_of(cluster: LocalCluster, folder: Path) -> Iterator[LocalCluster]:
    """The same members, with folders of their own."""
    copy = LocalCluster(folder, ports_of(cluster), FAST)
    for old, new in zip(cluster.members, copy.members, strict=True):
        shutil.copytree(old.folder, new.folder)
    try:
        yield copy
    finally:
        copy.stop_all()
        for member in copy.members:  # shown when the test fails
            print(f"--- log of {member.name}\n{member.last_log_lines(40)}")
