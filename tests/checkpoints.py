"""A whole checkpoint, of a store or of a state machine, as the replica makes one."""

from raftwerk.durability import Checkpoint


def complete(checkpoint: Checkpoint | None) -> Checkpoint:
    """Write all of it, commit, and finish. It: what `begin_checkpoint` returned; None, nothing was new, is an error."""
    assert checkpoint is not None, "nothing is new"
    while not checkpoint.write():
        pass
    checkpoint.commit()
    checkpoint.finish(committed=True)
    return checkpoint
