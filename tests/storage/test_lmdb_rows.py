"""Rows in LMDB: of short and of long keys, in the right order, none that is damaged."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_environment import DATA, open_environment
from raftwerk.storage.lmdb_rows import SHORT_BYTES, LmdbRows
from raftwerk.storage.lmdb_tables import Tables, open_tables
from tests.fakes.damage import flip_bit_in
from tests.storage.transactions import written

EDGE = b"k" * SHORT_BYTES
# Keys around the edge at which they become long, and around each other
LONG_KEYS = st.builds(
    lambda head, tail: head + tail,
    st.sampled_from([EDGE[:-1], EDGE, EDGE[:-1] + b"j", EDGE + b"\0", EDGE + b"k" * 100]),
    st.binary(max_size=2),
)
STEPS = st.lists(st.tuples(LONG_KEYS, st.sampled_from([b"1", b"22", None])), max_size=30)


@given(
    steps=STEPS,
    together=st.integers(1, 10),
    start=LONG_KEYS,
    stop=st.none() | LONG_KEYS,
    reverse=st.booleans(),
)
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_rows_are_those_of_a_sorted_dictionary(
    environment: Any,
    tables: Tables,
    steps: list[tuple[bytes, bytes | None]],
    together: int,
    start: bytes,
    stop: bytes | None,
    reverse: bool,
) -> None:
    model: dict[bytes, bytes] = {}
    with written(environment, tables) as rows:
        for first in range(0, len(steps), together):
            rows.write(Table.KEYS, dict(steps[first : first + together]).items())
        for key, value in steps:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        for key, _ in steps:
            assert rows.get(Table.KEYS, key) == model.get(key)
        expected = sorted(
            (
                item
                for item in model.items()
                if item[0] >= start and (stop is None or item[0] < stop)
            ),
            reverse=reverse,
        )
        assert list(rows.scan(Table.KEYS, start, stop, reverse=reverse)) == expected


def test_empty_file_is_in_use_too(environment: Any, tables: Tables) -> None:
    """As etcd's: what is in use is never nothing."""
    with written(environment, tables) as rows:
        allocated, in_use = rows.size_bytes
        assert 0 < in_use <= allocated


def test_reader_sees_a_commit_only_after_renew(tmp_path: Path) -> None:
    environment = open_environment(tmp_path)
    tables = open_tables(environment)
    rows = LmdbRows(environment, tables)
    with environment.begin(write=True) as transaction:
        both = [(b"k", b"v"), (EDGE + b"k", b"v")]
        writer = LmdbRows(environment, tables, transaction)
        writer.write(Table.KEYS, both)
        writer.finish()
    assert [rows.get(Table.KEYS, key) for key, _ in both] == [None, None]
    rows.renew()
    assert [rows.get(Table.KEYS, key) for key, _ in both] == [b"v", b"v"]
    rows.close()
    environment.close()


