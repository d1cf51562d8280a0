"""Compaction: what is refused, what is removed and when, and a hash that does not depend on it."""

import pytest

from raftwerk.kv.commands import Compact, DeleteRange, Put, RangeQuery, Txn
from raftwerk.kv.compaction import HashScan
from raftwerk.kv.results import KvError
from raftwerk.kv.rows import REVISION
from raftwerk.kv.store import Table
from tests.kv.model import Range, Written
from tests.kv.rig import Rig

ALL = (b"\0", b"\0")


@pytest.fixture
def rig() -> Rig:
    """a at 2, 3, 6; b at 4, deleted at 5; c at 7."""
    rig = Rig()
    rig.execute_all(Put(b"a", b"1"), Put(b"a", b"2"), Put(b"b"), DeleteRange(b"b"))
    rig.execute_all(Put(b"a", b"3"), Put(b"c"))
    return rig


def stored(rig: Rig) -> list[int]:
    """Revisions of which rows are left."""
    return [REVISION.unpack(key)[0] for key, _ in rig.store.scan(Table.REVISIONS, b"", None)]


def test_compacted_revision_must_grow_and_exist(rig: Rig) -> None:
    assert rig.execute(Compact(0)) == Written(7, 0, []), "the first one may be 0"
    assert rig.execute(Compact(0)) is KvError.COMPACTED
    assert rig.execute(Compact(5)) == Written(7, 0, [])
    assert rig.execute(Compact(5)) is KvError.COMPACTED
    assert rig.execute(Compact(4)) is KvError.COMPACTED
    assert rig.execute(Compact(-1)) is KvError.COMPACTED
    assert rig.execute(Compact(8)) is KvError.FUTURE_REVISION
    assert rig.execute(Compact(7)) == Written(7, 0, [])


@pytest.mark.parametrize(
    ("compacted", "left"),
    [
        (1, [2, 3, 4, 5, 6, 7]),
        (2, [2, 3, 4, 5, 6, 7]),
        (3, [3, 4, 5, 6, 7]),
        (4, [3, 4, 5, 6, 7]),
        (5, [3, 5, 6, 7]),
        (6, [6, 7]),
        (7, [6, 7]),
    ],
)
@pytest.mark.parametrize("max_rows", [1, 2, 100])
def test_superseded_versions_and_earlier_deletions_go(
    rig: Rig, compacted: int, left: list[int], max_rows: int
) -> None:
    """A deletion at the compacted revision itself stays: who watches from there on must see it."""
    rig.execute(Compact(compacted))
    rig.remove_all(max_rows)
    assert stored(rig) == left


@pytest.mark.parametrize("max_rows", [1, 2, 100])
def test_deletion_at_the_compacted_revision_goes_with_the_next_compaction(
    rig: Rig, max_rows: int
) -> None:
    rig.execute(Compact(5))
    rig.remove_all(max_rows)
    assert rig.store.get(Table.KEYS, b"b") is not None
    rig.execute(Compact(6))
    rig.remove_all(max_rows)
    assert stored(rig) == [6, 7]
    assert rig.store.get(Table.KEYS, b"b") is None


def test_key_that_was_written_again_stays(rig: Rig) -> None:
    rig.execute_all(Put(b"b", b"again"), Compact(6))
    rig.remove_all()
    assert stored(rig) == [6, 7, 8]
    assert rig.machine.revision == 8
    result = rig.execute(RangeQuery(b"b"))
    assert isinstance(result, Range)
    assert result.count == 1


def test_reads_at_and_after_the_compacted_revision_are_the_same_as_before(rig: Rig) -> None:
    revisions = range(3, 8)
    before = [rig.execute(RangeQuery(*ALL, revision=revision)) for revision in revisions]
    rig.execute(Compact(3))
    rig.remove_all()
    assert [rig.execute(RangeQuery(*ALL, revision=revision)) for revision in revisions] == before


@pytest.mark.parametrize("steps", range(6))
def test_removal_goes_on_after_a_crash(rig: Rig, steps: int) -> None:
    rig.execute(Compact(6))
    rig.checkpoint()
    for _ in range(steps):
        rig.machine.maintain(1)
    rig.checkpoint()
    rig.machine.maintain(1)
    rig.crash()
    rig.remove_all(1)
    assert stored(rig) == [6, 7]
    assert rig.machine.removed_revision == 6


