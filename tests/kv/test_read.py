"""Range: every option, in one go and in slices; a slice never sees what was written after the range began."""

import gc
from collections.abc import Generator
from pathlib import Path

import pytest

from raftwerk.kv.commands import (
    ALL_FROM_KEY,
    Compact,
    DeleteRange,
    Put,
    RangeQuery,
    SortOrder,
    SortTarget,
    encode,
)
from raftwerk.kv.compaction import HashScan
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.read import RangeScan
from raftwerk.kv.results import KvError, RangeResult
from raftwerk.kv.rows import KeyValue
from tests.kv.model import Range
from tests.kv.rig import Rig, plain

ALL = (b"\0", b"\0")
NONE, ASCEND, DESCEND = SortOrder
KEY, VERSION, CREATE, MOD, VALUE = SortTarget


@pytest.fixture
def rig() -> Rig:
    return filled()


def filled() -> Rig:
    """By key: a (created 2, written 6, version 2, value 3), b (3, 3, 1, 2), c (4, 7, 3, 1); d is gone."""
    rig = Rig()
    rig.execute_all(Put(b"a", b"0"), Put(b"b", b"2"), Put(b"c", b"0"), Put(b"c", b"0"))  # 2 to 5
    rig.execute_all(Put(b"a", b"3"), Put(b"c", b"1"), Put(b"d"), DeleteRange(b"d"))  # 6 to 9
    return rig


def keys(rig: Rig, query: RangeQuery) -> str:
    result = rig.execute(query)
    assert isinstance(result, Range)
    return b"".join(kv.key for kv in result.kvs).decode()


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((b"b", b""), "b"),
        ((b"bb", b""), ""),
        ((b"d", b""), ""),
        ((b"a", b"c"), "ab"),
        ((b"b", b"\0"), "bc"),
        ((b"\0", b"\0"), "abc"),
        ((b"\0", b""), ""),
        ((b"b", b"b"), ""),
        ((b"c", b"a"), ""),
        ((b"\0", b"\0\0"), ""),
    ],
    ids=lambda value: repr(value) if isinstance(value, tuple) else "",
)
def test_keys_of_a_span(rig: Rig, span: tuple[bytes, bytes], expected: str) -> None:
    assert keys(rig, RangeQuery(*span)) == expected


@pytest.mark.parametrize(
    ("order", "target", "expected"),
    [
        (NONE, KEY, "abc"),
        (ASCEND, KEY, "abc"),
        (DESCEND, KEY, "cba"),
        (ASCEND, VERSION, "bac"),
        (DESCEND, VERSION, "cab"),
        (ASCEND, CREATE, "abc"),
        (DESCEND, CREATE, "cba"),
        (ASCEND, MOD, "bac"),
        (DESCEND, MOD, "cab"),
        (ASCEND, VALUE, "cba"),
        (DESCEND, VALUE, "abc"),
        (NONE, VALUE, "cba"),
        (NONE, MOD, "bac"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_order(rig: Rig, order: SortOrder, target: SortTarget, expected: str) -> None:
    query = RangeQuery(*ALL, sort_order=order, sort_target=target)
    assert keys(rig, query) == expected
    if order is not NONE:
        limited = RangeQuery(*ALL, limit=2, sort_order=order, sort_target=target)
        assert keys(rig, limited) == expected[:2], "cut after sorting"


def test_equal_keys_of_an_order_stay_in_key_order(rig: Rig) -> None:
    rig.execute_all(Put(b"x", b"3"), Put(b"y", b"3"))
    assert keys(rig, RangeQuery(*ALL, sort_order=DESCEND, sort_target=VALUE)) == "axybc"


def test_order_by_target_alone_sorts_what_the_limit_and_one_more_let_through(rig: Rig) -> None:
    """A trait of etcd: without sort_order the limit is heeded before sorting."""
    rig.execute(Put(b"d", b"0"))
    assert keys(rig, RangeQuery(*ALL, sort_target=VALUE)) == "dcba"
    assert keys(rig, RangeQuery(*ALL, limit=2, sort_target=VALUE)) == "cb"


@pytest.mark.parametrize(
    ("limit", "expected", "more"),
    [(0, "abc", False), (1, "a", True), (2, "ab", True), (3, "abc", False), (-1, "abc", False)],
)
def test_limit_cuts_and_says_so_but_all_are_counted(
    rig: Rig, limit: int, expected: str, more: bool
) -> None:
    result = rig.execute(RangeQuery(*ALL, limit=limit))
    assert isinstance(result, Range)
    assert (b"".join(kv.key for kv in result.kvs).decode(), result.more) == (expected, more)
    assert result.count == 3


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"min_mod_revision": 6}, "ac"),
        ({"max_mod_revision": 6}, "ab"),
        ({"min_create_revision": 3}, "bc"),
        ({"max_create_revision": 3}, "ab"),
        ({"min_mod_revision": 4, "max_create_revision": 2}, "a"),
        ({"max_mod_revision": -1}, ""),
    ],
    ids=str,
)
def test_filters_pass_by_revision_and_do_not_change_the_count(
    rig: Rig, filters: dict[str, int], expected: str
) -> None:
    query = RangeQuery(*ALL, **filters)  # type: ignore[arg-type]
    assert keys(rig, query) == expected
    result = rig.execute(query)
    assert isinstance(result, Range)
    assert result.count == 3
    single = rig.execute(RangeQuery(b"a", **filters))  # type: ignore[arg-type]
    assert isinstance(single, Range)
    assert (len(single.kvs), single.count) == ("a" in expected, 1)


