"""Rows of KEYS on their way to their places: a store that is cut off anywhere has what its last checkpoint left."""

import shutil
from itertools import combinations
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.changes import (
    Pace,
)
from raftwerk.storage.lmdb_environment import open_environment
from raftwerk.storage.lmdb_rows import LmdbRows
from raftwerk.storage.lmdb_store import CURRENT, PAUSE_ROWS, LmdbStore
from raftwerk.storage.lmdb_tables import open_tables
from raftwerk.storage.stream import StreamDecoder
from tests.checkpoints import complete, read_all

KEYS = Table.KEYS
SMALL = Pace(noted_max=12, portions=3, portion_min=2, few=1, run_keys_max=3)
"""Everything that needs many keys happens with a few."""

NAMES = [b"%c" % letter for letter in b"abcdefghij"] + [b"long" * 200 + b"%d" % n for n in range(3)]
KEY = st.sampled_from(NAMES)
STEP = st.one_of(
    st.tuples(st.just("put"), st.lists(KEY, min_size=1, max_size=6)),
    st.tuples(st.just("delete"), st.lists(KEY, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["checkpoint", "failure", "crash", "snapshot", "scan"]), st.just([])),
)


class World:
    """A store, what should be in it, and what its last checkpoint left."""

    def __init__(self, folder: Path, names: list[bytes] = NAMES, pace: Pace = SMALL) -> None:
        self.folder = folder
        self.names = names
        self.pace = pace
        self.now: dict[bytes, bytes] = {}
        self.durable: dict[bytes, bytes] = {}
        self.writes = 0
        self.store = LmdbStore(folder / "0", pace=pace)

    def do(self, what: str, keys: list[bytes]) -> None:
        getattr(self, what)(keys)

    def put(self, keys: list[bytes]) -> None:
        for key in keys:
            self.writes += 1
            self.now[key] = b"%d" % self.writes
            self.store.put(KEYS, key, self.now[key])

    def delete(self, keys: list[bytes]) -> None:
        for key in keys:
            self.now.pop(key, None)
            self.store.delete(KEYS, key)

    def checkpoint(self, _: list[bytes]) -> None:
        checkpoint = self.store.begin_checkpoint(1)
        if checkpoint is None:
            assert self.durable == self.now
        else:
            before = dict(self.now)
            checkpoint.write()
            self.put(self.names[:1])  # while it is written
            self.delete(self.names[1:2])
            complete(checkpoint)
            self.durable = before

    def failure(self, _: list[bytes]) -> None:
        checkpoint = self.store.begin_checkpoint(1)
        if checkpoint is not None:
            checkpoint.write()
            self.delete(self.names[2:3])
            checkpoint.abort()
            checkpoint.finish(committed=False)

    def crash(self, _: list[bytes]) -> None:
        old = self.folder / str(self.writes)
        shutil.copytree(self.store._folder, old / "copy")
        self.store.close()
        self.writes += 1
        self.store = LmdbStore(old / "copy", pace=self.pace)
        self.now = dict(self.durable)

    def snapshot(self, _: list[bytes]) -> None:
        reader = self.store.open_snapshot()
        rows = StreamDecoder("test").feed(read_all(reader))
        reader.close()
        assert [(key, row) for table, key, row in rows if table == KEYS] == sorted(
            self.durable.items()
        )

    def scan(self, _: list[bytes]) -> None:
        assert list(self.store.scan(KEYS, b"", None)) == sorted(self.now.items())
        for start, stop in combinations(sorted(self.names)[::3], 2):
            span = [(key, row) for key, row in sorted(self.now.items()) if start <= key < stop]
            assert list(self.store.scan(KEYS, start, stop)) == span
        backward = self.store.scan(KEYS, b"", None, reverse=True)
        assert list(backward) == sorted(self.now.items(), reverse=True)
        with_gaps = list(self.store.scan_with_gaps(KEYS, b"", None))
        assert [(key, row) for key, row in with_gaps if row is not None] == sorted(self.now.items())
        assert [key for key, _ in with_gaps] == sorted({key for key, _ in with_gaps})

    def check(self) -> None:
        for key in self.names:
            assert self.store.get(KEYS, key) == self.now.get(key)


CHECKPOINT: tuple[str, list[bytes]] = ("checkpoint", [])


