"""From what is on stable storage to a core that goes on: the durable log and the state machine's position, put together.

The state machine holds the effect of every entry up to its position. The log must reach back to it; where the log ends
before it, or contradicts it there, a snapshot was installed and the log had no time to follow: the position wins,
because only committed entries are ever in a state machine.
"""

from dataclasses import dataclass
from random import Random

from raftwerk.errors import REPAIR, DataDirError
from raftwerk.raft import stable
from raftwerk.raft.config import Config
from raftwerk.raft.log import Log
from raftwerk.raft.membership import Membership
from raftwerk.raft.raft import Raft
from raftwerk.raft.types import Index, NodeId, Term
from raftwerk.replica.position import Position


@dataclass(frozen=True, slots=True)
class DurableState:
    """What the log's recovery found: the hard state, and a log that starts after base_index."""

    current_term: Term
    voted_for: NodeId
    log: Log


def start_core(
    node_id: NodeId,
    config: Config,
    random: Random,
    durable: DurableState,
    position: bytes,
    initial_membership: Membership,
    *,
    checks_invariants: bool = False,
) -> Raft:
    """Make the core of a node that starts (again).

    position: of the state machine; b"" if it is new. initial_membership: in force before the first entry.
    Raises DataDirError when log and state do not fit together: entries between them are missing.
    """
    last_applied: Index = 0
    last_term: Term = 0
    membership = initial_membership
    if position:
        last_applied, last_term, encoded = Position.decode(position)
        membership = Membership.decode(encoded)
    log = durable.log
    if log.snapshot_index > last_applied:
        raise DataDirError(
            f"the log starts after index {log.snapshot_index}, but the store has the state of index {last_applied}: "
            f"entries between them are missing. Part of the data folder was lost or replaced. {REPAIR}."
        )
    is_superseded = not log.matches(last_applied, last_term)
    if is_superseded:
        log = Log(last_applied, last_term)
    raft = Raft(
        node_id,
        config,
        random,
        membership=membership,
        current_term=max(durable.current_term, last_term),
        voted_for=durable.voted_for if durable.current_term >= last_term else 0,
        log=log,
        last_applied=last_applied,
        is_log_superseded=is_superseded,
        checks_invariants=checks_invariants,
    )
    if last_term > durable.current_term:
        stable.on_hard_state_changed(raft.state, is_new_term=True)
    return raft
