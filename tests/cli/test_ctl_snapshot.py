"""`raftwerk snapshot` with real members: saved under load, restored to a new cluster of three, all data equal."""

import hashlib
import itertools
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import LocalCluster, free_ports
from raftwerk.cli.ctl_snapshot import snapshot
from raftwerk.client.txn import put
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.storage.stream import MAGIC
from raftwerk.sync import Client
from tests.checkpoints import complete
from tests.cli.commands import run
from tests.conftest import FAST, StartCluster
from tests.fakes.damage import flip_bit_in
from tests.waiting import until

Row = tuple[bytes, bytes, int, int]


def rows(client: Client) -> list[Row]:
    return [
        (kv.key, kv.value, kv.create_revision, kv.mod_revision)
        for kv in client.scan(b"k", prefix=True)
    ]


MORE = 5_000
"""Keys: the reader of a store pauses every 2,000."""


def write_until(stop: threading.Event, endpoint: str) -> None:
    with Client([endpoint]) as client:
        for number in itertools.count():
            if stop.is_set():
                return
            client.put(b"k%03d" % (number % 100), b"%d" % number)


def test_snapshot_under_load_becomes_a_new_cluster(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    old = start_cluster(3)
    endpoint = f"127.0.0.1:{old.members[0].client_port}"
    path = tmp_path / "snapshot.db"
    path.write_text("of yesterday")
    path.chmod(0o644)
    stop = threading.Event()
    writer = threading.Thread(target=write_until, args=(stop, endpoint))
    path.with_name(path.name + ".part").touch(mode=0o644)  # left by a save that was killed
    with Client([endpoint]) as client:
        client.put(b"k-first", b"1")
        for start in range(0, MORE, 100):
            puts = [put(b"more/%d" % number, b"") for number in range(start, start + 100)]
            client.transaction().then(*puts).commit()
        writer.start()
        try:
            until(lambda: client.count(b"k", prefix=True) >= 100)
            saved = run("snapshot", "save", str(path), f"--endpoints={endpoint}", folder=tmp_path)
        finally:
            stop.set()
            writer.join()
        assert saved.returncode == 0, saved.stderr
        assert path.stat().st_mode & 0o777 == 0o600
        facts = json.loads(command("status", str(path), "--json").stdout)
        at = [
            (kv.key, kv.value, kv.create_revision, kv.mod_revision)
            for kv in client.scan(b"k", prefix=True, revision=facts["revision"])
        ]
    assert (len(at), facts["keys"]) == (101, 101 + MORE)
    old.stop_all()
    new = restored(path, tmp_path / "new")
    try:
        new.start_all()
        new.wait_ready()
        for member in new.members:
            with Client([f"127.0.0.1:{member.client_port}"]) as client:
                assert rows(client) == at
                assert client.count(b"more/", prefix=True) == MORE
                assert len(client.member_list()) == 3
        with Client([f"127.0.0.1:{new.members[1].client_port}"]) as client:
            assert client.put(b"k-more", b"1").header.revision == facts["revision"] + 1
    finally:
        new.stop_all()


def test_what_is_left_of_a_cluster_becomes_a_new_one(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    """Nobody leads the last member, which has what its last checkpoint holds."""
    old = start_cluster(3)
    alone, *lost = old.members
    with Client([alone.client_url]) as client:
        client.put(b"k-first", b"1")
        at = rows(client)
    for member in lost:
        old.kill(member)
    path = tmp_path / "left.db"

    def is_saved() -> bool:
        saved = command("save", str(path), f"--data-dir={alone.folder}")
        if saved.exit_code:
            assert "holds no checkpoint yet" in saved.stderr
            return False
        return bool(json.loads(command("status", str(path), "--json").stdout)["keys"])

    until(is_saved)
    old.stop_all()
    new = restored(path, tmp_path / "new")
    try:
        new.start_all()
        new.wait_ready()
        with Client([new.members[2].client_url]) as client:
            assert rows(client) == at
    finally:
        new.stop_all()


def test_copy_of_a_folder_that_has_no_store_is_2(tmp_path: Path) -> None:
    answer = command("save", str(tmp_path / "copy"), f"--data-dir={tmp_path}")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "is no data folder of raftwerk: there is no store in it" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_copy_of_a_damaged_folder_is_2_and_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = LmdbStore(folder)
    store.put(Table.META, b"position", b"of no copy")
    complete(store.begin_checkpoint(1))
    store.close()
    flip_bit_in(folder / "data-000001" / "data.mdb", b"of no copy")
    answer = command("save", str(tmp_path / "copy"), f"--data-dir={tmp_path}")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == (
        f"raftwerk: {folder / 'data-000001' / 'data.mdb'}: damaged: table meta: the row of key b'position' has a wrong checksum\n"
    )
    assert list(tmp_path.iterdir()) == [folder]


def command(*arguments: str) -> Result:
    """`raftwerk snapshot ...`, without a process of its own."""
    return CliRunner().invoke(snapshot, arguments)


def restored(path: Path, folder: Path) -> LocalCluster:
    cluster = LocalCluster(folder, free_ports(3), [*FAST, "--initial-cluster-token=other"])
    folder.mkdir()
    urls = {one.name: f"http://127.0.0.1:{one.peer_port}" for one in cluster.members}
    for member in cluster.members:
        arguments = (
            f"--name={member.name}",
            f"--data-dir={member.folder}",
            f"--initial-advertise-peer-urls={urls[member.name]}",
            "--initial-cluster=" + ",".join(f"{name}={url}" for name, url in urls.items()),
            "--initial-cluster-token=other",
        )
        done = command("restore", str(path), *arguments)
        assert done.exit_code == 0, done.output
        assert f"restored to {member.folder}: start" in done.stdout
        assert "all of whose members have to be restored from this same file" in done.stdout
        assert "one that an old cluster has lost cannot be brought back so" in done.stdout
        again = command("restore", str(path), *arguments)
        assert again.exit_code == 2
        assert again.stderr.splitlines() == [
            f"raftwerk: {member.folder} is there already: a snapshot is restored into a new --data-dir, or an empty one"
        ]
    return cluster


def test_damaged_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    path.write_bytes(b"rwsnap\x001" + bytes(1000))
    for name in ("status", "restore"):
        done = command(name, str(path))
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1
        assert "is no whole snapshot of raftwerk: its end is missing" in done.stderr


def test_file_of_etcd_is_answered_with_the_way_that_there_is(tmp_path: Path) -> None:
    path = tmp_path / "etcd.db"
    path.write_bytes(bytes(16) + b"\xed\xda\x0c\xed" + bytes(5000))
    for name in ("status", "restore"):
        done = command(name, str(path))
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"raftwerk: {path} is no whole snapshot of raftwerk: ")
        assert "'etcdctl make-mirror' copies the keys of a running etcd" in done.stderr
        assert done.stderr.endswith("docs/migrating.md). Take another one.\n")


def test_copy_that_breaks_off_is_2_and_leaves_no_file(severed: str, tmp_path: Path) -> None:
    """Nothing was changed anywhere: there is no outcome to be unknown."""
    arguments = ["save", str(tmp_path / "copy"), f"--endpoints={severed}"]
    answer = CliRunner().invoke(snapshot, arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("raftwerk: ")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def cut_off() -> Iterator[str]:
    """An endpoint whose snapshots end early, and are told as complete."""

    def snapshots(_: bytes, __: grpc.ServicerContext) -> Iterator[bytes]:
        yield rpc_pb2.SnapshotResponse(blob=MAGIC + bytes(504)).SerializeToString()
        digest = hashlib.sha256(MAGIC + bytes(504)).digest()
        yield rpc_pb2.SnapshotResponse(blob=digest).SerializeToString()

    method = grpc.unary_stream_rpc_method_handler(snapshots)
    handler = grpc.method_handlers_generic_handler("etcdserverpb.Maintenance", {"Snapshot": method})
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_copy_that_is_not_whole_replaces_nothing(cut_off: str, tmp_path: Path) -> None:
    path = tmp_path / "copy"
    path.write_text("of yesterday")
    answer = command("save", str(path), f"--endpoints={cut_off}")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"raftwerk: nothing was saved at {path}: what was to be, ")
    assert "is no whole snapshot of raftwerk: " in answer.stderr
    assert path.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_copy_of_an_etcd_is_saved(etcd_endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "copy"
    answer = command("save", str(path), f"--endpoints={etcd_endpoint}")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == f"snapshot of {path.stat().st_size} bytes saved at {path}\n"


def test_copy_is_of_one_member(severed: str, tmp_path: Path) -> None:
    arguments = ["save", str(tmp_path / "copy"), f"--endpoints={severed},{severed}"]
    answer = CliRunner().invoke(snapshot, arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert f"of one member: choose one of {severed}, {severed}, with --endpoints" in answer.stderr


def test_copy_replaces_nothing_but_files(severed: str, tmp_path: Path) -> None:
    """Root would lose a device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        answer = CliRunner().invoke(snapshot, ["save", str(path), f"--endpoints={severed}"])
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert answer.stderr == f"raftwerk: {path} is there and is no file: it would be replaced\n"
    assert list(tmp_path.iterdir()) == [pipe]