def test_large_revision_is_removed_in_slices(rig: Rig) -> None:
    """A slice is bounded however much one transaction has written."""
    rig.execute_all(*(Put(b"%03d" % number) for number in range(100)))
    rig.execute(DeleteRange(b"0", b"a"))
    deletion = rig.machine.revision
    rig.execute_all(Put(b"z"), Compact(deletion + 1))
    steps = 1
    while rig.machine.maintain(7):
        steps += 1
    assert steps >= 200 // 7
    assert stored(rig) == [6, 7, deletion + 1]


def test_compaction_that_follows_during_a_removal_leaves_nothing_behind(rig: Rig) -> None:
    rig.execute_all(Put(b"x"), Put(b"y"), Put(b"z"), DeleteRange(b"x", b"\0"), Compact(11))
    assert rig.machine.maintain(9), "in the middle of revision 11"
    rig.execute_all(Put(b"end"), Compact(12))
    rig.remove_all(1)
    assert stored(rig) == [6, 7, 12]


# The hash


def test_hash_is_one_of_a_revision(rig: Rig) -> None:
    at_6 = rig.hash(6)
    at_7 = rig.hash(7)
    rig.execute(Put(b"d"))
    assert rig.hash(6) == at_6 != at_7 == rig.hash(7)
    assert rig.hash() == rig.hash(8) != at_7


@pytest.mark.parametrize("other", [Put(b"c", b"x"), Put(b"d"), DeleteRange(b"a")], ids=repr)
def test_hash_tells_different_histories_apart(rig: Rig, other: Put | DeleteRange) -> None:
    twin = Rig()
    for command in (Put(b"a", b"1"), Put(b"a", b"2"), Put(b"b"), DeleteRange(b"b")):
        twin.execute(command)
    twin.execute_all(Put(b"a", b"3"), other)
    assert twin.machine.revision == rig.machine.revision
    assert twin.hash() != rig.hash()


def test_hash_covers_old_versions_too() -> None:
    one, other = Rig(), Rig()
    one.execute_all(Put(b"a", b"1"), Put(b"a", b"2"))
    other.execute_all(Put(b"a", b"x"), Put(b"a", b"2"))
    assert one.hash() != other.hash()
    for rig in (one, other):
        rig.execute(Compact(3))
    assert one.hash() == other.hash(), "nothing is left of the difference"


def test_hash_of_a_revision_outside_the_history_is_refused(rig: Rig) -> None:
    rig.execute(Compact(5))
    assert rig.machine.hash_sliced(4) is KvError.COMPACTED
    assert rig.machine.hash_sliced(8) is KvError.FUTURE_REVISION


@pytest.mark.parametrize("compacted", range(1, 8))
@pytest.mark.parametrize("steps", [0, 1, 2, 3, 100])
def test_hash_does_not_depend_on_what_is_removed_already(
    rig: Rig, compacted: int, steps: int
) -> None:
    rig.execute(Compact(compacted))
    expected = rig.hash()
    for _ in range(steps):
        rig.machine.maintain(1)
    assert rig.hash() == expected


def test_nothing_is_removed_while_a_hash_is_computed(rig: Rig) -> None:
    """Else a version could be counted whose successor then finds it gone."""
    rig.execute(Compact(7))
    expected = rig.hash()
    rig.machine.maintain(1)
    scan = rig.machine.hash_sliced(0)
    assert isinstance(scan, HashScan)
    while (total := scan.step(1)) is None:
        assert not rig.machine.maintain(1)
    assert total == expected
    assert rig.machine.maintain(1), "and then it goes on"


def test_hash_that_is_given_up_lets_the_removal_go_on(rig: Rig) -> None:
    rig.execute(Compact(7))
    scan = rig.machine.hash_sliced(0)
    assert isinstance(scan, HashScan)
    scan.step(1)
    assert not rig.machine.has_garbage
    scan.close()
    assert rig.machine.has_garbage


def test_key_deleted_and_put_in_one_revision_that_is_compacted() -> None:
    rig = Rig()
    rig.execute_all(
        Put(b"a"), Txn((), (DeleteRange(b"a"), Put(b"a", b"2"), DeleteRange(b"a"))), Put(b"b")
    )
    rig.execute(Compact(3))
    before = rig.hash()
    rig.remove_all(1)
    assert rig.hash() == before
    assert stored(rig) == [3, 4]
    rig.execute(Compact(4))
    before = rig.hash()
    rig.remove_all(1)
    assert rig.hash() == before
    assert stored(rig) == [4]
