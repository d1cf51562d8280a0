"""A machine over a store, as a node drives it: a log, checkpoints, crashes, snapshots."""

from collections.abc import Generator
from pathlib import Path

from raftwerk.durability import SnapshotReader
from raftwerk.kv.commands import Command, Operation, RangeQuery, Txn, encode
from raftwerk.kv.compaction import HashScan
from raftwerk.kv.machine import SLICE_ROWS, KvMachine
from raftwerk.kv.read import ALL_ROWS
from raftwerk.kv.results import (
    CompactResult,
    DeleteRangeResult,
    KvError,
    LeaseResult,
    PutResult,
    RangeResult,
    Result,
    SessionResult,
    TxnResult,
)
from raftwerk.kv.rows import decode_key_value
from raftwerk.kv.steps import Steps
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.storage.memory import MemoryStore
from tests.checkpoints import complete
from tests.kv.model import Answer, Leased, Range, Transaction, Written


def completed(results: list[Result] | Steps[list[Result]]) -> list[Result]:
    """Of KvMachine.apply, with all slices done."""
    while isinstance(results, Generator):
        try:
            next(results)
        except StopIteration as end:
            results = end.value
    return results


def read_only(machine: KvMachine, txn: Txn) -> TxnResult | KvError:
    """A transaction that only reads, at once."""
    result = machine.txn_sliced(txn).step(ALL_ROWS)
    assert result is not None
    return result


class Rig:
    """folder: of an LMDB store; None: in memory. slice_rows: see KvMachine."""

    def __init__(self, folder: Path | None = None, *, slice_rows: int = SLICE_ROWS) -> None:
        self.folder = folder
        self.store: LmdbStore | MemoryStore = LmdbStore(folder) if folder else MemoryStore()
        self._slice_rows = slice_rows
        self.machine = KvMachine(self.store, slice_rows=slice_rows)
        self.log: list[bytes] = []

    def execute(self, command: Operation | Command) -> Answer | KvError:
        """One command through the log, a range directly; the result as the model gives it."""
        if isinstance(command, RangeQuery):
            return plain(self.machine.range(command))
        self.log.append(encode(command))
        return plain(self._apply(len(self.log)))

    def execute_all(self, *commands: Operation | Command) -> Answer | KvError:
        """The result of the last one."""
        return [self.execute(command) for command in commands][-1]

    def _apply(self, index: int) -> Result:
        position = index.to_bytes(8, "big")
        results = self.machine.apply([self.log[index - 1]], index, position)
        (result,) = completed(results)
        return result

    def checkpoint(self) -> None:
        checkpoint = self.machine.begin_checkpoint()
        if checkpoint is not None:
            complete(checkpoint)

    def crash(self) -> None:
        """Forget what is not durable, start again, and apply the log from there."""
        if isinstance(self.store, MemoryStore):
            self.store = self.store.reopen()
        else:
            assert self.folder is not None
            self.store.close()
            self.store = LmdbStore(self.folder)
        self.machine = KvMachine(self.store, slice_rows=self._slice_rows)
        durable = int.from_bytes(self.machine.position, "big")
        for index in range(durable + 1, len(self.log) + 1):
            self._apply(index)

    def remove_all(self, max_rows: int = 3) -> None:
        """Finish the physical compaction."""
        while self.machine.maintain(max_rows):
            pass

    def install(self, reader: SnapshotReader, chunk_bytes: int = 50) -> None:
        """Replace the state by a snapshot."""
        writer = self.machine.begin_restore()
        offset = 0
        while chunk := reader.read(offset, chunk_bytes):
            writer.write(chunk)
            offset += len(chunk)
        writer.commit()
        writer.swap()

    def hash(self, revision: int = 0, max_rows: int = 3) -> int:
        """Over all versions at a revision."""
        scan = self.machine.hash_sliced(revision)
        assert isinstance(scan, HashScan)
        while (total := scan.step(max_rows)) is None:
            pass
        return total

    def close(self) -> None:
        self.store.close()


def plain(result: Result) -> Answer | KvError:
    """A result in the model's terms."""
    if isinstance(result, RangeResult):
        kvs = [decode_key_value(kv) for kv in result.kvs]
        return Range(result.revision, kvs, result.more, result.count)
    if isinstance(result, PutResult):
        prev_kvs = [] if result.prev_kv is None else [decode_key_value(result.prev_kv)]
        return Written(result.revision, 0, prev_kvs)
    if isinstance(result, DeleteRangeResult):
        prev_kvs = [decode_key_value(kv) for kv in result.prev_kvs]
        return Written(result.revision, result.deleted, prev_kvs)
    if isinstance(result, TxnResult):
        responses = [plain(response) for response in result.responses]
        return Transaction(result.revision, result.succeeded, responses)
    if isinstance(result, CompactResult | SessionResult):
        return Written(result.revision, 0, [])
    if isinstance(result, LeaseResult):
        return Leased(result.revision, result.lease_id, result.ttl_s)
    assert isinstance(result, KvError)
    return result
