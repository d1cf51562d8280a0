"""Work that is cut into slices of rows is cut by bytes too: large values take fewer rows a slice."""

from collections.abc import Generator

import pytest

from raftwerk.kv.commands import (
    Command,
    Compact,
    DeleteRange,
    Put,
    RangeQuery,
    SortOrder,
    SortTarget,
    encode,
)
from raftwerk.kv.compaction import HashScan
from raftwerk.kv.read import RangeScan
from raftwerk.kv.results import DeleteRangeResult, Result
from raftwerk.kv.rows import ROW_BYTES
from tests.kv.rig import Rig

KEYS = 6
SLICE_ROWS = 20
ALL = (b"\0", b"\0")


@pytest.fixture
def rig() -> Rig:
    """Each of its values takes as long as half a slice."""
    rig = Rig(slice_rows=SLICE_ROWS)
    for number in range(KEYS):
        rig.execute(Put(b"%d" % number, bytes(SLICE_ROWS // 2 * ROW_BYTES)))
    return rig


@pytest.mark.parametrize(
    "query",
    [
        RangeQuery(*ALL),
        RangeQuery(*ALL, sort_order=SortOrder.DESCEND, sort_target=SortTarget.VALUE),
    ],
    ids=["as it comes", "by value"],
)
def test_range(rig: Rig, query: RangeQuery) -> None:
    scan = rig.machine.range_sliced(query)
    assert isinstance(scan, RangeScan)
    slices = 1
    while (result := scan.step(SLICE_ROWS)) is None:
        slices += 1
    assert len(result.kvs) == KEYS
    assert slices >= KEYS // 2


def test_hash(rig: Rig) -> None:
    scan = rig.machine.hash_sliced(0)
    assert isinstance(scan, HashScan)
    slices = 1
    while scan.step(SLICE_ROWS) is None:
        slices += 1
    assert slices >= KEYS // 2


def test_removal_of_what_is_compacted(rig: Rig) -> None:
    rig.execute(Compact(rig.machine.revision))
    slices = 1
    while rig.machine.maintain(SLICE_ROWS):
        slices += 1
    assert slices >= KEYS // 2


def test_batch_of_puts(rig: Rig) -> None:
    puts = [Put(b"k", bytes(SLICE_ROWS // 2 * ROW_BYTES))] * KEYS
    slices, _ = apply(rig, *puts)
    assert slices >= KEYS // 2


def test_deletion_that_asks_for_the_values(rig: Rig) -> None:
    slices, (result,) = apply(rig, DeleteRange(*ALL, prev_kv=True))
    assert isinstance(result, DeleteRangeResult)
    assert (result.deleted, len(result.prev_kvs)) == (KEYS, KEYS)
    assert slices >= KEYS // 2


def apply(rig: Rig, *commands: Command) -> tuple[int, list[Result]]:
    """As one batch: in how many slices, and the results."""
    steps = rig.machine.apply([encode(command) for command in commands], 99, b"")
    assert isinstance(steps, Generator)
    slices = 2
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return slices, end.value
        slices += 1
