"""Commands are on disk and on the wire: their bytes never change."""

import sys
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings

from raftwerk.kv.commands import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseCheckpoint,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
    Operation,
    PublishMember,
    Put,
    RangeQuery,
    SessionClose,
    SessionOpen,
    SessionOpenAs,
    SessionWrite,
    SortOrder,
    SortTarget,
    Txn,
    decode,
    encode,
)
from tests.kv.strategies import COMMANDS

KNOWN_BYTES: list[tuple[Command, str]] = [
    (Put(b"k", b"v", 7, True, False, True), "9702c4016bc4017607c3c2c3"),
    (DeleteRange(b"a", b"b", True), "9403c40161c40162c3"),
    (Compact(300), "9205cd012c"),
    (PublishMember(1, "n", ("p",), ("c",)), "950601a16e91a17091a163"),
    (LeaseGrant(-2, 60), "9307fe3c"),
    (LeaseRevoke(5), "920805"),
    (LeaseRenew(5), "920905"),
    (LeaseExpire(3, ((5, 1), (6, 2))), "930a0392920501920602"),
    (LeaseCheckpoint(3, ((5, 1, 300),)), "930b0391930501cd012c"),
    (LeaseLead(3), "920c03"),
    (SessionOpen(7), "923507"),
    (SessionOpenAs(7), "923207"),
    (SessionWrite(7, 2, 1, Compact(300)), "9533070201" + "9205cd012c"),
    (SessionClose(7), "923407"),
    (
        Txn((Compare(CompareTarget.VALUE, CompareResult.LESS, b"k", b"v", b"z"),), (), ()),
        "940491950302c4016bc40176c4017a9090",
    ),
    (
        Txn((), (RangeQuery(b"k", b"l", 1, 2, SortOrder.DESCEND, SortTarget.MOD, True),), ()),
        "940490919d01c4016bc4016c01020203c3c20000000090",
    ),
]


@pytest.mark.parametrize(("command", "data"), KNOWN_BYTES, ids=[data for _, data in KNOWN_BYTES])
def test_bytes_of_a_command_are_those_of_every_version(command: Command, data: str) -> None:
    assert encode(command).hex() == data
    assert decode(bytes.fromhex(data)) == command


@given(COMMANDS)
@settings(max_examples=100, deadline=None, database=None, derandomize=True)
def test_decoded_command_is_the_one_encoded(command: Operation | Command) -> None:
    if not isinstance(command, RangeQuery):
        assert decode(encode(command)) == command


def test_older_commands_lack_the_newer_fields() -> None:
    """Fields are only ever appended, with defaults."""
    assert decode(bytes.fromhex("9202c4016b")) == Put(b"k")


@pytest.mark.parametrize(
    "data",
    ["", "c0", "92", "9209c4016b", "9262c4016b", "9102", "9202a16b", "9401c4016b0000"],
    ids=[
        "nothing",
        "nil",
        "cut off",
        "bytes for a number",
        "unknown tag",
        "no key",
        "text for bytes",
        "a bare range",
    ],
)
def test_foreign_bytes_are_no_command(data: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(bytes.fromhex(data))


def test_command_takes_no_more_memory_than_its_bytes() -> None:
    """50,000 of them stand in the log."""
    puts = [Put(b"%04d" % number, bytes(256)) for number in range(1000)]
    encode(puts[0])
    tracemalloc.start()
    commands = [encode(put) for put in puts]
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_bytes < 1.05 * sum(map(sys.getsizeof, [commands, *commands]))
