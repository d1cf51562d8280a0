"""A short LMDB file whose rows are all there is no whole one if the table of free pages is not: writes would go astray."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.changes import Pace
from raftwerk.storage.lmdb_rows import META_PAGES
from raftwerk.storage.lmdb_store import LmdbStore
from tests.checkpoints import complete

PAGE_BYTES = 4096


def rows(store: LmdbStore) -> Iterator[bytes]:
    return (key for key, _ in store.scan(Table.KEYS, b"", None))


def claim_a_page(file: Path) -> None:
    """As if the last transaction had taken a page more, and given it back."""
    with file.open("r+b") as data:
        for meta in (0, PAGE_BYTES):
            data.seek(meta + 16 + 24 + 2 * 48)
            last = int.from_bytes(data.read(8), "little")
            data.seek(-8, os.SEEK_CUR)
            data.write((last + 1).to_bytes(8, "little"))


@pytest.mark.parametrize("count", [300, 1000, 3000], ids=["one page", "two", "more"])
def test_file_without_the_end_of_its_free_pages_is_refused(tmp_path: Path, count: int) -> None:
    """A transaction writes them last, behind the rows. Many are a value on pages of its own."""
    store = LmdbStore(tmp_path)
    for number in range(count):
        store.put(Table.KEYS, b"%04d" % number, bytes(1000))
    complete(store.begin_checkpoint(1))
    for number in range(1, count):
        store.delete(Table.KEYS, b"%04d" % number)
    complete(store.begin_checkpoint(1))
    store.close()
    file = tmp_path / "data-000001" / "data.mdb"
    size = file.stat().st_size - PAGE_BYTES
    os.truncate(file, size)
    with pytest.raises(CorruptData, match="the file ends here"):
        LmdbStore(tmp_path)
    assert file.stat().st_size == size


def put_while_a_snapshot_is_read(folder: Path) -> Path:
    """What is freed meanwhile stays in the table of free pages, which gets branches. Returns the file."""
    store = LmdbStore(folder)
    store.put(Table.KEYS, b"first", b"")
    complete(store.begin_checkpoint(1))
    reader = store.open_snapshot()
    for number in range(300):
        store.put(Table.KEYS, b"%04d" % number, b"k" * 500)
        store.put(Table.REVISIONS, b"%04d" % number, b"")
        complete(store.begin_checkpoint(1))
    reader.close()
    store.close()
    return folder / "data-000001" / "data.mdb"


def test_file_with_all_its_free_pages_is_whole(tmp_path: Path) -> None:
    """Also where their table has branches."""
    file = put_while_a_snapshot_is_read(tmp_path)
    whole = file.stat().st_size
    claim_a_page(file)
    store = LmdbStore(tmp_path)
    assert len(list(rows(store))) == 301
    store.close()
    assert file.stat().st_size == whole + PAGE_BYTES


def test_file_without_the_end_of_a_table_with_branches_is_refused(tmp_path: Path) -> None:
    """All rows are there, and the root of the table."""
    file = put_while_a_snapshot_is_read(tmp_path)
    os.truncate(file, file.stat().st_size - PAGE_BYTES)
    with pytest.raises(CorruptData, match="the file ends here"):
        LmdbStore(tmp_path)


def test_file_without_the_end_of_its_rows_is_refused(tmp_path: Path) -> None:
    """The table of free pages stands before them, in pages that were free."""
    store = LmdbStore(tmp_path)
    for number in range(100):
        store.put(Table.KEYS, b"%04d" % number, bytes(1000))
    complete(store.begin_checkpoint(1))
    for number in range(50):
        store.delete(Table.KEYS, b"%04d" % number)
    complete(store.begin_checkpoint(1))
    store.put(Table.KEYS, b"small", b"")  # what the deletion freed is used by the one after this
    complete(store.begin_checkpoint(1))
    store.put(Table.KEYS, b"large", bytes(100 * PAGE_BYTES))
    complete(store.begin_checkpoint(1))
    store.close()
    file = tmp_path / "data-000001" / "data.mdb"
    os.truncate(file, file.stat().st_size - PAGE_BYTES)
    with pytest.raises(CorruptData, match="the file ends here"):
        LmdbStore(tmp_path)


def test_file_without_the_end_of_what_is_noted_is_refused(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, pace=Pace(few=0))
    store.put(Table.KEYS, b"k" * 100 * PAGE_BYTES, b"row")
    complete(store.begin_checkpoint(1))
    store.close()
    file = tmp_path / "data-000001" / "data.mdb"
    pages = file.stat().st_size // PAGE_BYTES
    whole = file.read_bytes()
    assert pages > 100
    for missing in range(1, pages - META_PAGES, 20):
        file.write_bytes(whole[: (pages - missing) * PAGE_BYTES])
        with pytest.raises(CorruptData, match="the file ends here"):
            LmdbStore(tmp_path)


OPENED_WITH_ANOTHER_PYTHON = """
import sys
from pathlib import Path
from raftwerk.errors import DataDirError
from raftwerk.storage.lmdb_store import LmdbStore

python, sys.executable = sys.executable, sys.argv[2]
try:
    LmdbStore(Path(sys.argv[1])).close()
except DataDirError as error:
    kept = error  # and with it the frames that know the environment
    print(type(error).__name__, error)
sys.executable = python
LmdbStore(Path(sys.argv[1])).close()
print("opened")
"""


def opened_with(tmp_path: Path, program: str | None) -> list[str]:
    """What the above prints for a whole store whose file is short, and such a program in place of Python."""
    folder, python = tmp_path / "store", tmp_path / "python"
    store = LmdbStore(folder)
    store.put(Table.KEYS, b"key", b"value")
    complete(store.begin_checkpoint(1))
    store.close()
    claim_a_page(folder / "data-000001" / "data.mdb")
    if program is not None:
        python.write_text(f"#!/bin/sh\n{program}\n")
        python.chmod(0o700)
    command = [sys.executable, "-c", OPENED_WITH_ANOTHER_PYTHON, str(folder), str(python)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.stderr == ""
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (None, r"cannot be run \(No such file or directory\)"),
        ("exit 0", "ended with 0 and said: nothing"),
        ("echo two >&2; echo lines >&2; exit 1", "ended with 1 and said: lines"),
        ("kill -KILL $$", "ended with -9 and said: nothing"),
    ],
    ids=["is not there", "does something else", "fails", "is killed"],
)
def test_nothing_is_said_to_be_damaged_because_it_could_not_be_read(
    tmp_path: Path, program: str | None, text: str
) -> None:
    """And the environment is closed then: the same process may open it again."""
    refused, opened = opened_with(tmp_path, program)
    python = tmp_path / "python"
    assert re.match(rf"DataDirError .*could not be found out: {python}, which .*{text}", refused)
    assert opened == "opened"


def test_python_that_finds_no_packages_by_itself_is_told_where_they_are(tmp_path: Path) -> None:
    """A program may have found raftwerk by a path that it added itself."""
    program = f'exec {sys.executable} -I -S "$@"'
    assert opened_with(tmp_path, program) == ["opened"]
