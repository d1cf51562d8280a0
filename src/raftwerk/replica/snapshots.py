"""Snapshots between nodes: reading chunks of the own state for a follower, and restoring a leader's (Figure 13).

The core decides on offsets and terms; the state machine provides the bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from raftwerk.durability import SnapshotReader, SnapshotWriter
from raftwerk.errors import CorruptData, DiskFailed, RaftwerkError
from raftwerk.raft.effects import SendChunk
from raftwerk.raft.events import SnapshotInstalled, SnapshotRejected
from raftwerk.raft.messages import InstallSnapshot
from raftwerk.raft.types import Index, NodeId
from raftwerk.replica.checkpoints import Checkpoints
from raftwerk.replica.ports import Background, StateMachine
from raftwerk.replica.position import Position

CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Outgoing:
    """An open stream for one follower. Only the chunk at last_offset and the one at next_offset can be read."""

    reader: SnapshotReader
    position: Position
    last_offset: int = 0
    next_offset: int = 0


class SnapshotSender:
    """Open streams, one for each follower that needs a snapshot."""

    def __init__(self, node_id: NodeId, machine: StateMachine) -> None:
        self._node_id = node_id
        self._machine = machine
        self._outgoing: dict[NodeId, Outgoing] = {}

    def chunk(self, ask: SendChunk) -> InstallSnapshot:
        """The chunk that the core wants sent; the first one of a fresh stream if the one meant is not open."""
        outgoing = self._outgoing.get(ask.to)
        offset = ask.offset
        if (
            outgoing is None
            or offset == 0
            or ask.last_included_index != outgoing.position.last_index
            or offset not in (outgoing.last_offset, outgoing.next_offset)
        ):
            self.close(ask.to)
            reader = self._machine.open_snapshot()
            outgoing = Outgoing(reader, Position.decode(reader.position))
            self._outgoing[ask.to] = outgoing
            offset = 0
        data = outgoing.reader.read(offset, CHUNK_BYTES)
        outgoing.last_offset = offset
        outgoing.next_offset = offset + len(data)
        return InstallSnapshot(
            term=ask.term,
            leader_id=self._node_id,
            last_included_index=outgoing.position.last_index,
            last_included_term=outgoing.position.last_term,
            membership=outgoing.position.membership,
            offset=offset,
            data=data,
            done=not data,
        )

    def close(self, peer: NodeId) -> None:
        """Nobody will ask for more of this peer's stream."""
        outgoing = self._outgoing.pop(peer, None)
        if outgoing is not None:
            outgoing.reader.close()

    def close_all(self) -> None:
        for peer in list(self._outgoing):
            self.close(peer)


class SnapshotReceiver:
    """Restores the stream that the core lets through; tells the core how it ended."""

    def __init__(
        self,
        machine: StateMachine,
        background: Background,
        checkpoints: Checkpoints,
        last_applied: Callable[[], Index],
        post: Callable[[SnapshotInstalled | SnapshotRejected], None],
    ) -> None:
        self._machine = machine
        self._background = background
        self._checkpoints = checkpoints
        self._last_applied = last_applied
        self._post = post
        self._writer: SnapshotWriter | None = None

    def receive(self, chunk: InstallSnapshot) -> None:
        """Take the next chunk; offset 0 begins a new stream."""
        if chunk.offset == 0:
            self.abort()
            self._writer = self._machine.begin_restore()
        writer = self._writer
        if writer is None:
            return  # a chunk before it, of the same step of the core, could not be written: that is told
        index = chunk.last_included_index
        try:
            self._background.run_slice(lambda: writer.write(chunk.data))
        except (RaftwerkError, OSError) as error:
            self._reject(index, error)
            return
        if chunk.done:
            self._background.run(
                writer.commit, lambda result: self._committed(writer, index, result)
            )

    def _committed(self, writer: SnapshotWriter, index: Index, result: Exception | None) -> None:
        if writer is not self._writer:
            return  # the node was stopped
        if result is None:
            self._checkpoints.when_idle(lambda: self._swap(writer, index))
            return
        if isinstance(result, DiskFailed):
            self._checkpoints.failure = result
        self._reject(index, result)

    def _swap(self, writer: SnapshotWriter, index: Index) -> None:
        if writer is not self._writer:
            return
        # Nothing is appended while a snapshot is being installed (State.is_installing), so that the log cannot get there first
        assert self._last_applied() < index, "never go back in time"
        self._writer = None
        writer.swap()
        self._clean(writer)
        self._post(SnapshotInstalled(index))

    def _reject(self, index: Index, why: Exception) -> None:
        self.abort()
        reason = why.reason if isinstance(why, CorruptData) else str(why)
        self._post(SnapshotRejected(index, reason))

    def abort(self) -> None:
        """Forget a stream that is not complete."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._background.run_slice(writer.abort)
            self._clean(writer)

    def _clean(self, writer: SnapshotWriter) -> None:
        """Piece by piece: the chunks of a new stream, for which the loop waits, come between them."""

        def cleaned(error: Exception | None) -> None:
            if error is None:
                self._clean(writer)

        if writer.has_leftovers:
            self._background.run(writer.clean, cleaned)
