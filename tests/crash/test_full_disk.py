"""A full disk: writes are refused with the reason, reads go on, nothing is lost, and space that returns is enough.

Each test has a small file system of its own (tmpfs), which a ballast file fills.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raftwerk.api import status
from raftwerk.cli.cluster import LocalCluster, Member, free_ports
from raftwerk.client import CallFailed, Client
from raftwerk.errors import UsageError
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.snapshot_file import restore
from tests import waiting
from tests.conftest import StartCluster
from tests.crash.load import check_equal

VALUE = b"v" * 100_000
KEYS_MAX = 1000
WRITES_THAT_FILL = 450
"""Of VALUE: more than two segments of the log hold."""


class SmallDisk:
    """A mounted file system of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Not one block is left."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self._ballast.unlink()


MountDisk = Callable[[int], SmallDisk]


@pytest.fixture
def mount_disk(tmp_path: Path) -> Iterator[MountDisk]:
    """mount_disk(megabytes). To be asked for before start_cluster: unmounted when the processes on it have ended."""
    folders: list[Path] = []

    def mount(megabytes: int) -> SmallDisk:
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        options = f"size={megabytes}m"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "raftwerk-test", str(folder)], check=True
        )
        folders.append(folder)
        return SmallDisk(folder)

    yield mount
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)


def restart(cluster: LocalCluster) -> None:
    for member in cluster.members:
        if member.is_running:
            cluster.kill(member)
        cluster.start(member)
    cluster.wait_ready()


def start_with_part_on(disk: SmallDisk, part: str, start_cluster: StartCluster) -> LocalCluster:
    """A single node whose log, or whose store, or both, are on `disk`."""
    if part == "folder":
        return start_cluster(1, folder=disk.folder)
    cluster = start_cluster(1)
    cluster.kill(cluster.members[0])
    folder = cluster.members[0].folder / part
    shutil.move(folder, disk.folder / part)
    folder.symlink_to(disk.folder / part)
    restart(cluster)
    return cluster


async def write_until_refused(client: Client, name: str) -> list[bytes]:
    """Returns the keys of what was acknowledged."""
    written = []
    for number in range(KEYS_MAX):
        key = f"{name}{number}".encode()
        try:
            await client.put(key, VALUE + key)
        except CallFailed as error:
            assert (error.code, error.text) == status.NO_SPACE  # noqa: PT017  (the loop goes on until it is raised)
            assert await client.get(key) is None
            return written
        written.append(key)
    raise AssertionError(f"{KEYS_MAX} writes fitted")


async def write_when_there_is_space(client: Client, key: bytes) -> None:
    """A refused write certainly did not happen: it may be tried again, until the node has noticed the space."""
    async with asyncio.timeout(20):
        while True:
            try:
                await client.put(key, VALUE + key)
            except CallFailed as error:
                assert error.text == status.NO_SPACE.text  # noqa: PT017  (in a loop)
                await asyncio.sleep(0)
            else:
                return


async def check_all_there(client: Client, keys: list[bytes]) -> None:
    """By linearizable reads."""
    for key in keys:
        assert await client.get(key) == VALUE + key


PARTS = pytest.mark.parametrize("part", ["wal", "store", "folder"])


@PARTS
def test_writes_are_refused_reads_go_on_and_space_that_returns_is_enough(
    mount_disk: MountDisk, start_cluster: StartCluster, part: str
) -> None:
    disk = mount_disk(128)
    cluster = start_with_part_on(disk, part, start_cluster)

    async def scenario() -> list[bytes]:
        async with Client([cluster.members[0].client_url]) as client:
            disk.fill()
            written = await write_until_refused(client, "full")
            await check_all_there(client, written)
            disk.free()
            await write_when_there_is_space(client, b"again")
            return [*written, b"again"]

    keys = asyncio.run(scenario())
    restart(cluster)
    asyncio.run(check_after(cluster, keys))


@PARTS
def test_kill_and_restart_on_a_full_disk_lose_nothing(
    mount_disk: MountDisk, start_cluster: StartCluster, part: str
) -> None:
    disk = mount_disk(128)
    cluster = start_with_part_on(disk, part, start_cluster)

    async def fill() -> list[bytes]:
        async with Client([cluster.members[0].client_url]) as client:
            disk.fill()
            return await write_until_refused(client, "full")

    async def go_on(written: list[bytes]) -> list[bytes]:
        async with Client([cluster.members[0].client_url]) as client:
            await check_all_there(client, written)
            more = await write_until_refused(client, "more")
            disk.free()
            await write_when_there_is_space(client, b"again")
            return [*written, *more, b"again"]

    keys = asyncio.run(fill())
    restart(cluster)
    keys = asyncio.run(go_on(keys))
    restart(cluster)
    asyncio.run(check_after(cluster, keys))


