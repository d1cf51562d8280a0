"""The store on disk keeps the contract of all stores, and says clearly what is wrong with a folder."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from raftwerk.durability import SnapshotWriter
from raftwerk.errors import CorruptData, DataDirError, DiskFailed, DiskFull
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_environment import lengthen
from raftwerk.storage.lmdb_rows import LmdbRows
from raftwerk.storage.lmdb_store import CURRENT, LmdbStore
from raftwerk.storage.overlay import SLICE_ROWS
from tests.checkpoints import read_all
from tests.fakes.damage import flip_bit_in
from tests.fakes.system_calls import calls_during
from tests.storage.contract import KEYS, LONG, Setting, StoreContract, clean, receive
from tests.storage.lmdb_setting import LmdbSetting


class TestLmdbStore(StoreContract):
    @pytest.fixture
    def setting(self, tmp_path: Path) -> Iterator[Setting]:
        setting = LmdbSetting(tmp_path)
        yield setting
        setting.close()


def test_leftovers_of_a_restore_are_removed_at_the_start(setting: LmdbSetting) -> None:
    setting.put(b"ours")
    setting.checkpoint()
    reader = setting.store.open_snapshot()
    writer = setting.store.begin_restore()
    writer.write(read_all(reader))
    reader.close()
    assert sorted(path.name for path in setting.folder.glob("data-*")) == [
        "data-000001",
        "data-000002",
    ]
    setting.crash()
    assert [path.name for path in setting.folder.glob("data-*")] == ["data-000001"]


def restored(setting: LmdbSetting) -> SnapshotWriter:
    """The store's own state, committed as that of another node."""
    reader = setting.store.open_snapshot()
    writer = setting.store.begin_restore()
    writer.write(read_all(reader))
    reader.close()
    writer.commit()
    return writer


def test_commit_replaces_current_when_the_state_is_durable(setting: LmdbSetting) -> None:
    reader = setting.store.open_snapshot()
    writer = setting.store.begin_restore()
    writer.write(read_all(reader))
    reader.close()
    calls = calls_during(writer.commit)
    assert calls == ["sync", "fsync", "fsync", "rename", "fsync"], "names in the new folder first"
    assert (setting.folder / CURRENT).read_text() == "data-000002 3\n"
    writer.swap()


def test_swap_touches_no_disk_and_cleaning_removes_the_old_environment(
    setting: LmdbSetting,
) -> None:
    writer = restored(setting)
    assert calls_during(writer.swap) == []
    assert (setting.folder / "data-000001").exists()
    clean(writer)
    assert [path.name for path in setting.folder.glob("data-*")] == ["data-000002"]


def test_given_up_after_the_commit_the_new_environment_stays(setting: LmdbSetting) -> None:
    """The node stops at the worst moment."""
    writer = restored(setting)
    writer.abort()
    clean(writer)
    setting.close()
    assert (setting.folder / "data-000002" / "data.mdb").exists()
    LmdbStore(setting.folder).close()


def test_restore_does_not_wait_for_the_removal_of_the_one_before(setting: LmdbSetting) -> None:
    reader = setting.store.open_snapshot()
    stream = read_all(reader)
    reader.close()
    given_up, writer = setting.store.begin_restore(), setting.store.begin_restore()
    given_up.write(stream)
    given_up.abort()
    writer.write(stream)
    clean(given_up)
    writer.commit()
    writer.swap()
    clean(writer)
    assert [path.name for path in setting.folder.glob("data-*")] == ["data-000003"]


def test_snapshot_that_is_read_during_the_swap_ends_there(setting: LmdbSetting) -> None:
    """Its transaction ends on the loop: the environment is closed in another thread."""
    setting.put(*(b"%04d" % number for number in range(1000)))
    setting.checkpoint()
    reader = setting.store.open_snapshot()
    reader.read(0, 100)
    writer = restored(setting)
    writer.swap()
    with pytest.raises(lmdb.Error):
        reader.read(100, 1_000_000)
    reader.close()
    clean(writer)


