"""Transactions: one revision, all checks before the first write, reads that see earlier writes."""

from collections.abc import Generator

import pytest

from raftwerk.kv.commands import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRevoke,
    Operation,
    Put,
    RangeQuery,
    SessionOpenAs,
    SessionWrite,
    Txn,
    encode,
)
from raftwerk.kv.results import KvError
from raftwerk.kv.rows import ROW_BYTES, KeyValue
from tests.kv.model import Range, Transaction, Written
from tests.kv.rig import Rig, plain, read_only

ALL = (b"\0", b"\0")


@pytest.fixture
def rig() -> Rig:
    """a at 2, b at 3, b again at 4."""
    rig = Rig()
    rig.execute_all(Put(b"a", b"1"), Put(b"b", b"1"), Put(b"b", b"2"))
    return rig


def then(*operations: Operation) -> Txn:
    return Txn((), operations)


def exists(key: bytes) -> Compare:
    return Compare(CompareTarget.VERSION, CompareResult.GREATER, key, 0)


def responses(rig: Rig, txn: Txn) -> list[object]:
    result = rig.execute(txn)
    assert isinstance(result, Transaction)
    return list(result.responses)


def test_all_writes_share_one_revision_and_keep_their_order(rig: Rig) -> None:
    rig.execute(then(Put(b"z", b"1"), Put(b"a", b"2"), DeleteRange(b"b")))
    assert rig.machine.revision == 5
    found = rig.execute(RangeQuery(*ALL))
    assert isinstance(found, Range)
    assert found.kvs == [KeyValue(b"a", 2, 5, 2, b"2", 0), KeyValue(b"z", 5, 5, 1, b"1", 0)]


def test_response_headers_count_what_was_written_so_far(rig: Rig) -> None:
    read, delete_nothing = RangeQuery(b"x"), DeleteRange(b"x")
    result = responses(rig, then(read, delete_nothing, Put(b"c"), read, delete_nothing))
    assert [response.revision for response in result] == [4, 4, 5, 5, 5]  # type: ignore[attr-defined]


def test_reads_see_the_writes_before_them_unless_they_name_a_revision(rig: Rig) -> None:
    before, _, after, old = responses(
        rig,
        then(RangeQuery(b"b"), Put(b"b", b"3"), RangeQuery(b"b"), RangeQuery(b"b", revision=4)),
    )
    assert after.kvs == [KeyValue(b"b", 3, 5, 3, b"3", 0)]  # type: ignore[attr-defined]
    assert old.kvs == before.kvs  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "txn",
    [Txn(), then(RangeQuery(*ALL)), then(DeleteRange(b"x")), then(then(DeleteRange(b"x", b"z")))],
    ids=["empty", "read", "delete nothing", "nested"],
)
def test_transaction_that_writes_nothing_does_not_raise_the_revision(rig: Rig, txn: Txn) -> None:
    result = rig.execute(txn)
    assert isinstance(result, Transaction)
    assert result.revision == rig.machine.revision == 4


def test_comparisons_choose_the_branch(rig: Rig) -> None:
    txn = Txn((exists(b"a"), exists(b"x")), (Put(b"both"),), (Put(b"not both"),))
    assert rig.execute(txn) == Transaction(5, False, [Written(5, 0, [])])
    rig.execute(Put(b"x"))
    assert rig.execute(txn) == Transaction(7, True, [Written(7, 0, [])])


def test_nested_comparisons_are_made_on_the_state_before_the_first_write(rig: Rig) -> None:
    nested = Txn((exists(b"new"),), (Put(b"seen"),), (Put(b"not seen"),))
    result = rig.execute(then(Put(b"new"), nested))
    assert result == Transaction(
        5, True, [Written(5, 0, []), Transaction(5, False, [Written(5, 0, [])])]
    )
    assert not responses(rig, then(RangeQuery(b"seen")))[0].count  # type: ignore[attr-defined]


