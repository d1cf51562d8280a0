"""Which changes are noted, and which go to their places, and that none of it holds up the loop."""

from itertools import pairwise
from random import Random

from raftwerk.kv.rows import ROW_BYTES
from raftwerk.storage.changes import (
    BLOCK_BYTES,
    BLOCK_ROW_BYTES,
    SLICE_BYTES,
    Changes,
    Pace,
    Portion,
)
from raftwerk.storage.overlay import ROW_OVERHEAD_BYTES, SLICE_ROWS
from raftwerk.storage.parts import MANY, RELEASED_ROWS


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%04d" % number for number in range(start, start + count)]


def test_large_keys_are_noted_and_placed_in_more_slices() -> None:
    """The loop waits for each."""
    changes = Changes(Pace(noted_max=100, portion_min=2, few=0))
    for key in numbered(20):
        changes.put(key * (SLICE_BYTES // 4), b"row")
    portion = changes.take_portion()
    assert [len(blocks) for blocks in portion.blocks()] == [1] * 20
    changes.finish(portion, committed=True)
    portion = changes.take_portion()
    assert portion.runs, "nothing is new: it is time"
    slices = [len(some) for some in portion.placed()]
    assert sum(slices) == 20
    assert max(slices) <= 1 + SLICE_ROWS // (SLICE_BYTES // ROW_BYTES) < 20


def test_blocks_fill_half_a_page() -> None:
    changes = Changes(Pace(few=0))
    for key in numbered(9000):
        changes.put(key, bytes(60))
    slices = list(changes.take_portion().blocks())
    sizes = [
        sum(len(key) + len(row or b"") for key, row in block) for some in slices for block in some
    ]
    assert sum(sizes) == 9000 * 64
    assert len(slices) == 1 + 9000 * (64 + BLOCK_ROW_BYTES) // SLICE_BYTES
    assert all(BLOCK_BYTES * 0.8 < size <= BLOCK_BYTES for size in sizes[:-1])


def done(changes: Changes, *, committed: bool = True) -> Portion:
    """A portion, with all that a checkpoint does with it."""
    portion = changes.take_portion()
    for part in (portion.forgetting, portion.blocks(), portion.removed(), portion.placed()):
        list(part)
    changes.finish(portion, committed=committed)
    return portion


def test_keys_go_to_their_places_in_order_however_they_came() -> None:
    """Then a page takes several."""
    changes, keys = Changes(Pace(noted_max=8000, portions=1, portion_min=1, few=0)), numbered(8000)
    for key in Random(1).sample(keys, len(keys)):
        changes.put(key, b"row")
    placed = [key for some in changes.take_portion().placed() for key, _ in some]
    assert placed == keys


def test_what_waits_is_counted_until_a_checkpoint_takes_it_and_again_if_that_fails() -> None:
    changes = Changes(Pace())
    sizes = []
    for key, row in ((b"key", b"row"), (b"key", b"longer"), (b"key", None)):
        changes.put(key, row)
        sizes.append(len(key) + len(row or b"") + ROW_OVERHEAD_BYTES)
    assert changes.pending_bytes == sum(sizes)
    portion = changes.take_portion()
    assert changes.pending_bytes == 0
    changes.put(b"more", None)
    changes.finish(portion, committed=False)
    assert changes.pending_bytes == sum(sizes) + len(b"more") + ROW_OVERHEAD_BYTES


def test_deleted_rows_do_not_stay_in_memory_for_scans_to_step_over() -> None:
    """But where an older row would still come to its place."""
    changes = Changes(Pace(noted_max=10_000, few=0))
    for key in numbered(3000):
        changes.put(key, b"row")
    done(changes)
    for key in numbered(2000):
        changes.put(key, None)
    done(changes, committed=False)
    assert sorted(done(changes).gone) == numbered(2000)
    changes.put(b"new", b"row")
    done(changes)
    (layer,) = changes.layers()
    assert [key for key, _ in layer.items(b"", None)] == [*numbered(1000, start=2000), b"new"]


def test_much_that_is_noted_leaves_memory_piece_by_piece_with_the_next_checkpoint() -> None:
    """But what has not come to its place; and not before: a checkpoint may fail."""
    changes = Changes(Pace(few=0))
    for key in numbered(MANY + 1):
        changes.put(key, b"row")
    first = done(changes, committed=False)
    assert first.fresh[b"0001"] == b"row"
    noted = done(changes).fresh
    assert len(noted) == MANY + 1
    counts = [len(noted), *(len(noted) for _ in changes.take_portion().forgetting)]
    assert max(before - after for before, after in pairwise(counts)) <= RELEASED_ROWS
    assert counts[-1] == 0
    (layer,) = changes.layers()
    assert len(layer.rows) == MANY + 1


def test_rows_leave_memory_when_they_have_come_to_their_places() -> None:
    """With the checkpoint after that, a run at a time: all at once they would hold up the loop."""
    changes = Changes(Pace(noted_max=1, portions=4, portion_min=1, few=0, run_keys_max=10))
    for key in numbered(100):
        changes.put(key, b"row")
    assert len(done(changes).runs) > 1
    (layer,) = changes.layers()
    assert len(layer.rows) == 100
    portion = changes.take_portion()
    counts = [100, *(len(layer.rows) for _ in portion.forgetting)]
    assert max(before - after for before, after in pairwise(counts)) <= 10
    assert 50 < len(layer.rows) < 80
    changes.finish(portion, committed=False)
    for _ in range(4):
        done(changes)
    assert not layer.rows
    assert changes.is_empty()


def test_notes_of_a_start_count_and_each_generation_anew() -> None:
    changes = Changes(Pace(noted_max=100, portions=1, few=0))
    changes.load(0, iter([(key, b"row") for key in numbered(60)]))
    placed = []
    for number in range(8):
        for key in numbered(30):
            changes.put(b"%d" % number + key, b"row")
        placed.append(sum(map(len, done(changes).runs)))
    assert placed == [0, 120, 0, 0, 0, 120, 0, 0]


def test_the_smallest_portions_come_to_an_end() -> None:
    changes = Changes(Pace(noted_max=1, portions=100, portion_min=0, few=0, run_keys_max=2))
    for key in numbered(10):
        changes.put(key, b"row")
    rounds = 0
    while not changes.is_empty():
        done(changes)
        rounds += 1
    assert 5 <= rounds <= 10
