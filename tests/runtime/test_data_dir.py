"""The data folder: whose it is, that one process has it, and that nothing is held when it cannot be opened."""

import json
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from raftwerk.errors import CorruptData, DataDirError
from raftwerk.kv.commands import Put, encode
from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.replica.position import Position
from raftwerk.runtime.data_dir import DataDir, check_data_dir, open_data_dir
from raftwerk.runtime.settings import Settings
from tests.checkpoints import complete
from tests.runtime.nodes import open_files_in, settings_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def close(folder: DataDir) -> None:
    folder.wal.close()
    folder.close()


def checkpoint(folder: DataDir) -> None:
    """Apply one put and make it durable, as the replica does."""
    position = Position(1, 1, Membership((folder.node_id,)).encode()).encode()
    folder.machine.apply([encode(Put(b"key", b"value"))], 1, position)
    complete(folder.machine.begin_checkpoint())


def test_new_folder_is_made_with_all_its_parts(settings: Settings) -> None:
    folder = open_data_dir(settings)
    close(folder)
    assert folder.recovered.is_new
    assert {path.name for path in settings.data_dir.iterdir()} == {
        "LOCK",
        "identity.json",
        "peers.json",
        "wal",
        "store",
    }


def test_folder_is_found_again(settings: Settings) -> None:
    first = open_data_dir(settings)
    checkpoint(first)
    close(first)
    again = open_data_dir(settings)
    position = Position.decode(again.machine.position)
    close(again)
    assert (again.cluster_id, again.node_id) == (first.cluster_id, first.node_id)
    assert not again.recovered.is_new
    assert (position.last_index, position.last_term) == (1, 1)


def test_folder_is_locked_until_it_is_closed(settings: Settings) -> None:
    folder = open_data_dir(settings)
    for claim in (open_data_dir, check_data_dir):
        with pytest.raises(DataDirError, match="in use by another process"):
            claim(settings)
    close(folder)
    check_data_dir(settings)
    close(open_data_dir(settings))


def test_folder_of_another_cluster_is_refused(settings: Settings) -> None:
    close(open_data_dir(settings))
    for claim in (open_data_dir, check_data_dir):
        with pytest.raises(DataDirError, match="another cluster"):
            claim(replace(settings, initial_cluster_token="another"))


def test_folder_of_another_member_is_refused(settings: Settings) -> None:
    cluster = {"a": ("http://a:1",), "b": ("http://b:1",)}
    a, b = (
        replace(
            settings,
            name=name,
            initial_cluster=cluster,
            initial_advertise_peer_urls=cluster[name],
        )
        for name in cluster
    )
    close(open_data_dir(a))
    with pytest.raises(DataDirError, match="another member of this cluster"):
        open_data_dir(b)


def test_folder_of_etcd_is_refused_with_the_way_out(settings: Settings) -> None:
    (settings.data_dir / "member").mkdir(parents=True)
    with pytest.raises(DataDirError, match="etcdctl make-mirror"):
        open_data_dir(settings)


def test_folder_with_other_files_is_refused_and_left_alone(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "letters.txt").write_text("dear")
    with pytest.raises(DataDirError, match=r"not empty \(letters\.txt\)"):
        open_data_dir(settings)
    assert {path.name for path in settings.data_dir.iterdir()} == {"LOCK", "letters.txt"}


def test_lost_log_beside_a_store_with_data_is_refused(settings: Settings) -> None:
    folder = open_data_dir(settings)
    checkpoint(folder)
    close(folder)
    for segment in (settings.data_dir / "wal").iterdir():
        segment.unlink()
    with pytest.raises(DataDirError, match="the log was lost"):
        open_data_dir(settings)


def test_store_of_another_member_is_refused(tmp_path: Path) -> None:
    """Its log is another one. One that does not say whose it is, of an earlier version, is this member's from now on."""
    first, second = settings_of(tmp_path, 2)
    for settings in (first, second):
        folder = open_data_dir(settings)
        checkpoint(folder)
        close(folder)
    store = first.data_dir / "store"
    shutil.rmtree(store)
    shutil.copytree(second.data_dir / "store", store)
    text = r"store belongs to member \w+ of cluster \w+, but this is member \w+ of cluster \w+: "
    with pytest.raises(DataDirError, match=text):
        open_data_dir(first)
    (store / "OWNER").unlink()
    (store / "OWNER.new").mkdir()  # it cannot be written now, as on a full disk
    close(open_data_dir(first))
    (store / "OWNER.new").rmdir()
    close(open_data_dir(first))
    assert (store / "OWNER").read_text() != (second.data_dir / "store" / "OWNER").read_text()