def test_prev_kv_is_the_version_that_was_replaced_or_deleted(rig: Rig) -> None:
    old = KeyValue(b"b", 3, 4, 2, b"2", 0)
    assert rig.execute(Put(b"b", b"3", prev_kv=True)) == Written(5, 0, [old])
    assert rig.execute(Put(b"new", prev_kv=True)) == Written(6, 0, [])
    newer = KeyValue(b"b", 3, 5, 3, b"3", 0)
    a = KeyValue(b"a", 2, 2, 1, b"1", 0)
    assert rig.execute(DeleteRange(b"a", b"c", prev_kv=True)) == Written(7, 2, [a, newer])
    assert rig.execute(DeleteRange(b"new")) == Written(8, 1, [])


def test_ignored_value_is_kept(rig: Rig) -> None:
    rig.execute(Put(b"b", b"", ignore_value=True))
    result = rig.execute(RangeQuery(b"b"))
    assert isinstance(result, Range)
    assert result.kvs == [KeyValue(b"b", 3, 5, 3, b"2", 0)]


def test_key_written_twice_in_a_revision_has_both_versions(rig: Rig) -> None:
    """Validation lets this pass only for a deletion from a key on, as etcd does."""
    rig.execute(then(Put(b"b", b"3"), DeleteRange(b"a", b"\0"), Put(b"c", b"4")))
    result = rig.execute(RangeQuery(*ALL, revision=5))
    assert isinstance(result, Range)
    assert [kv.key for kv in result.kvs] == [b"c"]
    rig.execute(Put(b"b", b"5"))
    result = rig.execute(RangeQuery(*ALL, revision=5))
    assert isinstance(result, Range)
    assert [kv.key for kv in result.kvs] == [b"c"]


MISSING = Put(b"x", ignore_value=True)
LEASED = Put(b"x", lease=77)
FUTURE, OLD = RangeQuery(b"a", revision=5), RangeQuery(b"a", revision=2)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ((MISSING,), KvError.KEY_NOT_FOUND),
        ((Put(b"x", ignore_lease=True),), KvError.KEY_NOT_FOUND),
        ((LEASED,), KvError.LEASE_NOT_FOUND),
        ((FUTURE,), KvError.FUTURE_REVISION),
        ((OLD,), KvError.COMPACTED),
        ((RangeQuery(b"a", revision=-1),), KvError.COMPACTED),
        ((FUTURE, MISSING), KvError.KEY_NOT_FOUND),
        ((then(FUTURE), then(then(LEASED))), KvError.LEASE_NOT_FOUND),
        ((Put(b"x", ignore_value=True, lease=77),), KvError.KEY_NOT_FOUND),
        ((OLD, FUTURE), KvError.COMPACTED),
    ],
    ids=[
        "key is missing",
        "key is missing, lease ignored",
        "lease is missing",
        "future",
        "compacted",
        "negative",
        "puts are checked first",
        "nested puts too",
        "the key before the lease",
        "else in order",
    ],
)
def test_refused_transaction_writes_nothing(
    rig: Rig, operations: tuple[Operation, ...], expected: KvError
) -> None:
    rig.execute(Compact(3))
    before = rig.hash()
    assert rig.execute(then(Put(b"first"), *operations)) is expected
    assert (rig.hash(), rig.machine.revision) == (before, 4)


def test_branch_that_is_not_taken_is_not_checked(rig: Rig) -> None:
    assert isinstance(rig.execute(Txn((), (), (MISSING, FUTURE))), Transaction)


def test_negative_revision_is_accepted_until_the_first_compaction(rig: Rig) -> None:
    """As etcd: never compacted counts as compacted at -1."""
    assert isinstance(rig.execute(then(RangeQuery(b"a", revision=-1))), Transaction)
    assert rig.execute(then(RangeQuery(b"a", revision=-2))) is KvError.COMPACTED


def test_put_by_itself_looks_for_its_lease_first(rig: Rig) -> None:
    assert rig.execute(Put(b"x", ignore_value=True, lease=77)) is KvError.LEASE_NOT_FOUND
    assert rig.execute(Put(b"x", ignore_value=True)) is KvError.KEY_NOT_FOUND