def test_current_that_cannot_be_replaced_stops_the_node_and_nothing_is_removed(
    setting: LmdbSetting,
) -> None:
    reader = setting.store.open_snapshot()
    writer = setting.store.begin_restore()
    writer.write(read_all(reader))
    reader.close()
    (setting.folder / CURRENT).unlink()
    (setting.folder / CURRENT).mkdir()
    with pytest.raises(DiskFailed, match="could not replace"):
        writer.commit()


def test_current_that_cannot_be_drafted_leaves_the_present_state(setting: LmdbSetting) -> None:
    reader = setting.store.open_snapshot()
    writer = setting.store.begin_restore()
    writer.write(read_all(reader))
    reader.close()
    (setting.folder / f"{CURRENT}.new").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        writer.commit()
    writer.abort()
    clean(writer)
    assert [path.name for path in setting.folder.glob("data-*")] == ["data-000001"]


def test_read_only_store_shows_the_last_checkpoint_of_a_folder_in_use(setting: LmdbSetting) -> None:
    setting.put(b"durable")
    setting.checkpoint()
    setting.put(b"not yet")
    # Another process: LMDB does not let one process open an environment twice
    shutil.copytree(setting.folder, setting.path / "other")
    other = LmdbStore(setting.path / "other", read_only=True)
    assert [key for key, _ in other.scan(KEYS, b"", None)] == [b"durable"]
    other.close()


@pytest.mark.parametrize(
    "content",
    ["data-000009\n", "../data-000001\n", "data-\n", ""],
    ids=["absent", "foreign", "unnumbered", "empty"],
)
def test_current_that_names_nothing_is_refused(tmp_path: Path, content: str) -> None:
    LmdbStore(tmp_path).close()
    (tmp_path / "data-").mkdir()
    (tmp_path / CURRENT).write_text(content)
    with pytest.raises(CorruptData, match="which is not there"):
        LmdbStore(tmp_path)


def test_current_that_is_no_text_is_refused(tmp_path: Path) -> None:
    LmdbStore(tmp_path).close()
    (tmp_path / CURRENT).write_bytes(b"data-\xe10001 3\n")
    with pytest.raises(CorruptData, match="damaged at byte 5: this is no text"):
        LmdbStore(tmp_path)


@pytest.mark.parametrize("version", ["", " 1", " 4"], ids=["none", "older", "newer"])
def test_store_of_another_format_is_refused(tmp_path: Path, version: str) -> None:
    """Rows that mean something else must not be read as if they did not."""
    LmdbStore(tmp_path).close()
    (tmp_path / CURRENT).write_text(f"data-000001{version}\n")
    with pytest.raises(DataDirError, match="this version of raftwerk reads format 3, and 2\\."):
        LmdbStore(tmp_path)


def test_missing_folder_is_refused_when_only_read(tmp_path: Path) -> None:
    with pytest.raises(DataDirError, match="cannot be read"):
        LmdbStore(tmp_path / "nothing", read_only=True)


@pytest.mark.parametrize("read_only", [False, True], ids=["start", "inspect"])
@pytest.mark.parametrize("part", [0.5, 0.8], ids=["half", "more"])
def test_file_that_is_cut_off_is_refused(
    setting: LmdbSetting, part: float, read_only: bool
) -> None:
    """LMDB maps the file: a page beyond its end would end the process."""
    setting.put(*(b"%04d" % number for number in range(1000)), value=b"x" * 100)
    setting.checkpoint()
    setting.close()
    file = setting.folder / "data-000001" / "data.mdb"
    size = int(file.stat().st_size * part)
    os.truncate(file, size)
    with pytest.raises(CorruptData, match="the file ends here"):
        LmdbStore(setting.folder, read_only=read_only)
    assert file.stat().st_size == size


