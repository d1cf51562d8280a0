"""A bit of the store's file flips while nobody looks: no client gets it, and the node that reads it ends in words."""

import asyncio
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from raftwerk.cli.cluster import Member, metric
from raftwerk.client import Client
from raftwerk.client.errors import CallError
from tests.conftest import StartCluster
from tests.fakes.damage import flip_bit_in

COMMITS = "etcd_disk_backend_commit_duration_seconds_count"
"""Of checkpoints: a row stands in the file before the one that it belongs to is."""


async def _until_in_the_store(member: Member, value: bytes) -> Path:
    """Write it. Returns the file in which it stands after a checkpoint."""
    async with asyncio.timeout(20), Client([member.client_url]) as client:
        before = metric(member, COMMITS) or 0.0
        await client.put(b"color", value)
        file = member.folder / "store" / "data-000001" / "data.mdb"
        while value not in file.read_bytes() or (metric(member, COMMITS) or 0.0) <= before:
            await client.put(b"more", b"")
    return file


async def _get(member: Member, *, serializable: bool) -> bytes | None:
    async with asyncio.timeout(2), Client([member.client_url]) as client:
        return await client.get(b"color", serializable=serializable)


def _get_over_http(member: Member) -> bytes | None:
    body = b'{"key": "Y29sb3I=", "serializable": true}'
    with urllib.request.urlopen(f"{member.client_url}/v3/kv/range", body, timeout=5) as answer:
        return bytes(answer.read())


READS: dict[str, Callable[[Member], bytes | None]] = {
    "linearizable": lambda member: asyncio.run(_get(member, serializable=False)),
    "serializable": lambda member: asyncio.run(_get(member, serializable=True)),
    "over HTTP": _get_over_http,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_flipped_bit_in_the_store_is_not_served_and_ends_the_node(
    start_cluster: StartCluster, read: Callable[[Member], bytes | None]
) -> None:
    """It starts on it: a start does not read the whole store."""
    cluster = start_cluster(1)
    (member,) = cluster.members
    file = asyncio.run(_until_in_the_store(member, b"precious"))
    cluster.kill(member)
    flip_bit_in(file, b"precious")
    cluster.start(member)
    cluster.wait_ready()
    with pytest.raises((CallError, TimeoutError, OSError)):
        read(member)
    assert member.process is not None
    assert member.process.wait(10) == 1
    said = member.log.read_text()
    (line,) = [line for line in said.splitlines() if "level=critical" in line]
    assert f"{file}: damaged: table revisions: the row of key" in line
    assert "Do not put back an older copy of the folder" in line
    assert "Traceback" not in said
