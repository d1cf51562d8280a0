"""The store on disk keeps the contract of all stores, and says clearly what is wrong with a folder."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from raftwerk.errors import CorruptData, DataDirError, DiskFailed, DiskFull
from raftwerk.storage.lmdb_store import CURRENT, SLICE_ROWS, LmdbStore, translated
from tests.storage.contract import KEYS, Setting, StoreContract, read_all


class LmdbSetting(Setting):
    """A crash: the folder as it is, copied while the store is open, opens as another store."""

    store: LmdbStore

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copies = 0
        self.store = LmdbStore(path / "0")
        self._open: list[LmdbStore] = [self.store]

    @property
    def folder(self) -> Path:
        return self.path / str(self._copies)

    def crash(self) -> None:
        old = self.folder
        self._copies += 1
        shutil.copytree(old, self.folder)
        self.store = LmdbStore(self.folder)
        self._open.append(self.store)

    def fresh(self) -> LmdbStore:
        return LmdbStore(self.path / "fresh")

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


class TestLmdbStore(StoreContract):
    @pytest.fixture
    def setting(self, tmp_path: Path) -> Iterator[Setting]:
        setting = LmdbSetting(tmp_path)
        yield setting
        setting.close()


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[LmdbSetting]:
    setting = LmdbSetting(tmp_path)
    yield setting
    setting.close()


def test_checkpoint_is_written_in_slices(setting: LmdbSetting) -> None:
    setting.put(*(b"%06d" % number for number in range(2 * SLICE_ROWS + 1)))
    checkpoint = setting.store.begin_checkpoint(1)
    assert checkpoint is not None
    assert [checkpoint.write() for _ in range(3)] == [False, False, True]
    checkpoint.commit()
    checkpoint.finish(committed=True)
    assert len(setting.keys()) == 2 * SLICE_ROWS + 1


class HashedKey(bytes):
    """Counts how often one was looked up or stored, in `hashes`."""

    hashes = 0

    def __hash__(self) -> int:
        HashedKey.hashes += 1
        return bytes.__hash__(self)


def test_failed_checkpoint_is_given_back_without_a_copy_of_its_rows(setting: LmdbSetting) -> None:
    """They may be many, and the loop waits: only the few that were written meanwhile are moved."""
    setting.put(*(HashedKey(b"%04d" % number) for number in range(1000)))
    checkpoint = setting.store.begin_checkpoint(1)
    assert checkpoint is not None
    setting.put(HashedKey(b"new"))
    HashedKey.hashes = 0
    checkpoint.finish(committed=False)
    assert 0 < HashedKey.hashes < 10
    assert len(setting.keys()) == 1001


def test_leftovers_of_a_restore_are_removed_at_the_start(setting: LmdbSetting) -> None:
    setting.put(b"ours")
    setting.checkpoint()
    reader = setting.store.open_snapshot()
    writer = setting.store.begin_restore()
    writer.write(read_all(reader))
    reader.close()
    writer.commit()
    assert sorted(path.name for path in setting.folder.glob("data-*")) == [
        "data-000001",
        "data-000002",
    ]
    setting.crash()
    assert [path.name for path in setting.folder.glob("data-*")] == ["data-000001"]


def test_swap_removes_the_old_environment(setting: LmdbSetting) -> None:
    reader = setting.store.open_snapshot()
    writer = setting.store.begin_restore()
    writer.write(read_all(reader))
    reader.close()
    writer.commit()
    writer.swap()
    setting.close()
    assert [path.name for path in setting.folder.glob("data-*")] == ["data-000002"]
    assert (setting.folder / CURRENT).read_text() == "data-000002 1\n"


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
    "content", ["data-000009\n", "../data-000001\n", ""], ids=["absent", "foreign", "empty"]
)
def test_current_that_names_nothing_is_refused(tmp_path: Path, content: str) -> None:
    LmdbStore(tmp_path).close()
    (tmp_path / CURRENT).write_text(content)
    with pytest.raises(CorruptData, match="which is not there"):
        LmdbStore(tmp_path)


@pytest.mark.parametrize("version", ["", " 2"], ids=["none", "newer"])
def test_store_of_another_format_is_refused(tmp_path: Path, version: str) -> None:
    """Rows that mean something else must not be read as if they did not."""
    LmdbStore(tmp_path).close()
    (tmp_path / CURRENT).write_text(f"data-000001{version}\n")
    with pytest.raises(DataDirError, match="this version of raftwerk reads format 1"):
        LmdbStore(tmp_path)


def test_missing_folder_is_refused_when_only_read(tmp_path: Path) -> None:
    with pytest.raises(DataDirError, match="cannot be read"):
        LmdbStore(tmp_path / "nothing", read_only=True)


def test_file_that_is_cut_off_is_refused(setting: LmdbSetting) -> None:
    """LMDB maps the file: a page beyond its end would end the process."""
    setting.put(*(b"%04d" % number for number in range(1000)), value=b"x" * 100)
    setting.checkpoint()
    setting.close()
    file = setting.folder / "data-000001" / "data.mdb"
    with file.open("r+b") as data:
        data.truncate(file.stat().st_size // 2)
    with pytest.raises(CorruptData, match="the file ends here"):
        LmdbStore(setting.folder)


def test_file_that_is_no_environment_is_refused(tmp_path: Path) -> None:
    LmdbStore(tmp_path).close()
    (tmp_path / "data-000001" / "data.mdb").write_bytes(b"no environment" * 1000)
    with pytest.raises(CorruptData, match="LMDB says"):
        LmdbStore(tmp_path)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lmdb.MapFullError("full"), DiskFull),
        (lmdb.DiskError(os.strerror(errno.ENOSPC)), DiskFull),
        (lmdb.DiskError(os.strerror(errno.EDQUOT)), DiskFull),
        (lmdb.DiskError(os.strerror(errno.EIO)), DiskFailed),
    ],
    ids=["map full", "no space", "over quota", "io error"],
)
def test_errors_of_the_disk_are_full_or_failed(
    tmp_path: Path, error: Exception, kind: type[Exception]
) -> None:
    assert type(translated(error, tmp_path)) is kind