@pytest.mark.parametrize("read_only", [False, True], ids=["start", "inspect"])
def test_file_that_ends_before_pages_that_hold_nothing_is_whole(
    setting: LmdbSetting, read_only: bool
) -> None:
    """A transaction takes pages at the end and gives them back, as a bucket of long keys grows: LMDB does not write these."""
    keys = [b"k" * 500 + b"%0200d" % number for number in range(3 * SLICE_ROWS)]
    setting.put(*keys[:20], value=b"v" * 45)
    setting.checkpoint()
    environment = setting.store._environment
    with environment.begin(write=True) as transaction:
        rows = LmdbRows(environment, setting.store._tables, transaction)
        for start in range(20, len(keys), SLICE_ROWS):
            some = keys[start : start + SLICE_ROWS]
            rows.write(Table.KEYS, [(key, b"v" * 45) for key in some])
            rows.finish()
    lengthen(environment, setting.folder / "data-000001")
    setting.close()
    file = setting.folder / "data-000001" / "data.mdb"
    end = file.read_bytes().rstrip(b"\0")
    whole = file.stat().st_size
    os.truncate(file, -(-len(end) // 4096) * 4096)
    assert file.stat().st_size < whole, "as it is without what a checkpoint does for it"
    store = LmdbStore(setting.folder, read_only=read_only)
    assert [key for key, _ in store.scan(Table.KEYS, b"", None)] == keys
    store.close()
    assert (file.stat().st_size == whole) is not read_only


def test_file_that_is_no_environment_is_refused(tmp_path: Path) -> None:
    LmdbStore(tmp_path).close()
    (tmp_path / "data-000001" / "data.mdb").write_bytes(b"no environment" * 1000)
    with pytest.raises(CorruptData, match="LMDB says"):
        LmdbStore(tmp_path)


def test_snapshots_that_were_read_give_their_places_back(setting: LmdbSetting) -> None:
    """LMDB has 126 for readers. Whoever still knows a closed one does not keep its place."""
    setting.put(b"key", value=b"value")
    setting.checkpoint()
    kept = []
    for _ in range(200):
        reader = setting.store.open_snapshot()
        assert reader.read(0, 10)
        reader.close()
        kept.append(reader)


def test_damaged_row_breaks_off_a_snapshot(setting: LmdbSetting) -> None:
    setting.put(b"key", value=b"precious")
    setting.checkpoint()
    flip_bit_in(setting.folder / "data-000001" / "data.mdb", b"precious")
    reader = setting.store.open_snapshot()
    with pytest.raises(CorruptData, match="the row of key b'key' has a wrong checksum"):
        read_all(reader)
    reader.close()


def test_damage_is_told_after_a_restore_too(setting: LmdbSetting) -> None:
    told: list[CorruptData] = []
    setting.put(b"key", value=b"precious")
    setting.checkpoint()
    setting.store.on_damage = told.append
    writer = restored(setting)
    writer.swap()
    flip_bit_in(setting.folder / "data-000002" / "data.mdb", b"precious")
    with pytest.raises(CorruptData) as caught:
        setting.store.get(KEYS, b"key")
    assert told == [caught.value]
    clean(writer)


def test_bucket_of_long_keys_that_comes_in_many_chunks_is_written_once(
    setting: LmdbSetting,
) -> None:
    """Each time, all of it is: a hundred thousand of them took a restore twenty seconds. What is written anew leaves pages."""
    keys = [LONG + b"%06d" % number for number in range(5_000)]
    setting.put(*keys, b"short")
    setting.checkpoint()
    reader = setting.store.open_snapshot()
    stream = read_all(reader, 1_000_000)
    reader.close()
    writer = setting.store.begin_restore()
    receive(writer, stream)
    writer.swap()
    clean(writer)
    allocated, in_use = setting.store.size_bytes
    assert setting.keys() == [*keys, b"short"]
    assert allocated < 2 * in_use