@pytest.mark.parametrize("span", [(b"a", b""), ALL], ids=["a key", "a range"])
def test_keys_only_leaves_out_values_and_nothing_else(rig: Rig, span: tuple[bytes, bytes]) -> None:
    whole = rig.execute(RangeQuery(*span))
    bare = rig.execute(RangeQuery(*span, keys_only=True))
    assert isinstance(whole, Range)
    assert isinstance(bare, Range)
    assert bare.kvs == [kv._replace(value=b"") for kv in whole.kvs] != whole.kvs


@pytest.mark.parametrize(("span", "count"), [((b"a", b""), 1), (ALL, 3), ((b"d", b""), 0)])
def test_count_only_gives_no_keys(rig: Rig, span: tuple[bytes, bytes], count: int) -> None:
    result = rig.execute(RangeQuery(*span, limit=1, count_only=True))
    assert result == Range(9, [], False, count)


@pytest.mark.parametrize(
    ("revision", "expected"),
    [(1, ""), (2, "a"), (4, "abc"), (7, "abc"), (8, "abcd"), (9, "abc"), (0, "abc"), (-1, "abc")],
)
def test_state_of_any_revision(rig: Rig, revision: int, expected: str) -> None:
    assert keys(rig, RangeQuery(*ALL, revision=revision)) == expected


@pytest.mark.parametrize(
    ("revision", "expected"),
    [(4, KvError.COMPACTED), (5, None), (9, None), (10, KvError.FUTURE_REVISION)],
)
@pytest.mark.parametrize("span", [(b"a", b""), ALL], ids=["a key", "a range"])
def test_revisions_outside_the_history_are_refused(
    rig: Rig, span: tuple[bytes, bytes], revision: int, expected: KvError | None
) -> None:
    rig.execute(Compact(5))
    result = rig.execute(RangeQuery(*span, revision=revision))
    assert result == expected if expected else isinstance(result, Range)


# In slices


def test_slices_of_a_single_key_are_the_same_as_all_at_once(rig: Rig) -> None:
    query = RangeQuery(b"a", revision=4)
    scan = rig.machine.range_sliced(query)
    assert isinstance(scan, RangeScan)
    result = scan.step(100)
    assert isinstance(result, RangeResult)
    assert plain(result) == rig.execute(query)


def test_keys_beyond_the_limit_are_counted_at_the_revision_asked_for(rig: Rig) -> None:
    """Keys written, deleted or put again since then count as they were."""
    rig.execute_all(Put(b"new"), DeleteRange(b"c"), Put(b"b", b"again"))
    assert rig.execute(RangeQuery(*ALL, limit=1, revision=8)) == Range(
        12, [KeyValue(b"a", 2, 6, 2, b"3", 0)], True, 4
    )
    assert rig.execute(RangeQuery(*ALL, limit=1, count_only=True)) == Range(12, [], False, 3)


