"""What time does: Figure 2, "Rules for Servers", as far as a clock starts them. Time enters only as Tick.elapsed_ms."""

from raftwerk.raft import install_snapshot, quorum, remote, replicate, request_vote, transfer
from raftwerk.raft.effects import Effects
from raftwerk.raft.progress import Mode
from raftwerk.raft.roles import Candidate, Follower, Leader, PreCandidate
from raftwerk.raft.state import State, notice
from raftwerk.raft.transitions import become_follower
from raftwerk.raft.types import NOBODY, NodeId


def tick(state: State, elapsed_ms: int, out: Effects) -> None:
    """Time went by."""
    role = state.role
    if isinstance(role, Leader):
        _tick_leader(state, role, elapsed_ms, out)
    else:
        _tick_other(state, role, elapsed_ms, out)
    remote.tick(state, elapsed_ms, out)


def _tick_other(
    state: State, role: Follower | PreCandidate | Candidate, elapsed_ms: int, out: Effects
) -> None:
    state.leader_silent_ms += elapsed_ms
    role.elapsed_ms += elapsed_ms
    # F2.FOL.2: if election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to
    # candidate: convert to candidate. F2.CAN.4: if election timeout elapses: start new election. (Both ask for pre-votes
    # first.) T4.2.2: a server that is no voter starts no election
    if role.elapsed_ms >= role.election_timeout_ms:
        role.elapsed_ms = 0
        if request_vote.may_campaign(state):
            request_vote.pre_campaign(state, out)


def _tick_leader(state: State, leader: Leader, elapsed_ms: int, out: Effects) -> None:
    config = state.config
    for peer, progress in leader.progress.items():
        progress.silent_ms += elapsed_ms
        if progress.mode is Mode.SNAPSHOT:
            install_snapshot.tick(state, peer, progress, elapsed_ms, out)
    # T6.2.1: a leader that has heard of no majority for an election timeout steps down
    if not quorum.has_majority(state.membership, _heard(state, leader)):
        notice(state, out, "lost contact with a majority")
        become_follower(state, state.current_term, NOBODY, out)
        return
    leader.heartbeat_elapsed_ms += elapsed_ms
    # F2.LEA.1b: repeat heartbeats during idle periods to prevent election timeouts (5.2)
    if leader.heartbeat_elapsed_ms >= config.heartbeat_interval_ms:
        replicate.heartbeat(state, leader)
    transfer.tick(state, leader, elapsed_ms, out)


def _heard(state: State, leader: Leader) -> set[NodeId]:
    heard = {peer for peer, progress in leader.progress.items() if progress.is_heard(state.config)}
    heard.add(state.node_id)
    return heard


def link_closed(state: State, peer: NodeId, out: Effects) -> None:
    """The peer's kernel closed the connection. Departure: if it was the leader's, do not wait for the whole timeout.

    Its process is most likely dead. If it is not, the pre-vote is refused by those who hear it, and nothing is
    disturbed. Voters wait in turn, by rank, so that they do not collide.
    """
    role = state.role
    if isinstance(role, Leader):
        progress = role.progress.get(peer)
        if progress is not None and progress.mode is Mode.REPLICATE:
            progress.become_probe(progress.match_index + 1)  # what was in flight is lost
    elif isinstance(role, Follower) and peer == state.leader_id:
        notice(state, out, "leader's connection closed", leader=peer)
        remote.lose_leader(state, out)
        state.role = Follower(early_campaign_pause_ms(state, without=peer))


def link_opened(state: State, peer: NodeId, out: Effects) -> None:
    """The connection to a peer stands: send at once what waited for the next heartbeat."""
    role = state.role
    progress = role.progress.get(peer) if isinstance(role, Leader) else None
    if progress is not None and isinstance(role, Leader):
        progress.is_waiting = False
        replicate.send_heartbeat(state, role, peer, progress)
        if progress.mode is Mode.SNAPSHOT:
            install_snapshot.send_chunk(state, peer, progress, out)


def early_campaign_pause_ms(state: State, without: NodeId) -> int:
    """A short wait, different for each voter: its rank among the voters but `without`, in staggers, and a random part."""
    stagger_ms = state.config.early_campaign_stagger_ms
    voters = [voter for voter in state.membership.voters if voter != without]
    rank = voters.index(state.node_id) if state.node_id in voters else len(voters)
    return 1 + rank * stagger_ms + state.random.randrange(max(1, stagger_ms // 2))