# Read-only transactions in slices

EVERY = RangeQuery(*ALL)
BIG = RangeQuery(*ALL, limit=1)
VALUE = Compare(CompareTarget.VALUE, CompareResult.GREATER, b"\0", b"0", b"\0")
HUGE_VALUE = Compare(CompareTarget.VALUE, CompareResult.GREATER, b"b", b"1", b"c")
NOBODY = Compare(CompareTarget.VERSION, CompareResult.EQUAL, b"x", 0, b"z")
NOBODYS_VALUE = Compare(CompareTarget.VALUE, CompareResult.NOT_EQUAL, b"x", b"", b"z")
NOT_ALL = Compare(CompareTarget.VERSION, CompareResult.EQUAL, b"\0", 1, b"\0")


@pytest.mark.parametrize("max_rows", [1, 2, 100])
@pytest.mark.parametrize(
    "txn",
    [
        Txn(),
        then(EVERY, RangeQuery(b"b"), RangeQuery(b"x"), BIG, RangeQuery(*ALL, revision=3)),
        then(then(EVERY, BIG), EVERY),
        then(RangeQuery(b"x", b"y"), RangeQuery(b"x", b"y"), EVERY),
        *(
            Txn(compares, (EVERY,), (BIG, EVERY))
            for compares in (
                (VALUE, HUGE_VALUE),
                (NOBODY,),
                (NOBODYS_VALUE,),
                (NOT_ALL, VALUE),
                (exists(b"a"), exists(b"x")),
            )
        ),
        Txn((exists(b"x"),), (), (Txn((exists(b"b"), NOT_ALL), (), (BIG,)),)),
        then(EVERY, FUTURE),
        then(OLD, EVERY),
    ],
)
def test_slices_of_a_read_only_transaction_are_the_same_as_all_at_once(
    rig: Rig, txn: Txn, max_rows: int
) -> None:
    """Whatever is written, compacted and removed in between."""
    rig.execute(Compact(3))
    expected = plain(read_only(rig.machine, txn))
    scan = rig.machine.txn_sliced(txn)
    while (result := scan.step(max_rows)) is None:
        rig.execute_all(Put(b"a", b""), Put(b"new"), DeleteRange(b"b"), Put(b"x", b"1"))
        rig.execute(Compact(rig.machine.revision))
        rig.remove_all()
    assert plain(result) == expected


WRITES: dict[str, Command] = {
    "delete": DeleteRange(*ALL, prev_kv=True),
    "compared": Txn((exists(b"a"), VALUE), (Put(b"c"), EVERY), (Put(b"d"),)),
    "read, deleted, written": then(
        EVERY, DeleteRange(b"a", b"c", prev_kv=True), Put(b"a", b"3"), EVERY, then(Put(b"e"))
    ),
    "refused": then(DeleteRange(b"a", b"c"), FUTURE),
    "in a session": SessionWrite(7, 1, 1, DeleteRange(*ALL)),
    "end of a lease": LeaseRevoke(1),
    "end of several leases": LeaseExpire(3, ((2, 2), (1, 1), (9, 9))),
}


