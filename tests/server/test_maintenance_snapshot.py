"""The Snapshot stream."""

import hashlib
from pathlib import Path

import pytest

from raftwerk.api import rpc_pb2, status
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import Call, StreamMethod
from raftwerk.kv.commands import Put, encode
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.store import Store, Table
from raftwerk.raft.membership import Membership
from raftwerk.replica.failure import Failure
from raftwerk.replica.position import Position
from raftwerk.server.gateway_call import GatewayCall
from raftwerk.server.maintenance_snapshot import (
    CHUNK_BYTES,
    FULL,
    REPLACED,
    SECTOR_BYTES,
    STREAMS_MAX,
    Snapshots,
)
from raftwerk.storage.lmdb_store import PAUSE_ROWS, LmdbStore
from raftwerk.storage.memory import MemoryStore
from raftwerk.storage.stream import StreamDecoder
from tests.checkpoints import complete, read_all
from tests.kv.rig import completed
from tests.server import fakes
from tests.server.fakes import CHECKPOINT_S, FakeLoop, FakeNode

PATH = "/etcdserverpb.Maintenance/Snapshot"
APPLIED = 10  # what FakeNode says


class Rig(fakes.Rig):
    def __init__(self, store: Store | None = None) -> None:
        loop = FakeLoop()
        self.node = FakeNode(loop, store=store)
        self.method = StreamMethod(Snapshots(self.node, loop).open)
        super().__init__(loop, {PATH: self.method})

    def write(self, count: int, index: int = APPLIED) -> None:
        position = Position(index, 1, Membership((1,)).encode()).encode()
        puts = [encode(Put(b"%d" % number, bytes(1000))) for number in range(count)]
        completed(self.node.machine.apply(puts, index, position))

    def snapshot(self) -> list[rpc_pb2.SnapshotResponse]:
        """All messages of one."""
        pending = self.start(PATH, rpc_pb2.SnapshotRequest())
        self.loop.settle()
        self.advance(CHECKPOINT_S)
        while pending.outcome is None:
            before = len(pending.messages)
            self.pump()
            self.loop.settle()
            self.pump()
            assert len(pending.messages) > before or pending.outcome is not None
        assert pending.outcome.status == status.OK, pending.outcome.text
        return [rpc_pb2.SnapshotResponse.FromString(data) for data in pending.messages]


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.mark.parametrize("count", [1, 40, 500])
def test_snapshot_ends_with_its_proof_as_etcdctl_wants_it(rig: Rig, count: int) -> None:
    rig.write(count)
    *chunks, proof = rig.snapshot()
    data = b"".join(chunk.blob for chunk in chunks)
    assert len(data) % SECTOR_BYTES == 0
    assert proof.blob == hashlib.sha256(data).digest()


def test_chunks_tell_how_much_is_left(rig: Rig) -> None:
    rig.write(500)
    *chunks, last, proof = rig.snapshot()
    assert max(len(chunk.blob) for chunk in chunks) == CHUNK_BYTES
    left = [chunk.remaining_bytes for chunk in chunks]
    assert left == sorted(left, reverse=True)
    assert min(left) > 0
    assert (last.remaining_bytes, proof.remaining_bytes) == (0, 0)


def test_snapshot_can_be_restored(rig: Rig) -> None:
    """But for the zeros that fill it up, it is the stream that members send each other."""
    rig.write(500)
    *chunks, _ = rig.snapshot()
    data = b"".join(chunk.blob for chunk in chunks)
    reader = rig.node.machine.open_snapshot()
    stream = read_all(reader)
    assert data == stream + bytes(len(data) - len(stream))
    restored = KvMachine(MemoryStore())
    writer = restored.begin_restore()
    writer.write(stream)
    writer.commit()
    writer.swap()
    assert restored.revision == rig.node.machine.revision


@pytest.mark.parametrize("count", [PAUSE_ROWS - 1, PAUSE_ROWS, 3 * PAUSE_ROWS + 1])
def test_snapshot_of_a_store_on_disk_is_whole_where_its_reader_pauses(
    tmp_path: Path, count: int
) -> None:
    rig = Rig(LmdbStore(tmp_path / "store"))
    rig.write(count)
    *chunks, proof = rig.snapshot()
    data = b"".join(chunk.blob for chunk in chunks)
    assert proof.blob == hashlib.sha256(data).digest()
    decoder = StreamDecoder("here", is_padded=True)
    rows = decoder.feed(data)
    assert decoder.is_complete
    keys = [key for table, key, _ in rows if table == Table.KEYS]
    assert sorted(keys) == sorted(b"%d" % number for number in range(count))
    rig.node.machine.open_snapshot().close()


def test_snapshot_waits_for_what_was_written_before_it(rig: Rig) -> None:
    """A checkpoint that is older is not good enough."""
    rig.write(1, index=APPLIED - 1)
    complete(rig.node.machine.begin_checkpoint())
    pending = rig.start(PATH, rpc_pb2.SnapshotRequest())
    rig.advance(10 * CHECKPOINT_S)
    assert (pending.messages, pending.outcome) == ([], None)
    rig.write(1)
    rig.advance(2 * CHECKPOINT_S)
    assert pending.messages


