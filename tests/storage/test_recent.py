"""Recently used rows."""

from raftwerk.storage.recent import GENERATION_BYTES, ROW_OVERHEAD_BYTES, Recent


def test_newest_row_of_a_key_is_given_until_it_is_forgotten() -> None:
    recent = Recent()
    assert recent.get(b"k") is None
    recent.put(b"k", b"1")
    recent.put(b"k", b"2")
    assert recent.get(b"k") == b"2"
    recent.forget(b"k")
    assert recent.get(b"k") is None


def test_memory_is_bounded_and_the_rows_used_last_stay() -> None:
    recent, row = Recent(), bytes(1000)
    generation = GENERATION_BYTES // (len(row) + 4 + ROW_OVERHEAD_BYTES) + 1
    keys = [b"%04d" % number for number in range(3 * generation)]
    for key in keys:
        recent.put(keys[0], b"used")
        recent.put(key, row)
    held = [key for key in keys if recent.get(key) is not None]
    assert generation < len(held) <= 2 * generation + 1
    assert held[-generation:] == keys[-generation:]
    assert recent.get(keys[0]) == b"used"


def test_a_row_written_over_and_over_takes_the_place_of_one() -> None:
    recent, row = Recent(), bytes(GENERATION_BYTES // 4)
    recent.put(b"other", b"row")
    for _ in range(9):
        recent.put(b"hot", row)
    assert recent.get(b"other") == b"row"


def test_what_is_forgotten_is_not_found_in_the_old_generation() -> None:
    recent = Recent()
    recent.put(b"k", b"old")
    recent.put(b"large", bytes(GENERATION_BYTES))
    assert recent.get(b"k") == b"old"
    recent.put(b"k", b"young")
    assert recent.get(b"k") == b"young"
    recent.forget(b"k")
    assert recent.get(b"k") is None
