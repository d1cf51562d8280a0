"""The machine: what of it is durable and when, and what it makes of bytes that are no command."""

from pathlib import Path

import pytest

from raftwerk.kv.commands import (
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Put,
    RangeQuery,
    Txn,
    encode,
)
from raftwerk.kv.compaction import NEVER_COMPACTED
from raftwerk.kv.machine import FIRST_REVISION, KvMachine
from raftwerk.kv.read import RangeScan
from raftwerk.kv.results import KvError, PutResult, TxnResult
from raftwerk.storage.memory import MemoryStore
from tests.checkpoints import complete
from tests.kv.model import Written
from tests.kv.rig import Rig, read_only

POSITION = b"position of index 3"


def test_empty_machine_is_at_the_first_revision() -> None:
    machine = KvMachine(MemoryStore())
    assert (machine.revision, machine.position) == (FIRST_REVISION, b"")
    assert (machine.compacted_revision, machine.removed_revision) == (NEVER_COMPACTED, 0)
    assert not machine.has_garbage


def test_results_come_in_the_order_of_the_commands() -> None:
    machine = KvMachine(MemoryStore())
    batch = [encode(Put(b"a")), b"no command", encode(Compact(9)), encode(Put(b"a"))]
    assert machine.apply(batch, 4, POSITION) == [
        PutResult(2, None),
        KvError.UNREADABLE,
        KvError.FUTURE_REVISION,
        PutResult(3, None),
    ]


def deep_txn() -> bytes:
    """Nested more deeply than anybody can decode."""
    data = encode(Txn())
    for _ in range(5000):
        data = b"\x94\x04\x90\x91" + data + b"\x90"
    return data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        deep_txn(),
        encode(Txn((Compare(CompareTarget.VALUE, CompareResult.EQUAL, b"k", 1),))),
        encode(Txn((Compare(CompareTarget.MOD, CompareResult.LESS, b"k", b"v"),))),
        encode(Txn((), (), (Txn((Compare(CompareTarget.MOD, CompareResult.LESS, b"k", b"v"),)),))),
    ],
    ids=["nothing", "no command", "too deep", "number as value", "value as number", "nested"],
)
def test_bytes_that_cannot_be_executed_are_refused_everywhere_alike(data: bytes) -> None:
    machine = KvMachine(MemoryStore())
    assert machine.apply([data], 1, POSITION) == [KvError.UNREADABLE]
    assert (machine.revision, machine.position) == (FIRST_REVISION, POSITION)


def test_position_and_revision_become_durable_with_the_data() -> None:
    rig = Rig()
    rig.execute_all(Put(b"a"), Put(b"a"), Compact(2))
    rig.checkpoint()
    rig.execute_all(Put(b"b"), Compact(3))
    store = rig.store
    assert isinstance(store, MemoryStore)
    machine = KvMachine(store.reopen())
    assert machine.position == (3).to_bytes(8, "big")
    assert (machine.revision, machine.compacted_revision) == (3, 2)


def test_position_alone_is_reason_for_a_checkpoint() -> None:
    """An entry without effect still moves the applied index: the log before it may go."""
    rig = Rig()
    rig.execute(DeleteRange(b"nothing"))
    rig.checkpoint()
    rig.crash()
    assert rig.machine.position == (1).to_bytes(8, "big")
    assert rig.machine.begin_checkpoint() is None, "nothing is new"


def test_checkpoint_names_the_index_that_it_makes_durable() -> None:
    machine = KvMachine(MemoryStore())
    machine.apply([encode(Put(b"a"))], 41, POSITION)
    checkpoint = machine.begin_checkpoint()
    assert checkpoint is not None
    machine.apply([encode(Put(b"a"))], 42, POSITION)
    assert checkpoint.index == 41


def test_checkpoint_that_failed_is_tried_again_with_everything() -> None:
    rig = Rig()
    rig.execute(Put(b"a"))
    checkpoint = rig.machine.begin_checkpoint()
    assert checkpoint is not None
    checkpoint.finish(committed=False)
    rig.checkpoint()
    rig.log.clear()
    rig.crash()
    assert rig.machine.position == (1).to_bytes(8, "big")
    assert rig.machine.revision == 2


def test_machine_goes_on_from_an_installed_snapshot() -> None:
    source, target = Rig(), Rig()
    source.execute_all(Put(b"a"), Put(b"a"), Put(b"b"), Compact(3))
    source.checkpoint()
    target.execute_all(*[Put(b"other")] * 9, Compact(1))
    assert isinstance(target.machine.range_sliced(RangeQuery(b"a", b"z", revision=1)), RangeScan)
    target.execute(Compact(7))
    target.machine.maintain(1)
    reader = source.machine.open_snapshot()
    target.install(reader)
    assert reader.position == target.machine.position == source.machine.position
    assert target.machine.restores == 1
    assert (target.machine.revision, target.machine.compacted_revision) == (4, 3)
    assert target.hash() == source.hash()
    target.remove_all()
    assert target.machine.removed_revision == 3, "pins of the old state hold nothing back"
    assert target.execute(Put(b"a")) == Written(5, 0, [])


def test_read_only_transaction_needs_no_log() -> None:
    rig = Rig()
    rig.execute(Put(b"a"))
    result = read_only(rig.machine, Txn((), (RangeQuery(b"a"), Txn())))
    assert isinstance(result, TxnResult)
    assert (result.revision, len(result.responses)) == (2, 2)
    refused = read_only(rig.machine, Txn((), (RangeQuery(b"a", revision=9),)))
    assert refused is KvError.FUTURE_REVISION


def test_pending_bytes_and_size_are_those_of_the_store(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "store")
    rig.execute(Put(b"a", b"x" * 5000))
    assert 5000 < rig.machine.pending_bytes < 6000
    rig.checkpoint()
    assert rig.machine.pending_bytes == 0
    assert rig.machine.size_bytes == rig.store.size_bytes
    assert rig.machine.size_bytes[1] > 5000
    rig.close()


def test_new_cluster_at_the_same_position_keeps_its_later_revision() -> None:
    """A snapshot that is restored with the same members: nothing else tells its state from the saved one."""
    store = MemoryStore()
    machine = KvMachine(store)
    machine.apply([encode(Put(b"a", b"1"))], 1, b"position")
    for bump in (0, 100):
        machine.begin_new_cluster(b"position", bump, mark_compacted=False)
        complete(machine.begin_checkpoint())
    assert KvMachine(store.reopen()).revision == 102