@pytest.mark.parametrize("slice_rows", [1, 2])
@pytest.mark.parametrize("command", WRITES.values(), ids=list(WRITES))
def test_command_in_slices_is_the_same_as_at_once_and_seen_by_nobody_before_its_end(
    command: Command, slice_rows: int
) -> None:
    rigs = [Rig(), Rig(slice_rows=slice_rows)]
    for each in rigs:
        each.execute_all(LeaseLead(3), LeaseGrant(1, 60), LeaseGrant(2, 60), SessionOpenAs(7))
        each.execute_all(*(Put(key, b"1", 1) for key in (b"a", b"b", b"c")), Put(b"d", b"1", 2))
    at_once, sliced = rigs
    expected = at_once.execute(command)
    before = [plain(sliced.machine.range(query)) for query in (EVERY, RangeQuery(b"a"))]
    steps = sliced.machine.apply([encode(command)], 99, b"later")
    assert isinstance(steps, Generator)
    slices = 1
    while True:
        machine = sliced.machine
        assert [plain(machine.range(query)) for query in (EVERY, RangeQuery(b"a"))] == before
        found = plain(read_only(machine, then(EVERY, RangeQuery(b"a"))))
        assert isinstance(found, Transaction)
        assert list(found.responses) == before
        with pytest.raises(AssertionError, match="half a command"):
            machine.begin_checkpoint()
        try:
            next(steps)
        except StopIteration as end:
            results = end.value
            break
        slices += 1
    assert slices > 1 or slice_rows > 1
    assert plain(results[0]) == expected
    assert sliced.machine.position == b"later"
    assert sliced.hash() == at_once.hash()
    sliced.checkpoint()


def test_batch_is_applied_in_slices_of_whole_commands() -> None:
    """However many commands the log brings together, a turn ends after so many rows. Large ones count for more."""
    rig = Rig(slice_rows=5)
    two = Txn(success=(Put(b"a"), Put(b"b")))
    batch = [two, two, Put(b"c"), Put(b"d"), Put(b"e", b"x" * 5 * ROW_BYTES), Put(b"f"), two]
    steps = rig.machine.apply([encode(command) for command in batch], 7, b"after")
    seen = []
    assert isinstance(steps, Generator)
    while True:
        seen.append(rig.machine.revision - 1)
        assert rig.machine.position == b""
        with pytest.raises(AssertionError, match="half a command"):
            rig.machine.begin_checkpoint()
        try:
            next(steps)
        except StopIteration as end:
            results = end.value
            break
    assert seen == [1, 2, 5]
    assert [result.revision for result in results] == [2, 3, 4, 5, 6, 7, 8]
    assert rig.machine.position == b"after"
    rig.checkpoint()


def test_read_only_transaction_holds_back_removal_until_its_end(rig: Rig) -> None:
    scan = rig.machine.txn_sliced(then(EVERY, EVERY))
    assert scan.step(1) is None
    rig.execute_all(Put(b"a", b"2"), Compact(5))
    rig.remove_all()
    assert rig.machine.removed_revision == 0
    scan.close()
    rig.remove_all()
    assert rig.machine.removed_revision == 5


LARGE = b"x" * 5 * ROW_BYTES
KEYS = (b"a", b"b", b"c", b"d")
SOME = Compare(CompareTarget.VALUE, CompareResult.NOT_EQUAL, b"a", b"", b"e")
LARGE_ONES: dict[str, list[Command]] = {
    "keys read": [then(*map(RangeQuery, KEYS), Put(b"w"))],
    "keys compared": [
        Txn(
            (*(Compare(CompareTarget.VALUE, CompareResult.NOT_EQUAL, key, b"") for key in KEYS),),
            (Put(b"w"),),
        )
    ],
    "range compared": [Txn((SOME,), (Put(b"w"),))],
    "keys deleted": [then(*(DeleteRange(key, prev_kv=True) for key in KEYS))],
    "keys replaced": [then(*(Put(key, prev_kv=True) for key in KEYS))],
    "values left as they are": [then(*(Put(key, ignore_value=True) for key in KEYS))],
    "keys replaced, one by one": [Put(key, prev_kv=True) for key in KEYS],
}


@pytest.mark.parametrize("commands", LARGE_ONES.values(), ids=LARGE_ONES)
def test_large_values_that_commands_read_count_as_rows(commands: list[Command]) -> None:
    """A slice for each, or two."""
    rig = Rig(slice_rows=5)
    rig.execute_all(*(Put(key, LARGE) for key in KEYS))
    steps = rig.machine.apply([encode(command) for command in commands], 9, b"")
    assert isinstance(steps, Generator)
    assert sum(1 for _ in steps) >= len(KEYS) - 2
