"""Snapshot files: what is in one is told, what is not whole is refused, and a member made from one goes on from there."""

import hashlib
from pathlib import Path
from random import Random

import pytest

from raftwerk.errors import DataDirError, UsageError
from raftwerk.kv.commands import (
    AlarmKind,
    AlarmSet,
    DeleteRange,
    PublishMember,
    Put,
    RangeQuery,
    encode,
)
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import KvError, RangeResult
from raftwerk.kv.store import Table
from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.replica.position import Position
from raftwerk.runtime.data_dir import open_data_dir
from raftwerk.runtime.identifiers import node_ids
from raftwerk.runtime.settings import Settings
from raftwerk.runtime.snapshot_file import check_copy, look_at, of_folder, restore
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.storage.stream import encode_stream
from tests.checkpoints import complete, read_all
from tests.runtime.nodes import settings_of

INDEX, TERM = 40, 7
REVISION = 31


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """29 puts to 10 keys and a deletion; with an alarm, of a member that is known."""
    folder = tmp_path_factory.mktemp("old")
    store = LmdbStore(folder / "store")
    machine = KvMachine(store)
    commands = [Put(b"key%d" % (n % 10), b"value%d" % n) for n in range(29)]
    others = [
        DeleteRange(b"key3"),
        AlarmSet(AlarmKind.CORRUPT, 5, is_raised=True),
        PublishMember(5, "old", (), ()),
    ]
    position = Position(INDEX, TERM, Membership((1, 2, 5)).encode()).encode()
    machine.apply([encode(one) for one in (*commands, *others)], INDEX, position)
    complete(machine.begin_checkpoint())
    reader = machine.open_snapshot()
    data = read_all(reader)
    reader.close()
    store.close()
    data += bytes(-len(data) % 512)
    path = folder / "snapshot.db"
    path.write_bytes(data + hashlib.sha256(data).digest())
    return path


def test_facts_are_told(snapshot: Path) -> None:
    facts = look_at(snapshot)
    assert (facts.revision, facts.compacted_revision, facts.keys) == (REVISION, 0, 9)
    assert facts.file_bytes == snapshot.stat().st_size
    assert facts.digest == snapshot.read_bytes()[-32:].hex()
    assert facts.stream_bytes < facts.file_bytes - 32


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (0, "does not begin like one"),
        (200, "the checksum of the stream is wrong"),
        (-100, "more follows the end of the stream"),
        (-1, "its SHA-256 is wrong"),
    ],
)
def test_changed_byte_is_noticed(snapshot: Path, tmp_path: Path, place: int, text: str) -> None:
    data = bytearray(snapshot.read_bytes())
    data[place] ^= 1
    broken = tmp_path / "broken.db"
    broken.write_bytes(data)
    with pytest.raises(
        DataDirError, match=rf"no whole snapshot of raftwerk: .*{text}.*\. Take another one\.$"
    ):
        look_at(broken)


def test_copy_is_whole_if_its_stream_and_its_digest_are(snapshot: Path, tmp_path: Path) -> None:
    """A digest alone would be right for a stream that was cut off before it was made."""
    check_copy(snapshot)
    stream = snapshot.read_bytes()[: look_at(snapshot).stream_bytes]
    cut = stream[:512]
    bad = tmp_path / "cut.db"
    bad.write_bytes(cut + hashlib.sha256(cut).digest())
    with pytest.raises(DataDirError, match="no whole snapshot of raftwerk"):
        check_copy(bad)


def test_row_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    stream = b"".join(encode_stream(iter([(int(Table.KEYS), b"key", b"short")])))
    data = stream + bytes(-len(stream) % 512)
    path = tmp_path / "odd.db"
    path.write_bytes(data + hashlib.sha256(data).digest())
    with pytest.raises(DataDirError, match="a row cannot be read"):
        look_at(path)


