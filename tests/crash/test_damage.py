"""Data folders that are damaged, foreign or in use: a torn tail is cut off, everything else is refused in words."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from raftwerk.cli.cluster import LocalCluster, Member, free_ports
from raftwerk.client import Client
from raftwerk.wal.disk import OsDisk
from raftwerk.wal.recovery import scan
from raftwerk.wal.segment import name_of
from tests.crash.killed import KEYS, copy_of, killed_cluster, read_keys

FIRST = name_of(1)


@dataclass
class Ended:
    """How a command ended, and what it said on both outputs."""

    code: int
    text: str


def run(*arguments: str, prefix: Sequence[str] = ()) -> Ended:
    """`raftwerk ...`, to its end. prefix: a command that runs it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
    result = subprocess.run(
        [*prefix, sys.executable, "-m", "raftwerk.cli", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in result.stdout
    return Ended(result.returncode, result.stdout)


def start_alone(
    cluster: LocalCluster, member: Member, *, prefix: Sequence[str] = (), **changed: str
) -> Ended:
    """What `raftwerk serve` says that is expected to refuse. changed: flags with another value."""
    members = ",".join(f"{one.name}=http://127.0.0.1:{one.peer_port}" for one in cluster.members)
    flags = {
        "name": member.name,
        "data_dir": str(member.folder),
        "listen_client_urls": member.client_url,
        "listen_peer_urls": f"http://127.0.0.1:{member.peer_port}",
        "initial_cluster": members,
        **changed,
    }
    texts = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    return run("serve", *texts, prefix=prefix)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with killed_cluster(tmp_path_factory.mktemp("written"), 1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def settled(
    written: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalCluster]:
    with copy_of(written, tmp_path_factory.mktemp("settled")) as cluster:
        (member,) = cluster.members
        cluster.start(member)
        cluster.wait_ready()
        asyncio.run(_until_checkpoint(member))
        cluster.kill(member)
        yield cluster


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with killed_cluster(tmp_path_factory.mktemp("three"), 3) as cluster:
        yield cluster


@pytest.fixture
def cluster(written: LocalCluster, tmp_path: Path) -> Iterator[LocalCluster]:
    """A single node that wrote ten keys, one after the other, and was killed."""
    with copy_of(written, tmp_path) as cluster:
        yield cluster


@pytest.fixture
def settled_cluster(settled: LocalCluster, tmp_path: Path) -> Iterator[LocalCluster]:
    """The same, killed after its store had a checkpoint."""
    with copy_of(settled, tmp_path) as cluster:
        yield cluster


@pytest.fixture
def cluster_of_three(three: LocalCluster, tmp_path: Path) -> Iterator[LocalCluster]:
    """Killed; and members that can be taken for each other."""
    with copy_of(three, tmp_path) as cluster:
        yield cluster


@pytest.fixture
def member(cluster: LocalCluster) -> Member:
    return cluster.members[0]


def segment_file(member: Member) -> Path:
    return member.folder / "wal" / FIRST


def record_offsets(member: Member) -> list[int]:
    """Where records start, and where the next one would."""
    found = scan(OsDisk(member.folder / "wal", read_only=True), "wal", 1, is_last=True)
    return [*(offset for offset, _, _ in found.changes), found.stop]


def change_file(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def flip_bit(path: Path, offset: int) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        (byte,) = file.read(1)
    change_file(path, offset, bytes([byte ^ 1]))


@pytest.mark.parametrize("kept", [1, 23, 24, 40], ids=lambda kept: f"{kept} bytes written")
def test_torn_tail_is_cut_off(cluster: LocalCluster, member: Member, kept: int) -> None:
    """The last write before a power cut got so far: nobody had been told of it."""
    *_, last, stop = record_offsets(member)
    data = segment_file(member).read_bytes()
    torn = data[last : last + kept]
    assert stop - last > kept
    change_file(segment_file(member), last, torn.ljust(stop - last, b"\0"))
    cluster.start(member)
    cluster.wait_ready()
    assert asyncio.run(read_keys(member)) >= KEYS - {b"key9"}


def test_garbage_behind_the_log_is_cut_off(cluster: LocalCluster, member: Member) -> None:
    """Of a write whose first sector did not reach the disk."""
    stop = record_offsets(member)[-1]
    change_file(segment_file(member), stop + 1024 - stop % 512, b"garbage" * 100)
    inspected = run("inspect", str(member.folder))
    assert inspected.code == 0
    assert "a torn tail of" in inspected.text
    cluster.start(member)
    cluster.wait_ready()
    assert asyncio.run(read_keys(member)) == KEYS


def test_flipped_bit_in_the_log_is_refused_with_file_offset_and_advice(
    cluster: LocalCluster, member: Member
) -> None:
    offset = record_offsets(member)[3]
    flip_bit(segment_file(member), offset + 30)
    before = segment_file(member).read_bytes()
    ended = start_alone(cluster, member)
    assert ended.code == 1
    assert f"{segment_file(member)}: damaged at byte {offset}" in ended.text
    assert "Do not put back an older copy of the folder" in ended.text
    assert segment_file(member).read_bytes() == before


def test_advised_inspect_command_says_what_is_damaged(
    cluster: LocalCluster, member: Member
) -> None:
    """The refusal names the command; it can be used as it stands."""
    offset = record_offsets(member)[3]
    flip_bit(segment_file(member), offset + 30)
    advised = re.search(r"'raftwerk inspect ([^']*)'", start_alone(cluster, member).text)
    assert advised is not None
    inspected = run("inspect", advised[1])
    assert inspected.code == 1
    assert f"Member {member.name}" in inspected.text
    assert f"{segment_file(member)}: damaged at byte {offset}" in inspected.text
    assert "Do not put back an older copy of the folder" in " ".join(inspected.text.split())


def _flip_header(member: Member) -> None:
    flip_bit(segment_file(member), 20)


def _cut_segment_short(member: Member) -> None:
    os.truncate(segment_file(member), record_offsets(member)[-1])


def _remove_log(member: Member) -> None:
    segment_file(member).unlink()
    (member.folder / "wal").rmdir()


def _misspell_identity(member: Member) -> None:
    (member.folder / "identity.json").write_text('{"cluster_id": "x')


def _remove_identity(member: Member) -> None:
    (member.folder / "identity.json").unlink()


def _cut_store_short(member: Member) -> None:
    os.truncate(next((member.folder / "store").glob("data-*/data.mdb")), 8192)


def _scramble_store(member: Member) -> None:
    change_file(next((member.folder / "store").glob("data-*/data.mdb")), 0, b"garbage!" * 1024)


def _scramble_pages(member: Member) -> None:
    path = next((member.folder / "store").glob("data-*/data.mdb"))
    change_file(path, 8192, b"garbage!" * ((path.stat().st_size - 8192) // 8))


def _misdirect_store(member: Member) -> None:
    (member.folder / "store" / "CURRENT").write_text("data-000009 2\n")


DAMAGES = {
    "header of a segment": (_flip_header, FIRST),
    "segment cut short": (_cut_segment_short, FIRST),
    "identity unreadable": (_misspell_identity, "identity.json"),
    "identity missing": (_remove_identity, "identity.json"),
    "store cut short": (_cut_store_short, "data.mdb"),
    "store overwritten": (_scramble_store, "data.mdb"),
    "pages of the store overwritten": (_scramble_pages, "data.mdb"),
    "store misdirected": (_misdirect_store, "CURRENT"),
}


@pytest.mark.parametrize(("damage", "file"), DAMAGES.values(), ids=DAMAGES)
def test_other_damage_is_refused_and_inspect_names_the_file(
    settled_cluster: LocalCluster, damage: Callable[[Member], None], file: str
) -> None:
    (member,) = settled_cluster.members
    damage(member)
    inspected = run("inspect", str(member.folder))
    ended = start_alone(settled_cluster, member)
    assert ended.code == 1
    assert file in ended.text
    assert inspected.code == 1
    assert file in inspected.text.split("Damaged:")[1]


async def _until_checkpoint(member: Member) -> None:
    async with asyncio.timeout(20), Client([member.client_url]) as client:
        while "Store: applied up to index" not in run("inspect", str(member.folder)).text:
            await client.put(b"more", b"")


def test_lost_log_is_refused(settled_cluster: LocalCluster) -> None:
    """A member that forgot its votes must not vote again."""
    (member,) = settled_cluster.members
    for path in (member.folder / "wal").iterdir():
        path.unlink()
    for attempt in (start_alone(settled_cluster, member), start_alone(settled_cluster, member)):
        assert attempt.code == 1
        assert "is empty, but this member was complete before: the log was lost" in attempt.text


def test_folder_of_another_cluster_is_refused(cluster: LocalCluster, member: Member) -> None:
    ended = start_alone(cluster, member, initial_cluster_token="another")
    assert ended.code == 1
    assert f"{member.folder} is the data folder of another cluster" in ended.text
    assert "--initial-cluster-token" in ended.text


def test_folder_of_another_member_is_refused(cluster_of_three: LocalCluster) -> None:
    first, second, _ = cluster_of_three.members
    ended = start_alone(cluster_of_three, second, data_dir=str(first.folder))
    assert ended.code == 1
    assert f"is the data folder of another member of this cluster: {identity(first)}" in ended.text
    assert "Each member needs a --data-dir of its own" in ended.text


def identity(member: Member) -> str:
    found = re.search(r"\((\w+)\) of cluster", run("inspect", str(member.folder)).text)
    assert found is not None
    return found[1]


def test_log_of_another_member_is_refused(cluster_of_three: LocalCluster) -> None:
    """Folders that somebody put together by hand."""
    first, second, _ = cluster_of_three.members
    segment_file(first).write_bytes(segment_file(second).read_bytes())
    ended = start_alone(cluster_of_three, first)
    assert ended.code == 1
    assert f"{segment_file(first)} belongs to member {identity(second)}" in ended.text


def test_folder_in_use_is_refused_with_the_process(cluster: LocalCluster, member: Member) -> None:
    cluster.start(member)
    cluster.wait_ready()
    assert member.process is not None
    ((client_port, peer_port),) = free_ports(1)
    ended = start_alone(
        cluster,
        member,
        listen_client_urls=f"http://127.0.0.1:{client_port}",
        listen_peer_urls=f"http://127.0.0.1:{peer_port}",
        initial_advertise_peer_urls=f"http://127.0.0.1:{member.peer_port}",
    )
    assert ended.code == 1
    assert f"{member.folder} is in use by another process (pid {member.process.pid})" in ended.text
    assert asyncio.run(read_keys(member)) == KEYS, "and that process goes on"


@pytest.mark.parametrize("which", ["client", "peer"])
def test_port_taken_is_refused(cluster: LocalCluster, member: Member, which: str) -> None:
    port = member.client_port if which == "client" else member.peer_port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        ended = start_alone(cluster, member)
    assert ended.code == 1
    assert f"127.0.0.1:{port}" in ended.text
    assert f"--listen-{which}-urls" in ended.text


def test_member_missing_from_the_cluster_is_refused(cluster: LocalCluster, member: Member) -> None:
    ended = start_alone(cluster, member, name="node7")
    assert ended.code in (1, 2)
    assert "'node7'" in ended.text
    assert "--initial-cluster" in ended.text


def test_folder_that_cannot_be_made_is_refused(cluster: LocalCluster, member: Member) -> None:
    blocked = member.folder / "identity.json" / "data"
    ended = start_alone(cluster, member, data_dir=str(blocked))
    assert ended.code == 1
    assert f"{blocked} cannot be used as data folder: Not a directory" in ended.text
    assert "Choose another --data-dir" in ended.text


def test_folder_of_another_user_is_refused(cluster: LocalCluster, member: Member) -> None:
    """As a user who may not write there: root without the two capabilities that let it, or anybody in a closed folder."""
    prefix: list[str] = []
    if os.getuid() == 0:
        os.chown(member.folder, 65534, 65534)
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    member.folder.chmod(0o700 if prefix else 0o500)
    ended = start_alone(cluster, member, prefix=prefix)
    member.folder.chmod(0o700)
    assert ended.code == 1
    assert f"{member.folder} cannot be used as data folder: Permission denied" in ended.text
    assert "give this user the right to write there" in ended.text


def test_foreign_folder_is_refused(cluster: LocalCluster, member: Member, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"jpg")
    ended = start_alone(cluster, member, data_dir=str(folder))
    assert ended.code == 1
    assert "is not empty (holiday.jpg), and not a data folder of raftwerk" in ended.text


def test_etcd_folder_is_refused_with_a_way_to_move_the_data(
    cluster: LocalCluster, member: Member, tmp_path: Path
) -> None:
    (tmp_path / "default.etcd" / "member").mkdir(parents=True)
    ended = start_alone(cluster, member, data_dir=str(tmp_path / "default.etcd"))
    assert ended.code == 1
    assert "is a data folder of etcd" in ended.text
    assert "make-mirror" in ended.text


def test_inspect_finds_a_log_that_is_not_this_member_s(cluster_of_three: LocalCluster) -> None:
    """Every checksum is right, and yet it would be refused."""
    first, second, _ = cluster_of_three.members
    segment_file(first).write_bytes(segment_file(second).read_bytes())
    inspected = run("inspect", str(first.folder))
    assert inspected.code == 1
    assert f"{segment_file(first)} belongs to member {identity(second)}" in inspected.text


def test_inspect_of_a_whole_folder_changes_nothing(cluster: LocalCluster, member: Member) -> None:
    before = {path: path.read_bytes() for path in member.folder.rglob("*") if path.is_file()}
    inspected = run("inspect", str(member.folder))
    assert inspected.code == 0
    assert "Every checksum is right" in inspected.text
    after = {path: path.read_bytes() for path in member.folder.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    changed = [path.name for path, data in after.items() if data != before[path]]
    assert changed in ([], ["lock.mdb"]), "LMDB notes its readers there"
