"""Rows of the keys that came last."""

from raftwerk.storage.recent import BYTES_MAX, ROW_OVERHEAD_BYTES, Recent


def test_newest_row_of_a_key_is_given_until_it_is_forgotten() -> None:
    recent = Recent()
    assert recent.get(b"k") is None
    recent.put(b"k", b"1")
    recent.put(b"k", b"2")
    assert recent.get(b"k") == b"2"
    recent.forget(b"k")
    assert recent.get(b"k") is None
    recent.put(b"k", b"3")
    assert recent.get(b"k") == b"3"


def test_memory_is_bounded_and_the_keys_that_came_last_stay() -> None:
    """And the last one beside them."""
    recent, row = Recent(), bytes(1000)
    fitting = BYTES_MAX // (len(row) + 5 + ROW_OVERHEAD_BYTES)
    keys = [b"%05d" % number for number in range(3 * fitting)]
    for key in keys:
        recent.put(key, row)
    assert [key for key in keys if recent.get(key) is not None] == keys[-fitting - 1 :]


def test_a_row_written_over_and_over_takes_the_place_of_one() -> None:
    recent, row = Recent(), bytes(BYTES_MAX // 4)
    recent.put(b"other", b"row")
    for _ in range(9):
        recent.put(b"hot", row)
    assert recent.get(b"other") == b"row"


def test_rows_that_grow_take_the_place_of_others() -> None:
    recent = Recent()
    keys = [b"first", b"second", b"third"]
    for size in (BYTES_MAX // 4, BYTES_MAX // 2):
        for key in keys:
            recent.put(key, bytes(size))
    recent.put(b"last", b"row")
    assert [key for key in keys if recent.get(key) is not None] == [b"third"]


def test_a_key_that_is_read_and_deleted_again_and_again_takes_one_place() -> None:
    recent = Recent()
    recent.put(b"other", b"row")
    for _ in range(BYTES_MAX // ROW_OVERHEAD_BYTES):
        recent.put(b"k", b"row")
        recent.put(b"l", b"row")
        recent.forget(b"k")
        assert recent.get(b"k") is None
    assert recent.get(b"other") == b"row"
    assert list(recent._order) == [b"other", b"k", b"l"]


def test_a_key_that_is_read_and_written_at_once_takes_no_place() -> None:
    """As each put does with its own: rows that others read stay."""
    recent = Recent()
    recent.put(b"read", b"row")
    for number in range(BYTES_MAX // ROW_OVERHEAD_BYTES):
        key = b"%d" % number
        recent.put(key, b"row")
        assert recent.get(key) == b"row"
        recent.forget(key)
        assert recent.get(key) is None
    assert recent.get(b"read") == b"row"
    assert list(recent._order) == [b"read"]


def test_a_row_that_came_before_is_forgotten_with_the_last_one_of_its_key() -> None:
    recent = Recent()
    recent.put(b"k", b"before")
    recent.put(b"other", b"row")
    recent.put(b"k", b"last")
    assert recent.get(b"k") == b"last"
    recent.forget(b"k")
    assert recent.get(b"k") is None


def test_what_is_larger_than_all_is_not_held() -> None:
    recent = Recent()
    recent.put(b"other", b"row")
    recent.put(b"k", bytes(BYTES_MAX))
    recent.put(b"last", b"row")
    assert recent.get(b"k") is recent.get(b"other") is None
    recent.put(b"k", b"row")
    assert recent.get(b"k") == b"row"