@given(st.lists(STEP, max_size=40))
@example([("put", NAMES), CHECKPOINT, ("delete", NAMES[:4]), CHECKPOINT, CHECKPOINT, ("crash", [])])
@example([("put", NAMES), ("failure", []), CHECKPOINT, ("crash", []), ("snapshot", [])])
@example([("put", NAMES[:1]), ("failure", []), ("put", NAMES), CHECKPOINT, ("crash", [])])
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_store_has_what_was_written_and_after_a_crash_what_was_durable(
    steps: list[tuple[str, list[bytes]]],
) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        for what, keys in steps:
            world.do(what, keys)
            world.check()
        for what in ("scan", "snapshot", "crash", "scan", "checkpoint", "snapshot"):
            world.do(what, [])
            world.check()
        world.store.close()


@pytest.mark.parametrize("seed", range(4))
def test_so_it_is_with_many_keys_and_for_long(tmp_path: Path, seed: int) -> None:
    """Generations are brought to their places in several portions, and cut off in the middle of that."""
    numbers = Random(seed)
    names = [b"%02d" % number for number in range(50)]
    names += [b"long" * 200 + b"%d" % number for number in range(5)]
    pace = Pace(noted_max=60, portions=4, portion_min=2, few=numbers.choice([0, 2]), run_keys_max=4)
    world = World(tmp_path, names, pace)
    what = ["put"] * 6 + ["delete", "delete", "failure", "scan", "snapshot"] + ["checkpoint"] * 4
    for _ in range(25):
        for _ in range(40):
            world.do(numbers.choice(what), numbers.sample(names, numbers.randrange(1, 12)))
            world.check()
        world.do("crash", [])
        world.check()
    world.store.close()


def in_place(folder: Path) -> list[bytes]:
    """The keys whose rows a new environment of the store has in their places."""
    environment = open_environment(folder / "data-000001", read_only=True)
    rows = LmdbRows(environment, open_tables(environment))
    keys = [key for key, _ in rows.scan(KEYS, b"", None)]
    rows.close()
    environment.close()
    return keys


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%04d" % number for number in range(start, start + count)]


def checkpointed(store: LmdbStore, keys: list[bytes]) -> list[bytes]:
    """After a checkpoint with these: what is in its place, in another process's eyes."""
    for key in keys:
        store.put(KEYS, key, b"row")
    complete(store.begin_checkpoint(1))
    copy = store._folder.with_name("copy")
    shutil.copytree(store._folder, copy)
    found = in_place(copy)
    shutil.rmtree(copy)
    return found


def test_many_changes_go_to_their_places_a_part_of_the_keys_at_a_time(tmp_path: Path) -> None:
    """And only when many are noted, as long as many come."""
    store = LmdbStore(tmp_path / "store", pace=Pace(3000, 3, 10, 5))
    assert checkpointed(store, numbered(1000)) == []
    assert checkpointed(store, numbered(1000)) == [], "they are noted twice"
    first = checkpointed(store, numbered(1000, start=1000))
    assert first == numbered(len(first))
    assert 2000 // 3 <= len(first) <= 2 * 2000 // 3
    second = checkpointed(store, numbered(1000, start=2000))
    assert second == numbered(len(second)), "in order, and not those of the next generation"
    assert len(first) < len(second) <= 2000
    store.close()