def test_snapshot_for_which_the_disk_has_no_room_is_refused(rig: Rig) -> None:
    """Nobody waits for space: not one who has waited for a checkpoint already, either."""
    rig.write(1, index=APPLIED - 1)
    complete(rig.node.machine.begin_checkpoint())
    waiting = rig.start(PATH, rpc_pb2.SnapshotRequest())
    rig.advance(CHECKPOINT_S)
    rig.node.is_disk_full = True
    late = rig.start(PATH, rpc_pb2.SnapshotRequest())
    rig.advance(2 * CHECKPOINT_S)
    for pending in (waiting, late):
        assert pending.outcome is not None
        assert (pending.outcome.status, pending.outcome.text) == (status.RESOURCE_EXHAUSTED, FULL)


def test_snapshot_of_a_full_disk_is_what_the_last_checkpoint_holds_if_that_is_all(rig: Rig) -> None:
    rig.write(1)
    complete(rig.node.machine.begin_checkpoint())
    rig.node.is_disk_full = True
    *chunks, _ = rig.snapshot()
    assert sum(len(chunk.blob) for chunk in chunks) >= 1000


def test_snapshot_needs_a_leader(rig: Rig) -> None:
    rig.node.failure = Failure.NO_LEADER
    pending = rig.start(PATH, rpc_pb2.SnapshotRequest())
    rig.loop.settle()
    rig.pump()
    assert pending.outcome is not None
    assert (pending.outcome.status, pending.outcome.text) == status.NO_LEADER


class SlowClient:
    """Takes nothing of what is sent."""

    def __init__(self, rig: Rig) -> None:
        rig.write(500)
        self.rig = rig
        limits = Limits(backlog_bytes_max=3 * CHUNK_BYTES)
        self.call: Call = GatewayCall(PATH, rig.method, [], None, limits, lambda _: None)
        rig.method.open(self.call)
        assert self.call.on_message is not None
        self.call.on_message(b"")
        rig.loop.advance(10 * CHECKPOINT_S)


def test_client_that_does_not_read_gets_no_more(rig: Rig) -> None:
    client = SlowClient(rig)
    assert 3 * CHUNK_BYTES < client.call.queued_bytes < 5 * CHUNK_BYTES
    before = client.call.queued_bytes
    client.call.queued_bytes = 0
    client.call.on_drained()
    rig.loop.advance(1)
    assert 0 < client.call.queued_bytes <= before


def test_client_that_leaves_ends_the_stream(rig: Rig) -> None:
    client = SlowClient(rig)
    assert isinstance(client.call, GatewayCall)
    client.call.cancel()
    client.call.on_drained()
    rig.loop.advance(1)
    assert rig.loop.timers == 0


def test_no_stream_holds_the_store_when_it_is_over() -> None:
    """Complete, after it had to wait for a checkpoint; given up; or refused for what its client sends meanwhile."""
    store = MemoryStore()
    rig = Rig(store)
    rig.write(500)
    rig.snapshot()
    assert store.open_readers == 0
    slow = SlowClient(rig)
    assert isinstance(slow.call, GatewayCall)
    assert store.open_readers == 1
    slow.call.cancel()
    assert store.open_readers == 0
    pending = rig.open(PATH)
    pending.client_call.send(rpc_pb2.SnapshotRequest().SerializeToString())
    rig.pump()
    while not store.open_readers:
        rig.loop.turn()
    rig.break_off(pending)
    assert pending.outcome is not None
    assert pending.outcome.status == status.INTERNAL
    assert store.open_readers == 0


def test_so_many_streams_and_no_more(rig: Rig) -> None:
    """Those that end make room."""
    slow = [SlowClient(rig) for _ in range(STREAMS_MAX)]
    assert all(client.call.queued_bytes for client in slow)
    refused = SlowClient(rig).call
    assert isinstance(refused, GatewayCall)
    assert refused.outcome == status.TOO_MANY_REQUESTS
    first = slow[0].call
    assert isinstance(first, GatewayCall)
    first.cancel()
    assert SlowClient(rig).call.queued_bytes


def test_stream_ends_when_a_snapshot_of_the_leader_replaces_the_state(
    rig: Rig, tmp_path: Path
) -> None:
    """The rows that are left are gone, and the client must not wait for them."""
    store = LmdbStore(tmp_path)
    rig.node.machine = KvMachine(store)
    client = SlowClient(rig)
    reader, writer = KvMachine(MemoryStore()).open_snapshot(), rig.node.machine.begin_restore()
    writer.write(read_all(reader))
    writer.commit()
    writer.swap()
    client.call.queued_bytes = 0
    client.call.on_drained()
    rig.loop.advance(1)
    assert isinstance(client.call, GatewayCall)
    assert client.call.outcome == (status.UNAVAILABLE, REPLACED)
    assert rig.loop.timers == 0
    store.close()


def test_file_is_described() -> None:
    text = Path("docs/snapshot-format.md").read_text()
    assert "SHA-256" in text
    assert str(SECTOR_BYTES) in text