class OnDisk:
    """Committed rows: short keys a, b, c, of values "value of a" and so on, and two long keys of one bucket."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / DATA
        self.told: list[CorruptData] = []
        self._environment = open_environment(folder)
        tables = open_tables(self._environment)
        for table in tables:
            table.on_damage = self.told.append
        self.transaction = self._environment.begin(write=True)
        self.tables = tables
        rows = LmdbRows(self._environment, tables, self.transaction)
        for key in (b"a", b"b", b"c", EDGE + b"1", EDGE + b"2"):
            rows.write(Table.KEYS, [(key, b"value of " + key[-1:])])
        rows.finish()
        self.transaction.commit()
        self.transaction = self._environment.begin(write=True)
        self.rows = LmdbRows(self._environment, tables, self.transaction)

    def close(self) -> None:
        self.transaction.abort()
        self._environment.close()


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[OnDisk]:
    on_disk = OnDisk(tmp_path)
    yield on_disk
    on_disk.close()


def _scan(start: bytes, stop: bytes | None, *, reverse: bool = False) -> Callable[[LmdbRows], Any]:
    return lambda rows: list(rows.scan(Table.KEYS, start, stop, reverse=reverse))


LONG = repr(EDGE + b"\0")
MEETINGS: dict[str, tuple[bytes, int, str, Callable[[LmdbRows], Any]]] = {
    "get": (b"value of b", 9, "b'b'", lambda rows: rows.get(Table.KEYS, b"b")),
    "get, of its checksum": (b"value of b", 12, "b'b'", lambda rows: rows.get(Table.KEYS, b"b")),
    "scan": (b"value of b", 3, "b'b'", _scan(b"", None)),
    "scan of one row": (b"value of b", 3, "b'b'", _scan(b"b", b"b\0")),
    "scan backwards": (b"value of b", 3, "b'b'", _scan(b"", None, reverse=True)),
    "get of a long key": (b"value of 2", 9, LONG, lambda rows: rows.get(Table.KEYS, EDGE + b"2")),
    "get of a long key beside it": (
        b"value of 2",
        9,
        LONG,
        lambda rows: rows.get(Table.KEYS, EDGE + b"1"),
    ),
    "scan of long keys": (b"value of 2", 9, LONG, _scan(EDGE, None)),
    "write beside a long key": (
        b"value of 2",
        9,
        LONG,
        lambda rows: rows.write(Table.KEYS, [(EDGE + b"3", b"")]),
    ),
}
"""(what stands in the file, which of its bytes is damaged, the key that is named, who meets it)."""


@pytest.mark.parametrize(("found", "at", "name", "meet"), MEETINGS.values(), ids=MEETINGS)
def test_flipped_bit_is_told_and_raised_with_file_table_and_key(
    on_disk: OnDisk, found: bytes, at: int, name: str, meet: Callable[[LmdbRows], Any]
) -> None:
    flip_bit_in(on_disk.file, found, at)
    with pytest.raises(CorruptData) as caught:
        meet(on_disk.rows)
    assert str(caught.value).startswith(
        f"{on_disk.file}: damaged: table keys: the row of key {name} has a wrong checksum. "
    )
    assert on_disk.told == [caught.value]
    assert on_disk.rows.get(Table.KEYS, b"a") == b"value of a", "what is whole can be read"


@pytest.mark.parametrize(
    "meet",
    [
        lambda rows: rows.get(Table.KEYS, b"b"),
        _scan(b"b", None),
        _scan(b"b", b"b\0"),
        _scan(b"b", b"b\0", reverse=True),
    ],
    ids=["get", "scan from it", "scan of it", "scan of it backwards"],
)
@pytest.mark.parametrize("bit", [4, 5], ids=["later", "earlier"])
def test_row_with_a_damaged_key_is_not_taken_for_none(
    on_disk: OnDisk, bit: int, meet: Callable[[LmdbRows], Any]
) -> None:
    """b becomes r, or B."""
    flip_bit_in(on_disk.file, b"bvalue of b", bit=bit)
    with pytest.raises(CorruptData, match="wrong checksum"):
        meet(on_disk.rows)


@pytest.mark.parametrize("key", [b"d", EDGE + b"11", b"A"])
def test_key_that_is_not_there_is_no_damage(on_disk: OnDisk, key: bytes) -> None:
    assert on_disk.rows.get(Table.KEYS, key) is None
    assert on_disk.rows.get(Table.AUTH, key) is None


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_damaged_key_does_not_cut_a_scan_short(on_disk: OnDisk, reverse: bool) -> None:
    """b becomes r, or B: the scan would end there, before a row that belongs to it."""
    flip_bit_in(on_disk.file, b"bvalue of b", bit=5 if reverse else 4)
    with pytest.raises(CorruptData, match="wrong checksum"):
        _scan(b"a", b"d", reverse=reverse)(on_disk.rows)


@pytest.mark.parametrize(
    ("table", "key"), [(Table.KEYS, b"d"), (Table.AUTH, b"a")], ids=["key", "table"]
)
def test_row_in_the_place_of_another_is_noticed(on_disk: OnDisk, table: Table, key: bytes) -> None:
    sealed = on_disk.transaction.get(b"a", db=on_disk.tables[Table.KEYS].handle)
    on_disk.transaction.put(key, sealed, db=on_disk.tables[table].handle)
    with pytest.raises(CorruptData, match=f"table {table.name.lower()}: the row of key"):
        on_disk.rows.get(table, key)


@pytest.mark.parametrize("together", [1, 7, 100])
def test_pages_of_rows_that_come_in_order_are_full(
    environment: Any, tables: Tables, together: int
) -> None:
    """Three rows of a KiB go into a page of 4; halves of it have room for two."""
    keys = [b"%04d" % number for number in range(300)]
    with environment.begin(write=True) as transaction:
        rows = LmdbRows(environment, tables, transaction)
        for first in range(0, len(keys), together):
            rows.write(Table.REVISIONS, [(key, bytes(1100)) for key in keys[first:][:together]])
        assert [key for key, _ in rows.scan(Table.REVISIONS, b"", None)] == keys
        assert transaction.stat(tables[Table.REVISIONS].handle)["leaf_pages"] == 100


def test_rows_before_at_and_behind_the_last_one_are_written_together(
    environment: Any, tables: Tables
) -> None:
    with written(environment, tables) as rows:
        rows.write(Table.KEYS, [(b"b", b"1"), (b"d", b"1")])
        rows.write(Table.KEYS, [(b"e", b"2"), (b"c", b"2"), (b"d", b"2"), (b"a", b"2")])
        found = list(rows.scan(Table.KEYS, b"", None))
    assert found == [(b"a", b"2"), (b"b", b"1"), (b"c", b"2"), (b"d", b"2"), (b"e", b"2")]


class Tree:
    """200 rows on several pages, and a branch page above them: its bytes, and how to change some."""

    def __init__(self, folder: Path) -> None:
        self._environment = open_environment(folder)
        tables = open_tables(self._environment)
        with self._environment.begin(write=True) as transaction:
            writer = LmdbRows(self._environment, tables, transaction)
            for number in range(200):
                writer.write(Table.KEYS, [(b"%04d" % number, b"x" * 100)])
        size = self._environment.stat()["psize"]
        self._file = folder / DATA
        pages = self._file.read_bytes()
        (at,) = (
            at for at in range(2 * size, len(pages), size) if pages[at + 10 : at + 12] == b"\1\0"
        )
        self.branch = pages[at : at + size]
        self._at = at
        self.rows = LmdbRows(self._environment, tables)

    def node(self, number: int) -> int:
        """Where it begins in the page: 4 bytes of the number of the page below, 4 others, the first key there."""
        place = 16 + 2 * number
        return int.from_bytes(self.branch[place : place + 2], "little")

    def damage(self, at: int, data: bytes) -> None:
        with self._file.open("r+b") as file:
            file.seek(self._at + at)
            file.write(data)

    def close(self) -> None:
        self.rows.close()
        self._environment.close()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(tmp_path)
    yield tree
    tree.close()


@pytest.mark.parametrize(
    "meet", [lambda rows: rows.get(Table.KEYS, b"0000"), _scan(b"", None)], ids=["get", "scan"]
)
def test_page_that_cannot_be_is_damage_too(tree: Tree, meet: Callable[[LmdbRows], Any]) -> None:
    """A branch page that leads beyond the file."""
    tree.damage(tree.node(0) + 3, b"\x7f")
    with pytest.raises(CorruptData, match=r"data\.mdb: damaged: table keys: LMDB says: "):
        meet(tree.rows)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize(
    ("byte", "moved"), [(b"\x7f", 2), (b"\0", -2)], ids=["to a page before", "to a page behind"]
)
def test_branch_that_leads_to_the_wrong_page_is_damage_too(
    tree: Tree, byte: bytes, moved: int, reverse: bool
) -> None:
    at = tree.node(1) + 8
    key = b"%04d" % (int(tree.branch[at : at + 4]) + moved)  # near where the second page begins
    tree.damage(at, byte)
    for meet in (
        lambda rows: rows.get(Table.KEYS, key),
        _scan(key, None) if not reverse else _scan(b"", key, reverse=True),
    ):
        with pytest.raises(CorruptData, match=r"table keys: key .* the place of"):
            meet(tree.rows)


def test_first_row_of_a_page_is_not_taken_for_none_when_the_page_before_was_searched(
    tree: Tree,
) -> None:
    at = tree.node(1) + 8
    first = tree.branch[at : at + 4]
    tree.damage(at, b"\x7f")
    for key in (first, b"%04d" % (int(first) + 1), first):
        with pytest.raises(CorruptData, match="table keys: key"):
            tree.rows.get(Table.KEYS, key)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_page_that_two_branches_lead_to_is_damage_too(tree: Tree, reverse: bool) -> None:
    """Its rows would come twice, and others not at all, though each is whole."""
    second, third = tree.node(1), tree.node(2)
    tree.damage(third, tree.branch[second : second + 4])
    with pytest.raises(CorruptData, match=r"table keys: key .* stands"):
        list(tree.rows.scan(Table.KEYS, b"", None, reverse=reverse))
