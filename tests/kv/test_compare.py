"""The comparisons of a transaction: each target with each result, ranges, and keys that are not there."""

import pytest

from raftwerk.kv.commands import Compare, CompareResult, CompareTarget, Txn
from raftwerk.kv.lease import Leases
from raftwerk.kv.results import TxnResult
from raftwerk.kv.steps import Slice
from raftwerk.kv.txn import Execution, TxnScan
from raftwerk.kv.versions import Versions
from raftwerk.storage.memory import MemoryStore

EQUAL, GREATER, LESS, NOT_EQUAL = CompareResult
VERSION, CREATE, MOD, VALUE, LEASE = CompareTarget
# Of b"k": version 2, created at 2, written at 3, value b"v", lease 7
PRESENT = {VERSION: 2, CREATE: 2, MOD: 3, LEASE: 7}


def holds(versions: Versions, item: Compare) -> bool:
    part = Slice(1)
    execution = Execution(versions, Leases(versions.store), 6, 0, part)
    scan = TxnScan(execution, part, Txn((item,)), lambda: None)
    while (result := scan.step(1)) is None:
        pass
    assert isinstance(result, TxnResult)
    return result.succeeded


@pytest.fixture
def versions() -> Versions:
    versions = Versions(MemoryStore())
    versions.put(b"k", b"old", 0, 2, 0)
    versions.put(b"k", b"v", 7, 3, 0)
    versions.put(b"l", b"v", 9, 4, 0)
    versions.put(b"gone", b"v", 0, 5, 0)
    versions.delete(b"gone", 6, 0)
    return versions


@pytest.mark.parametrize("target", PRESENT, ids=lambda target: target.name)
@pytest.mark.parametrize(
    ("result", "below", "same", "above"),
    [
        (EQUAL, False, True, False),
        (NOT_EQUAL, True, False, True),
        (GREATER, True, False, False),
        (LESS, False, False, True),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_number_is_compared_with_the_operand(
    versions: Versions,
    target: CompareTarget,
    result: CompareResult,
    below: bool,
    same: bool,
    above: bool,
) -> None:
    """GREATER: the key's number is greater than the operand."""
    number = PRESENT[target]
    operands = (number - 1, number, number + 1)
    answers = [holds(versions, Compare(target, result, b"k", operand)) for operand in operands]
    assert answers == [below, same, above]


@pytest.mark.parametrize(
    ("result", "operands"),
    [
        (EQUAL, [b"v"]),
        (NOT_EQUAL, [b"", b"u", b"v\0", b"w"]),
        (GREATER, [b"", b"u"]),
        (LESS, [b"v\0", b"w"]),
    ],
    ids=["equal", "not equal", "greater", "less"],
)
def test_value_is_compared_as_bytes(
    versions: Versions, result: CompareResult, operands: list[bytes]
) -> None:
    all_operands = [b"", b"u", b"v", b"v\0", b"w"]
    assert operands == [
        operand
        for operand in all_operands
        if holds(versions, Compare(VALUE, result, b"k", operand))
    ]


@pytest.mark.parametrize("key", [b"absent", b"gone"])
def test_missing_key_has_numbers_of_zero(versions: Versions, key: bytes) -> None:
    for target in PRESENT:
        assert holds(versions, Compare(target, EQUAL, key, 0))
        assert not holds(versions, Compare(target, GREATER, key, 0))
        assert holds(versions, Compare(target, LESS, key, 1))


@pytest.mark.parametrize("result", CompareResult, ids=lambda result: result.name)
@pytest.mark.parametrize("range_end", [b"", b"h"], ids=["a key", "a range"])
def test_value_of_a_missing_key_compares_to_nothing(
    versions: Versions, result: CompareResult, range_end: bytes
) -> None:
    assert not holds(versions, Compare(VALUE, result, b"gone", b"", range_end))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Compare(VALUE, EQUAL, b"k", b"v", b"m"), True),
        (Compare(LEASE, EQUAL, b"k", 7, b"m"), False),
        (Compare(LEASE, EQUAL, b"k", 7, b"l"), True),
        (Compare(LEASE, GREATER, b"k", 6, b"\0"), True),
        (Compare(MOD, LESS, b"\0", 5, b"\0"), True),
        (Compare(MOD, LESS, b"\0", 4, b"\0"), False),
        (Compare(VERSION, EQUAL, b"x", 0, b"z"), True),
    ],
    ids=["all", "not all", "one", "from a key on", "everything", "not everything", "none there"],
)
def test_comparison_of_a_range_is_one_of_every_key_in_it(
    versions: Versions, item: Compare, expected: bool
) -> None:
    assert holds(versions, item) is expected
