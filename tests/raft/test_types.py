"""The words of Figure 2."""

from raftwerk.raft.types import NOBODY, Entry, EntryKind, Snapshot, new_entry


def test_entry_kinds_keep_their_numbers() -> None:
    """They are on disk and on the wire."""
    assert {kind.name: kind.value for kind in EntryKind} == {
        "COMMAND": 0,
        "NO_OP": 1,
        "MEMBERSHIP": 2,
    }


def test_entry_is_a_plain_tuple_in_the_order_of_its_fields() -> None:
    assert Entry(7, 3, EntryKind.COMMAND, b"x") == (7, 3, 0, b"x")


def test_new_entry_is_an_entry() -> None:
    entry = new_entry((7, 3, EntryKind.COMMAND, b"x"))
    assert type(entry) is Entry
    assert entry == Entry(7, 3, EntryKind.COMMAND, b"x")


def test_entry_names_its_index_and_not_the_method_of_tuples() -> None:
    assert Entry(7, 3, EntryKind.NO_OP, b"").index == 7


def test_snapshot_says_where_it_ends_and_who_took_part() -> None:
    assert Snapshot(9, 4, b"m")._asdict() == {
        "last_included_index": 9,
        "last_included_term": 4,
        "membership": b"m",
    }


def test_nobody_is_no_node() -> None:
    """Node ids start at 1."""
    assert NOBODY == 0