def test_copy_of_etcd_is_whole_if_its_digest_is_right(tmp_path: Path) -> None:
    path = tmp_path / "etcd.db"
    data = bytes(16) + b"\xed\xda\x0c\xed" + bytes(1004)
    path.write_bytes(data + hashlib.sha256(data).digest())
    check_copy(path)
    path.write_bytes(data + hashlib.sha256(data + b"x").digest())
    with pytest.raises(DataDirError, match="no whole snapshot of etcd: its SHA-256 is wrong"):
        check_copy(path)
    for size in (0, 31, 512, len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(DataDirError, match="no whole snapshot of etcd: its end is missing"):
            check_copy(path)


@pytest.mark.parametrize("missing", [1, 32, 512, 544])
def test_short_file_is_refused(snapshot: Path, tmp_path: Path, missing: int) -> None:
    short = tmp_path / "short.db"
    short.write_bytes(snapshot.read_bytes()[:-missing])
    (settings,) = settings_of(tmp_path)
    with pytest.raises(DataDirError):
        restore(short, settings, bump_revision=0, mark_compacted=False)
    assert [path.name for path in tmp_path.iterdir()] == ["short.db"]


def test_no_file_and_existing_folder_are_refused(snapshot: Path, tmp_path: Path) -> None:
    (settings,) = settings_of(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        restore(tmp_path / "none", settings, bump_revision=0, mark_compacted=False)
    settings.data_dir.mkdir()
    (settings.data_dir / "letters.txt").write_text("dear")
    with pytest.raises(UsageError, match="is there already"):
        restore(snapshot, settings, bump_revision=0, mark_compacted=False)


def test_empty_folder_is_taken(snapshot: Path, tmp_path: Path) -> None:
    (settings,) = settings_of(tmp_path)
    settings.data_dir.mkdir()
    assert restored(snapshot, settings).revision == REVISION


def restored(
    snapshot: Path, settings: Settings, bump: int = 0, *, compacted: bool = False
) -> KvMachine:
    """The machine of a member that starts on the new folder, whose core has been made too."""
    restore(snapshot, settings, bump_revision=bump, mark_compacted=compacted)
    folder = open_data_dir(settings)
    core = folder.start_core(Config(), Random(1), Membership((9,)))
    ids = tuple(sorted(node_ids(settings).values()))
    assert core.state.membership == Membership(ids)
    assert core.state.current_term == TERM
    machine = folder.machine
    folder.wal.close()
    return machine


def test_member_goes_on_with_all_history(snapshot: Path, tmp_path: Path) -> None:
    settings, *_ = settings_of(tmp_path, 3)
    machine = restored(snapshot, settings)
    found = machine.range(RangeQuery(b"key", b"kez"))
    assert isinstance(found, RangeResult)
    assert (found.revision, found.count) == (REVISION, 9)
    older = machine.range(RangeQuery(b"key3", revision=REVISION - 1))
    assert isinstance(older, RangeResult)
    assert older.count == 1
    assert machine.members.all() == []
    assert not machine.alarms.raised


def test_only_members_with_the_same_data_are_one_cluster(snapshot: Path, tmp_path: Path) -> None:
    """Neither one that begins empty, nor one that was restored otherwise: they would apply the same log to other data."""
    empty, same, twin, later, cut, foreign = settings_of(tmp_path, 6)
    padded = snapshot.read_bytes()[:-32] + bytes(512)
    another = tmp_path / "another.db"
    another.write_bytes(padded + hashlib.sha256(padded).digest())
    restore(another, foreign, bump_revision=0, mark_compacted=False)
    restore(snapshot, same, bump_revision=0, mark_compacted=False)
    restore(snapshot, twin, bump_revision=0, mark_compacted=False)
    restore(snapshot, later, bump_revision=9, mark_compacted=False)
    restore(snapshot, cut, bump_revision=0, mark_compacted=True)
    ids = []
    for each in (empty, same, twin, later, cut, foreign):
        for _ in range(2):  # a restart finds the same again
            folder = open_data_dir(each)
            folder.wal.close()
            folder.close()
            ids.append(folder.cluster_id)
    assert ids[::2] == ids[1::2]
    assert len(set(ids)) == 5
    assert ids[2] == ids[4]


def test_revision_goes_on_later(snapshot: Path, tmp_path: Path) -> None:
    (settings,) = settings_of(tmp_path)
    machine = restored(snapshot, settings, 1000, compacted=True)
    assert machine.revision == REVISION + 1000
    assert machine.range(RangeQuery(b"key1", revision=REVISION)) is KvError.COMPACTED
    assert isinstance(machine.range(RangeQuery(b"key1")), RangeResult)


def test_folder_without_a_checkpoint_is_no_copy_of_anything(tmp_path: Path) -> None:
    """What would be saved could not be restored."""
    LmdbStore(tmp_path / "store").close()
    with pytest.raises(DataDirError, match="holds no checkpoint yet"):
        list(of_folder(tmp_path))


def test_folder_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)
    with pytest.raises(DataDirError, match=r"x cannot be read: File name too long"):
        list(of_folder(folder))