PARTS = ("identity.json", "wal", "store")


def lose(folder: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        path = folder / part
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.mark.parametrize("has_checkpoint", [False, True], ids=["new", "checkpoint"])
@pytest.mark.parametrize(
    "lost",
    [parts for count in (1, 2) for parts in combinations(PARTS, count)],
    ids=" and ".join,
)
def test_a_folder_of_which_parts_are_lost_is_refused_and_left_alone(
    settings: Settings, lost: tuple[str, ...], has_checkpoint: bool
) -> None:
    """Nothing is made anew in it: the member would have forgotten what it promised."""
    folder = open_data_dir(settings)
    if has_checkpoint:
        checkpoint(folder)
    close(folder)
    lose(settings.data_dir, lost)
    for _ in range(2):
        with pytest.raises(DataDirError, match="missing") as caught:
            open_data_dir(settings)
        assert lost[0] in str(caught.value)
    assert {path.name for path in settings.data_dir.iterdir()} == {
        "LOCK",
        "peers.json",
        *PARTS,
    } - set(lost)


def test_who_forgot_whom_it_met_is_refused(tmp_path: Path) -> None:
    """It would let in a member that lost its folder. A member without peers has nobody to remember."""
    alone = settings_of(tmp_path / "alone")
    cluster = settings_of(tmp_path / "cluster", 2)
    for each in (*alone, *cluster):
        close(open_data_dir(each))
        (each.data_dir / "peers.json").unlink()
    close(open_data_dir(alone[0]))
    with pytest.raises(DataDirError, match=r"peers\.json missing") as caught:
        open_data_dir(cluster[0])
    assert "never reached another member" in str(caught.value)
    (cluster[0].data_dir / "peers.json").write_text("{}")
    close(open_data_dir(cluster[0]))


@pytest.mark.parametrize(
    "lost", [(), ("wal",), ("store",), ("wal", "store")], ids=["none", "log", "store", "both"]
)
def test_a_folder_that_a_crash_left_incomplete_is_completed(
    settings: Settings, lost: tuple[str, ...]
) -> None:
    """Nobody has met it: its life begins with the last part."""
    close(open_data_dir(settings))
    identity = settings.data_dir / "identity.json"
    fields = json.loads(identity.read_text())
    identity.write_text(json.dumps({**fields, "life": "0"}))
    lose(settings.data_dir, lost)
    folder = open_data_dir(settings)
    close(folder)
    assert folder.life
    again = open_data_dir(settings)
    close(again)
    assert again.life == folder.life


def test_existing_cluster_needs_an_existing_folder(settings: Settings) -> None:
    """A member that lost its data could otherwise vote a second time."""
    existing = replace(settings, initial_cluster_state="existing")
    with pytest.raises(DataDirError, match="says that this member has data"):
        open_data_dir(existing)
    assert not settings.data_dir.exists()
    close(open_data_dir(settings))
    close(open_data_dir(existing))


def test_unusable_folder_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DataDirError, match="data"):
        open_data_dir(Settings(data_dir=tmp_path / "data"))


def damage_identity(folder: Path) -> None:
    (folder / "identity.json").write_text("{")


def damage_log(folder: Path) -> None:
    segment = min((folder / "wal").glob("0*"))
    data = bytearray(segment.read_bytes())
    data[20] ^= 0xFF
    segment.write_bytes(data)


def damage_store(folder: Path) -> None:
    (database,) = (folder / "store").glob("*/data.mdb")
    database.write_bytes(b"\xff" * 8192)


@pytest.mark.parametrize("damage", [damage_identity, damage_log, damage_store])
def test_failed_opening_holds_nothing(settings: Settings, damage: object) -> None:
    """Neither the lock nor the log nor the store: after the repair it opens."""
    folder = open_data_dir(settings)
    checkpoint(folder)
    close(folder)
    files = {path: path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file()}
    damage(settings.data_dir)  # type: ignore[operator]
    with pytest.raises((CorruptData, DataDirError)) as caught:
        open_data_dir(settings)
    assert open_files_in(settings.data_dir) == [], caught.value  # though its frames still live
    for path, data in files.items():
        path.write_bytes(data)
    close(open_data_dir(settings))


def test_core_goes_on_where_the_folder_ends(settings: Settings) -> None:
    folder = open_data_dir(settings)
    raft = folder.start_core(Config(), Random(1), Membership((folder.node_id,)))
    close(folder)
    assert (raft.state.node_id, raft.state.log.last_index) == (folder.node_id, 0)
    assert raft.state.membership.voters == (folder.node_id,)
