"""A whole checkpoint, of a store or of a state machine, as the replica makes one; and a whole snapshot."""

from raftwerk.durability import Checkpoint, SnapshotReader


def complete(checkpoint: Checkpoint | None) -> Checkpoint:
    """Write all of it, commit, and finish. It: what `begin_checkpoint` returned; None, nothing was new, is an error."""
    assert checkpoint is not None, "nothing is new"
    while not checkpoint.write():
        pass
    checkpoint.commit()
    checkpoint.finish(committed=True)
    return checkpoint


def read_all(reader: SnapshotReader, size: int = 1000) -> bytes:
    """In pieces of `size` at most: a read may end early, as one does at a pause."""
    stream = b""
    while chunk := reader.read(len(stream), size):
        stream += chunk
    return stream