def test_a_few_changes_go_to_their_places_at_once(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", pace=Pace(3000, 3, 10, 5))
    assert checkpointed(store, numbered(5)) == numbered(5)
    assert store.begin_checkpoint(2) is None, "nothing is left to do"
    store.close()


def test_what_is_left_goes_to_its_place_while_nothing_is_written(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", pace=Pace(3000, 3, 10, 5))
    assert checkpointed(store, numbered(2500)) == []
    rounds = 0
    while (checkpoint := store.begin_checkpoint(1)) is not None:
        complete(checkpoint)
        rounds += 1
    assert 1 < rounds <= 3
    store.close()
    assert in_place(tmp_path / "store") == numbered(2500)


def test_generations_grow_no_further_when_more_comes_than_usual(tmp_path: Path) -> None:
    """The more there is of one, the more of it goes to its place at a time."""
    store = LmdbStore(tmp_path / "store", pace=Pace(2000, 4, 10, 5))
    for number in range(30):
        placed = checkpointed(store, numbered(1500, start=1500 * number))
        assert 1500 * (number + 1) - len(placed) <= 2 * 4 * 1500 + 2000
    store.close()


def older(folder: Path) -> Path:
    """A store of the format before, which has no place for what is noted."""
    environment = open_environment(folder / "data-000001")
    tables = open_tables(environment)
    noted = [environment.open_db(b"keys_noted_%d" % generation) for generation in (0, 1)]
    with environment.begin(write=True) as transaction:
        writer = LmdbRows(environment, tables, transaction)
        writer.write(KEYS, [(b"key", b"row")])
        for handle in noted:
            transaction.drop(handle)
    environment.close()
    (folder / CURRENT).write_text("data-000001 2\n")
    return folder


def test_store_of_the_format_before_becomes_one_of_this(tmp_path: Path) -> None:
    folder = older(tmp_path)
    store = LmdbStore(folder, read_only=True)
    assert list(store.scan(KEYS, b"", None)) == [(b"key", b"row")]
    store.close()
    assert (folder / CURRENT).read_text() == "data-000001 2\n", "it was only looked at"
    store = LmdbStore(folder, pace=Pace(few=0))
    assert (folder / CURRENT).read_text() == "data-000001 3\n"
    store.put(KEYS, b"new", b"row")
    complete(store.begin_checkpoint(1))
    store.close()
    assert in_place(folder) == [b"key"], "the new one is noted"
    store = LmdbStore(folder)
    assert [key for key, _ in store.scan(KEYS, b"", None)] == [b"key", b"new"]
    store.close()


def file_with_a_note(folder: Path) -> Path:
    """Of a store in which the row of one key is noted: "the row of this key"."""
    store = LmdbStore(folder, pace=Pace(few=0))
    store.put(KEYS, b"key", b"the row of this key")
    complete(store.begin_checkpoint(1))
    store.close()
    return folder / "data-000001" / "data.mdb"


def test_damage_in_what_is_noted_is_found_by_the_start(tmp_path: Path) -> None:
    file = file_with_a_note(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"the row of this key", b"the row of that key"))
    for read_only in (True, False):
        with pytest.raises(CorruptData, match="table keys_noted_0: the row of key"):
            LmdbStore(tmp_path, read_only=read_only)


def test_page_of_what_is_noted_that_cannot_be_is_damage_too(tmp_path: Path) -> None:
    file = file_with_a_note(tmp_path)
    data = bytearray(file.read_bytes())
    page = data.index(b"the row of this key") // 4096 * 4096
    data[page + 10 : page + 12] = b"\0\0"  # its kind
    file.write_bytes(data)
    for _ in range(2):  # it is closed each time
        with pytest.raises(CorruptData, match="table keys_noted_0: LMDB says"):
            LmdbStore(tmp_path)


def test_snapshot_reads_what_is_noted_a_little_at_a_time(tmp_path: Path) -> None:
    """The loop waits for each chunk."""
    store = LmdbStore(tmp_path, pace=Pace(few=0))
    for _ in range(5):
        for key in numbered(PAUSE_ROWS):
            store.put(KEYS, key, b"row")
        complete(store.begin_checkpoint(1))
    for key in numbered(PAUSE_ROWS):
        store.delete(KEYS, key)
    store.put(KEYS, b"last", b"row")
    complete(store.begin_checkpoint(1))
    reader = store.open_snapshot()
    offset, chunks = 0, 0
    decoder = StreamDecoder("test")
    rows = []
    while chunk := reader.read(offset, 1_000_000):
        offset, chunks = offset + len(chunk), chunks + 1
        rows += decoder.feed(chunk)
    assert rows == [(KEYS, b"last", b"row")]
    assert 6 + 1 <= chunks <= 6 + 3
    reader.close()
    store.close()


def test_snapshot_reads_many_rows_in_several_chunks(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path)
    for key in numbered(2 * PAUSE_ROWS):
        store.put(KEYS, key, b"")
    complete(store.begin_checkpoint(1))
    assert store.begin_checkpoint(1) is None, "all of it is in its place"
    reader = store.open_snapshot()
    first = reader.read(0, 1_000_000)
    second = reader.read(len(first), 1_000_000)
    assert len(second) > len(first) // 2
    reader.close()
    store.close()