async def check_after(cluster: LocalCluster, keys: list[bytes]) -> None:
    async with Client([cluster.members[0].client_url]) as client:
        await check_all_there(client, keys)


@PARTS
def test_stop_on_a_full_disk_ends_at_once_and_cleanly(
    mount_disk: MountDisk, start_cluster: StartCluster, part: str
) -> None:
    """SIGTERM, while jobs wait for space."""
    disk = mount_disk(128)
    cluster = start_with_part_on(disk, part, start_cluster)

    async def fill() -> None:
        async with Client([cluster.members[0].client_url]) as client:
            disk.fill()
            await write_until_refused(client, "full")

    asyncio.run(fill())
    process = cluster.members[0].process
    assert process is not None
    process.terminate()
    assert process.wait(timeout=5) == 0


def test_first_start_on_a_full_disk_is_refused_and_leaves_a_usable_folder(
    mount_disk: MountDisk, start_cluster: StartCluster
) -> None:
    disk = mount_disk(128)
    disk.fill()
    folder = disk.folder / "node1"
    ((client, peer),) = free_ports(1)
    command = [sys.executable, "-m", "raftwerk.cli", "serve", f"--data-dir={folder}"]
    command += [
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "no space left" in ended.stderr.lower()
    assert str(disk.folder) in ended.stderr
    assert "Traceback" not in ended.stderr
    disk.free()
    start_cluster(1, folder=disk.folder)


def test_cluster_goes_on_without_the_member_whose_disk_is_full(
    mount_disk: MountDisk, start_cluster: StartCluster, tmp_path: Path
) -> None:
    """The leader: it hands over, refuses its own clients, falls behind, and catches up when there is space."""
    disks = {}
    for name in ("node1", "node2", "node3"):
        disks[name] = mount_disk(128)
        (disks[name].folder / name).mkdir()
        (tmp_path / name).symlink_to(disks[name].folder / name)
    cluster = start_cluster(3)
    full = cluster.wait_leader()
    others = [member for member in cluster.members if member is not full]
    disk = disks[full.name]
    disk.fill()

    async def scenario() -> list[bytes]:
        keys = [b"key%d" % number for number in range(WRITES_THAT_FILL)]
        async with Client([member.client_url for member in others]) as client:
            for key in keys:
                await write_when_there_is_space(client, key)
            await check_all_there(client, keys)
        async with Client([full.client_url]) as client:
            with pytest.raises(CallFailed) as caught:
                await client.put(b"refused", b"")
            assert (caught.value.code, caught.value.text) == status.NO_SPACE
        disk.free()
        async with Client([full.client_url], timeout_s=30) as client:
            await write_when_there_is_space(client, b"again")
        return keys

    keys = asyncio.run(scenario())
    asyncio.run(check_equal(cluster.members))
    assert len(keys) == WRITES_THAT_FILL


def test_mount_point_is_no_folder_to_restore_into(mount_disk: MountDisk, tmp_path: Path) -> None:
    """It cannot be replaced by one that is whole."""
    disk = mount_disk(1)
    settings = Settings(data_dir=disk.folder)
    with pytest.raises(UsageError, match="is a mount point"):
        restore(tmp_path / "snapshot", settings, bump_revision=0, mark_compacted=False)


def test_member_without_room_for_a_snapshot_says_so_and_waits(
    mount_disk: MountDisk, start_cluster: StartCluster, tmp_path: Path
) -> None:
    disk = mount_disk(400)
    (disk.folder / "node1").mkdir()
    (tmp_path / "node1").symlink_to(disk.folder / "node1")
    cluster = start_cluster(3, "--snapshot-count=100")
    full, *others = cluster.members
    disk.fill()

    async def scenario() -> None:
        async with Client([member.client_url for member in others]) as client:
            for number in range(2 * WRITES_THAT_FILL):
                await write_when_there_is_space(client, b"key%d" % (number % 100))

    asyncio.run(scenario())
    waiting.until(lambda: has_refused_snapshots(full))
    disk.free()
    cluster.wait_ready()
    asyncio.run(check_equal([*others, full]))


def has_refused_snapshots(member: Member) -> bool:
    """More than one, for want of space; it lives on."""
    assert member.is_running
    lines = member.log.read_text().splitlines()
    refused = [line for line in lines if "snapshot rejected" in line]
    assert all("no space left" in line for line in refused)
    return len(refused) > 1
