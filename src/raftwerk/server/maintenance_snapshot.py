"""The Snapshot stream: the state of this member, at least as new as the request, as a file for `etcdctl snapshot save`.

The file (docs/snapshot-format.md) is our snapshot stream (storage/stream.py) and not a bbolt database; zeros fill it up to a
multiple of 512 bytes, and its SHA-256 follows: by this length etcdctl sees that a snapshot is complete.
"""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Final

from raftwerk.api import rpc_pb2, status
from raftwerk.durability import SnapshotReader
from raftwerk.http2.server import Call
from raftwerk.kv.machine import KvMachine
from raftwerk.replica.position import Position
from raftwerk.server.calls import Waiting, fail, parse_streamed
from raftwerk.server.cluster_services import ETCD_VERSION
from raftwerk.server.port import Node
from raftwerk.server.streams import take_one

CHUNK_BYTES: Final = 32 * 1024
SECTOR_BYTES: Final = 512
STREAMS_MAX: Final = 16
"""At once: each holds a place for a reader of the store, and what the store has replaced since."""
REPLACED: Final = "raftwerk: the state of this member was replaced while it was sent; ask again"
FULL: Final = "raftwerk: the disk of this member is full: what was written last is in no checkpoint; ask again when it has space"


class Snapshots:
    """All streams of this member."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._waiting = Waiting(node, loop)
        self._streams: set[_Stream] = set()

    def open(self, call: Call) -> None:
        """The handler."""

        def on_request(data: bytes) -> None:
            if parse_streamed(call, rpc_pb2.SnapshotRequest, data) is not None:
                self._waiting.read(call, lambda: self._begin(call))

        take_one(call, on_request)

    def _begin(self, call: Call) -> None:
        """Everything that was committed before the request is applied; now it has to be in a checkpoint."""
        self._await_checkpoint(call, self._node.status().last_applied)

    def _await_checkpoint(self, call: Call, index: int) -> None:
        if call.is_over:
            return
        if len(self._streams) >= STREAMS_MAX:
            fail(call, status.TOO_MANY_REQUESTS)
            return
        reader = self._node.machine.open_snapshot()
        position = reader.position
        if position and Position.decode(position).last_index >= index:
            stream = _Stream(call, self._loop, reader, self._node.machine, self._streams.discard)
            self._streams.add(stream)
            stream.start()
            return
        reader.close()
        if self._node.is_disk_full:
            call.finish(status.RESOURCE_EXHAUSTED, FULL)
            return
        self._node.when_checkpointed(partial(self._await_checkpoint, call, index))


class _Stream:
    """One snapshot on its way: a chunk in each turn of the loop, none while the client does not read.

    It cannot go on when a snapshot of the leader replaces what it reads.
    """

    def __init__(
        self,
        call: Call,
        loop: asyncio.AbstractEventLoop,
        reader: SnapshotReader,
        machine: KvMachine,
        on_end: Callable[["_Stream"], None],
    ) -> None:
        self._call = call
        self._on_end = on_end
        self._loop = loop
        self._reader = reader
        self._machine = machine
        self._restores = machine.restores
        self._estimated_bytes = machine.size_bytes[1]
        self._offset = 0
        self._digest = hashlib.sha256()
        self._is_waiting = False

    def start(self) -> None:
        self._call.on_cancel = self._release
        self._call.on_drain = self._resume
        self._next()

    def _resume(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._next()

    def _next(self) -> None:
        call = self._call
        if call.is_over:
            return
        if self._machine.restores != self._restores:
            self._release()
            call.finish(status.UNAVAILABLE, REPLACED)
            return
        if call.is_clogged:
            self._is_waiting = True
            call.await_drain()
            return
        data = self._reader.read(self._offset, CHUNK_BYTES)
        if not data:  # less than was asked for says nothing: rows may take long to find
            self._end()
            return
        self._send(data, max(1, self._estimated_bytes - self._offset - len(data)))
        self._loop.call_soon(self._next)

    def _end(self) -> None:
        self._send(bytes(-self._offset % SECTOR_BYTES), 0)
        self._release()
        proof = rpc_pb2.SnapshotResponse(blob=self._digest.digest(), version=ETCD_VERSION)
        self._call.send(proof.SerializeToString())
        self._call.finish()

    def _release(self) -> None:
        self._call.on_cancel = self._call.on_drain = None
        self._reader.close()
        self._on_end(self)

    def _send(self, data: bytes, remaining_bytes: int) -> None:
        """remaining_bytes: an estimate, but for the 0 at the end: the stream is made as it is read."""
        self._offset += len(data)
        self._digest.update(data)
        response = rpc_pb2.SnapshotResponse(
            blob=data, remaining_bytes=remaining_bytes, version=ETCD_VERSION
        )
        self._call.send(response.SerializeToString())