@pytest.mark.parametrize("max_rows", [1, 2, 5])
@pytest.mark.parametrize("limit", [0, 2])
def test_slices_see_the_state_that_the_range_began_with(
    rig: Rig, max_rows: int, limit: int
) -> None:
    query = RangeQuery(*ALL, limit=limit)
    expected = filled().execute(query)
    scan = rig.machine.range_sliced(query)
    assert isinstance(scan, RangeScan)
    steps = 1
    while (result := scan.step(max_rows)) is None:
        rig.execute_all(Put(b"a", b"new"), Put(b"%d" % steps), DeleteRange(b"c"))
        rig.execute(Compact(rig.machine.revision))
        rig.remove_all()
        rig.checkpoint()
        steps += 1
    assert steps > 1
    assert plain(result) == expected


def test_range_holds_back_the_removal_of_what_it_reads_until_its_end(rig: Rig) -> None:
    scan = rig.machine.range_sliced(RangeQuery(*ALL, revision=4))
    assert isinstance(scan, RangeScan)
    scan.step(1)
    rig.execute(Compact(9))
    rig.remove_all()
    assert rig.machine.removed_revision == 4
    scan.close()
    scan.close()
    rig.remove_all()
    assert rig.machine.removed_revision == 9


def test_complete_range_holds_nothing_back(rig: Rig) -> None:
    assert isinstance(rig.machine.range(RangeQuery(*ALL, revision=4)), RangeResult)
    scan = rig.machine.range_sliced(RangeQuery(*ALL, revision=4))
    assert isinstance(scan, RangeScan)
    assert isinstance(scan.step(100), RangeResult)
    rig.execute(Compact(9))
    rig.remove_all()
    assert rig.machine.removed_revision == 9


def test_rows_of_a_long_range_are_no_work_for_the_garbage_collector() -> None:
    rig = Rig()
    rig.execute_all(*(Put(b"%04d" % number) for number in range(2_000)))
    scan = rig.machine.range_sliced(RangeQuery(*ALL))
    assert isinstance(scan, RangeScan)
    gc.collect()
    before = len(gc.get_objects())
    assert scan.step(1_900) is None
    assert len(gc.get_objects()) - before < 100


def gone(folder: Path, count: int) -> Rig:
    """So many keys were there, and have just been removed by a compaction; one key is left."""
    rig = Rig(folder)
    rig.execute_all(*(Put(b"%04d" % number) for number in range(count)))
    rig.checkpoint()
    rig.execute_all(DeleteRange(b"\0", ALL_FROM_KEY), Put(b"left"), Compact(count + 3))
    rig.remove_all(1000)
    return rig


def test_a_step_passes_few_keys_that_were_just_removed(tmp_path: Path) -> None:
    rig = gone(tmp_path, 1000)
    scan = rig.machine.range_sliced(RangeQuery(*ALL))
    assert isinstance(scan, RangeScan)
    steps = 1
    while (result := scan.step(100)) is None:
        steps += 1
    assert steps > 5
    assert (result.count, len(result.kvs)) == (1, 1)
    rig.close()


def test_a_hash_passes_few_versions_in_a_step_that_were_just_removed(tmp_path: Path) -> None:
    rig = gone(tmp_path, 1000)
    scan = rig.machine.hash_sliced(0)
    assert isinstance(scan, HashScan)
    steps = 1
    while scan.step(100) is None:
        steps += 1
    assert steps > 5
    rig.close()


def test_a_deletion_passes_few_keys_in_a_slice_that_were_just_removed(tmp_path: Path) -> None:
    rig = gone(tmp_path, 1000)
    rig.machine = KvMachine(rig.store, slice_rows=100)
    steps = rig.machine.apply([encode(DeleteRange(b"\0", ALL_FROM_KEY))], 2000, b"position")
    assert isinstance(steps, Generator)
    assert len(list(steps)) > 5
    rig.close()
